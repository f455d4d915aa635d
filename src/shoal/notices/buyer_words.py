"""The words of a buyer who waits, for channels whose owner chose that notices may quote buyers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from shoal.messages.message_log import Direction
from shoal.notices.notice_rows import NoticePart
from shoal.notices.plans import Phase
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.notice_tables import channels
from shoal.storage.schema import messages

LONGEST: Final = 200
"""How many characters of a buyer's message are quoted."""


def may_quote(parts: Sequence[NoticePart]) -> bool:
    """Return whether a notice reports one buyer who waits, and nothing else."""
    return len(parts) == 1 and parts[0].kind is IncidentKind.BUYER_WAITS and parts[0].phase is Phase.BEGIN


def words_of_buyer(connection: Connection, channel_id: int, part: NoticePart) -> str:
    """Return the newest text that the buyer wrote; empty when the channel does not quote buyers."""
    query = (
        select(messages.c.text)
        .join(channels, channels.c.id == channel_id)
        .where(
            channels.c.buyer_words,
            messages.c.account_id == part.account_id,
            messages.c.chat_id == str(part.facts.get("chat_id", "")),
            messages.c.direction == Direction.IN.value,
            messages.c.content_type == "text",
        )
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
        .limit(1)
    )
    words = " ".join((connection.scalar(query) or "").split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
