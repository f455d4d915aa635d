"""A simulated disk beneath SQLite: it counts every call, fails at a chosen one, and knows what was synced.

SQLite gets it by ``apsw`` as a VFS. It has no shared memory, so a connection on it takes ``locking_mode=EXCLUSIVE``:
the WAL's index stands in the heap then. What is left to prove under the real driver is proved with libfiu.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import apsw

Step = tuple[int, bytes] | int
"""A write as offset and bytes, a truncation as the new size."""
TEMPORARY = "temporary file"
"""SQLite's name for it is none; it does not outlive its process."""
Choice = Callable[[list[Step]], list[Step]]


class Fault(StrEnum):
    """How the chosen call fails."""

    ONCE = "once"
    """It does nothing and reports an error; the disk is well afterwards."""
    TORN = "torn"
    """A write puts half of its bytes down and reports an error; other calls fail as with ``ONCE``."""
    LATE = "late"
    """It does all that it should and reports an error all the same."""
    DEAD = "dead"
    """It and every later call fails: the power is gone."""


@dataclass
class _File:
    """What a file held when it was last synced, and what was done to it since."""

    synced: bytes
    unsynced: list[Step] = field(default_factory=list)

    def image(self, kept: list[Step]) -> bytes:
        content = bytearray(self.synced)
        for step in kept:
            if isinstance(step, int):
                del content[step:]
                content.extend(bytes(step - len(content)))
            else:
                offset, data = step
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset : offset + len(data)] = data
        return bytes(content)


class FailingDisk(apsw.VFS):
    """The VFS. ``calls`` lists what was asked since ``arm``; call number ``fail_at`` (from 1) fails as told."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        super().__init__(name, "")
        self._files: dict[Path, _File] = {}
        for path in directory.glob("*.db*"):
            self._files[path] = _File(path.read_bytes())
        self.calls: list[str] = []
        self._armed = False
        self._fail_at = 0
        self._fault = Fault.ONCE
        self.failed = False

    def arm(self, fail_at: int = 0, fault: Fault = Fault.ONCE) -> None:
        """Count from here."""
        self.calls, self._armed, self._fail_at, self._fault = [], True, fail_at, fault

    def disarm(self) -> None:
        """Neither count nor fail any more."""
        self._armed = False

    def fails_now(self, call: str) -> bool:
        """Count a call; whether it fails."""
        if not self._armed:
            return False
        self.calls.append(call)
        dead = self._fault is Fault.DEAD and self.failed
        if dead or len(self.calls) == self._fail_at:
            self.failed = True
            return True
        return False

    @property
    def fault(self) -> Fault:
        """How a failing call fails."""
        return self._fault

    def note(self, path: Path | None, step: Step) -> None:
        """Something was written, and not synced yet."""
        if path is not None:
            self._file(path).unsynced.append(step)

    def note_sync(self, path: Path | None) -> None:
        """All of it is on the platter."""
        if path is None:
            return
        file = self._file(path)
        file.synced, file.unsynced = file.image(file.unsynced), []

    def _file(self, path: Path) -> _File:
        return self._files.setdefault(path, _File(b""))

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's name
        path = None if name is None else Path(name if isinstance(name, str) else name.filename())
        if self.fails_now(f"xOpen {path.name if path else TEMPORARY}"):
            raise apsw.CantOpenError
        if path is not None:
            self._file(path)
        return _DiskFile(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  SQLite's name
        path = Path(filename)
        if self.fails_now(f"xDelete {path.name}"):
            raise _io_error(apsw.SQLITE_IOERR_DELETE)
        super().xDelete(filename, syncdir)
        self._files.pop(path, None)

    def crash_images(self, chance: random.Random, torn: int = 2) -> Iterator[dict[str, bytes]]:
        """What may stand on the platter when the power goes now: files by name, several possibilities.

        All that was written; only what was synced; and, ``torn`` times, any part of the rest with one write cut.
        """
        yield self._image(lambda steps: steps)
        yield self._image(lambda _: [])
        for _ in range(torn if any(file.unsynced for file in self._files.values()) else 0):
            yield self._image(lambda steps: _some(steps, chance))

    def _image(self, choose: Choice) -> dict[str, bytes]:
        return {path.name: file.image(choose(file.unsynced)) for path, file in self._files.items()}


def _some(steps: list[Step], chance: random.Random) -> list[Step]:
    """Each write or not, whole or its first part: a disk may write in any order what was not synced."""
    kept: list[Step] = []
    for step in steps:
        if chance.random() < 0.5:
            kept.append(step)
        elif not isinstance(step, int) and chance.random() < 0.3:
            kept.append((step[0], step[1][: chance.randrange(len(step[1]) + 1)]))
    return kept


def _io_error(code: int) -> apsw.IOError:
    error = apsw.IOError()
    error.extendedresult = code  # type: ignore[attr-defined]  # apsw reads it, its types do not tell
    return error


class _DiskFile(apsw.VFSFile):
    """One open file of the disk."""

    def __init__(
        self, disk: FailingDisk, path: Path | None, name: apsw.URIFilename | str | None, flags: list[int]
    ) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._path = path

    def _fails(self, call: str) -> bool:
        return self._disk.fails_now(f"{call} {self._path.name if self._path else TEMPORARY}")

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  SQLite's name
        if self._fails("xRead"):
            raise _io_error(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's name
        fails = self._fails("xWrite")
        if fails and self._disk.fault is Fault.TORN:
            data = data[: len(data) // 2]
        if not fails or self._disk.fault in {Fault.TORN, Fault.LATE}:
            super().xWrite(data, offset)
            self._disk.note(self._path, (offset, bytes(data)))
        if fails:
            raise _io_error(apsw.SQLITE_IOERR_WRITE)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  SQLite's name
        fails = self._fails("xTruncate")
        if not fails or self._disk.fault is Fault.LATE:
            super().xTruncate(newsize)
            self._disk.note(self._path, newsize)
        if fails:
            raise _io_error(apsw.SQLITE_IOERR_TRUNCATE)

    def xSync(self, flags: int) -> None:  # noqa: N802  SQLite's name
        fails = self._fails("xSync")
        if not fails or self._disk.fault is Fault.LATE:
            self._disk.note_sync(self._path)  # the bytes are in the model; the real disk need not spin for it
        if fails:
            raise _io_error(apsw.SQLITE_IOERR_FSYNC)

    def xFileSize(self) -> int:  # noqa: N802  SQLite's name
        if self._fails("xFileSize"):
            raise _io_error(apsw.SQLITE_IOERR_FSTAT)
        return super().xFileSize()

    def xLock(self, level: int) -> None:  # noqa: N802  SQLite's name
        if self._fails("xLock"):
            raise _io_error(apsw.SQLITE_IOERR_LOCK)
        super().xLock(level)

    def xUnlock(self, level: int) -> None:  # noqa: N802  SQLite's name
        if self._fails("xUnlock"):
            raise _io_error(apsw.SQLITE_IOERR_UNLOCK)
        super().xUnlock(level)
