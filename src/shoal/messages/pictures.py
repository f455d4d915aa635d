"""Uploaded pictures for replies, and those of sellers: files under random names, kept while an account uses them."""

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
from shoal.xianyu.uploads import is_on_site

log = structlog.get_logger("shoal.pictures")

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="shoal-pictures")
"""Threads for these files only."""
URL_PREFIX = "/static/uploads/images/"
"""The URL path of stored pictures, as in the system that sellers come from."""
UNUSED_DAYS = 7
"""How long a picture is kept after its last use, so that the change that ended it can be undone."""

_NAME = rf"[0-9a-f]{{32}}\.(?:{'|'.join(kind.extension for kind in FORMATS)})"
_URL = re.compile(f"{re.escape(URL_PREFIX)}({_NAME})")
_NAMED_SOMEWHERE = re.compile(_URL.pattern.encode())
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture. ``digest`` is the SHA-256 of its bytes in hex: the same for equal pictures."""

    data: bytes = field(repr=False)
    measured: Measured
    digest: str


class Pictures:
    """A directory of pictures. Other threads read and write its files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def open(self) -> None:
        """Remove the access of the machine's other users. A disk error does not prevent the start."""
        for one in (self._directory.parent, self._directory):
            try:
                await asyncio.to_thread(_take_from_others, one)
            except OSError as error:
                log.warning("others may look into a directory of pictures", directory=str(one), why=error.strerror)

    async def keep(self, data: bytes) -> str:
        """Store a picture and return its address, ``/static/uploads/images/…``.

        The file is stored completely or not at all. Raise ``InvalidInput`` like ``measure``, and ``NotApplied``
        (``picture_not_stored``) for a disk error.
        """
        extension = measure(data).format.extension
        name = f"{secrets.token_hex(16)}.{extension}"
        try:
            await _beside(_write_whole, self._directory, name, data)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the picture could not be stored: {why}", code="picture_not_stored") from None
        return URL_PREFIX + name

    async def keep_as(self, name: str, data: bytes) -> None:
        """Store a picture under the name of a file here, unless it is there. Raise ``NotApplied`` like ``keep``."""
        if await _beside((self._directory / name).is_file):
            return
        try:
            await _beside(_write_whole, self._directory, name, data)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the picture could not be stored: {why}", code="picture_not_stored") from None

    async def read(self, url: str) -> Picture:
        """Return the picture at an address of this server.

        Raise ``InvalidInput`` (``picture_missing``) when the address is another one, or the file is missing or damaged;
        ``TemporaryFailure`` (``picture_unreadable``) for a disk error.
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

    async def sweep(self, accounts: Iterable[Account], now_seconds: float, *, shown: Iterable[str] = ()) -> int:
        """Delete pictures that no account has used for ``UNUSED_DAYS``. Return the number of deleted files.

        ``shown`` are the addresses of the sellers' and goods' pictures, which the accounts themselves do not name.

        A file's modification time is when it was last seen in use. Raise ``NotApplied`` for a disk error.
        """
        snapshot = tuple(accounts)
        try:
            return await _beside(self._sweep, snapshot, frozenset(shown), now_seconds)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise NotApplied(f"the pictures could not be swept: {why}", code="picture_not_stored") from None

    def _sweep(self, accounts: Iterable[Account], shown: Set[str], now_seconds: float) -> int:
        if not self._directory.is_dir():
            return 0
        used = _named_by(accounts) | {found[1] for url in shown if (found := _URL.fullmatch(url))}
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
    """Return whether an address is that of a picture stored here, not on another host."""
    return url.startswith(URL_PREFIX)


def require_showable(url: str) -> None:
    """Raise ``InvalidInput`` for a picture that is neither stored here nor on the site."""
    if not is_kept(url) and not is_on_site(url):
        raise InvalidInput("the picture is neither here nor on the site", code="bad_image_url")


def _named_by(accounts: Iterable[Account]) -> Set[str]:
    """Return the picture file names in the accounts' rules, items and delivery rules, and their own."""
    texts = (
        msgspec.json.encode((account.keywords, account.items, account.deliveries, account.picture))
        for account in accounts
    )
    return {name.decode() for text in texts for name in _NAMED_SOMEWHERE.findall(text)}


def _missing(url: str) -> InvalidInput:
    return InvalidInput("there is no such picture here", code="picture_missing", url=url)


def _make(directory: Path) -> None:
    """Create the directory and its missing parents, without access for other users of the machine."""
    for one in (*reversed(directory.parents), directory):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def _take_from_others(directory: Path) -> None:
    """Remove other users' access to a directory that an older version left open, if it exists."""
    with contextlib.suppress(FileNotFoundError):
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)


def _write_whole(directory: Path, name: str, data: bytes) -> None:
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
