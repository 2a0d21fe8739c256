"""A file goes up: in one request, in parts, or in the parts that an earlier try did not bring there.

What the service acknowledged is not taken for stored: of every file in parts the end is looked at, which costs one
small request. Whichever part was lost, the file would be shorter; then it is taken back and all is sent anew.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import BinaryIO, ParamSpec, TypeVar

from tsbulk_frames.body import FileSlice
from tsbulk_frames.content import read_blocks, taken
from tsbulk_frames.errors import ConflictError, NotFoundError, ProtocolError, ServiceError, TsBulkError
from tsbulk_frames.multipart import PROBE, Part, Parts, PartUpload, Sent, passing
from tsbulk_frames.remote import RemoteFile
from tsbulk_frames.stored import StoredFile, parse_etag

__all__ = ["FindFile", "upload_file", "upload_stream"]

LOST = 3
"""Times that what was lost is sent again: a service that loses it four times in a row does not keep what it is sent."""
_PROBES = 3
_RANGE_NOT_THERE = 416

logger = logging.getLogger("tsbulk_frames")

_P = ParamSpec("_P")
_T = TypeVar("_T")

FindFile = Callable[[], StoredFile | None]
"""Looks the file up in the listing, which may lag."""


def upload_stream(upload: PartUpload, source: BinaryIO, part: int, find: FindFile) -> tuple[int, int | None]:
    """Write what a file object gives: its size and etag."""
    start = source.tell() if source.seekable() else None
    blocks = read_blocks(source, part)
    head = deque(islice(blocks, 2))
    if len(head) < 2:
        whole = b"".join(head)
        return len(whole), _put_whole(upload, whole)

    def again(number: int) -> bytes:
        source.seek((start or 0) + (number - 1) * part)
        return next(read_blocks(source, part), b"")

    parts = Parts(taken(head, blocks), part, None if start is None else again)
    return _put_parts(upload, parts, find)


def upload_file(upload: PartUpload, file: FileSlice, part: int, find: FindFile) -> int | None:
    """Write a file from disk, in parts of this size where it is larger than one: its etag.

    Where the parts of an earlier try are taken up, so is the whole file that it brought there; one that it brought
    there without some of its parts is taken back.
    """
    numbers = range(1, -(-len(file) // part))

    def put() -> int | None:
        return _put_whole(upload, file) if len(file) <= part else _put_file(upload, file, part, numbers, find)

    try:
        return put()
    except ConflictError:
        if not upload.keep or "If-Match" in upload.headers:
            raise
        if _holds(upload.remote, file, part, numbers):
            return None
        if not _is_cut(upload.remote, file, part):
            raise
    _take_back(upload.remote)
    return put()


def _put_file(upload: PartUpload, file: FileSlice, part: int, numbers: range, find: FindFile) -> int | None:
    """Write in parts, those left out that an earlier try has brought there."""
    upload = replace(upload, stored=lambda: _holds(upload.remote, file, part, numbers))

    def parts() -> Parts:
        return Parts(file.cut(part), part, lambda number: file.part((number - 1) * part, number * part))

    there = _parts_there(upload, part, numbers) if upload.keep else set()
    if there:
        try:
            etag = parse_etag(upload.run(file.cut(part), parts(), iter(range(LOST)), there)[1])
        except ServiceError as error:
            if passing(error):
                raise
        else:
            if _holds(upload.remote, file, part, there):
                return etag
            upload = _taken_back(upload)
    return _put_parts(upload, parts(), find)[1]


def _put_parts(upload: PartUpload, parts: Parts, find: FindFile) -> tuple[int, int | None]:
    """Write in parts until all of them are there: the size and the etag.

    Raises
    ------
    ProtocolError
        Some are lost each time.
    """
    tries, every = iter(range(LOST)), parts.every
    while True:
        sent, etag = upload.run(every, parts, tries)
        if _ends(upload.remote, sent, find):
            return sent.size, parse_etag(etag)
        logger.warning("%s was stored without some of its parts, though all were acknowledged", upload.remote.path)
        upload = _taken_back(upload)
        if parts.again is None or next(tries, None) is None:
            raise ProtocolError(
                f"the service acknowledged all {sent.count + 1} parts of {upload.remote.path!r} "
                f"({sent.size} bytes), but what it stored then was shorter, or had another end; that was deleted. "
                "Upload the file again; if that does not help, report it to the operator of the service"
            )
        every = parts.anew(sent)


def _ends(remote: RemoteFile, sent: Sent, find: FindFile) -> bool:
    """Whether a file just written ends as it was sent, where it was sent to end; true where nobody can tell.

    By a look at its last bytes; where that is not allowed, or too large an answer, by the size in the listing.
    """
    try:
        return remote.get(sent.size - len(sent.tail), sent.size + 1) == sent.tail
    except TsBulkError as error:
        if isinstance(error, ServiceError) and error.status == _RANGE_NOT_THERE:
            return False
        if error.transient:
            error.add_note(f"{remote.path} was uploaded; only whether all of it was stored could not be looked at")
            raise
        unseen = error
    listed = _seen(find)
    if listed is None or listed.size is None:
        logger.info("whether all of %s was stored could not be looked at: %s", remote.path, unseen)
        return True
    return listed.size == sent.size


def _taken_back(upload: PartUpload) -> PartUpload:
    """Delete what was stored, and give what to upload it with as a new file."""
    _take_back(upload.remote)
    return replace(upload, headers={name: value for name, value in upload.headers.items() if name != "If-Match"})


def _take_back(remote: RemoteFile) -> None:
    """Delete a file that is not as it was sent."""
    try:
        with suppress(NotFoundError):
            remote.delete()
    except TsBulkError as error:
        error.add_note(f"{remote.path} was stored without some of its parts, and is still there")
        raise


def _put_whole(upload: PartUpload, content: Part) -> int | None:
    """Write in one request; a conflict after a lost answer may be with ourselves: then all is well."""
    try:
        answer = upload.remote.put(content, upload.headers, stop=upload.stop)
    except ConflictError as error:
        if error.attempts == 1 or not _is_there(upload.remote, content):
            raise
        return None
    return parse_etag(answer.headers.get("ETag"))


def _is_there(remote: RemoteFile, content: Part) -> bool:
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
        if _seen(remote.get, first, stop) != file.part(first, stop).read():
            return False
    return True


def _is_cut(remote: RemoteFile, file: FileSlice, part: int) -> bool:
    """Whether what is there is this file without some of its parts: shorter by so many, with the same last part."""
    size = _seen(remote.size)
    last = len(file) % part or part
    if size is None or size < last or size >= len(file) or (len(file) - size) % part:
        return False
    return _seen(remote.get, size - last, size + 1) == file.part(len(file) - last, len(file)).read()


def _seen(look: Callable[_P, _T], *args: _P.args, **more: _P.kwargs) -> _T | None:
    """Look at what is there; None where that cannot be had for another reason than trouble on the way."""
    try:
        return look(*args, **more)
    except (ServiceError, ProtocolError) as error:
        if error.transient:
            raise
        return None
