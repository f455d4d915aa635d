"""Passwords: their hashes, a check that they are hard to guess, and threads that a flood of logins cannot fill."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shoal.errors import InvalidInput, TooManyAttempts

MIN_PASSWORD_CHARACTERS: Final = 8
MAX_PASSWORD_CHARACTERS: Final = 1_024
WAITING_LIMIT: Final = 32
"""How many calls may wait for a thread. Further ones are refused for a few seconds, so the server stays quick."""
BUSY_RETRY_SECONDS: Final = 5
_JUDGED_CHARACTERS: Final = 32
"""zxcvbn takes seconds for long texts; only the first characters are judged."""
_STRONG_ENOUGH: Final = 3
"""zxcvbn's "safely unguessable": more than 10^8 guesses."""
_LEGACY: Final = "sha256:"
"""Before the Argon2 hash of the hexadecimal SHA-256 of a password: how a user of an older system came here."""
_SPEAKABLE: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_judging: Final = threading.Lock()
_OURS: Final = ("shoal", "xianyu", "goofish", "闲鱼")
_PATTERNS: Final = {
    "spatial": "keyboard",
    "repeat": "repeated",
    "sequence": "sequence",
    "date": "date",
    "regex": "date",
}

T = TypeVar("T")


def made_up_password() -> str:
    """Return a random password that is easy to type: 20 letters and digits without look-alikes, in four groups."""
    return "-".join("".join(secrets.choice(_SPEAKABLE) for _ in range(5)) for _ in range(4))


class Passwords:
    """Hashes and judges passwords on a few threads of its own. ``close`` ends them."""

    def __init__(self, hasher: PasswordHasher | None = None, *, waiting_limit: int = WAITING_LIMIT) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(
            max(1, min(2, (os.cpu_count() or 1) // 2)), thread_name_prefix="shoal-password"
        )
        self._room = waiting_limit
        self._dummy_hash = ""

    async def close(self) -> None:
        """End the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def new(self, password: str, *, about: Iterable[str | None] = ()) -> str:
        """Return the hash of a new password. ``about``: what others know of the user (name, address).

        Raises ``InvalidInput``: ``bad_password`` for its length, ``weak_password`` with ``why`` when it is easy to
        guess. Raises ``TooManyAttempts`` when too many calls wait.
        """
        if len(password) <= MAX_PASSWORD_CHARACTERS:
            password = _as_compared(password)  # it is judged in the form in which it is hashed
        if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
            raise InvalidInput(
                f"a password has {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters",
                code="bad_password",
            )
        why = await self._in_thread(_weakness, password, [text for text in about if text])
        if why:
            raise InvalidInput(f"this password is soon guessed: {why}", code="weak_password", why=why)
        return await self._in_thread(self._hash, password)

    async def wrapped(self, sha256: str) -> str:
        """Return the stored form of a password of which only the hexadecimal SHA-256 is known, from an older system.

        It is as hard to guess as others here, and is replaced at the next sign-in.
        """
        return _LEGACY + await self._in_thread(self._hasher.hash, sha256.lower())

    async def unknown(self) -> str:
        """Return the stored form of a password that no one knows: its user needs a link."""
        return await self._in_thread(self._hash, secrets.token_urlsafe(32))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Return whether the password fits the hash. Without a hash it takes as long and returns False."""
        known = stored if stored is not None else await self._hash_for_unknown()
        return await self._in_thread(self._verified, known, password) and stored is not None

    async def renewed(self, stored: str, password: str) -> str | None:
        """Return a new hash when the stored one has weaker parameters than today's; otherwise ``None``."""
        if not stored.startswith(_LEGACY) and not self._hasher.check_needs_rehash(stored):
            return None
        return await self._in_thread(self._hash, password)

    async def _hash_for_unknown(self) -> str:
        if not self._dummy_hash:
            self._dummy_hash = await self._in_thread(self._hash, secrets.token_urlsafe(16))
        return self._dummy_hash

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_as_compared(password))

    def _verified(self, stored: str, password: str) -> bool:
        fits = len(password) <= MAX_PASSWORD_CHARACTERS
        known = _as_compared(password) if fits else ""
        if stored.startswith(_LEGACY):  # the older system hashed what was typed
            stored, known = stored.removeprefix(_LEGACY), _sha256(password if fits else "")
        try:
            self._hasher.verify(stored, known)
        except (VerificationError, InvalidHashError):
            return False
        return fits

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._room <= 0:
            raise TooManyAttempts(retry_after=BUSY_RETRY_SECONDS)
        self._room -= 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        # also when the caller was cancelled: the work continues and keeps its place
        work.add_done_callback(self._leave)
        return await asyncio.shield(work)

    def _leave(self, work: asyncio.Future[Any]) -> None:
        self._room += 1
        if not work.cancelled():
            work.exception()  # marks the exception as retrieved: the waiting caller gets it


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode(errors="surrogatepass")).hexdigest()


def _as_compared(password: str) -> str:
    """Return one form of letters that keyboards write in several (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def _weakness(password: str, about: list[str]) -> str:
    """Return why the password is easy to guess, as a code; empty when it is hard to guess."""
    known = [part for text in about for part in (text, *text.replace("@", " ").replace(".", " ").split())]
    found = _judged(password[:_JUDGED_CHARACTERS], [*known, *_OURS])
    if found["score"] >= _STRONG_ENOUGH:
        return ""
    parts = found["sequence"]
    if len(parts) != 1:
        return "short" if all(part["pattern"] == "bruteforce" for part in parts) else "common"
    (part,) = parts
    if part["pattern"] == "dictionary":
        return "personal" if part.get("dictionary_name") == "user_inputs" else "common"
    return _PATTERNS.get(part["pattern"], "short")


def _judged(password: str, known: list[str]) -> dict[str, Any]:
    """Return what zxcvbn says; one call at a time, for it keeps ``known`` in a place of all calls.

    Its word lists take 12 MB and are loaded in 0.02 s: they stay no longer than they are needed.
    """
    with _judging:
        from zxcvbn import zxcvbn  # noqa: PLC0415

        try:
            found: dict[str, Any] = zxcvbn(password, user_inputs=known)
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "zxcvbn"]:
                del sys.modules[name]
    return found
