"""The second factor: time-based codes of an app (TOTP, RFC 6238), and recovery codes for users who lost the app.

The vault encrypts the app's seed. Each code counts once, also when two processes check it at the same time: the stored
30 s step of the last accepted code only ever grows. Recovery codes are stored as hashes, and a used one is deleted.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
import pyotp
from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from shoal.auth.user_replica import UserReplica
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import Conflict, Forbidden, UnknownUser
from shoal.storage.user_tables import recovery_codes, users
from shoal.storage.vault import Vault

ISSUER: Final = "Shoal"
STEP_SECONDS: Final = 30
STEPS_ASIDE: Final = 1
"""How many steps the clock of a phone may be ahead or behind."""
RECOVERY_CODES: Final = 10
MAX_CODE_CHARACTERS: Final = 64
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_CHARACTERS = 4, 4
_DIGITS: Final = re.compile(r"[0-9]{6}")
_SEED_COLUMN: Final = "users.totp"
_NEW_SEED_COLUMN: Final = "users.new_totp"


class Factor(StrEnum):
    """The kind of code that was accepted."""

    TOTP = "totp"
    RECOVERY = "recovery_code"


class Seed(msgspec.Struct, frozen=True):
    """The seed for an app, in two forms: to be typed, and as the URI of a QR code."""

    secret: str
    uri: str


class Totp:
    """Sets up second factors, checks their codes and removes them."""

    def __init__(self, database: UserReplica, vault: Vault, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._vault = vault
        self._now_ms = now_ms

    async def begin(self, user: User) -> Seed:
        """Make a new seed, shown this once. ``confirm`` makes it count. Raises ``Conflict`` (``totp_on``)."""
        secret = pyotp.random_base32()
        sealed = self._vault.seal(secret, column=_NEW_SEED_COLUMN, user_id=user.id)
        statement = update(users).where(users.c.id == user.id, users.c.totp_sealed.is_(None))
        begun = await self._database.write(
            lambda connection: connection.execute(statement.values(new_totp_sealed=sealed)).rowcount
        )
        if not begun:
            raise Conflict("the second factor is on already", code="totp_on")
        return Seed(secret, pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=ISSUER))

    async def confirm(self, user_id: int, code: str) -> list[str]:
        """Turn the factor on with a code of the new seed; return the recovery codes, which are shown only this once.

        Raises ``Conflict`` (``totp_on``, ``totp_not_begun``) and ``Forbidden`` (``wrong_totp``).
        """
        codes = _new_codes()

        def job(connection: Connection) -> None:
            columns = (users.c.totp_sealed, users.c.new_totp_sealed, users.c.totp_step)
            row = connection.execute(select(*columns).where(_is(user_id))).first()
            if row is None:
                raise UnknownUser("there is no such user")
            if row.totp_sealed is not None:
                raise Conflict("the second factor is on already", code="totp_on")
            if row.new_totp_sealed is None:
                raise Conflict("no second factor was begun", code="totp_not_begun")
            secret = self._vault.open(row.new_totp_sealed, column=_NEW_SEED_COLUMN, user_id=user_id)
            step = self._step_of(secret, _typed(code))
            if step is None or step <= row.totp_step:  # a used code does not count for a later seed either
                raise Forbidden("this is not the code of now", code="wrong_totp/again")
            sealed = self._vault.seal(secret, column=_SEED_COLUMN, user_id=user_id)
            values = {"totp_sealed": sealed, "new_totp_sealed": None, "totp_step": step}
            connection.execute(update(users).where(_is(user_id)).values(**values))
            _replace_codes(connection, user_id, codes)

        await self._database.write(job)
        return codes

    async def accept(self, user_id: int, code: str) -> Factor | None:
        """Check a code and use it up; return its kind. ``None``: it is wrong, or was used before."""
        typed = _typed(code)
        if _DIGITS.fullmatch(typed):
            return Factor.TOTP if await self._accept_totp(user_id, typed) else None
        statement = delete(recovery_codes).where(
            recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == _code_hash(user_id, typed)
        )
        used = await self._database.write(lambda connection: connection.execute(statement).rowcount)
        return Factor.RECOVERY if used else None

    async def _accept_totp(self, user_id: int, typed: str) -> bool:
        query = select(users.c.totp_sealed).where(_is(user_id))
        sealed = await self._database.read(lambda connection: connection.scalar(query))
        if sealed is None:
            return False
        step = self._step_of(self._vault.open(sealed, column=_SEED_COLUMN, user_id=user_id), typed)
        if step is None:
            return False
        statement = update(users).where(_is(user_id), users.c.totp_step < step).values(totp_step=step)
        # While the database takes no writes, the step is kept in memory, so the code cannot be used again there either.
        return await self._database.write_through(lambda connection: connection.execute(statement).rowcount == 1)

    async def renew_recovery_codes(self, user_id: int) -> list[str]:
        """Replace the recovery codes; return the new ones, shown only this once. Raises ``Conflict`` (``totp_off``)."""
        codes = _new_codes()

        def job(connection: Connection) -> None:
            if connection.scalar(select(users.c.totp_sealed).where(_is(user_id))) is None:
                raise Conflict("the second factor is off", code="totp_off")
            _replace_codes(connection, user_id, codes)

        await self._database.write(job)
        return codes

    async def codes_left(self, user_id: int) -> int:
        """Return how many recovery codes a user still has."""
        query = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_id == user_id)
        return await self._database.read(lambda connection: connection.scalar(query) or 0)

    async def take_away(self, user_id: int) -> bool:
        """Turn the factor off and delete the codes. False: it was off."""
        return await self._database.write(lambda connection: forget_factor(connection, user_id))

    def _step_of(self, secret: str, typed: str) -> int | None:
        """Return the time step near now that has this code; ``None``: there is none."""
        now = self._now_ms() // 1000 // STEP_SECONDS
        totp = pyotp.TOTP(secret)
        right = [
            step
            for step in range(now - STEPS_ASIDE, now + STEPS_ASIDE + 1)
            if secrets.compare_digest(totp.generate_otp(step), typed)
        ]
        return max(right, default=None)


def forget_factor(connection: Connection, user_id: int) -> bool:
    """Remove a second factor within the caller's transaction. False: it was off."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    was_on = connection.scalar(select(users.c.totp_sealed).where(_is(user_id))) is not None
    # The step stays: a used code does not count for a later seed either.
    connection.execute(update(users).where(_is(user_id)).values(totp_sealed=None, new_totp_sealed=None))
    return was_on


def _is(user_id: int) -> ColumnElement[bool]:
    return users.c.id == user_id


def _typed(code: str) -> str:
    """Return a code without what users put in between: blanks, hyphens, wide digits, capitals."""
    text = unicodedata.normalize("NFKC", code[:MAX_CODE_CHARACTERS]).lower()
    text = "".join(character for character in text if character.isalnum())
    return text if text.isascii() else ""


def _new_codes() -> list[str]:
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARACTERS)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def _replace_codes(connection: Connection, user_id: int, codes: list[str]) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": _code_hash(user_id, _typed(code))} for code in codes]
    connection.execute(recovery_codes.insert(), rows)


def _code_hash(user_id: int, typed: str) -> str:
    """Return the hash that is stored of a recovery code.

    Its 79 random bits cannot be guessed, even with a fast hash.
    """
    return hashlib.sha256(f"recovery:{user_id}:{typed}".encode()).hexdigest()
