"""What the file service tells of its files and of uploads under way; pure."""

from __future__ import annotations

from dataclasses import dataclass

from tsbulk_frames.answers import parse_json
from tsbulk_frames.errors import DecodeError, ProtocolError

__all__ = ["StoredFile", "parse_etag", "parse_files", "parse_parts"]

_NUMBER_NAMES = ("partno", "partnumber", "part", "number")
_SIZE_NAMES = ("size", "partsize", "length", "contentlength", "bytes")
_WRAPPINGS = 3
_DIGITS = 18
"""What 64 bits always hold: a longer number is none of the service's."""


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


def parse_etag(text: object) -> int | None:
    """Read an etag: a number, in quotes or not, as text or not.

    Examples
    --------
    >>> from tsbulk_frames.stored import parse_etag
    >>> parse_etag('W/"3"'), parse_etag(3), parse_etag("x")
    (3, 3, None)
    """
    digits = str(text).removeprefix("W/").strip('"') if isinstance(text, str | int) else ""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS else None


def parse_files(content: bytes) -> list[StoredFile]:
    """Read a listing; nothing at all is an empty one.

    Raises
    ------
    ProtocolError
        It is no list of files.
    """
    found = parse_json(content, "the list of files") if content.strip() else []
    if not isinstance(found, list):
        raise ProtocolError(f"the list of files is a {type(found).__name__}, not a list")
    return [_file(item) for item in found]


def _file(item: object) -> StoredFile:
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


def parse_parts(content: bytes, object_key: str) -> dict[int, int | None]:
    """Read which parts of an upload are there, and their sizes where told.

    The vendor's list has ``objectKey``, ``partNo`` and ``created``; other names, bare numbers and a list inside of
    objects are read as well. What is not understood counts as nothing there: then all parts are sent.

    Parameters
    ----------
    content : bytes
        Body of the answer.
    object_key : str
        How the ``objectKey`` of this file's parts ends; others belong to another file.

    Examples
    --------
    >>> from tsbulk_frames.stored import parse_parts
    >>> parse_parts(b'[{"objectKey": "t/e1/a.json", "partNo": 1}, {"partNo": 2, "size": 8}]', "e1/a.json")
    {1: None, 2: 8}
    """
    try:
        found = _only_list(parse_json(content, "the list of parts"), _WRAPPINGS)
    except DecodeError:
        return {}
    parts: dict[int, int | None] = {}
    for item in found or ():
        fields = {_plain(name): value for name, value in item.items()} if isinstance(item, dict) else {"part": item}
        if not str(fields.get("objectkey", object_key)).endswith(object_key):
            continue
        number, size = _whole(fields, _NUMBER_NAMES), _whole(fields, _SIZE_NAMES)
        if number is None:
            return {}
        parts[number] = size if parts.get(number, size) == size else 0  # told twice and differently: no size fits
    return parts


def _only_list(found: object, wrappings: int) -> list[object] | None:
    """Find the one list in an answer, which may be wrapped in objects."""
    if isinstance(found, list):
        return found
    if not isinstance(found, dict) or not wrappings:
        return None
    lists = [one for one in (_only_list(value, wrappings - 1) for value in found.values()) if one is not None]
    return lists[0] if len(lists) == 1 else None


def _plain(name: str) -> str:
    """Spell a field's name without its fashion: ``part_no``, ``partNo`` and ``PartNo`` are one."""
    return name.replace("_", "").replace("-", "").lower()


def _whole(fields: dict[str, object], names: tuple[str, ...]) -> int | None:
    """Give the number under the first of the names that is there."""
    return next((parse_etag(fields[name]) for name in names if name in fields), None)
