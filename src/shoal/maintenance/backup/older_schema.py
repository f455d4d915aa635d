"""The tables of an older schema, as the database has them that this program is about to upgrade."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, MetaData, Table, create_engine, select
from sqlalchemy.pool import StaticPool

from shoal.storage.migrations.steps import build_schema


def tables_of(revision: str) -> Sequence[Table]:
    """Return the tables of a revision, parents first, with the columns that both databases have.

    They are those of an SQLite database in memory, built by the same steps: what else the database at hand has is not
    Shoal's. Raises ``ConfigError`` for a revision of a newer program.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            build_schema(connection, revision)
            found = MetaData()
            found.reflect(connection)
    finally:
        engine.dispose()
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def has_sealed_values(connection: Connection, tables: Iterable[Table]) -> bool:
    """Return whether a table has an encrypted value: its column is named ``sealed`` or ``…_sealed``."""
    return any(
        connection.scalar(select(column).where(column.is_not(None)).limit(1)) is not None
        for table in tables
        for column in table.columns
        if column.name == "sealed" or column.name.endswith("_sealed")
    )
