"""What was changed of an account, by whom and when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.api.caller import Me, OwnAccount, TheServer
from shoal.api.cursors import cursor_of, place_of
from shoal.api.documented import READING_ONE
from shoal.api.shapes import HistoryRow, example, history_row

routes = APIRouter(tags=["history"])

Limit = Annotated[int, Query(ge=1, le=200, description="How many rows at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the answer before; none for the start.")]


class HistoryList(BaseModel):
    """Changes, newest first."""

    model_config = example(
        items=[
            {
                "rev": 120, "generation": 7, "changes": {"enabled": [True, False]}, "actor": "user:admin",
                "op_id": "7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41", "at": "2026-01-02T03:04:05.000Z",
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[HistoryRow]
    next: str | None


@routes.get("/cookies/{cid}/history", summary="What was changed", responses=READING_ONE)
async def get_history(
    account: OwnAccount, server: TheServer, me: Me, cursor: Cursor = None, limit: Limit = 50
) -> HistoryList:
    """The account's committed changes, newest first."""
    before = place_of(cursor, 1)[0] if cursor else 0
    entries = await server.store.journal(account_id=account.id, after_rev=before, limit=limit + 1, newest_first=True)
    page = entries[:limit]
    rows = [history_row(entry) for entry in page if entry.owner_id == me.id]
    return HistoryList(items=rows, next=cursor_of(page[-1].rev) if len(entries) > limit else None)
