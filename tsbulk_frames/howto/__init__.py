"""How to …: one page a task, each with examples that run.

| to … | see |
|---|---|
| log in, and keep secrets where they belong | `tsbulk_frames.howto.authenticate` |
| read history, also more than fits into memory | `tsbulk_frames.howto.read` |
| write history: plan, import, verify | `tsbulk_frames.howto.write` |
| go on after an interruption, a crash or a failure | `tsbulk_frames.howto.resume` |
| test your own scripts without a tenant | `tsbulk_frames.howto.testing` |
| know what an error means and what to do | `tsbulk_frames.howto.errors` |
| know the limits of the service | `tsbulk_frames.howto.limits` |
| come from a `requests` loop or the vendor's client | `tsbulk_frames.howto.migrate` |
| work in the shell and in cron jobs | `tsbulk_frames.howto.command_line` |
| work in notebooks | `tsbulk_frames.howto.notebooks` |
| use a cluster | `tsbulk_frames.howto.cluster` |

All of them use a local `tsbulk_frames.Sandbox`, so they can be tried without an account. Every public name is described
in `tsbulk_frames`.
"""
