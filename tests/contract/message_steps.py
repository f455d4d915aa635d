"""Messages and outbox rows for the contract tests."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage, LoggedMessage, MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxRow
from shoal.messages.send_guards import Intended, held_back_by
from shoal.storage.database import Database
from support.databases.store_steps import Clock


def a_message(number: int, text: str = "在吗", chat_id: str = "c") -> IncomingMessage:
    return IncomingMessage(
        message_id=f"m{number}", chat_id=chat_id, sender_id="b", sender_name="买家", text=text, created_at_ms=number
    )


def ours(message_id: str, at_ms: int, text: str = "我来了") -> IncomingMessage:
    return IncomingMessage(
        message_id=message_id, chat_id="c", sender_id="me", text=text, created_at_ms=at_ms, direction=Direction.OUT
    )


def a_row(number: int, account: str = "shop", **values: object) -> OutboxRow:
    row = OutboxRow(account_id=account, chat_id="c", uuid=f"u{number}", buyer_id="b")
    return replace(row, **values)  # type: ignore[arg-type]


async def queued(sendings: Outbox, row: OutboxRow) -> int:
    (row_id,) = (await sendings.queue([row])).ids
    return row_id


async def echoes(sendings: Outbox, message_id: str, text: str, *, account: str = "shop", kind: str = "1") -> bool:
    return await sendings.claim_echo(account, "c", message_id, text, kind) is not None


async def the_message(log: MessageLog, message_id: str) -> LoggedMessage:
    (found,) = [found for found in await log.list_messages(["shop"]) if found.message.message_id == message_id]
    return found


def intended(clock: Clock, **values: object) -> Intended:
    meant = Intended(account_id="shop", chat_id="c", buyer_id="b", asked_at_ms=clock.now, now_ms=clock.now, rule_id="r")
    return replace(meant, **values)  # type: ignore[arg-type]


async def held(database: Database, meant: Intended) -> Decision | None:
    def job(connection: Connection) -> Decision | None:
        return held_back_by(connection, meant)

    return await database.write(job)
