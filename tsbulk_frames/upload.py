"""A file goes up: in one request, in parts, or in the parts that an earlier try did not bring there."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from tsbulk_frames.body import FileSlice
from tsbulk_frames.content import read_blocks, taken
from tsbulk_frames.errors import ConflictError, NotFoundError, ProtocolError, ServiceError
from tsbulk_frames.multipart import PartUpload, passing
from tsbulk_frames.remote import RemoteFile
from tsbulk_frames.stored import parse_etag

__all__ = ["upload_file", "upload_stream"]

PROBE = 4096
"""Bytes looked at on either side of a place, to know what was stored."""
_PROBES = 3


def upload_stream(upload: PartUpload, source: BinaryIO, part: int) -> tuple[int, int | None]:
    """Write what a file object gives: its size and etag."""
    blocks = read_blocks(source, part)
    head = deque(islice(blocks, 2))
    if len(head) < 2:
        whole = b"".join(head)
        return len(whole), _put_whole(upload, whole)
    size, etag = upload.run(taken(head, blocks))
    return size, parse_etag(etag)


def upload_file(upload: PartUpload, file: FileSlice, part: int) -> int | None:
    """Write a file from disk, in parts of this size where it is larger than one: its etag.

    Where the parts of an earlier try are taken up, so is the whole file that it brought there.
    """
    numbers = range(1, -(-len(file) // part))
    try:
        return _put_whole(upload, file) if len(file) <= part else _put_parts(upload, file, part, numbers)
    except ConflictError:
        if not upload.keep or "If-Match" in upload.headers or not _holds(upload.remote, file, part, numbers):
            raise
        return None


def _put_parts(upload: PartUpload, file: FileSlice, part: int, numbers: range) -> int | None:
    """Write in parts, those left out that an earlier try has brought there."""
    upload = replace(upload, stored=lambda: _holds(upload.remote, file, part, numbers))
    there = _parts_there(upload, part, numbers) if upload.keep else set()
    if there:
        try:
            etag = parse_etag(upload.run(file.cut(part), there)[1])
        except ServiceError as error:
            if passing(error):
                raise
        else:
            if _holds(upload.remote, file, part, there):
                return etag
            with suppress(NotFoundError):
                upload.remote.delete()
            headers = {name: value for name, value in upload.headers.items() if name != "If-Match"}
            upload = replace(upload, headers=headers)
    return parse_etag(upload.run(file.cut(part))[1])


def _put_whole(upload: PartUpload, content: bytes | FileSlice) -> int | None:
    """Write in one request; a conflict after a lost answer may be with ourselves: then all is well."""
    try:
        answer = upload.remote.put(content, upload.headers, stop=upload.stop)
    except ConflictError as error:
        if error.attempts == 1 or not _is_there(upload.remote, content):
            raise
        return None
    return parse_etag(answer.headers.get("ETag"))


def _is_there(remote: RemoteFile, content: bytes | FileSlice) -> bool:
    """Whether the file holds exactly these bytes."""
    try:
        return remote.get() == (content if isinstance(content, bytes) else content.read())
    except NotFoundError:
        return False


def _parts_there(upload: PartUpload, part: int, numbers: range) -> set[int]:
    """Give the numbers of parts that need not be sent again; none where the service does not tell."""
    try:
        listed = upload.remote.parts()
    except ServiceError as error:
        if error.transient:
            raise
        return set()
    if not listed.keys() <= set(numbers):  # they were cut otherwise, and would stay in the file
        upload.abort()
        return set()
    return {number for number, size in listed.items() if size in (None, part)}


def _holds(remote: RemoteFile, file: FileSlice, part: int, numbers: Collection[int]) -> bool:
    """Whether the service has this file: its bytes around the ends of some of these parts, and no more than its end."""
    some = sorted(numbers)[:: max(1, len(numbers) // _PROBES)]
    for place in (*(number * part for number in some), len(file)):
        first, stop = max(0, place - PROBE), place + PROBE
        try:
            stored = remote.get(first, stop)
        except (ServiceError, ProtocolError) as error:
            if error.transient:
                raise
            return False
        if stored != file.part(first, stop).read():
            return False
    return True
