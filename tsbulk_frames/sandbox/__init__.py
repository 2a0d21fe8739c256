"""A local server that plays the gateway: tokens, files, import jobs, reading and assets, on a real socket.

It is written from the service's documented behaviour alone and shares no code with the client, so that each is a judge
of the other. What is stored is really stored: on disk, as Parquet, and it is there again after a restart.

Known differences from the service, and what its documentation leaves open; what is a `Rules` setting is named so.

Server and tokens

- Plain HTTP on a loopback address; one client, one tenant; no roles: a good token may do everything.
- Tokens are signed with HS256; ``/token_keys`` gives that very key, so whoever can read it can sign.
- ``/oauth/token`` and ``/token_keys`` live at the root, since a local address has no ``gateway`` in its name.
- ``hostTenant`` and ``userTenant`` of app credentials may be anything; the token's ``ten`` is the sandbox's tenant.
- No request is cut at 60 s, and nothing is throttled, unless `Faults` say so; answers are not compressed.
- An unknown path is 404 only with a good token: under ``/api/`` the token is looked at first.
- The request line and its headers may have 64 KiB together, 431 above; no body is larger than `Rules.max_body_bytes`,
  413 above, and token requests (100 kB), assets (1 MB) and import jobs (10 MB) have smaller bounds of their own.

Files

- An asset must exist before it has files: 404.
- ``If-Match`` for a file that does not exist is 412; a missing or old one for a file that does, 409; an etag in quotes,
  ``*`` or other text, 400. It is optional for DELETE.
- A filter that cannot be understood is 400 (the service ignores it), and so is one, or an order, of over 100 terms.
  Names and folders may hold ``*`` in ``eq``.
- ``path`` in a listing ends in ``/``, but is empty for a file in no folder, so that ``path`` and ``name`` joined are
  always what the file was written as; a filter takes that folder as nothing, ``""``, ``/`` or ``./``.
- ``count=true`` puts the number of all files found into ``X-Total-Count``; the body stays the list.
- ``upload=start``, parts and ``complete`` answer 201, or 204 where the file exists or is replaced (a part: always 201);
  ``abort`` 204. Starting again drops the parts sent before. The parts are listed as ``[{"part", "size"}]``.
- 5 MB are 5,000,000 bytes (`Rules.min_part_bytes`); a file sent at once may have 1 GB (`Rules.max_body_bytes`).
- Whether ``complete`` tells the ETag, and how far a listing lags behind: `Rules.multipart_etag`, `Rules.listing_lag`.
- A file that is written anew after it was deleted begins at etag 0.
- One range in ``Range``; several are answered with the whole file.

Assets

- Every asset has a type of its own, ``sandbox.<assetId>``; an asset posted with that ``typeId`` gets its aspects. Other
  types are accepted and bring none. ``POST /assets`` takes ``aspects`` and ``assetId`` besides.
- An asset that is added again raises its etag only if something is different; a property that has stored records keeps
  its data type.
- ``GET /assets`` leaves the root asset out. Its ``filter`` compares letter by letter; one that cannot be understood is
  400, a field that is not known is ignored. No type has one above it: ``hasType`` is ``typeId``. None is ever deleted.
- Lists go by name unless ``sort`` says otherwise, ten to a page; a ``size`` over `Rules.max_list_size` is cut to that.
  They have no ``_links``; ``includeShared`` and ``basicFieldsOnly`` change nothing.
- Where aspects carry their variables: `Rules.variables_under`. Aspects have a description, their variables none.

Import jobs

- Answered with 201 and an object. What the request and the sizes tell is refused at creation: 400, an unknown asset or
  aspect 404; what only the content tells ends the job in ERROR. Jobs run one after the other.
- Files are read when the job runs; the age of records is reckoned from its creation.
- How long a job keeps its progress back, and whether all end in ERROR: `Rules.job_seconds`, `Rules.job_error`.
- Which day or hour owns the record at its border: `Rules.closed`. Sizes are summed per job, not over several jobs.
- Files are named in order of time; gaps between them are accepted.
- A later record of the same ``_time`` replaces the earlier one as a whole.
- A record without a value is refused, a quality code without its value is kept; a key that comes twice is refused.
- JSON ``null`` is a missing value; an empty text is a value of STRING and BIG_STRING, else a missing value. ``1.0`` and
  ``1e3`` are refused for INT and LONG; texts are counted in code points; a TIMESTAMP stays the text it came as.

Trouble

- None by itself; `Faults` bring it, by a script or at random from a seed: statuses with any body, connections that are
  reset, closed, cut, slow or silent, tokens that end, listings that lag, parts that are lost, jobs that are stuck or
  fail, and every form an answer has been published in.
- A refused connection is played by one that is accepted and reset before the request is read; a reset of a connection
  that was used before looks the same as one of a new one.
- Random trouble never harms what was taken: a job that fails imports nothing, stored records stay.

Reading

- Precision of ``from`` and ``to``: `Rules.compare`; they need ``Z`` or an offset. Records that are one moment at that
  precision stay on one page.
- ``select=p`` gives ``p`` and ``p_qc``; records without any selected value are left out; an unknown name is 400.
- ``limit`` counts over all pages; ``nextRecord`` is absent on the last one, and otherwise on the host that was asked.
- ``sort=desc``: the link moves ``to`` and leaves ``from``.
- ``_time`` has 0, 3, 6 or 9 fraction digits; a write that ends while pages are walked is seen from there on.
- Ordinary service: ``from`` and ``to`` may be left out, the range is not limited, PUT takes records in any order.
"""

from tsbulk_frames.sandbox.faults import (
    KINDS,
    Action,
    Answer,
    Bend,
    Cut,
    Delay,
    Drip,
    Drop,
    Fault,
    Faults,
    Hang,
    Injection,
    Kind,
    Reply,
    Revoke,
    Rewrite,
    Throttle,
)
from tsbulk_frames.sandbox.gate import RequestRecord
from tsbulk_frames.sandbox.gateway import Sandbox
from tsbulk_frames.sandbox.model import Rules

__all__ = [
    "KINDS",
    "Action",
    "Answer",
    "Bend",
    "Cut",
    "Delay",
    "Drip",
    "Drop",
    "Fault",
    "Faults",
    "Hang",
    "Injection",
    "Kind",
    "Reply",
    "RequestRecord",
    "Revoke",
    "Rewrite",
    "Rules",
    "Sandbox",
    "Throttle",
]
