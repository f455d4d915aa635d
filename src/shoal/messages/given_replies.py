"""Replies that are given to a script, which sends them itself: what is sent once counts as sent."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.messages.decisions import first_once
from shoal.messages.handoff import hand_off, has_left_since
from shoal.messages.outbox_rows import OutboxRow, SendOutcome, columns_of
from shoal.messages.replies import AnswerSource, Choice
from shoal.messages.takeovers import paused_until
from shoal.storage.schema import outbox

GIVEN = "given_to_script"
"""The reason of a row whose text a script sends."""


def is_once(account: Account, choice: Choice) -> bool:
    """Return whether the answer is sent once, in some sense, so that ``give`` is to be called."""
    if choice.source is AnswerSource.DEFAULT_REPLY:
        return account.default_reply_once
    return choice.source in {AnswerSource.HANDOFF, AnswerSource.AWAY_REPLY}


def give(connection: Connection, account: Account, choice: Choice, now_ms: int) -> bool:
    """Count the answer as sent, in the caller's transaction. Return ``False`` when it was sent before."""
    chat_id = choice.asked.chat_id
    if choice.source is AnswerSource.DEFAULT_REPLY:
        return first_once(connection, account.id, chat_id, now_ms, buyer_id=choice.asked.buyer_id)
    if paused_until(connection, account.id, chat_id, now_ms) is not None:
        return False
    if choice.source is AnswerSource.HANDOFF:
        hand_off(connection, account.id, chat_id, now_ms)
        return True
    since_ms = choice.closed.since_ms if choice.closed is not None else 0
    if has_left_since(connection, account.id, chat_id, choice.rule_id, since_ms):
        return False
    parts = choice.answer.parts if choice.answer is not None else ()
    row = OutboxRow(
        account_id=account.id, chat_id=chat_id, uuid=uuid4().hex, buyer_id=choice.asked.buyer_id,
        rule_id=choice.rule_id, text="\n".join(part.text for part in parts),
    )  # fmt: skip
    sent = {"outcome": SendOutcome.SENT.value, "reason": GIVEN, "created_at_ms": now_ms, "settled_at_ms": now_ms}
    connection.execute(outbox.insert().values({**columns_of(row), **sent}))
    return True
