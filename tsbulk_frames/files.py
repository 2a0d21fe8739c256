"""The IoT File Service: import files go up in one piece or in parts, side by side, and can be listed and deleted."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tsbulk_frames.answers import parse_json
from tsbulk_frames.client import Client
from tsbulk_frames.errors import ConflictError, FrameError, NotFoundError, ProtocolError
from tsbulk_frames.model import Moment, format_time, parse_moment
from tsbulk_frames.multipart import check_part_bytes, open_content, part_size, read_blocks, taken, upload_parts

__all__ = ["FileServiceClient", "StoredFile"]

_BASE = ("api", "iotfile", "v3", "files")
PAGE = 500
"""Files in one listing at most."""


@dataclass(frozen=True)
class StoredFile:
    """A file in the file service.

    Attributes
    ----------
    name : str
        Its name without folders.
    path : str
        Its folder: empty, or with a ``/`` at the end.
    size : int or None
        Bytes.
    etag : int or None
        Its version, needed to replace it: 0 for a new file, one more with each replacement. None where neither the
        answer nor the listing tells (a listing may lag behind by seconds).
    mime_type, timestamp, created, updated : str or None
        As the service says.

    Examples
    --------
    >>> from tsbulk_frames.files import StoredFile
    >>> StoredFile("a.json", "2024/").full_path
    '2024/a.json'
    """

    name: str
    path: str = ""
    size: int | None = None
    etag: int | None = None
    mime_type: str | None = None
    timestamp: str | None = None
    created: str | None = None
    updated: str | None = None

    @property
    def full_path(self) -> str:
        """Folder and name."""
        return self.path + self.name


class FileServiceClient(Client):
    """Puts, gets, lists and deletes the files of an asset.

    Takes the parameters of every client: `rest_client_config` and `mindsphere_credentials`, or a `transport`.

    Examples
    --------
    >>> from tsbulk_frames.auth import UserToken
    >>> from tsbulk_frames.config import RestClientConfig
    >>> from tsbulk_frames.files import FileServiceClient
    >>> FileServiceClient(RestClientConfig(), UserToken("abc")).close()
    """

    def put_file(
        self,
        entity: str,
        path: str,
        content: bytes | Path | BinaryIO,
        *,
        if_match: int | None = None,
        description: str | None = None,
        mime_type: str = "application/json",
        timestamp: Moment | None = None,
        part_bytes: int = 8 * 2**20,
        max_workers: int = 3,
    ) -> StoredFile:
        """Write a file: in one request up to `part_bytes`, else in parts that are sent side by side.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name, with ``/`` between.
        content : bytes, pathlib.Path or binary file
            A file is read from where it stands, a part at a time.
        if_match : int, optional
            Etag of the file to replace; required when there is one.
        description : str, optional
            Printable ASCII.
        mime_type : str
            What the service will say the content is.
        timestamp : str, datetime, date or pandas.Timestamp, optional
            Of the content; a str is sent as it is.
        part_bytes : int
            Size of a part, from 5 MB; enlarged where 1,000 parts would not do.
        max_workers : int
            Parts on their way at once; these and one more are in memory.

        Returns
        -------
        StoredFile
            With the new etag.

        Raises
        ------
        ConflictError
            The file exists and `if_match` is not its etag.
        FrameError
            An argument cannot be used; before any request.
        ServiceError, TransportError
            See `Transport.request`. An upload in parts is abandoned on both sides.

        Notes
        -----
        Source: ``PUT /api/iotfile/v3/files/{entity}/{path}``, ``?upload=start``, ``?part=N``, ``?upload=complete``,
        ``?upload=abort``.
        """
        segments = self._segments(entity, path)
        headers = _headers(if_match, description, mime_type, timestamp)
        check_part_bytes(part_bytes, max_workers)
        with open_content(content) as source:
            part = part_size(source, part_bytes)
            blocks = read_blocks(source, part)
            head = deque(islice(blocks, 2))
            if len(head) < 2:
                whole = b"".join(head)
                size, etag = len(whole), self._put_whole(entity, path, whole, headers)
            else:
                blocks = taken(head, blocks)
                size, told = upload_parts(self._transport, segments, headers, blocks, max_workers=max_workers)
                etag = parse_etag(told)
        if etag is None:
            etag = self._listed_etag(entity, path, if_match)
        folder, _, name = path.rpartition("/")
        return StoredFile(name, f"{folder}/" if folder else "", size, etag, mime_type, headers.get("timestamp"))

    def get_file(self, entity: str, path: str, *, byte_range: tuple[int, int] | None = None) -> bytes:
        """Read a file, or a part of it.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name.
        byte_range : tuple of int, optional
            ``(start, stop)``: bytes from `start`, without `stop`, as in a slice. Cut where the file ends.

        Returns
        -------
        bytes

        Raises
        ------
        NotFoundError
            There is no such file.
        FrameError
            An argument cannot be used; before any request.
        ProtocolError
            Larger than ``max_answer_bytes``.
        ServiceError, TransportError
            See `Transport.request`; 416 for a range beyond the end.

        Notes
        -----
        Source: ``GET /api/iotfile/v3/files/{entity}/{path}``.
        """
        segments = self._segments(entity, path)
        if byte_range is None:
            return self._transport.request("GET", segments).data
        pair = byte_range if isinstance(byte_range, tuple | list) else ()
        if len(pair) != 2 or not all(isinstance(one, int) for one in pair) or not 0 <= pair[0] < pair[1]:
            raise FrameError(f"byte_range={byte_range!r} cannot be used; give (start, stop) with 0 <= start < stop")
        start, stop = pair
        # compressed, a range would be one of the compressed bytes
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        answer = self._transport.request("GET", segments, headers=headers)
        return answer.data if answer.status == 206 else answer.data[start:stop]

    def list_files(
        self,
        entity: str,
        *,
        filter: str | None = None,
        order: str | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> list[StoredFile]:
        """List files of an asset. A listing can lag behind a write by seconds.

        Parameters
        ----------
        entity : str
            The asset.
        filter : str, optional
            For example ``name eq a.json and path eq dir/``.
        order : str, optional
            Sent as it is.
        offset : int, optional
            Files to skip.
        limit : int, optional
            Files to list at most, up to 500. None: the service's default.

        Returns
        -------
        list of StoredFile

        Raises
        ------
        FrameError
            `offset` or `limit` cannot be used; before any request.
        ProtocolError
            The answer is no list of files.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iotfile/v3/files/{entity}``.
        """
        query = {}
        for name, number, least, most in (("offset", offset, 0, 2**53), ("limit", limit, 1, PAGE)):
            if number is None:
                continue
            if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
                raise FrameError(f"{name}={number!r} is not accepted; give an int from {least} to {most}")
            query[name] = str(number)
        for name, text in (("filter", filter), ("order", order)):
            if text is not None:
                if not isinstance(text, str):
                    raise FrameError(f"{name}={text!r} is not accepted; give a str, or None")
                query[name] = text
        answer = self._transport.request("GET", (*_BASE, entity), query=query)
        found = parse_json(answer.data, "the list of files") if answer.data.strip() else []
        if not isinstance(found, list):
            raise ProtocolError(f"the list of files is a {type(found).__name__}, not a list")
        return [_stored(item) for item in found]

    def find_file(self, entity: str, path: str) -> StoredFile | None:
        """Look one file up in the listing.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name.

        Returns
        -------
        StoredFile or None
            None when it is not listed (yet).

        Raises
        ------
        ProtocolError
            The answer is no list of files.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iotfile/v3/files/{entity}?filter=…``.
        """
        self._segments(entity, path)
        folder, _, name = path.rpartition("/")
        wanted = f"name eq {name} and path eq {folder}/" if folder else f"name eq {name}"
        offset = 0
        while True:
            page = self.list_files(entity, filter=wanted, offset=offset, limit=PAGE)
            for file in page:
                if file.name == name and file.path.strip("/") == folder:
                    return file
            if len(page) < PAGE:
                return None
            offset += PAGE

    def delete_file(self, entity: str, path: str) -> None:
        """Delete a file.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name.

        Raises
        ------
        NotFoundError
            There is no such file.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``DELETE /api/iotfile/v3/files/{entity}/{path}``.
        """
        try:
            self._transport.request("DELETE", self._segments(entity, path))
        except NotFoundError as error:
            if error.attempts == 1:  # else an earlier try, whose answer was lost, may have deleted it
                raise

    @staticmethod
    def _segments(entity: str, path: str) -> tuple[str, ...]:
        """Parts of the URL's path; a folder is a part of its own."""
        parts = path.split("/") if isinstance(path, str) else [""]
        if {"", ".", ".."} & set(parts):
            raise FrameError(f"path={path!r} is no file; give it like 'a.json' or 'folder/a.json'")
        return (*_BASE, entity, *parts)

    def _put_whole(self, entity: str, path: str, content: bytes, headers: Mapping[str, str]) -> int | None:
        """Write in one request; a conflict after a lost answer may be with ourselves: then all is well."""
        try:
            answer = self._transport.request("PUT", self._segments(entity, path), headers=headers, body=content)
        except ConflictError as error:
            if error.attempts == 1 or not self._is_there(entity, path, content):
                raise
            return None
        return parse_etag(answer.headers.get("ETag"))

    def _is_there(self, entity: str, path: str, content: bytes) -> bool:
        """Whether the file holds exactly these bytes."""
        try:
            return self.get_file(entity, path) == content
        except NotFoundError:
            return False

    def _listed_etag(self, entity: str, path: str, replaced: int | None) -> int | None:
        """Learn the etag from the listing, unless that still shows the file that was replaced."""
        file = self.find_file(entity, path)
        if file is None or file.etag is None or (replaced is not None and file.etag <= replaced):
            return None
        return file.etag


def parse_etag(text: object) -> int | None:
    """Read an etag: a number, in quotes or not, as text or not.

    Examples
    --------
    >>> from tsbulk_frames.files import parse_etag
    >>> parse_etag('W/"3"'), parse_etag(3), parse_etag("x")
    (3, 3, None)
    """
    digits = str(text).removeprefix("W/").strip('"') if isinstance(text, str | int) else ""
    return int(digits) if digits.isascii() and digits.isdecimal() else None


def _headers(if_match: int | None, description: str | None, mime_type: str, timestamp: Moment | None) -> dict[str, str]:
    """Spell out what travels with the bytes."""
    headers = {"type": mime_type}
    if if_match is not None:
        if not isinstance(if_match, int) or isinstance(if_match, bool) or if_match < 0:
            raise FrameError(f"if_match={if_match!r} is no etag; give the int that find_file(...).etag shows")
        headers["If-Match"] = str(if_match)
    if description is not None:
        headers["description"] = description
    if timestamp is not None:
        given = isinstance(timestamp, dt.date)
        headers["timestamp"] = format_time(parse_moment(timestamp, "timestamp")) if given else str(timestamp)
    return headers


def _stored(item: object) -> StoredFile:
    """Read one entry of a listing."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ProtocolError(f"an entry of the list of files has no name: {item!r:.200}")
    folder = item.get("path")
    texts = [item.get(key) if isinstance(item.get(key), str) else None for key in ("timestamp", "created", "updated")]
    return StoredFile(
        item["name"],
        folder.lstrip("/") if isinstance(folder, str) else "",
        parse_etag(item.get("size")),
        parse_etag(item.get("etag")),
        item.get("type") if isinstance(item.get("type"), str) else None,
        *texts,
    )
