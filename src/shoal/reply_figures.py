"""What the stored messages of one account tell about its replies: who is silent, what failed, what was missed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, not_, select

from shoal.database import Database
from shoal.message_log import Direction, SendOutcome
from shoal.schema import messages, outbox


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyFigures:
    """Counts of one account. ``last_failure`` is the outcome of the last sending that failed, with its reason."""

    silent_chats: int = 0
    failed_sendings: int = 0
    last_failure: SendOutcome | None = None
    last_failure_reason: str = ""
    overdue: int = 0


async def reply_figures(
    database: Database, account_id: str, *, spoke_after_ms: int, failed_after_ms: int, too_old_before_ms: int
) -> ReplyFigures:
    """Count an account's chats in which its owner spoke after a moment, sendings that failed after another, and buyers'
    messages between ``failed_after_ms`` and ``too_old_before_ms`` that nobody answered.
    """
    mine = messages.c.account_id == account_id
    silent = select(func.count(messages.c.chat_id.distinct())).where(
        mine, messages.c.direction == Direction.HUMAN.value, messages.c.created_at_ms >= spoke_after_ms
    )
    overdue = select(func.count()).where(
        mine,
        not_(messages.c.handled),
        messages.c.direction == Direction.IN.value,
        messages.c.received_at_ms >= failed_after_ms,
        messages.c.created_at_ms < too_old_before_ms,
    )
    failed = _failed(account_id, failed_after_ms)

    def job(connection: Connection) -> ReplyFigures:
        last = connection.execute(failed.order_by(outbox.c.id.desc()).limit(1)).first()
        return ReplyFigures(
            silent_chats=connection.scalar(silent) or 0,
            failed_sendings=connection.scalar(select(func.count()).select_from(failed.subquery())) or 0,
            last_failure=SendOutcome(last.outcome) if last else None,
            last_failure_reason=last.reason if last else "",
            overdue=connection.scalar(overdue) or 0,
        )

    return await database.read(job)


def _failed(account_id: str, after_ms: int) -> Select[tuple[str, str]]:
    return select(outbox.c.outcome, outbox.c.reason).where(
        outbox.c.account_id == account_id,
        outbox.c.created_at_ms >= after_ms,
        outbox.c.outcome.in_([SendOutcome.REFUSED.value, SendOutcome.UNCERTAIN.value]),
    )
