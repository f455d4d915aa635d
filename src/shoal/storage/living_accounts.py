"""Which accounts exist: what is known of others is not stored."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from shoal.storage.change_statements import statements_of


def living_among(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return those of the ids whose accounts exist and are not deleted."""
    return set(statements_of(connection).generations(set(ids)))
