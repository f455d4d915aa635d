"""Files of other systems while they are read: each in a private directory of its own, which is removed afterwards."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec
import structlog

from shoal.concurrency.bounded_processes import BoundedProcesses, Bounds, GivenUp
from shoal.concurrency.fair_threads import beside
from shoal.errors import Conflict, InvalidInput
from shoal.maintenance.moving.archives import leave_room, not_stored
from shoal.maintenance.moving.old_shop import OldShop
from shoal.storage.data_directory import own_file

log = structlog.get_logger("shoal.moving")

DIRECTORY: Final = "imports"
_BLOCK_BYTES: Final = 1024 * 1024
_MOST_READ: Final = 20
"""How many times the limit is read and thrown away: a client that still sends does not see the answer."""
BOUNDS: Final = Bounds(
    places=1,  # each may be large
    waiting_each=1,
    waiting_all=20,
    cpu_seconds=60,
    deadline_seconds=240.0,
    memory_bytes=1 << 30,
    answer_bytes=64 * 1024**2,
)
"""What the process that reads a file may use."""
_JOB: Final = "shoal.maintenance.moving.upload_job:read"


class Contents(NamedTuple):
    """What an upload holds: the shop, its pictures by their names, and how much it is, in bytes."""

    shop: OldShop
    pictures: dict[str, Path]
    size: int


class Uploads:
    """Takes files that users send. They hold cookies and codes in clear, so none stays longer than its reading."""

    def __init__(self, data_dir: Path, *, most_mib: int, node: str | None = None) -> None:
        self._directory = own_file(data_dir / DIRECTORY, node)
        self._most_bytes = most_mib * 1024**2
        self._processes = BoundedProcesses(BOUNDS, idle_seconds=0)
        self._senders: set[int] = set()
        self.close = self._processes.close

    async def sweep(self) -> None:
        """Remove what a server left that did not end regularly. A disk error does not prevent the start."""
        try:
            await asyncio.to_thread(shutil.rmtree, self._directory)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("files of an import could not be removed", directory=str(self._directory), why=error.strerror)

    @asynccontextmanager
    async def taken(self, user_id: int, blocks: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """Write what comes into a file and yield its path; remove the file afterwards, whatever happened.

        Raises ``Conflict`` (``moving_sends_already``) while the user sends another file, ``InvalidInput``
        (``moving_too_large``, ``moving_empty_file``), and ``NotApplied`` (``moving_not_stored``, ``moving_no_room``).
        """
        if user_id in self._senders:
            raise Conflict("another file of the user is being read", code="moving_sends_already")
        self._senders.add(user_id)
        home = self._directory / secrets.token_hex(8)
        try:
            await self._write(home, blocks)
            yield home / "file"
        finally:
            self._senders.discard(user_id)
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, home, ignore_errors=True))

    async def read(self, path: Path, *, key: str = "") -> Contents:
        """Return what a file that was taken holds. It is read in a process of its own, which ends with the caller.

        Raises like ``read_upload`` and ``FairTurns.turn``, and ``InvalidInput`` (``moving_too_costly``).
        """
        # hardly any start of a server is followed by an import
        from shoal.maintenance.moving.shop_parts import shop_of_parts  # noqa: PLC0415

        try:
            parts = await self._processes.call(_JOB, msgspec.msgpack.encode((str(path), key)))
        except GivenUp:
            raise InvalidInput("the file costs too much time or memory", code="moving_too_costly") from None
        size, names = sum(map(len, parts)), msgspec.msgpack.decode(parts.pop(0), type=dict[str, str])
        shop = await beside(shop_of_parts, parts)
        return Contents(shop, {name: path.parent / file for name, file in names.items()}, size)

    async def _write(self, home: Path, blocks: AsyncIterator[bytes]) -> None:
        size, waiting = 0, bytearray()
        try:
            handle = await beside(_create, home)
            with os.fdopen(handle, "wb") as file:
                async for block in blocks:
                    size += len(block)
                    if size > self._most_bytes:
                        waiting.clear()
                        if size > self._most_bytes * _MOST_READ:
                            break
                        continue
                    waiting += block
                    if len(waiting) >= _BLOCK_BYTES:
                        await beside(_append, file, home, bytes(waiting))
                        waiting.clear()
                await beside(_append, file, home, bytes(waiting))
        except OSError as error:
            raise not_stored(error) from None
        if size > self._most_bytes:
            limit = self._most_bytes // 1024**2
            raise InvalidInput("the file is too large", code="moving_too_large", limit=limit)
        if not size:
            raise InvalidInput("the file is empty", code="moving_empty_file")


def _create(home: Path) -> int:
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(mode=0o700)
    return os.open(home / "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)


def _append(file: IO[bytes], home: Path, data: bytes) -> None:
    leave_room(home, len(data))
    file.write(data)
