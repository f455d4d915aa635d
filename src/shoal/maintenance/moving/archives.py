"""Archives (ZIP) of strangers: what one has is looked at before its names are read, and before anything is unpacked."""

from __future__ import annotations

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shoal.errors import InvalidInput, NotApplied
from shoal.maintenance.backup.disk_room import LEAST_FREE_BYTES

MOST_BYTES: Final = 2 * 1024**3
"""How large the parts of an archive may be together."""
MOST_PARTS: Final = 20_000
MOST_NAME_BYTES: Final = 8 * 1024**2
"""How long the list of the names may be: its own count can be wrong."""
MOST_TIMES: Final = 100
"""How many times its own size an archive may unpack into: databases and dumps become a third to a twentieth."""
_ALWAYS_BYTES: Final = 64 * 1024**2
"""What every archive may unpack into."""
_BLOCK_BYTES: Final = 1024**2
_COUNT, _LENGTH = 4, 5
"""Where the end of an archive has the number of names, and how long their list is."""

_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
)
"""What ``zipfile`` raises for an archive that is damaged, or has a password."""


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive. Raises ``InvalidInput``: ``moving_archive_damaged``, ``moving_many_names``,
    ``moving_too_large``, ``moving_unpacks_large``."""
    try:
        _look_at_names(path)
        with zipfile.ZipFile(path) as archive:
            _look_at_sizes(archive, path.stat().st_size)
            yield archive
    except _DAMAGE as error:
        raise InvalidInput(f"the archive cannot be read: {error}", code="moving_archive_damaged") from None


def _look_at_names(path: Path) -> None:
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001  ``ZipFile`` reads all names first
    if end is not None and (end[_COUNT] > MOST_PARTS or end[_LENGTH] > MOST_NAME_BYTES):
        raise InvalidInput("the archive has too many names", code="moving_many_names", limit=MOST_PARTS)


def _look_at_sizes(archive: zipfile.ZipFile, packed: int) -> None:
    parts = archive.infolist()
    whole = sum(one.file_size for one in parts)
    if len(parts) > MOST_PARTS:
        raise InvalidInput("the archive has too many names", code="moving_many_names", limit=MOST_PARTS)
    if whole > max(_ALWAYS_BYTES, MOST_TIMES * packed):
        raise InvalidInput(
            "the archive unpacks into too much", code="moving_unpacks_large", size=whole >> 20, limit=MOST_TIMES
        )
    if whole > MOST_BYTES:
        raise InvalidInput("the archive is too large", code="moving_too_large", limit=MOST_BYTES >> 20)


def unpack(archive: zipfile.ZipFile, members: dict[Path, zipfile.ZipInfo]) -> None:
    """Write members to new files. Nothing is written unless the disk has the room for all of them and some besides.

    Raises ``NotApplied`` (``moving_no_room``), also when others take the room in the meantime.
    """
    need = sum(one.file_size for one in members.values())
    for path, member in members.items():
        left = member.file_size  # a member has no more than it claims
        with archive.open(member) as source, path.open("xb") as target:
            path.chmod(0o600)
            while left > 0 and (block := source.read(min(left, _BLOCK_BYTES))):
                leave_room(path.parent, need)
                try:
                    target.write(block)
                except OSError as error:
                    raise not_stored(error) from None
                left -= len(block)
                need -= len(block)


def leave_room(place: Path, need: int) -> None:
    """Raise ``NotApplied`` (``moving_no_room``) unless so many bytes fit on the disk and leave some to the server."""
    free = shutil.disk_usage(place).free
    if free < need + LEAST_FREE_BYTES:
        raise NotApplied(
            "the disk has no room for the file", code="moving_no_room", need=-(-(need + LEAST_FREE_BYTES) >> 20),
            free=free >> 20,
        )  # fmt: skip


def not_stored(error: OSError) -> NotApplied:
    """Return what an error of the disk means."""
    return NotApplied(f"the file cannot be stored: {error.strerror}", code="moving_not_stored")
