"""The tables of imports from other systems: runs, what they did not simply take, and what they brought."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from shoal.storage.columns import (
    RowId,
    maybe_time_column,
    metadata,
    number_column,
    text_column,
    time_column,
    user_column,
)

import_runs = Table(
    "import_runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column(),
    text_column("source"),
    text_column("version"),
    text_column("file_name"),
    text_column("state", "running"),
    number_column("total"),
    text_column("counts"),
    text_column("was_on"),
    number_column("waiting"),
    Column("waiting_sealed", LargeBinary, nullable=True),
    text_column("why"),
    time_column("created_at_ms"),
    maybe_time_column("ended_at_ms"),
    maybe_time_column("started_at_ms"),
    Index("ix_import_runs_user_id", "user_id", "id"),
    sqlite_autoincrement=True,
)
"""``counts`` and ``was_on`` are JSON. ``waiting_sealed`` holds settings of the old system for which there is no use
yet, among them keys. ``started_at_ms``: when what was on was turned on here."""

import_oddities = Table(
    "import_oddities",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("run_id", RowId, ForeignKey("import_runs.id", ondelete="CASCADE"), nullable=False),
    text_column("old_table"),
    text_column("old_row"),
    text_column("code"),
    text_column("fate"),
    text_column("params"),
    Index("ix_import_oddities_run_id", "run_id", "id"),
    sqlite_autoincrement=True,
)
"""A row of the old system that was not simply taken, and why."""

imported_rows = Table(
    "imported_rows",
    metadata,
    user_column(primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("old_key", Text, primary_key=True),
    text_column("new_id"),
    Column("run_id", BigInteger, nullable=False),
)
"""What imports brought to a user, so that the same row is not brought twice. ``run_id`` may name a run that is gone."""
