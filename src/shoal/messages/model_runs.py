"""Runs as rows: how they end, in the transaction that decides about the messages."""

from __future__ import annotations

from sqlalchemy import Connection, select, text, update

from shoal.accounts.events import MessageEvent
from shoal.messages.model_source import RunState
from shoal.storage.assistant_tables import OPEN_RUN, ai_runs

INTERRUPTED = "interrupted"
"""Why a run failed whose server or connection ended."""


def end_run(connection: Connection, run_id: int, state: RunState, why: str, at_ms: int) -> bool:
    """End a run that is asked. Return ``False`` when it is not any more: another connection ended it."""
    asked = update(ai_runs).where(ai_runs.c.id == run_id, ai_runs.c.state == RunState.ASKED.value)
    values = {"state": state.value, "why": why, "decided_at_ms": at_ms}
    return connection.execute(asked.values(**values)).rowcount == 1


def note_message(connection: Connection, run_id: int, outbox_id: int) -> None:
    """Note the message that a run became."""
    connection.execute(update(ai_runs).where(ai_runs.c.id == run_id).values(outbox_id=outbox_id))


def supersede_drafts(connection: Connection, account_id: str, chat_id: str, why: str, at_ms: int) -> list[int]:
    """End the open drafts of a chat, because it moved on. Return their ids."""
    drafted = (
        update(ai_runs)
        .where(
            ai_runs.c.account_id == account_id,
            ai_runs.c.chat_id == chat_id,
            text(OPEN_RUN),
            ai_runs.c.state == RunState.DRAFTED.value,
        )
        .values(state=RunState.SUPERSEDED.value, why=why, decided_at_ms=at_ms)
        .returning(ai_runs.c.id)
    )
    return list(connection.scalars(drafted))


def has_draft(connection: Connection, account_id: str, chat_id: str) -> bool:
    """Return whether a draft of the chat is open."""
    mine = select(ai_runs.c.id).where(
        ai_runs.c.account_id == account_id,
        ai_runs.c.chat_id == chat_id,
        text(OPEN_RUN),
        ai_runs.c.state == RunState.DRAFTED.value,
    )
    return connection.scalar(mine.limit(1)) is not None


def has_asked(connection: Connection, account_id: str) -> bool:
    """Return whether a run of the account is asked."""
    mine = select(ai_runs.c.id).where(
        ai_runs.c.account_id == account_id, text(OPEN_RUN), ai_runs.c.state == RunState.ASKED.value
    )
    return connection.scalar(mine.limit(1)) is not None


def interrupt_runs(connection: Connection, account_id: str, at_ms: int) -> list[tuple[int, str]]:
    """End the runs of an account that the last connection left asked. Return their ids and chats."""
    asked = (
        update(ai_runs)
        .where(ai_runs.c.account_id == account_id, text(OPEN_RUN), ai_runs.c.state == RunState.ASKED.value)
        .values(state=RunState.FAILED.value, why=INTERRUPTED, decided_at_ms=at_ms)
        .returning(ai_runs.c.id, ai_runs.c.chat_id)
    )
    return [(row.id, row.chat_id) for row in connection.execute(asked)]


def run_event(account_id: str, chat_id: str, run_id: int, state: RunState, at_ms: int) -> MessageEvent:
    """Return the event of a run's new state."""
    facts = {"chat_id": chat_id, "run_id": run_id, "state": state.value}
    return MessageEvent(account_id=account_id, kind="model", key=str(run_id), facts=facts, at_ms=at_ms)
