"""Codes of two-step verification that were used since a backup: none of them counts again after its restore.

The earlier database knows which recovery codes are left. A code stays only where it is left there too; none is taken
over from there, because a restore may be meant to undo what was done since. Without that database it is not known which
were used: then all end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from shoal.storage.schema import store_meta
from shoal.storage.user_tables import recovery_codes, users

_MARKER = "marker"


class UnusedCodes(msgspec.Struct, frozen=True, kw_only=True):
    """What a database knows of used codes. ``marker``: which database it is."""

    marker: str
    left: frozenset[tuple[int, str]]
    """The user and the hash of each recovery code that is left."""
    steps: tuple[tuple[int, int], ...]
    """The user and the time step of the last code of an app."""


def unused_codes(ask: Callable[[str], Iterable[Sequence[Any]]]) -> UnusedCodes:
    """Return what a database knows. ``ask`` returns the rows of a query."""
    markers = [str(row[0]) for row in ask(f"SELECT value FROM store_meta WHERE key = '{_MARKER}'")]  # noqa: S608
    left = ask("SELECT user_id, code_hash FROM recovery_codes")
    steps = ask("SELECT id, totp_step FROM users WHERE totp_step > 0")
    return UnusedCodes(
        marker=next(iter(markers), ""),
        left=frozenset((int(user_id), str(code)) for user_id, code in left),
        steps=tuple((int(user_id), int(step)) for user_id, step in steps),
    )


def end_used_codes(connection: Connection, earlier: UnusedCodes | None) -> int:
    """Delete the codes of a restored database that may have been used. Return how many users have none any more."""
    marker = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == _MARKER))
    known = earlier if earlier is not None and earlier.marker == marker else None
    had = connection.execute(select(recovery_codes.c.user_id, recovery_codes.c.code_hash)).all()
    left = known.left if known is not None else frozenset()
    for user_id, code in had:
        if (user_id, code) not in left:
            mine = (recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code)
            connection.execute(delete(recovery_codes).where(*mine))
    for user_id, step in known.steps if known is not None else ():
        mine = (users.c.id == user_id, users.c.totp_step < step)
        connection.execute(update(users).where(*mine).values(totp_step=step))
    return len({user_id for user_id, _ in had} - {user_id for user_id, code in had if (user_id, code) in left})
