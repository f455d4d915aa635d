"""Runs as they are stored: one question to a model, and what became of it. It only reads them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, not_, or_, select

from shoal.accounts.events import MessageEvent
from shoal.assistant.asking import ITEM_GONE
from shoal.assistant.budget import NoRoomWhy
from shoal.messages import model_runs
from shoal.messages.model_source import NotAsked, RunState
from shoal.storage.among import among
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.schema import messages

_NO_CALL: Final = frozenset({*(why.value for why in NoRoomWhy), NotAsked.TURNS.value})
"""Why a run failed before its first call; after one, the same reasons refuse a second call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run. ``why`` says what its state does not; ``rail`` held its text back; ``actor`` sent or dropped a draft."""

    id: int
    account_id: str
    chat_id: str
    buyer_id: str
    message_ids: tuple[str, ...]
    item_id: str
    provider_id: int
    model: str
    mode: str
    state: RunState
    why: str
    rail: str
    tokens_in: int
    tokens_out: int
    cost_microfen: int
    duration_ms: int
    offered_fen: int | None
    text: str
    raw: str
    actor: str
    outbox_id: int | None
    created_at_ms: int
    decided_at_ms: int | None
    item_title: str = ""
    question: str = ""

    @property
    def called(self) -> bool:
        """Whether its provider was called: not when budget, pace or a rest did not allow it, or the item was gone."""
        if self.why == ITEM_GONE:
            return False
        return self.state is not RunState.FAILED or self.why not in _NO_CALL or bool(self.duration_ms)


def run_of(row: RowMapping) -> Run:
    """Return the run of a row."""
    values = {key: value for key, value in row.items() if key not in {"message_ids", "state", "prompt_hash"}}
    return Run(**values, message_ids=tuple(json.loads(row["message_ids"])), state=RunState(row["state"]))


def read_run(connection: Connection, run_id: int) -> Run | None:
    """Return a run."""
    row = connection.execute(select(ai_runs).where(ai_runs.c.id == run_id)).mappings().one_or_none()
    return run_of(row) if row is not None else None


def read_runs(
    connection: Connection,
    account_ids: Collection[str],
    *,
    chat_id: str | None = None,
    state: RunState | None = None,
    called: bool | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[Run]:
    """Return runs of these accounts, newest first."""
    query = select(ai_runs).where(among(ai_runs.c.account_id, account_ids)).order_by(ai_runs.c.id.desc()).limit(limit)
    if chat_id is not None:
        query = query.where(ai_runs.c.chat_id == chat_id)
    if state is not None:
        query = query.where(ai_runs.c.state == state.value)
    if called is not None:
        query = query.where(not_(_without_call()) if called else _without_call())
    if before_id is not None:
        query = query.where(ai_runs.c.id < before_id)
    return [run_of(row) for row in connection.execute(query).mappings()]


def with_words(connection: Connection, runs: Sequence[Run]) -> list[Run]:
    """Return runs with the titles of their items and what their buyers asked, as far as these are known."""
    items = item_facts(connection, {(run.account_id, run.item_id) for run in runs if run.item_id})
    texts = _texts_of(connection, runs)
    return [
        replace(
            run,
            item_title=items.get((run.account_id, run.item_id), UNKNOWN).title,
            question="\n".join(filter(None, (texts.get((run.account_id, one), "") for one in run.message_ids))),
        )
        for run in runs
    ]


def _texts_of(connection: Connection, runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """Return the texts of the messages that runs answer, by account and message."""
    if not runs:
        return {}
    table = messages.c
    query = select(table.account_id, table.message_id, table.text).where(
        among(table.account_id, sorted({run.account_id for run in runs})),
        among(table.message_id, sorted({one for run in runs for one in run.message_ids})),
    )
    return {(row.account_id, row.message_id): row.text for row in connection.execute(query)}


def _without_call() -> ColumnElement[bool]:
    """The same as ``not Run.called``."""
    failed = and_(
        ai_runs.c.state == RunState.FAILED.value, ai_runs.c.why.in_(sorted(_NO_CALL)), ai_runs.c.duration_ms == 0
    )
    return or_(failed, ai_runs.c.why == ITEM_GONE)


def run_event(run: Run, state: RunState, at_ms: int) -> MessageEvent:
    """Return the event of a run's new state."""
    return model_runs.run_event(run.account_id, run.chat_id, run.id, state, at_ms)
