"""The IoT File Service: import files go up in one piece or in parts, side by side, and can be listed and deleted."""

from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tsbulk_frames.client import Client
from tsbulk_frames.content import check_part_bytes, file_on_disk, open_content, part_size, size_of_part
from tsbulk_frames.errors import FrameError, ProtocolError
from tsbulk_frames.model import Moment, format_time, parse_moment
from tsbulk_frames.multipart import PartUpload
from tsbulk_frames.remote import SERVICE, RemoteFile
from tsbulk_frames.stored import StoredFile, parse_files
from tsbulk_frames.upload import upload_file, upload_stream

__all__ = ["FileServiceClient", "StoredFile"]

PAGE = 500
"""Files in one listing at most."""


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
        resume: bool = False,
    ) -> StoredFile:
        """Write a file: in one request up to `part_bytes`, else in parts that are sent side by side.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name, with ``/`` between.
        content : bytes, pathlib.Path or binary file
            What a path leads to is read from disk as it is sent, whatever its size; it must not change meanwhile. An
            open file is read from where it stands, a part at a time.
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
            Parts on their way at once; unless `content` is a path, these and one more are in memory.
        resume : bool
            Whether an upload in parts is carried on where an earlier call left it, and its parts are left to a later
            one when it breaks off: the process ended, the way to the service or the token failed. The service drops
            them after 2 days. Only for a path, and for a name under which nothing but this very content is ever sent,
            such as one that holds its digest; with the same `part_bytes` each time.

        Returns
        -------
        StoredFile
            With the new etag.

        Raises
        ------
        ConflictError
            The file exists and `if_match` is not its etag.
        FrameError
            An argument cannot be used; before any request. Or the file was changed, cut or removed while it was
            uploaded: then nothing of it is stored.
        ProtocolError
            The service acknowledged all parts and lost some of them, each time; nothing of it is stored.
        ServiceError, TransportError
            See `Transport.request`. Unless `resume` keeps them, the parts that were sent are dropped by the service.

        Notes
        -----
        A part that was acknowledged may be lost all the same. So the end of a file in parts is looked at once it is
        complete, by its last 4 kB; the size in the listing is believed where that cannot be had, and the service where
        neither tells. Lost parts are sent again, up to three times: those that are missing where the completion is
        refused for them, all where a file turns out to be too short, which is deleted before. What can be read only
        once, such as a pipe, cannot be sent again. Between completion and look the shorter file is there to be seen.

        With `resume` and without `if_match` a file that is there already, with the same bytes at its end and at a few
        other places, is the one an earlier call wrote: no conflict. Parts found by `resume` count when their size is
        right or not told. What is stored in the end is compared with the file in its size and at a few places; where
        it differs, or the service refuses to complete the upload, all is sent anew, once.

        Source: ``PUT /api/iotfile/v3/files/{entity}/{path}``, ``?upload=start``, ``?part=N``, ``?upload=complete``,
        ``?upload=abort``; ``GET /api/iotfile/v3/fileslist/{entity}/{path}``.
        """
        remote = self._remote(entity, path)
        headers = _headers(if_match, description, mime_type, timestamp)
        check_part_bytes(part_bytes, max_workers)
        upload = PartUpload(remote, headers, max_workers, keep=resume)
        find = partial(self.find_file, entity, path)
        file = file_on_disk(content)
        if file is not None:
            size, etag = len(file), upload_file(upload, file, size_of_part(len(file), part_bytes), find)
        elif resume:
            raise FrameError("resume=True needs a file that is there the next time; give its pathlib.Path as content")
        else:
            with open_content(content) as source:
                size, etag = upload_stream(upload, source, part_size(source, part_bytes), find)
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
        remote = self._remote(entity, path)
        if byte_range is None:
            return remote.get()
        pair = byte_range if isinstance(byte_range, tuple | list) else ()
        if len(pair) != 2 or not all(isinstance(one, int) for one in pair) or not 0 <= pair[0] < pair[1]:
            raise FrameError(f"byte_range={byte_range!r} cannot be used; give (start, stop) with 0 <= start < stop")
        return remote.get(*pair)

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
        return parse_files(self._transport.request("GET", (*SERVICE, "files", entity), query=query).data)

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
            The answer is no list of files, or one that never ends.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iotfile/v3/files/{entity}?filter=…``.
        """
        self._remote(entity, path)
        folder, _, name = path.rpartition("/")
        wanted = f"name eq {name} and path eq {folder}/" if folder else f"name eq {name}"
        offset, page = 0, list[StoredFile]()
        while True:
            before, page = page, self.list_files(entity, filter=wanted, offset=offset, limit=PAGE)
            for file in page:
                if file.name == name and file.path.strip("/") == folder:
                    return file
            if len(page) < PAGE:
                return None
            if page == before:
                raise ProtocolError(
                    f"the list of the files of {entity!r} from {offset} on is the one before it again: it would never "
                    "end. Report it to the operator of the service"
                )
            offset += PAGE

    def list_parts(self, entity: str, path: str) -> dict[int, int | None]:
        """List the parts of an upload that has begun and is not complete.

        Parameters
        ----------
        entity : str
            The asset it belongs to.
        path : str
            Folders and name.

        Returns
        -------
        dict of int to int or None
            Bytes by number of the part; None where the service does not tell. Empty when no upload is under way, or
            the answer is not understood.

        Raises
        ------
        FrameError
            `path` is no file; before any request.
        ServiceError, TransportError
            See `Transport.request`.

        Notes
        -----
        Source: ``GET /api/iotfile/v3/fileslist/{entity}/{path}``.
        """
        return self._remote(entity, path).parts()

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
        self._remote(entity, path).delete()

    def _remote(self, entity: str, path: str) -> RemoteFile:
        """Name a file, whose path is checked by that."""
        return RemoteFile(self._transport, entity, path)

    def _listed_etag(self, entity: str, path: str, replaced: int | None) -> int | None:
        """Learn the etag from the listing, unless that still shows the file that was replaced."""
        file = self.find_file(entity, path)
        if file is None or file.etag is None or (replaced is not None and file.etag <= replaced):
            return None
        return file.etag


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
