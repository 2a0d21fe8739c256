"""Work in the shell, in pipes and in cron jobs.

``pip install "tsbulk-frames[cli]"`` brings `tsbulk`; every command explains itself with ``--help``. Credentials come
from the environment alone (`tsbulk_frames.howto.authenticate`), so none is ever seen in a list of processes.

### Is everything in place?

```sh
tsbulk doctor
tsbulk describe
tsbulk describe PUMP
```

Settings and where they were found, a token, the gateway, clocks, folders, versions; then the assets, and the properties
of one.

### Read

```sh
tsbulk read PUMP flow 2026-03-01 2026-04-01 --output march.parquet
tsbulk read PUMP flow 2026-03-01 2026-03-02 --select rate --format csv | head -5
```

Memory stays bounded whatever the range. A file gets its name only once it is whole. `head` may stop listening: that ends
the command quietly.

### Write, and go on after whatever happened

```sh
tsbulk plan history.parquet PUMP flow
tsbulk write history.parquet PUMP flow --manifest night.sqlite --verify
tsbulk resume night.sqlite
tsbulk jobs night.sqlite --wait
```

Ctrl-C tells the command to go on with.

### A cron job

```sh
#!/bin/sh
set -e
. /etc/pumps/credentials.env          # export MDSP_…=…, readable by this user alone
day=$(date -u -d yesterday +%F)
tsbulk read PUMP flow "$day" "$(date -u +%F)" --output "/data/$day.parquet" --quiet --json >> /data/log.jsonl
```

Nothing but errors is said on stderr (cron sends that by mail), and no bar is drawn where nobody looks. ``--json`` gives
one document with stable keys, errors included. The exit code says what happened:

| code | meaning |
|---|---|
| 0 | done |
| 1 | a comparison, a job or a part of the import failed |
| 2 | usage, settings, data or a file |
| 3 | the service refused the credentials |
| 4 | no such asset, aspect or job |
| 5 | no usable answer from the service: later |
| 6 | jobs are still running at the deadline |
| 130, 143 | Ctrl-C, SIGTERM |
| 141 | whoever read the output has closed it |

### Try it without an account

```sh
tsbulk demo
tsbulk sandbox --port 8080 --data folder --assets assets.json
```

The first shows everything in a few seconds. The second is a local gateway for programs of your own.
"""
