"""Everything this library raises; floor 0, importable from ``tsbulk_frames`` and ``tsbulk_frames.errors``.

Each with its meaning and its attributes:

    TsBulkError(Exception)             .transient: may a caller retry?   (MindsphereError is this class)
    ├─ ConfigError(ValueError)         a setting: which one, and where it was looked for
    ├─ FrameError(ValueError)          the caller's data or range, before any request: .column .rows
    ├─ TransportError                  no usable answer: .method .url .attempts .elapsed .stopped_by
    ├─ ServiceError                    a 4xx or 5xx answer: .status .request_id .detail, and the same
    │  ├─ AuthError                    401, 403, or a token endpoint that refused
    │  ├─ NotFoundError                404
    │  ├─ ConflictError                409, 412: the file changed meanwhile
    │  └─ ThrottledError               429: .retry_after
    ├─ ProtocolError                   a 2xx answer that breaks the contract
    │  ├─ PageError                    .page
    │  └─ DecodeError                  .page .record .property
    ├─ JobError                        an import job ended in ERROR: .job .message .files
    ├─ JobTimeout(TimeoutError)        jobs still running at the deadline: .job_ids
    └─ PartialImportError              .done .failed .unknown .errors .report .manifest

Every message says what happened, the value seen, what is accepted, and the next step. No secret is ever part
of one. All survive ``pickle``, so they cross process borders unharmed. What to do about
each: `tsbulk_frames.howto.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AuthError",
    "ConfigError",
    "ConflictError",
    "DecodeError",
    "FrameError",
    "JobError",
    "JobTimeout",
    "MindsphereError",
    "NotFoundError",
    "PageError",
    "PartialImportError",
    "ProtocolError",
    "ServiceError",
    "ThrottledError",
    "TransportError",
    "TsBulkError",
]


def _restore(cls: type[BaseException], args: tuple[object, ...], state: dict[str, object]) -> BaseException:
    """Rebuild an exception without calling its ``__init__``, whose keywords pickle does not know."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class TsBulkError(Exception):
    """Base class of every error of this library (the vendor's name for it: ``MindsphereError``).

    Attributes
    ----------
    transient : bool
        Whether the same call may succeed later without anything being changed.
    """

    transient: bool = False

    def __reduce__(self) -> tuple[Callable[..., BaseException], tuple[object, ...]]:
        """Pickle by state: the attributes matter as much as the message."""
        return _restore, (type(self), self.args, self.__dict__.copy())


MindsphereError = TsBulkError


class ConfigError(TsBulkError, ValueError):
    """A setting is missing or cannot work; the message names it and the places searched."""


class FrameError(TsBulkError, ValueError):
    """The caller's data or time range cannot be used; raised before any request.

    Attributes
    ----------
    column : str or None
        The column at fault, if one is.
    rows : tuple of int
        Positions (from 0) of the first rows at fault, five at most.
    """

    def __init__(self, message: str, *, column: str | None = None, rows: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.column = column
        self.rows = tuple(int(row) for row in rows[:5])


class TransportError(TsBulkError):
    """No usable answer came: connection, deadline or a body cut short. The cause is chained.

    Attributes
    ----------
    method, url : str
        The request; the URL is redacted (no query values that could be secret, no credentials).
    attempts : int
        How often it was sent; 0 where that was never possible.
    elapsed : float
        Seconds from the first try to this error, pauses included.
    stopped_by : tuple of str
        Names of the settings of `RestClientConfig` that ended it: with larger ones it would have gone on. Empty where
        none would have changed anything.
    unknown_outcome : bool
        Whether the service may have carried the request out all the same.
    """

    transient = True

    def __init__(
        self,
        message: str,
        *,
        method: str,
        url: str,
        attempts: int = 1,
        elapsed: float = 0.0,
        stopped_by: Sequence[str] = (),
        unknown_outcome: bool = False,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.url = url
        self.attempts = attempts
        self.elapsed = elapsed
        self.stopped_by = tuple(stopped_by)
        self.unknown_outcome = unknown_outcome


class ServiceError(TsBulkError):
    """The service answered with 4xx or 5xx.

    Attributes
    ----------
    status : int
        HTTP status.
    request_id : str or None
        The gateway's correlation id, for a support ticket.
    detail : str
        What the service said, as plain text.
    method, url : str
        The request, redacted.
    attempts : int
        How often it was sent.
    elapsed : float
        Seconds from the first try to this error, pauses included.
    stopped_by : tuple of str
        Names of the settings of `RestClientConfig` that ended it, as in `TransportError`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        detail: str = "",
        request_id: str | None = None,
        method: str = "",
        url: str = "",
        attempts: int = 1,
        elapsed: float = 0.0,
        stopped_by: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.method = method
        self.url = url
        self.attempts = attempts
        self.elapsed = elapsed
        self.stopped_by = tuple(stopped_by)
        self.transient = status == 429 or status >= 500


class AuthError(ServiceError):
    """The service refused the credentials or the token (401, 403)."""


class NotFoundError(ServiceError):
    """The asset, aspect, file or job does not exist (404)."""


class ConflictError(ServiceError):
    """A file exists or changed meanwhile (409, 412): its current ETag is needed to overwrite it."""


class ThrottledError(ServiceError):
    """Too many requests (429), and the retry budget is spent.

    Attributes
    ----------
    retry_after : float or None
        Seconds the service asked to wait, if it said so.
    """

    retry_after: float | None = None


class ProtocolError(TsBulkError):
    """A successful answer breaks the service's contract; nothing of it was used."""


class PageError(ProtocolError):
    """A chain of pages repeats, goes backwards in time, or has no usable envelope.

    Attributes
    ----------
    page : int
        Number of the page in its chain, from 1.
    """

    def __init__(self, message: str, *, page: int = 1) -> None:
        super().__init__(message)
        self.page = page


class DecodeError(ProtocolError):
    """A page is not what the contract says a page is.

    Attributes
    ----------
    page : int
        Number of the page in its chain, from 1.
    record : int or None
        Position of the record in the page, from 0.
    property : str or None
        The property at fault.
    """

    def __init__(self, message: str, *, page: int = 1, record: int | None = None, property: str | None = None) -> None:
        super().__init__(message)
        self.page = page
        self.record = record
        self.property = property


class JobError(TsBulkError):
    """An import job ended in ``ERROR``: nothing of it was imported.

    Attributes
    ----------
    job : str
        Id of the job.
    message : str
        What the service gave as the reason.
    files : tuple of str
        Remote paths of the job's import files.
    """

    def __init__(self, text: str, *, job: str, message: str, files: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.job = job
        self.message = message
        self.files = tuple(files)


class JobTimeout(TsBulkError, TimeoutError):
    """Import jobs were still running at the deadline: not a failure, they can be awaited again.

    Attributes
    ----------
    job_ids : tuple of str
        The jobs still running.
    report : object
        The report so far, when raised by an import; else None.
    """

    transient = True

    def __init__(self, message: str, *, job_ids: Sequence[str] = (), report: object = None) -> None:
        super().__init__(message)
        self.job_ids = tuple(job_ids)
        self.report = report


class PartialImportError(TsBulkError):
    """Some partitions were not imported; all others have been awaited.

    Attributes
    ----------
    done, failed, unknown : tuple of str
        Partitions (``2026-03-01`` or ``2026-03-01T05``) by outcome. ``unknown``: the service may have
        taken the job without telling.
    errors : tuple of TsBulkError
        One per partition in `failed` and `unknown`, in that order.
    report : pandas.DataFrame or report object
        The whole import, a row per partition.
    manifest : str or None
        Where the state of the import is kept, if it is.
    """

    def __init__(
        self,
        message: str,
        *,
        done: Sequence[str] = (),
        failed: Sequence[str] = (),
        unknown: Sequence[str] = (),
        errors: Sequence[TsBulkError] = (),
        report: pd.DataFrame | object = None,
        manifest: str | None = None,
    ) -> None:
        super().__init__(message)
        self.done = tuple(done)
        self.failed = tuple(failed)
        self.unknown = tuple(unknown)
        self.errors = tuple(errors)
        self.report = report
        self.manifest = manifest
