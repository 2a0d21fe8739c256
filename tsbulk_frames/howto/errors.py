"""What an error means, and what to do.

Everything raised is a `tsbulk_frames.TsBulkError`. Its message says what happened, the value seen, what is accepted and
the next step; ``error.transient`` says whether the same call may succeed later without any change.

>>> import pandas as pd
>>> import tsbulk_frames as tsb
>>> with tsb.Sandbox() as sandbox, tsb.connect(sandbox.url, credentials=sandbox.credentials) as con:
...     try:
...         tsb.read_timeseries("pump-9", "flow", "2026-03-01", "2026-03-02", connection=con)
...     except tsb.NotFoundError as error:
...         print(type(error).__name__, error.status, error.transient)
NotFoundError 404 False

| error | when | what to do |
|---|---|---|
| `tsbulk_frames.ConfigError` | a setting is missing or cannot work, a manifest cannot be used, the disk is full | correct what the message names |
| `tsbulk_frames.FrameError` | your data or range breaks a rule; before any request | mend ``.column`` at ``.rows``; `tsbulk_frames.plan_import` lists everything at once |
| `tsbulk_frames.AuthError` | 401, 403, or a token was refused | check the credentials (`tsbulk doctor`), or the rights they have |
| `tsbulk_frames.NotFoundError` | no such asset, aspect, file or job | look with `tsbulk_frames.list_assets`, `tsbulk_frames.describe` |
| `tsbulk_frames.ConflictError` | a file changed meanwhile | list it again, and use its ETag |
| `tsbulk_frames.ThrottledError` | 429 until the retry budget was spent | later, or with fewer ``max_workers`` |
| `tsbulk_frames.ServiceError` | any other 4xx or 5xx | 5xx: later; 4xx: see ``.detail``; a support ticket wants ``.request_id`` |
| `tsbulk_frames.TransportError` | no usable answer: network, deadline, a body cut short | later; ``.stopped_by`` names the settings that ended it |
| `tsbulk_frames.PageError` | pages repeat, go backwards or do not end | a fault of the service: report it |
| `tsbulk_frames.DecodeError` | a page is not what the contract says | the same: ``.page``, ``.record``, ``.property`` |
| `tsbulk_frames.ProtocolError` | another answer that breaks the contract | the same |
| `tsbulk_frames.JobError` | an import job ended in ``ERROR``; nothing of it is stored | mend what ``.message`` says, then resume |
| `tsbulk_frames.JobTimeout` | jobs still run at your deadline: no failure | `tsbulk_frames.wait_for_jobs` with ``.job_ids``, or resume |
| `tsbulk_frames.PartialImportError` | some partitions failed or are unknown, all others are through | see ``.errors``; mend; `tsbulk_frames.resume_import` with ``.manifest`` |

`tsbulk_frames.MindsphereError`, the vendor's name, is `tsbulk_frames.TsBulkError` itself. `tsbulk_frames.errors` draws
the tree.

### Try again later, but only where that makes sense

Requests are repeated by themselves, for ``retry_budget`` seconds, wherever that can do no harm. Around a whole script,
``transient`` decides:

>>> def is_worth_another_night(error):
...     return isinstance(error, tsb.TsBulkError) and error.transient
>>> is_worth_another_night(tsb.TransportError("the network is down", method="GET", url="https://…"))
True

### The data's fault, told with its place

>>> times = pd.date_range("2026-03-01", periods=3, freq="s", tz="UTC")
>>> broken = pd.DataFrame({"rate": [1.0, float("inf"), 2.0]}, index=times)
>>> try:
...     tsb.write_import_files(broken, "pump-1", "flow", "nowhere", twin_type="simulation")
... except tsb.FrameError as error:
...     error.column, error.rows
('rate', (1,))
"""
