"""The parts of an upload: one file of another system, or an archive (ZIP) with it, its log and its pictures."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from shoal.errors import InvalidInput
from shoal.maintenance.moving.archives import opened_archive, unpack
from shoal.pictures.picture_formats import MAX_PICTURE_BYTES

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

    Raises like ``opened_archive`` and ``unpack``, and ``InvalidInput``: ``moving_no_data_file``,
    ``moving_several_files``.
    """
    if not zipfile.is_zipfile(path):
        return Parts(main=path)
    with opened_archive(path) as archive:
        return _unpacked(archive, path.parent)


def _unpacked(archive: zipfile.ZipFile, home: Path) -> Parts:
    members = [one for one in archive.infolist() if not one.is_dir()]
    data = [one for one in members if _is_data(one.filename)]
    if not data:
        raise InvalidInput("no data in it", code="moving_no_data_file")
    if len(data) > 1:
        found = ", ".join(one.filename for one in data[:5])
        raise InvalidInput("several files with data", code="moving_several_files", names=found)
    main = home / "data"
    logs = [one for one in members if one.filename == data[0].filename + _LOG][:1]
    pictures = {
        home / f"picture{number}": one  # a name of ours: that of the archive may lead elsewhere
        for number, one in enumerate(members)
        if PurePosixPath(one.filename).suffix.lower() in _PICTURES and one.file_size <= MAX_PICTURE_BYTES
    }
    unpack(archive, {main: data[0], **{home / f"data{_LOG}": one for one in logs}, **pictures})
    names = {PurePosixPath(one.filename).name: path for path, one in pictures.items()}
    return Parts(main=main, with_log=bool(logs), pictures=names)


def _is_data(name: str) -> bool:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _PICTURES | _NO_DATA or name.endswith((_LOG, "-shm")):
        return False
    return suffix in {".db", ".sqlite", ".sqlite3", ".json", ".sql"} or not suffix
