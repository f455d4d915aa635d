"""How much was said, on both databases."""

from __future__ import annotations

import pytest

from shoal.messages.activity import Span, activity
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from support.databases.store_steps import an_account, created

HOUR = 3_600_000


@pytest.fixture
async def log(database: Database, manager: DBManager) -> MessageLog:
    await created(manager, an_account("shop"), an_account("other"))
    return MessageLog(database, now_ms=lambda: HOUR + 5)


async def _say(log: MessageLog, account: str, name: str, at_ms: int, direction: Direction = Direction.IN) -> None:
    message = IncomingMessage(message_id=name, chat_id="c", direction=direction, text="在吗", created_at_ms=at_ms)
    await log.store_incoming(account, [message])


async def test_each_span_counts_what_came_what_left_and_what_did_not(database: Database, log: MessageLog) -> None:
    for name, at_ms in (("a", 0), ("b", HOUR - 1), ("c", HOUR), ("early", -1), ("late", 3 * HOUR)):
        await _say(log, "shop", name, at_ms)
    await _say(log, "shop", "echo", 10, Direction.OUT)
    await _say(log, "other", "theirs", 10)
    outcomes = (SendOutcome.SENT, SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.UNCERTAIN, SendOutcome.DROPPED)
    for number, outcome in enumerate(outcomes):
        parts = [OutboxRow(account_id="shop", chat_id="c", uuid=f"u{number}{part}", part=part) for part in range(2)]
        for sending in (await log.outbox.queue(parts, answers=[])).ids:
            await log.outbox.settle(sending, outcome)
    spans = await activity(database, ["shop"], since_ms=0, until_ms=3 * HOUR, span_ms=HOUR)
    assert spans == [
        Span(from_ms=0, messages=2),
        Span(from_ms=HOUR, messages=1, sent=2, failed=2),
        Span(from_ms=2 * HOUR),
    ]


async def test_nobodys_accounts_said_nothing(database: Database, log: MessageLog) -> None:
    await _say(log, "shop", "a", 0)
    assert await activity(database, [], since_ms=0, until_ms=HOUR, span_ms=HOUR) == [Span(from_ms=0)]
