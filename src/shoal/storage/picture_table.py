"""The table of pictures on PostgreSQL, where every server shows and sends them. With SQLite they are files."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, Text

from shoal.storage.columns import metadata, time_column

pictures = Table(
    "pictures",
    metadata,
    Column("name", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    time_column("seen_at_ms"),
)
"""``name`` is the last part of a picture's address; ``seen_at_ms``: when it was stored, or last found in use."""

AS_FILES = frozenset({pictures.name})
"""The tables whose rows are files in backups, and with SQLite: their rows are not copied as rows."""
