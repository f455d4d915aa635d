"""Which accounts exist: what is known of others is not stored."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, not_, select

from shoal.storage.among import among_bound
from shoal.storage.schema import accounts

_LIVING = select(accounts.c.id).where(among_bound(accounts.c.id, "ids"), not_(accounts.c.deleted))


def living_among(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return those of the ids whose accounts exist and are not deleted."""
    return set(connection.scalars(_LIVING, {"ids": msgspec.json.encode(sorted(set(ids))).decode()}))
