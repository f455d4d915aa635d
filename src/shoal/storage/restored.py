"""Whether a database was restored from a backup, and when: what is older than that is not answered or served again."""

from __future__ import annotations

from typing import Final

import msgspec

from shoal.storage.database import Database

FACT: Final = "restored"
"""The ``store_meta`` key of the last restore."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The last restore: when it was, and of when the backup is."""

    at_ms: int
    made_at_ms: int


async def restored_at_ms(database: Database) -> int:
    """Return when the database was restored; 0 when it never was. Raises ``StoreError``."""
    known = await database.fact(FACT)
    return msgspec.json.decode(known, type=Restored).at_ms if known else 0
