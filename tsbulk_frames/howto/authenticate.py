"""Log in: which credentials, from where, and what is done with them.

### A script that runs by itself: an application

Set the vendor's variables once, and no secret stands in any program:

```sh
export MDSP_OS_VM_APP_NAME=… MDSP_OS_VM_APP_VERSION=… MDSP_HOST_TENANT=… MDSP_USER_TENANT=…
export MDSP_KEY_STORE_CLIENT_ID=… MDSP_KEY_STORE_CLIENT_SECRET=…
export TSBULK_GATEWAY=https://gateway.eu1.mindsphere.io   # this one is the default
```

```python
df = tsb.read_timeseries("<asset id>", "<aspect>", "2026-03-01", "2026-03-02")
```

A call without ``connection=`` uses one connection of the process, made from these variables at the first use. What is
missing is named, all at once:

>>> import tsbulk_frames as tsb
>>> tsb.AppCredentials.from_environment({"MDSP_OS_VM_APP_NAME": "pumps"})
Traceback (most recent call last):
tsbulk_frames.errors.ConfigError: no credentials: ... MDSP_KEY_STORE_CLIENT_SECRET ... (1 of 6 were found); ...

`tsbulk doctor` shows which of them were found, whether a token can be had, and how far the clocks are apart.

### A person: a token from somewhere else

>>> con = tsb.connect("https://gateway.eu1.mindsphere.io", credentials=tsb.UserToken("Bearer eyJhbGciOi"))

It is sent as it is, and cannot be renewed: when it has ended, `tsbulk_frames.AuthError` says so.

### A tenant's service credentials

>>> tsb.TenantCredentials(client_id="acme-service", client_secret="not told", tenant="acme")
TenantCredentials(client_id='acme-service', client_secret='***', tenant='acme')

### Several tenants, regions or settings

One connection each; threads may share it. A proxy, timeouts and the number of requests at once are settings of
`tsbulk_frames.RestClientConfig`:

>>> config = tsb.RestClientConfig(host_url="https://gateway.eu1.mindsphere.io", max_workers=4, retry_budget=600)
>>> with tsb.connect(config=config, credentials=tsb.UserToken("eyJhbGciOi")) as con:
...     con.config.max_workers
4

### What becomes of a secret

A token is fetched once for all threads, renewed five minutes before its end, sent to the configured gateway and nowhere
else, and never over plain ``http`` except to this machine. No secret is part of a message, a log or a repr. Credentials
can be pickled, so that workers get them, and then hold their secret; connections cannot.
"""
