"""Which accounts exist: what is known of others is not stored."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, not_, select

from shoal.storage.schema import accounts

_LIVING = select(accounts.c.id).where(accounts.c.id.in_(bindparam("ids", expanding=True)), not_(accounts.c.deleted))


def living_among(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return those of the ids whose accounts exist and are not deleted."""
    return set(connection.scalars(_LIVING, {"ids": sorted(set(ids))}))
