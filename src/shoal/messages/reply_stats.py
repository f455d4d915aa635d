"""Statistics of one account's replies: chats in takeover, held-back replies, failures."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select, text

from shoal.accounts.diagnosis import ReplyStats
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction
from shoal.messages.model_source import RunState
from shoal.messages.outbox_rows import SendOutcome
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.chat_tables import chats, takeovers
from shoal.storage.database import Database
from shoal.storage.schema import UNHANDLED, messages, outbox

MOST_NAMES = 5
"""How many chats and rules are named; the others are only counted."""

_HELD_BACK = (Decision.BUYER_LIMIT, Decision.SHOP_LIMIT, Decision.COOLDOWN, Decision.FILTERED)
_HELD_RUNS = (RunState.BLOCKED, RunState.FAILED)
_USED_RUNS = (RunState.ANSWERED, RunState.DRAFTED)


async def reply_stats(
    database: Database, account_id: str, *, now_ms: int, looked_back_ms: int, too_old_before_ms: int
) -> ReplyStats:
    """Count the account's takeovers now, and since ``now_ms - looked_back_ms`` its held-back and failed replies.

    Also count buyers' messages that were not answered before they were too old.
    """
    since_ms = now_ms - looked_back_ms
    mine = messages.c.account_id == account_id
    lately = and_(mine, messages.c.direction == Direction.IN.value, messages.c.received_at_ms >= since_ms)
    unheard = and_(not_(messages.c.handled), messages.c.created_at_ms < too_old_before_ms)
    overdue = select(func.count()).where(lately, or_(unheard, messages.c.verdict == Decision.TOO_OLD.value))
    paid_unknown = and_(mine, text(UNHANDLED), messages.c.verdict == Decision.PAID_UNKNOWN.value)
    failed = _failed(account_id, since_ms)

    def job(connection: Connection) -> ReplyStats:
        last = connection.execute(failed.order_by(outbox.c.id.desc()).limit(1)).first()
        pauses = connection.execute(_pauses(account_id, now_ms)).all()
        held_back = {
            decision: connection.scalar(
                select(func.count()).where(lately, messages.c.handled, messages.c.verdict == decision.value)
            )
            or 0
            for decision in _HELD_BACK
        }
        held = {row.why: row.runs for row in connection.execute(_model_runs(account_id, since_ms, _HELD_RUNS))}
        payers = connection.execute(_payers(account_id, paid_unknown)).all()
        cooling = select(messages.c.rule_id).where(lately, messages.c.verdict == Decision.COOLDOWN.value).distinct()
        newest = select(messages.c.filtered_words).where(lately, messages.c.filtered_words != "")
        filtered = connection.scalars(newest.order_by(messages.c.id.desc()).limit(MOST_NAMES))
        words = [word for found in filtered for word in found.split("\n")]
        return ReplyStats(
            filtered=held_back[Decision.FILTERED],
            filtered_words=tuple(dict.fromkeys(words))[:MOST_NAMES],
            model_answers=sum(row.runs for row in connection.execute(_model_runs(account_id, since_ms, _USED_RUNS))),
            model_held=sum(held.values()),
            model_reasons=tuple(sorted(held, key=lambda why: (-held[why], why)))[:MOST_NAMES],
            paused_chats=len(pauses),
            paused_until_ms=max((row.until_ms for row in pauses), default=None),
            paused_buyers=tuple(row.buyer_name or row.chat_id for row in pauses[:MOST_NAMES]),
            pause_reasons=tuple(sorted({row.reason for row in pauses})),
            buyer_limited=held_back[Decision.BUYER_LIMIT],
            shop_limited=held_back[Decision.SHOP_LIMIT],
            cooled_down=held_back[Decision.COOLDOWN],
            cooling_rules=tuple(connection.scalars(cooling.order_by(messages.c.rule_id).limit(MOST_NAMES))),
            failed_sendings=connection.scalar(select(func.count()).select_from(failed.subquery())) or 0,
            last_failure=last.outcome if last else "",
            last_failure_reason=last.reason if last else "",
            overdue=connection.scalar(overdue) or 0,
            paid_unknown=len(payers),
            payers=tuple(dict.fromkeys(row.buyer_name or row.chat_id for row in payers))[:MOST_NAMES],
        )

    return await database.read(job)


def _pauses(account_id: str, now_ms: int) -> Select[tuple[int, str, str, str]]:
    same_chat = and_(chats.c.account_id == takeovers.c.account_id, chats.c.chat_id == takeovers.c.chat_id)
    return (
        select(
            takeovers.c.until_ms,
            takeovers.c.chat_id,
            takeovers.c.reason,
            func.coalesce(chats.c.buyer_name, "").label("buyer_name"),
        )
        .outerjoin(chats, same_chat)
        .where(takeovers.c.account_id == account_id, takeovers.c.until_ms > now_ms)
        .order_by(takeovers.c.until_ms, takeovers.c.chat_id)
    )


def _model_runs(account_id: str, since_ms: int, states: tuple[RunState, ...]) -> Select[tuple[str, int]]:
    """Count the questions to the language model that ended so, by the reason."""
    return (
        select(ai_runs.c.why, func.count().label("runs"))
        .where(ai_runs.c.account_id == account_id, ai_runs.c.created_at_ms >= since_ms, ai_runs.c.state.in_(states))
        .group_by(ai_runs.c.why)
    )


def _payers(account_id: str, paid_unknown: ColumnElement[bool]) -> Select[tuple[str, str | None]]:
    """Return the chat and the buyer of each payment, newest first."""
    same_chat = and_(chats.c.account_id == account_id, chats.c.chat_id == messages.c.chat_id)
    return (
        select(messages.c.chat_id, chats.c.buyer_name)
        .outerjoin(chats, same_chat)
        .where(paid_unknown)
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
    )


def _failed(account_id: str, after_ms: int) -> Select[tuple[str, str]]:
    return select(outbox.c.outcome, outbox.c.reason).where(
        outbox.c.account_id == account_id,
        outbox.c.created_at_ms >= after_ms,
        outbox.c.outcome.in_([SendOutcome.REFUSED.value, SendOutcome.UNCERTAIN.value]),
    )
