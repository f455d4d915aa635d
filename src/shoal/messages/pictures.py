"""Pictures that owners brought for their replies: files under random names, kept while a rule names them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec
import structlog

from shoal.accounts.account import Account
from shoal.errors import InvalidInput, NotApplied, TemporaryFailure
from shoal.messages.picture_formats import FORMATS, Measured, measure

log = structlog.get_logger("shoal.pictures")

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="shoal-pictures")
"""For these files alone."""
URL_PREFIX = "/static/uploads/images/"
"""Where a kept picture is shown: the path of the system that sellers come from."""
UNUSED_DAYS = 7
"""How long a picture outlives the last rule that names it, so that the rule's removal can be undone."""

_NAME = rf"[0-9a-f]{{32}}\.(?:{'|'.join(kind.extension for kind in FORMATS)})"
_URL = re.compile(f"{re.escape(URL_PREFIX)}({_NAME})")
_NAMED_SOMEWHERE = re.compile(_URL.pattern.encode())
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A kept picture. ``digest`` is the SHA-256 of its bytes in hex: the same for equal pictures."""

    data: bytes = field(repr=False)
    measured: Measured
    digest: str


class Pictures:
    """A directory of pictures. Its files are read and written on other threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def open(self) -> None:
        """See that no other user of the machine gets in. A disk that refuses keeps no server from its start."""
        for one in (self._directory.parent, self._directory):
            try:
                await asyncio.to_thread(_take_from_others, one)
            except OSError as error:
                log.warning("others may look into a directory of pictures", directory=str(one), why=error.strerror)

    async def keep(self, data: bytes) -> str:
        """Store a picture and return its address, ``/static/uploads/images/…``.

        It is there whole or not at all. Raises ``InvalidInput`` as ``measure`` does, ``NotApplied``
        (``picture_not_stored``) when the disk does not take it.
        """
        extension = measure(data).format.extension
        name = f"{secrets.token_hex(16)}.{extension}"
        try:
            await _beside(_write_whole, self._directory, name, data)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the picture could not be stored: {why}", code="picture_not_stored") from None
        return URL_PREFIX + name

    async def read(self, url: str) -> Picture:
        """The picture at an address of ours.

        Raises ``InvalidInput`` (``picture_missing``) when the address is not ours, or the file is gone or damaged;
        ``TemporaryFailure`` (``picture_unreadable``) when the disk does not give it at the moment.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise _missing(url)
        try:
            return await _beside(_read_whole, self._directory / found[1])
        except (FileNotFoundError, InvalidInput):
            raise _missing(url) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise TemporaryFailure(f"the picture cannot be read: {why}", code="picture_unreadable") from None

    async def sweep(self, accounts: Iterable[Account], now_seconds: float) -> int:
        """Remove what no rule has named for ``UNUSED_DAYS``; returns how many files went.

        The time of a file's last change says when it was last seen in use. ``NotApplied`` when the disk refuses.
        """
        snapshot = tuple(accounts)
        try:
            return await _beside(self._sweep, snapshot, now_seconds)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the pictures could not be swept: {why}", code="picture_not_stored") from None

    def _sweep(self, accounts: Iterable[Account], now_seconds: float) -> int:
        if not self._directory.is_dir():
            return 0
        used = _named_by(accounts)
        gone = 0
        for path in self._directory.iterdir():
            if path.name in used:
                os.utime(path, (now_seconds, now_seconds))
            elif path.stat().st_mtime < now_seconds - UNUSED_DAYS * _DAY_SECONDS:
                path.unlink(missing_ok=True)
                gone += 1
        return gone


def _read_whole(path: Path) -> Picture:
    data = path.read_bytes()
    return Picture(data, measure(data), hashlib.sha256(data).hexdigest())


async def _beside(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *arguments, **named))


def is_kept(url: str) -> bool:
    """Whether an address is that of a picture kept here (and not one somewhere in the world)."""
    return url.startswith(URL_PREFIX)


def _named_by(accounts: Iterable[Account]) -> Set[str]:
    """The file names that stand anywhere in the accounts' rules and items."""
    texts = (msgspec.json.encode((account.keywords, account.items)) for account in accounts)
    return {name.decode() for text in texts for name in _NAMED_SOMEWHERE.findall(text)}


def _missing(url: str) -> InvalidInput:
    return InvalidInput("there is no such picture here", code="picture_missing", url=url)


def _make(directory: Path) -> None:
    """Make the directory and what holds it, as far as they are missing, for nobody else."""
    for one in (*reversed(directory.parents), directory):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def _take_from_others(directory: Path) -> None:
    """Close a directory that an older version left open to other users of the machine, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)


def _write_whole(directory: Path, name: str, data: bytes) -> None:
    """Written aside and given its name when it is whole and durable; what a crash leaves aside is swept in time."""
    _make(directory)
    aside = directory / f".{name}"
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
