"""Passwords: what is stored of them, which are too easy to guess, and threads that a flood of sign-ins cannot fill."""

from __future__ import annotations

import asyncio
import os
import secrets
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
"""How many may wait for a thread; who comes then is asked to come again, and the server stays quick for the others."""
BUSY_RETRY_SECONDS: Final = 5
_JUDGED_CHARACTERS: Final = 32
"""zxcvbn takes seconds for long texts; what is weak so far is called weak."""
_STRONG_ENOUGH: Final = 3
"""zxcvbn's "safely unguessable": more than 10^8 guesses."""
_SPEAKABLE: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
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
    """One that nobody guesses and a person can type: 20 letters and digits without look-alikes, in four groups."""
    return "-".join("".join(secrets.choice(_SPEAKABLE) for _ in range(5)) for _ in range(4))


class Passwords:
    """Hashes and judges passwords on a few threads of its own. ``close`` ends them."""

    def __init__(self, hasher: PasswordHasher | None = None, *, waiting_limit: int = WAITING_LIMIT) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(
            max(1, min(2, (os.cpu_count() or 1) // 2)), thread_name_prefix="shoal-password"
        )
        self._room = waiting_limit
        self._nobody = ""

    async def close(self) -> None:
        """End the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def new(self, password: str, *, about: Iterable[str | None] = ()) -> str:
        """The hash of a password that somebody chose. ``about``: what others know of the person (name, address).

        Raises ``InvalidInput``: ``bad_password`` for its length, ``weak_password`` with ``why`` when it is soon
        guessed. Raises ``TooManyAttempts`` when too many wait.
        """
        if len(password) <= MAX_PASSWORD_CHARACTERS:
            password = _as_compared(password)  # it is judged as it counts
        if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
            raise InvalidInput(
                f"a password has {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters",
                code="bad_password",
            )
        why = await self._in_thread(_weakness, password, [text for text in about if text])
        if why:
            raise InvalidInput(f"this password is soon guessed: {why}", code="weak_password", why=why)
        return await self._in_thread(self._hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one of that hash. Takes as long when there is no hash: then it never is."""
        known = stored if stored is not None else await self._hash_of_nobody()
        return await self._in_thread(self._verified, known, password) and stored is not None

    async def renewed(self, stored: str, password: str) -> str | None:
        """A new hash when the stored one was made in a weaker way than today's."""
        if not self._hasher.check_needs_rehash(stored):
            return None
        return await self._in_thread(self._hash, password)

    async def _hash_of_nobody(self) -> str:
        if not self._nobody:
            self._nobody = await self._in_thread(self._hash, secrets.token_urlsafe(16))
        return self._nobody

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_as_compared(password))

    def _verified(self, stored: str, password: str) -> bool:
        fits = len(password) <= MAX_PASSWORD_CHARACTERS
        try:
            self._hasher.verify(stored, _as_compared(password) if fits else "")
        except (VerificationError, InvalidHashError):
            return False
        return fits

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._room <= 0:
            raise TooManyAttempts(retry_after=BUSY_RETRY_SECONDS)
        self._room -= 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        work.add_done_callback(self._leave)  # also when nobody waits for it any more: it goes on and keeps its place
        return await asyncio.shield(work)

    def _leave(self, work: asyncio.Future[Any]) -> None:
        self._room += 1
        if not work.cancelled():
            work.exception()  # it was told to who waited


def _as_compared(password: str) -> str:
    """The same for every keyboard: one form of letters that can be written in several."""
    return unicodedata.normalize("NFKC", password)


def _weakness(password: str, about: list[str]) -> str:
    """Why the password is soon guessed, as a code; empty when it is not."""
    from zxcvbn import zxcvbn  # noqa: PLC0415  15 MB of word lists, needed only where a password is chosen

    known = [part for text in about for part in (text, *text.replace("@", " ").replace(".", " ").split())]
    found = zxcvbn(password[:_JUDGED_CHARACTERS], user_inputs=[*known, *_OURS])
    if found["score"] >= _STRONG_ENOUGH:
        return ""
    parts = found["sequence"]
    if len(parts) != 1:
        return "short" if all(part["pattern"] == "bruteforce" for part in parts) else "common"
    (part,) = parts
    if part["pattern"] == "dictionary":
        return "personal" if part.get("dictionary_name") == "user_inputs" else "common"
    return _PATTERNS.get(part["pattern"], "short")
