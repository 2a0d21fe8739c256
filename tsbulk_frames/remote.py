"""One file in the file service: the requests about it, however it is uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tsbulk_frames.body import Sendable
from tsbulk_frames.errors import FrameError, NotFoundError
from tsbulk_frames.retry import Retry
from tsbulk_frames.stop import Stop
from tsbulk_frames.stored import parse_etag, parse_parts
from tsbulk_frames.transport import Answer, Transport

__all__ = ["SERVICE", "RemoteFile"]

SERVICE = ("api", "iotfile", "v3")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A place in the file service.

    Parameters
    ----------
    transport : Transport
        Carries the requests.
    entity : str
        The asset it belongs to.
    path : str
        Folders and name, with ``/`` between.

    Raises
    ------
    FrameError
        `path` is no file.
    """

    transport: Transport
    entity: str
    path: str

    def __post_init__(self) -> None:
        parts = self.path.split("/") if isinstance(self.path, str) else [""]
        if {"", ".", ".."} & set(parts):
            raise FrameError(f"path={self.path!r} is no file; give it like 'a.json' or 'folder/a.json'")

    def _segments(self, kind: str) -> tuple[str, ...]:
        """Parts of the URL's path; a folder is a part of its own."""
        return (*SERVICE, kind, self.entity, *self.path.split("/"))

    def put(
        self,
        body: Sendable | None,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        *,
        retry: Retry = "always",
        stop: Stop | None = None,
    ) -> Answer:
        """Write it, or take a step of an upload."""
        segments = self._segments("files")
        return self.transport.request("PUT", segments, query=query, headers=headers, body=body, retry=retry, stop=stop)

    def get(self, first: int | None = None, stop: int | None = None) -> bytes:
        """Read it, or the bytes from `first`, without `stop`; cut where it ends."""
        if first is None or stop is None:
            return self.transport.request("GET", self._segments("files")).data
        # compressed, a range would be one of the compressed bytes
        headers = {"Range": f"bytes={first}-{stop - 1}", "Accept-Encoding": "identity"}
        answer = self.transport.request("GET", self._segments("files"), headers=headers)
        return answer.data if answer.status == 206 else answer.data[first:stop]

    def size(self) -> int | None:
        """Ask for its size; None where it is not told."""
        headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
        answer = self.transport.request("GET", self._segments("files"), headers=headers)
        if answer.status != 206:
            return len(answer.content)
        return parse_etag(answer.headers.get("Content-Range", "").rpartition("/")[2])

    def parts(self) -> dict[int, int | None]:
        """Give the parts of an upload under way: sizes, where told, by number."""
        try:
            answer = self.transport.request("GET", self._segments("fileslist"))
        except NotFoundError:
            return {}
        return parse_parts(answer.data, f"{self.entity}/{self.path}")

    def delete(self) -> None:
        """Delete it; when an earlier try, whose answer was lost, may have done it, it being gone is as good."""
        try:
            self.transport.request("DELETE", self._segments("files"))
        except NotFoundError as error:
            if error.attempts == 1:
                raise
