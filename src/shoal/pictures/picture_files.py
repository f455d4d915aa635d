"""Pictures as files in the data directory, under random names: where the database is SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Set
from pathlib import Path

import msgspec
import structlog

from shoal.accounts.account import Account
from shoal.errors import InvalidInput, NotApplied, TemporaryFailure
from shoal.pictures.picture_formats import measure
from shoal.pictures.pictures import (
    UNUSED_DAYS,
    URL_PREFIX,
    Picture,
    beside,
    name_in,
    names_in,
    picture_missing,
)

log = structlog.get_logger("shoal.pictures")

_DAY_SECONDS = 86_400.0

Named = Callable[[], Awaitable[tuple[Iterable[Account], Iterable[str]]]]
"""Returns what names pictures: the accounts, and the addresses of the sellers' and goods' pictures."""


async def _nothing() -> tuple[Iterable[Account], Iterable[str]]:
    return (), ()


class PictureFiles:
    """A directory of pictures. Other threads read and write its files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.named: Named = _nothing
        """Set before the first ``sweep``."""

    async def open(self) -> None:
        """Remove the access of the machine's other users. A disk error does not prevent the start."""
        await make_private(self._directory)

    async def keep(self, data: bytes) -> str:
        """See ``Pictures.keep``."""
        name = f"{secrets.token_hex(16)}.{measure(data).format.extension}"
        await self._write(name, data)
        return URL_PREFIX + name

    async def keep_as(self, name: str, data: bytes) -> None:
        """See ``Pictures.keep_as``."""
        if not await beside((self._directory / name).is_file):
            await self._write(name, data)

    async def _write(self, name: str, data: bytes) -> None:
        try:
            await beside(write_whole, self._directory, name, data)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the picture could not be stored: {why}", code="picture_not_stored") from None

    async def read(self, url: str) -> Picture:
        """See ``Pictures.read``."""
        name = name_in(url)
        if name is None:
            raise picture_missing(url)
        try:
            return await beside(_read_whole, self._directory / name)
        except (FileNotFoundError, InvalidInput):
            raise picture_missing(url) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise TemporaryFailure(f"the picture cannot be read: {why}", code="picture_unreadable") from None

    async def sweep(self, now_seconds: float) -> int:
        """See ``Pictures.sweep``. A file's modification time is when it was last seen in use."""
        accounts, shown = await self.named()
        try:
            return await beside(self._sweep, tuple(accounts), frozenset(shown), now_seconds)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the pictures could not be swept: {why}", code="picture_not_stored") from None

    def _sweep(self, accounts: Iterable[Account], shown: Set[str], now_seconds: float) -> int:
        if not self._directory.is_dir():
            return 0
        used = _named_by(accounts) | {name for url in shown if (name := name_in(url))}
        gone = 0
        for path in self._directory.iterdir():
            if path.name in used:
                os.utime(path, (now_seconds, now_seconds))
            elif path.stat().st_mtime < now_seconds - UNUSED_DAYS * _DAY_SECONDS:
                path.unlink(missing_ok=True)
                gone += 1
        return gone


def _named_by(accounts: Iterable[Account]) -> Set[str]:
    """Return the picture file names in the accounts' rules, items and delivery rules, and their own."""
    texts = (
        msgspec.json.encode((account.keywords, account.items, account.deliveries, account.picture))
        for account in accounts
    )
    return {name for content in texts for name in names_in(content.decode())}


def _read_whole(path: Path) -> Picture:
    return Picture.of(path.read_bytes())


async def make_private(directory: Path) -> None:
    """Remove the access of the machine's other users to a directory of pictures and its parent, if they exist."""
    for one in (directory.parent, directory):
        try:
            await asyncio.to_thread(_take_from_others, one)
        except OSError as error:
            log.warning("others may look into a directory of pictures", directory=str(one), why=error.strerror)


def _take_from_others(directory: Path) -> None:
    """Remove other users' access to a directory that an older version left open, if it exists."""
    with contextlib.suppress(FileNotFoundError):
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)


def _make(directory: Path) -> None:
    """Create the directory and its missing parents, without access for other users of the machine."""
    for one in (*reversed(directory.parents), directory):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def write_whole(directory: Path, name: str, data: bytes) -> None:
    """Write a temporary file and rename it once it is complete and durable.

    A temporary file left by a crash is deleted by ``sweep``.
    """
    _make(directory)
    aside = directory / f".{secrets.token_hex(8)}.{name}"
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(directory / name)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    synced = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(synced)
    finally:
        os.close(synced)
