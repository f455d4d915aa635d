"""The reply that a choice becomes: its parts, and the decision about the messages that it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shoal.messages.decisions import Decision
from shoal.messages.outgoing import Reply
from shoal.messages.replies import AnswerSource, Choice

_DECISIONS: Final[Mapping[AnswerSource | None, Decision]] = {
    AnswerSource.HANDOFF: Decision.HANDED_OFF,
}
"""The decision about a message that gets such an answer, and still waits for its owner."""


def reply_of(choice: Choice, ids: Sequence[str], *, once: bool = False, asked_at_ms: int = 0) -> Reply:
    """Return the reply to these messages. ``once``: the chat gets it only once."""
    return Reply(
        chat_id=choice.asked.chat_id,
        buyer_id=choice.asked.buyer_id,
        parts=choice.answer.parts if choice.answer else (),
        answers=ids,
        rule_id=choice.rule_id,
        once=once,
        decision=choice.waits
        if choice.source is AnswerSource.AWAY_REPLY
        else _DECISIONS.get(choice.source, Decision.ANSWERED),
        asked_at_ms=asked_at_ms,
    )
