"""Pictures as rows of PostgreSQL, which every server shows and sends; files of before are moved there.

The name of a picture is a keyed digest of its bytes, so that equal pictures are stored once, also when two servers take
one at the same time, and the name says nothing about the picture.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection

from shoal.clock import now_ms as wall_clock_ms
from shoal.errors import InvalidInput, StoreError, TemporaryFailure
from shoal.pictures.picture_files import PictureFiles, make_private
from shoal.pictures.picture_formats import measure
from shoal.pictures.picture_rows import add_picture, read_picture, store_picture, sweep_pictures
from shoal.pictures.pictures import (
    UNUSED_DAYS,
    URL_PATTERN,
    URL_PREFIX,
    Picture,
    beside,
    name_in,
    picture_missing,
)
from shoal.storage.database import Database

log = structlog.get_logger("shoal.pictures")

PURPOSE: Final = "names of pictures"
AGAIN_SECONDS: Final = 60.0
"""How long the move of the files waits after the database or the disk refused."""
_LOGGED_EVERY: Final = 100
_DAY_MS: Final = 86_400_000


class DatabasePictures:
    """The pictures of a PostgreSQL database. Owns one task, from ``open`` to ``close``, which moves the files.

    The move goes on beside the shops, since thousands of files take minutes; until a file is moved, this server reads
    it where it is. A death repeats at most one file.
    """

    def __init__(
        self,
        database: Database,
        directory: Path,
        *,
        name_key: Callable[[], bytes],
        now_ms: Callable[[], int] = wall_clock_ms,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """``directory``: where the pictures are that were files. ``name_key``: a secret that all servers share."""
        self._database = database
        self._directory = directory
        self._files = PictureFiles(directory)
        self._name_key = name_key
        self._now_ms = now_ms
        self._again_seconds = again_seconds
        self._moving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to move the files, if there are any."""
        await make_private(self._directory)
        if await beside(_files_in, self._directory):
            self._moving = asyncio.create_task(self._move_all(), name="move of pictures")

    async def close(self) -> None:
        """End the move; the next start goes on."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)

    async def keep(self, data: bytes) -> str:
        """See ``Pictures.keep``."""
        name = await beside(_name_of, data, self._name_key())
        now = self._now_ms()
        await self._write(lambda connection: store_picture(connection, name, data, now))
        return URL_PREFIX + name

    async def keep_as(self, name: str, data: bytes) -> None:
        """See ``Pictures.keep_as``."""
        now = self._now_ms()
        await self._write(lambda connection: store_picture(connection, name, data, now))

    async def _write(self, job: Callable[[Connection], None]) -> None:
        """Write beside the group writer: there all shops would wait for the bytes."""
        await beside(self._database.write_apart, job)

    async def read(self, url: str) -> Picture:
        """See ``Pictures.read``."""
        name = name_in(url)
        if name is None:
            raise picture_missing(url)
        try:
            found = await self._database.read(lambda connection: _read_row(connection, name))
        except InvalidInput:
            raise picture_missing(url) from None
        except StoreError as error:
            raise TemporaryFailure(f"the picture cannot be read: {error}", code="picture_unreadable") from None
        return found if found is not None else await self._files.read(url)

    async def sweep(self, now_seconds: float) -> int:
        """See ``Pictures.sweep``. The database itself knows what names a picture, on whatever server."""
        now = round(now_seconds * 1000)
        return await self._database.write(
            lambda connection: sweep_pictures(
                connection,
                prefix=URL_PREFIX,
                pattern=URL_PATTERN,
                now_ms=now,
                before_ms=now - UNUSED_DAYS * _DAY_MS,
            )
        )

    async def _move_all(self) -> None:
        while True:
            if await self._has_moved():
                return
            await asyncio.sleep(self._again_seconds)

    async def _has_moved(self) -> bool:
        try:
            await self._move_files(await beside(_files_in, self._directory))
        except (OSError, StoreError) as error:
            log.warning("pictures not moved into the database yet", why=str(error))
            return False
        return True

    async def _move_files(self, paths: list[Path]) -> None:
        moved = left = 0
        for number, path in enumerate(paths, 1):
            if await self._move(path):
                moved += 1
            else:
                left += 1
            if number % _LOGGED_EVERY == 0:
                log.info("pictures go into the database", done=number, of=len(paths))
        log.info("pictures moved into the database", moved=moved, left=left)

    async def _move(self, path: Path) -> bool:
        """Move one file; return whether it was a picture. What is none stays where it is."""
        if name_in(URL_PREFIX + path.name) is None:
            return False
        try:
            data, seen_ms = await beside(_read, path)
            measure(data)
        except FileNotFoundError:  # another worker of this directory was faster
            return True
        except InvalidInput:
            return False
        await self._write(lambda connection: add_picture(connection, path.name, data, seen_ms))
        await beside(path.unlink, missing_ok=True)
        return True


def _name_of(data: bytes, key: bytes) -> str:
    extension = measure(data).format.extension
    return f"{hmac.new(key, data, hashlib.sha256).hexdigest()[:32]}.{extension}"


def _read_row(connection: Connection, name: str) -> Picture | None:
    data = read_picture(connection, name)
    return None if data is None else Picture.of(data)


def _files_in(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file())


def _read(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), round(path.stat().st_mtime * 1000)
