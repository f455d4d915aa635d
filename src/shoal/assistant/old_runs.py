"""Forgets what models were asked a long time ago: a run holds words of a buyer, so it stays as long as messages do."""

from __future__ import annotations

from sqlalchemy import and_

from shoal.storage.assistant_tables import ai_runs
from shoal.storage.database import Database
from shoal.storage.old_rows import delete_in_steps

UNDER_WAY = "asked"
"""A run whose answer is not there yet: the start of its shop's connection ends it."""


class OldRuns:
    """The runs that are older than is kept. What they cost stays in ``ai_usage``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2_000) -> int:
        """Delete runs from before that moment that are not under way. Return how many."""
        old = and_(ai_runs.c.created_at_ms < moment_ms, ai_runs.c.state != UNDER_WAY)
        return await delete_in_steps(self._database, ai_runs, old, rows)
