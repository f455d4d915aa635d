"""Hand-offs: a buyer asks for a person, so the chat is left to its owner, who is notified."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, exists, select

from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.takeovers import Takeover, TakeoverReason, put
from shoal.storage.chat_tables import takeovers
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, chat_subject, open_incidents
from shoal.storage.schema import outbox

HANDOFF: Final = "handoff"
"""What stands for a rule in the row of the hand-off sentence."""
HANDOFF_PAUSE_MS: Final = 24 * 3_600_000
"""How long a chat is left to its owner, unless the owner writes or hands it back before."""
_NEVER_LEFT = (SendOutcome.DROPPED.value, SendOutcome.REFUSED.value)


def hand_off(connection: Connection, account_id: str, chat_id: str, now_ms: int, *, detail: str = "") -> Takeover:
    """Leave the chat to its owner and open the incident, in the caller's transaction. Return the takeover.

    ``detail``: who wants it, if it is not the buyer.
    """
    pause = handed_off(account_id, chat_id, now_ms)
    put(connection, pause)
    opening = Opening(
        subject=chat_subject(account_id, chat_id),
        kind=IncidentKind.WANTS_PERSON,
        at_ms=now_ms,
        account_id=account_id,
        detail=detail,
        facts={"chat_id": chat_id},
    )
    open_incidents(connection, [opening])
    return pause


def handed_off(account_id: str, chat_id: str, now_ms: int) -> Takeover:
    """Return the takeover of a hand-off."""
    return Takeover(
        account_id=account_id,
        chat_id=chat_id,
        reason=TakeoverReason.WANTS_PERSON,
        since_ms=now_ms,
        until_ms=now_ms + HANDOFF_PAUSE_MS,
    )


def is_left_unsaid(connection: Connection, account_id: str, chat_id: str, now_ms: int) -> bool:
    """Return whether the chat is handed off and its sentence certainly never left: it may still be sent."""
    since = connection.scalar(
        select(takeovers.c.since_ms).where(
            takeovers.c.account_id == account_id,
            takeovers.c.chat_id == chat_id,
            takeovers.c.reason == TakeoverReason.WANTS_PERSON.value,
            takeovers.c.until_ms > now_ms,
        )
    )
    return since is not None and not has_left_since(connection, account_id, chat_id, HANDOFF, since)


def has_left_since(connection: Connection, account_id: str, chat_id: str, rule_id: str, since_ms: int) -> bool:
    """Return whether the answer of ``rule_id`` left in the chat since then, or may have left."""
    left = exists().where(
        outbox.c.account_id == account_id,
        outbox.c.chat_id == chat_id,
        outbox.c.created_at_ms >= since_ms,
        outbox.c.rule_id == rule_id,
        outbox.c.outcome.not_in(_NEVER_LEFT),
    )
    return bool(connection.scalar(select(left)))
