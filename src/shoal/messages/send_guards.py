"""Send guards: checks that hold back an automatic reply, in the transaction that would start it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from shoal.messages.decisions import Decision, first_once
from shoal.messages.handoff import hand_off, has_left_since, is_left_unsaid
from shoal.messages.logged_message import Direction
from shoal.messages.outbox import Guard
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.messages.takeovers import TakeoverReason, paused_until
from shoal.storage.schema import messages, outbox

HOUR_MS = 3600_000
MINUTE_MS = 60_000
BY_MODEL = "model"
"""The detail of a hand-off that a language model caused."""
CLOCK_SET_MS = 60_000
"""A message sent this much later than now shows that the machine's clock was set back; it is ignored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intended:
    """An automatic reply to be checked: its buyer, its rule, and the time of the last question, ``asked_at_ms``.

    Limits of 0 mean no limit. ``once``: the chat gets such a reply only once. ``once_since_ms``: it gets the reply of
    this rule once since then, and ``once_held`` is the decision afterwards. ``hands_off``: the reply leaves the chat to
    the owner; ``by_model``: the buyer did not ask for it.
    """

    account_id: str
    chat_id: str
    buyer_id: str
    asked_at_ms: int
    now_ms: int
    rule_id: str = ""
    cooldown_seconds: int = 0
    buyer_replies_per_hour: int = 0
    shop_replies_per_minute: int = 0
    once: bool = False
    once_since_ms: int | None = None
    once_held: Decision = Decision.CLOSED
    hands_off: bool = False
    by_model: bool = False


def held_back_by(connection: Connection, intended: Intended) -> Decision | None:
    """Return the first reason to hold the reply back; ``None``: it may be sent, and counts as sent."""
    account_id, chat_id, now_ms = intended.account_id, intended.chat_id, intended.now_ms
    held = _held_for_owner(connection, account_id, chat_id, intended.asked_at_ms, now_ms)
    if held is Decision.PAUSED and intended.hands_off and is_left_unsaid(connection, account_id, chat_id, now_ms):
        held = None
    since_ms = intended.once_since_ms
    if (
        held is None
        and since_ms is not None
        and has_left_since(connection, account_id, chat_id, intended.rule_id, since_ms)
    ):
        held = intended.once_held
    held = held or _limited(connection, intended)
    if (
        held is None
        and intended.once
        and not first_once(connection, account_id, chat_id, now_ms, buyer_id=intended.buyer_id)
    ):
        held = Decision.SAID_ONCE
    if held is None and intended.hands_off:
        hand_off(connection, account_id, chat_id, now_ms, detail=BY_MODEL if intended.by_model else "")
    return held


def _limited(connection: Connection, intended: Intended) -> Decision | None:
    """Return the limit or cooldown that holds the reply back."""
    mine = outbox.c.account_id == intended.account_id
    to_buyer = outbox.c.buyer_id == intended.buyer_id
    limit = intended.buyer_replies_per_hour
    if limit and _replies(connection, mine & to_buyer, intended.now_ms - HOUR_MS, intended.now_ms) >= limit:
        return Decision.BUYER_LIMIT
    limit = intended.shop_replies_per_minute
    if limit and _replies(connection, mine, intended.now_ms - MINUTE_MS, intended.now_ms) >= limit:
        return Decision.SHOP_LIMIT
    if intended.cooldown_seconds and _wrote_lately(connection, intended):
        return Decision.COOLDOWN
    return None


def held_for_owner(connection: Connection, intended: Intended) -> Decision | None:
    """Return whether the owner has the chat or answered in it: nothing is to be sent by itself."""
    return _held_for_owner(connection, intended.account_id, intended.chat_id, intended.asked_at_ms, intended.now_ms)


def guard_of(intended: Intended) -> Guard:
    """Return the check as a guard of the outbox."""
    return lambda connection: held_back_by(connection, intended)


def not_taken_over_since(
    account_id: str, chat_id: str, since_ms: int, now_ms: int, *, hands_off: bool = False
) -> Guard:
    """Return a guard for a later part of an answer, or for its repetition: the owner has not taken the chat over since.

    ``hands_off``: the answer itself left the chat to its owner; that does not hold it back.
    """
    but = TakeoverReason.WANTS_PERSON if hands_off else None
    return lambda connection: _held_for_owner(connection, account_id, chat_id, since_ms, now_ms, but)


def _held_for_owner(
    connection: Connection,
    account_id: str,
    chat_id: str,
    since_ms: int,
    now_ms: int,
    but: TakeoverReason | None = None,
) -> Decision | None:
    if paused_until(connection, account_id, chat_id, now_ms, but=but) is not None:
        return Decision.PAUSED
    on_site = exists().where(
        messages.c.account_id == account_id,
        messages.c.chat_id == chat_id,
        messages.c.direction == Direction.HUMAN.value,
        messages.c.created_at_ms >= since_ms,
    )
    asked = messages.alias()
    received_at_ms = select(func.max(asked.c.received_at_ms)).where(
        asked.c.account_id == account_id,
        asked.c.chat_id == chat_id,
        asked.c.direction == Direction.IN.value,
        asked.c.created_at_ms == since_ms,
    )
    # with Shoal: the site's echo of it is one of our messages, and shows no person. Its time is by our clock, as is
    # that at which the question was received; that at which it was asked is by the site's.
    typed = exists().where(
        outbox.c.account_id == account_id,
        outbox.c.chat_id == chat_id,
        outbox.c.kind == OutboxKind.MANUAL.value,
        outbox.c.outcome.not_in([SendOutcome.DROPPED.value, SendOutcome.REFUSED.value]),
        outbox.c.created_at_ms >= func.coalesce(received_at_ms.scalar_subquery(), since_ms),
    )
    return Decision.HUMAN_ANSWERED if connection.scalar(select(or_(on_site, typed))) else None


def _replies(connection: Connection, whose: ColumnElement[bool], since_ms: int, now_ms: int) -> int:
    """Count the automatic answers started since then, with any outcome; several parts count as one answer."""
    query = (
        select(func.count())
        .select_from(outbox)
        .where(
            whose,
            outbox.c.created_at_ms.between(since_ms + 1, now_ms + CLOCK_SET_MS),
            outbox.c.kind == OutboxKind.REPLY.value,
            outbox.c.part == 0,
            outbox.c.outcome != SendOutcome.DROPPED.value,
        )
    )
    return connection.scalar(query) or 0


def _wrote_lately(connection: Connection, intended: Intended) -> bool:
    lately = exists().where(
        outbox.c.account_id == intended.account_id,
        outbox.c.buyer_id == intended.buyer_id,
        outbox.c.created_at_ms.between(
            intended.now_ms - intended.cooldown_seconds * 1000 + 1, intended.now_ms + CLOCK_SET_MS
        ),
        outbox.c.rule_id == intended.rule_id,
        outbox.c.part == 0,
        outbox.c.outcome.not_in([SendOutcome.DROPPED.value, SendOutcome.REFUSED.value]),
    )
    return bool(connection.scalar(select(lately)))
