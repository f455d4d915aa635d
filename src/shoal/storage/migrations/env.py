"""Alembic's entry point: the caller provides a connection in an open transaction."""

from __future__ import annotations

from alembic import context

from shoal.storage.schema import metadata


def _is_ours(_found: object, name: str | None, kind: str, _reflected: object, _twin: object) -> bool:
    """Leave out the one column that only PostgreSQL has."""
    return (kind, name) != ("column", "xid8")


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=_is_ours,
    transaction_per_migration=False,
)
context.run_migrations()
