"""The parts of an upload: one file of another system, or an archive (ZIP) with it, its log and its pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from shoal.errors import InvalidInput

MOST_BYTES: Final = 2 * 1024**3
"""How large the parts of an archive may be together."""
MOST_PARTS: Final = 20_000
_PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"})
_NO_DATA: Final = frozenset({".py", ".js", ".css", ".html", ".md", ".log", ".pyc", ".map"})
_LOG: Final = "-wal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The file with the data, whether its log lies beside it, and the pictures by the last part of their names."""

    main: Path
    with_log: bool = False
    pictures: dict[str, Path] = field(default_factory=dict)


def parts_of(path: Path) -> Parts:
    """Return the parts of an upload; those of an archive are unpacked beside it.

    Raises ``InvalidInput``: ``moving_archive_damaged``, ``moving_too_large``, ``moving_no_data_file``,
    ``moving_several_files``.
    """
    if not zipfile.is_zipfile(path):
        return Parts(main=path)
    try:
        with closing(zipfile.ZipFile(path)) as archive:
            return _unpacked(archive, path.parent)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:  # also one with a password
        raise InvalidInput(f"the archive cannot be read: {error}", code="moving_archive_damaged") from None


def _unpacked(archive: zipfile.ZipFile, home: Path) -> Parts:
    members = [one for one in archive.infolist() if not one.is_dir()]
    size = sum(one.file_size for one in members)
    if len(members) > MOST_PARTS or size > MOST_BYTES:
        raise InvalidInput("the archive is too large", code="moving_too_large", limit=MOST_BYTES // 1024**2)
    data = [one for one in members if _is_data(one.filename)]
    if not data:
        raise InvalidInput("no data in it", code="moving_no_data_file")
    if len(data) > 1:
        names = ", ".join(one.filename for one in data[:5])
        raise InvalidInput("several files with data", code="moving_several_files", names=names)
    main = home / "data"
    _write(archive, data[0], main)
    logs = [one for one in members if one.filename == data[0].filename + _LOG]
    if logs:
        _write(archive, logs[0], home / f"data{_LOG}")
    return Parts(main=main, with_log=bool(logs), pictures=dict(_pictures(archive, members, home)))


def _is_data(name: str) -> bool:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _PICTURES | _NO_DATA or name.endswith((_LOG, "-shm")):
        return False
    return suffix in {".db", ".sqlite", ".sqlite3", ".json", ".sql"} or not suffix


def _pictures(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], home: Path) -> Iterator[tuple[str, Path]]:
    for number, one in enumerate(members):
        name = PurePosixPath(one.filename).name
        if PurePosixPath(name).suffix.lower() in _PICTURES:
            path = home / f"picture{number}"  # a name of ours: that of the archive may lead elsewhere
            _write(archive, one, path)
            yield name, path


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write a member, and no more of it than it claims to have."""
    left = member.file_size
    with archive.open(member) as source, path.open("xb") as target:
        path.chmod(0o600)
        while left > 0 and (block := source.read(min(left, 1024 * 1024))):
            target.write(block)
            left -= len(block)
