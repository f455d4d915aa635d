"""By what a PostgreSQL database is known to be another one than a moment ago."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

DATABASE_LIFE: Final = """
    CAST(extract(epoch FROM pg_postmaster_start_time()) AS text) || ' '
    || (SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database())
"""
"""In a statement: another value after PostgreSQL was started again, a standby has taken its place, or the database was
restored under its name."""

IN_RECOVERY: Final = select(func.pg_is_in_recovery())
"""Whether a standby answers that is not promoted (yet): what it has received but not applied yet is not seen there."""
