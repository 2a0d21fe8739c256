"""Where manifests lie unless the caller names a place, and how long those of finished imports stay; floor 5.5."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from tsbulk_frames.errors import ConfigError
from tsbulk_frames.model import NS_PER_SECOND
from tsbulk_frames.statefile import StateFile, explained, make_folder

__all__ = ["default_place", "folder_of"]

_KEPT_SECONDS = 30 * 86_400


def folder_of(path: Path) -> Path:
    """Name the folder that belongs to a manifest."""
    return path.with_name(path.name + ".files")


def default_place(entity: str, now: float) -> Path:
    """Name a new file in the user's state folder, and remove those that are of no use any more."""
    import platformdirs

    folder = Path(platformdirs.user_state_dir("tsbulk_frames")) / "imports"
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    safe = re.sub(r"[^A-Za-z0-9]+", "-", entity)[:40].strip("-") or "import"
    place = folder / f"{stamp}-{safe}-{secrets.token_hex(4)}.sqlite"
    with explained(place):
        make_folder(folder)
        for path in folder.glob("*.sqlite"):
            with suppress(OSError, ConfigError):
                if path.stat().st_mtime < now - _KEPT_SECONDS:
                    _remove_if_finished(path, now - _KEPT_SECONDS)
    return place


def _remove_if_finished(path: Path, before: float) -> None:
    """Delete a manifest if its import ended well, the last fact is that old, and nobody has it open."""
    with closing(StateFile(path)) as file:
        with file.transaction() as db:
            finished, last = db.execute(
                "SELECT complete AND NOT EXISTS (SELECT 1 FROM partitions WHERE state != 'done'), "
                "(SELECT max(time) FROM events) FROM import"
            ).fetchone()
        if finished and last < before * NS_PER_SECOND:
            shutil.rmtree(folder_of(path), ignore_errors=True)
            file.remove()
