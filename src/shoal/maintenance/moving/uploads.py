"""Files of other systems while they are read: each in a private directory of its own, which is removed afterwards."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from shoal.concurrency.fair_threads import beside
from shoal.errors import Conflict, InvalidInput, NotApplied
from shoal.maintenance.moving.old_shop import OldShop
from shoal.storage.data_directory import own_file

log = structlog.get_logger("shoal.moving")

DIRECTORY: Final = "imports"
_BLOCK_BYTES: Final = 1024 * 1024
_MOST_READ: Final = 20
"""How many times the limit is read and thrown away: a client that still sends does not see the answer."""
_READ_AT_ONCE: Final = 2
"""How many files are read at the same time: each may be large."""


class Uploads:
    """Takes files that users send. They hold cookies and codes in clear, so none stays longer than its reading."""

    def __init__(self, data_dir: Path, *, most_mib: int, node: str | None = None) -> None:
        self._directory = own_file(data_dir / DIRECTORY, node)
        self._most_bytes = most_mib * 1024**2
        self._places = asyncio.Semaphore(_READ_AT_ONCE)
        self._senders: set[int] = set()

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
        (``moving_too_large``, ``moving_empty_file``), and ``NotApplied`` (``moving_not_stored``).
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

    async def read(self, path: Path, *, key: str = "") -> tuple[OldShop, dict[str, Path]]:
        """Return what a file that was taken holds (see ``read_upload``)."""
        async with self._places:
            return await beside(read_upload, path, key=key)

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
                        await beside(file.write, bytes(waiting))
                        waiting.clear()
                await beside(file.write, bytes(waiting))
        except OSError as error:
            raise NotApplied(f"the file cannot be stored: {error}", code="moving_not_stored") from None
        if size > self._most_bytes:
            limit = self._most_bytes // 1024**2
            raise InvalidInput("the file is too large", code="moving_too_large", limit=limit)
        if not size:
            raise InvalidInput("the file is empty", code="moving_empty_file")


def _create(home: Path) -> int:
    home.parent.mkdir(mode=0o700, exist_ok=True)
    home.mkdir(mode=0o700)
    return os.open(home / "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)


def read_upload(path: Path, *, key: str = "") -> tuple[OldShop, dict[str, Path]]:
    """Return what an uploaded file holds, and its pictures by their names. Raises like ``read_old_file``."""
    # The readers of all forms; hardly any start of a server is followed by an import.
    from shoal.maintenance.moving.autoagent import is_autoagent, read_autoagent  # noqa: PLC0415
    from shoal.maintenance.moving.old_files import read_old_file  # noqa: PLC0415
    from shoal.maintenance.moving.upload_parts import parts_of  # noqa: PLC0415

    if is_autoagent(path):
        return read_autoagent(path), {}
    parts = parts_of(path)
    return read_old_file(parts.main, with_log=parts.with_log, key=key), parts.pictures
