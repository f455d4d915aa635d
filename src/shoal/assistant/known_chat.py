"""What is known of a chat when a model is asked: its last lines, and what the model answered in it before."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, and_, func, select

from shoal.assistant.prompt import MOST_TURNS, Turn
from shoal.messages.logged_message import Direction
from shoal.messages.model_source import Question, RunState
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.schema import messages, outbox

DAY_MS: Final = 24 * 3_600_000


class KnownChat(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a chat without the question and without deliveries; the machine's last answer in it."""

    turns: tuple[Turn, ...] = ()
    last_answer: str = ""


def read_chat(connection: Connection, account_id: str, question: Question) -> KnownChat:
    """Return what is known of the question's chat.

    The shop's own lines are read from the outbox, by their kind: a delivery, and what names units of goods, is none.
    """
    written = (
        select(messages.c.created_at_ms, messages.c.direction, messages.c.text)
        .where(
            messages.c.account_id == account_id,
            messages.c.chat_id == question.chat_id,
            messages.c.direction.in_([Direction.IN.value, Direction.HUMAN.value]),
            messages.c.message_id.not_in(question.message_ids),
            messages.c.text != "",
        )
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
        .limit(MOST_TURNS)
    )
    sent = (
        select(outbox.c.created_at_ms, outbox.c.kind, outbox.c.text)
        .where(
            outbox.c.account_id == account_id,
            outbox.c.chat_id == question.chat_id,
            outbox.c.kind.in_([OutboxKind.REPLY.value, OutboxKind.MANUAL.value]),
            outbox.c.outcome.in_([SendOutcome.SENT.value, SendOutcome.UNCERTAIN.value]),
            outbox.c.units == "",
            outbox.c.text != "",
        )
        .order_by(outbox.c.id.desc())
        .limit(MOST_TURNS)
    )
    own = connection.execute(sent).all()
    lines = [
        (row.created_at_ms, Turn(row.direction == Direction.IN.value, row.text)) for row in connection.execute(written)
    ]
    lines += [(row.created_at_ms, Turn(False, row.text)) for row in own]
    lines.sort(key=lambda line: line[0])
    replies = (row.text for row in own if row.kind == OutboxKind.REPLY.value)
    return KnownChat(turns=tuple(turn for _, turn in lines[-MOST_TURNS:]), last_answer=next(replies, ""))


def answers_since(connection: Connection, account_id: str, chat_id: str, since_ms: int) -> int:
    """Return how many answers of a model went to a chat since then."""
    answered = and_(
        ai_runs.c.account_id == account_id,
        ai_runs.c.chat_id == chat_id,
        ai_runs.c.state == RunState.ANSWERED.value,
        ai_runs.c.created_at_ms > since_ms,
    )
    return connection.scalar(select(func.count()).select_from(ai_runs).where(answered)) or 0
