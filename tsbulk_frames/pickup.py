"""Which manifest a call works on, and what of the import it holds can go on from where it stands; floor 7.35."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tsbulk_frames._check import check_empty_rows
from tsbulk_frames.connection import Connection
from tsbulk_frames.errors import AuthError, ConfigError, FrameError, NotFoundError
from tsbulk_frames.ledger import Entry, Header
from tsbulk_frames.manifest import Manifest
from tsbulk_frames.model import Series
from tsbulk_frames.run import SENT
from tsbulk_frames.spool import Origin, forget_tables
from tsbulk_frames.staging import is_intact
from tsbulk_frames.statefile import sound

__all__ = ["is_ready", "manifest_of", "open_manifest"]

_PARTITION = re.compile(r"\d{4}-\d\d-\d\d(T\d\d)?", re.ASCII)


def is_ready(entry: Entry, series: Series) -> bool:
    """Whether a partition can go on from where it stands, without its data being read again."""
    if entry.state == "done":
        return not entry.cleaned
    if entry.state == "running":
        return entry.job_id is not None
    return bool(entry.files) and all(is_intact(one.file, series) for one in entry.files)


def open_manifest(path: str | os.PathLike[str], connection: Connection) -> Manifest:
    """Open the manifest of an import that goes to this gateway.

    Raises
    ------
    ConfigError
        It cannot be used, was edited, or the import goes elsewhere.
    """
    manifest = Manifest.open(path, clock=connection.clock)
    try:
        with sound(manifest.path):
            _check_meaning(manifest)
    except ConfigError:
        manifest.close()
        raise
    if not _same_gateway(manifest.header.gateway, connection.config.host_url):
        manifest.close()
        raise ConfigError(
            f"the import in {str(manifest.path)!r} goes to {manifest.header.gateway}, but the connection to "
            f"{connection.config.host_url}; connect to the gateway it was begun with"
        )
    return manifest


def _check_meaning(manifest: Manifest) -> None:
    """Refuse what no import can have written: its files are read and deleted, its names become paths.

    Raises
    ------
    ValueError
        Edited values.
    """
    header = manifest.header
    Series(header.entity, header.property_set)
    check_empty_rows(header.empty_rows)
    Origin.from_json(header.source)
    for entry in manifest.entries():
        if not _PARTITION.fullmatch(entry.name):
            raise ValueError(f"{entry.name!r} is no partition")
        for one in entry.files:
            if one.file.path.parent != manifest.folder:
                raise ValueError(f"{str(one.file.path)!r} is not in its folder")


@contextmanager
def manifest_of(path: str | os.PathLike[str] | None, header: Header, connection: Connection) -> Iterator[Manifest]:
    """Make a manifest, or open that of the same import; one that nothing was sent for does not outlive an error."""
    known = path is not None and os.path.exists(path)
    if path is not None and known:
        book = open_manifest(path, connection)
    else:
        book = Manifest.create(path, header, clock=connection.clock)
    with book:
        if known:
            _check_same_import(book, header)
            forget_tables(book.folder)  # else a crash before the new data is saved would leave the old in its place
            book.begin_again(header.source)
        try:
            yield book
        except (FrameError, AuthError, NotFoundError, ConfigError):
            with suppress(ConfigError):  # what cannot be read stays as it is
                if not known and not any(entry.state in (*SENT, "uploaded") for entry in book.entries()):
                    book.discard()
            raise


def _check_same_import(book: Manifest, header: Header) -> None:
    """Refuse to go on with another import than the one the manifest holds."""
    for name in ("entity", "property_set", "twin_type", "closed", "empty_rows", "keep_files", "verify"):
        kept, given = getattr(book.header, name), getattr(header, name)
        if kept != given:
            raise ConfigError(
                f"manifest={str(book.path)!r} holds another import: its {name} is {kept!s}, this call's is {given!s}; "
                "give the same arguments to go on with it, or name another file"
            )


def _same_gateway(one: str, other: str) -> bool:
    """Whether two URLs are one gateway; a sandbox has another port each time it is started."""
    hosts = {urlsplit(url).hostname for url in (one, other)}
    return one == other or hosts <= {"127.0.0.1", "localhost", "::1"}
