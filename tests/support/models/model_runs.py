"""Runs of a model as they stand in the database, for tests of what is done with them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select

from shoal.messages.model_source import RunState
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.database import Database

AT_MS = 1_767_323_045_000


async def a_run(database: Database, account_id: str = "shop", **values: Any) -> int:
    """Store a run, a draft unless said otherwise; returns its id."""
    row = {
        "account_id": account_id, "chat_id": "59000001", "buyer_id": "2200000000099", "message_ids": '["31.PNM"]',
        "item_id": "700000000001", "provider_id": 1, "model": "small-1", "prompt_hash": "00", "mode": "draft",
        "state": RunState.DRAFTED.value, "tokens_in": 800, "tokens_out": 20, "cost_microfen": 86_000,
        "duration_ms": 640, "text": "在的，今天可以发货", "raw": '{"action": "reply"}', "created_at_ms": AT_MS,
        **values,
    }  # fmt: skip

    def job(connection: Connection) -> int:
        return int(connection.execute(insert(ai_runs).values(row).returning(ai_runs.c.id)).scalar_one())

    return await database.write(job)


async def state_of(database: Database, run_id: int) -> tuple[str, str, int | None]:
    """The state, the text and the message of a run."""
    query = select(ai_runs.c.state, ai_runs.c.text, ai_runs.c.outbox_id).where(ai_runs.c.id == run_id)
    row = await database.read(lambda connection: connection.execute(query).one())
    return row.state, row.text, row.outbox_id
