"""A forgotten buyer: no word, name or number of one stays in the database; orders, units and other buyers do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from benchmarks.many_messages import Talk, insert_chats, insert_messages
from contract.message_steps import a_message, a_row
from shoal.errors import Conflict
from shoal.maintenance.forgotten_buyers import STEP, Forgotten, ForgottenBuyers, Shop
from shoal.messages.chats import Chats
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.messages.word_indexer import WordIndexer
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.chat_tables import chat_notes, chats
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.goods_tables import bindings, deliveries
from shoal.storage.grams import SEGMENT
from shoal.storage.history_tables import ops
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import messages, metadata, once_replies, outbox
from support.databases.store_steps import an_account, created

BUYER = "2209990000001"
NAME, WORDS, OURS, CARD = (f"canary{word}" for word in ("鲸Zqname", "鱼Zqword", "虾Zqours", "蟹Zqcard"))
CANARIES = (BUYER, NAME, WORDS, OURS, CARD)
UNB = "2200000000001"
SHOPS = [Shop(account_id="shop", unb=UNB)]
SAID = STEP + 70
NONE = {"chats": 0, "messages": 0, "sendings": 0, "orders": 0}


def said(number: int, **values: Any) -> IncomingMessage:
    """A message of the buyer."""
    mine = replace(a_message(number, f"{WORDS} {number}", chat_id="theirs"), message_id=f"x{number}")
    return replace(mine, sender_id=BUYER, sender_name=NAME, **values)


async def talk_and_buy(
    database: Database, *, status: str = "completed", outcome: str = "sent", count: int = 3, others_count: int = 4
) -> None:
    """The buyer talks in the middle of others, buys, and gets a unit; each word stands where the server puts it."""
    others = Talk(3, words=200).rows(1, others_count, ["shop"], 50)
    moved_in = {"account_id": "shop", "chat_id": BUYER, "at_ms": 1}
    await database.write(lambda connection: connection.execute(insert(once_replies), [moved_in]))
    await database.write(lambda connection: insert_messages(connection, others[: others_count // 2]))
    log = MessageLog(database)
    assert len(await log.store_incoming("shop", [said(number) for number in range(count)])) == count
    await log.store_incoming("shop", [said(count, direction=Direction.SITE, text=CARD)])
    await database.write(lambda connection: insert_messages(connection, others[others_count // 2 :]))
    await database.write(lambda connection: insert_chats(connection, others))
    row = a_row(1, chat_id="theirs", buyer_id=BUYER, text=f"{OURS} {NAME}", order_id="o1", kind=OutboxKind.PAID)
    queued = await log.outbox.queue([row])
    await log.outbox.settle(queued.ids[0], SendOutcome(outcome))

    def job(connection: Connection) -> None:
        connection.execute(
            insert(orders).values(account_id="shop", order_id="o1", buyer_id=BUYER, chat_id="theirs", status=status)
        )
        posted = f'{{"data":{{"detail":"{CARD}","buyer_id":"{BUYER}"}}}}'
        connection.execute(
            insert(order_events).values(account_id="shop", order_id="o1", status=status, words=CARD, posted=posted)
        )
        parts = f'[{{"text":"for {BUYER}: {{codes}}"}}]'
        connection.execute(insert(deliveries).values(unb=UNB, order_id="o1", owner_id=1, parts=parts))
        connection.execute(
            insert(bindings).values(unit_id=5, goods_id=1, owner_id=1, unb=UNB, order_id="o1", state="sent")
        )
        draft = {"chat_id": "theirs", "buyer_id": BUYER, "text": f"{OURS} {NAME}", "raw": f'{{"text":"{WORDS}"}}'}
        connection.execute(insert(ai_runs).values(account_id="shop", state="drafted", tokens_in=7, **draft))
        connection.execute(insert(chat_notes).values(account_id="shop", chat_id="theirs", text=f"{OURS} {NAME}"))
        answer = f'{{"headers":[],"body":"{{\\"chat_id\\":\\"theirs\\",\\"text\\":\\"{OURS}\\"}}"}}'
        connection.execute(
            insert(ops).values(
                op_id="u1:k", actor="user:a", idem_key="u1:k", status=200, answer=answer, expires_at_ms=9
            )
        )

    await database.write(job)


def everything(connection: Connection) -> str:
    """Every value of every table."""
    return "\n".join(repr(row) for table in metadata.sorted_tables for row in connection.execute(select(table)))


async def canaries_in(database: Database) -> list[str]:
    """Those that stand in a table, or in a byte of SQLite's files."""
    text = await database.read(everything)
    found = {canary for canary in CANARIES if canary in text}
    if database.file is not None:
        for path in (database.file, database.file.with_name(f"{database.file.name}-wal")):
            content = await asyncio.to_thread(path.read_bytes)
            found |= {canary for canary in CANARIES if canary.encode() in content}
    return sorted(found)


async def counts(database: Database) -> dict[str, int]:
    """How many rows there are."""

    def job(connection: Connection) -> dict[str, int]:
        tables = (messages, outbox, chats, orders, order_events, bindings, deliveries, ops)
        return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}

    return await database.read(job)


@pytest.mark.slow
async def test_no_word_of_a_forgotten_buyer_stays_and_no_row_is_lost(database: Database, manager: DBManager) -> None:
    await created(manager, an_account("shop"))
    await talk_and_buy(database, count=SAID, others_count=SEGMENT)
    log, indexer = MessageLog(database), WordIndexer(database)
    assert await indexer.index_next()
    assert await canaries_in(database) == sorted(CANARIES)
    assert len(await log.list_messages(["shop"], query=WORDS, limit=200)) == 200
    before = await counts(database)
    (done,) = await ForgottenBuyers(database).forget(BUYER, SHOPS)
    assert done == Forgotten(account_id="shop", chats=1, messages=SAID + 1, sendings=1, orders=1)
    assert await canaries_in(database) == []
    assert await counts(database) == before
    for _ in range(2):
        for word in (WORDS, NAME, "鱼", BUYER):
            assert await log.list_messages(["shop"], query=word) == []
            assert await Chats(database).list_chats(["shop"], now_ms=0, query=word) == []
        while await indexer.index_next():
            pass
    others = await log.list_messages(["shop"], chat_id="c0", limit=200)
    assert others == [one for one in others if one.message.text]

    def run(connection: Connection) -> tuple[Any, ...]:
        return tuple(connection.execute(select(ai_runs.c.state, ai_runs.c.text, ai_runs.c.tokens_in)).one())

    assert await database.read(run) == ("dropped", "", 7), "a draft to nobody is not sent, and what it cost is known"

    def order(connection: Connection) -> tuple[Any, ...]:
        parts = connection.scalar(select(deliveries.c.parts))
        return tuple(connection.execute(select(orders.c.order_id, orders.c.status)).one()), parts

    assert await database.read(order) == (("o1", "completed"), '[{"text":"for : {codes}"}]')


async def test_forgetting_twice_changes_nothing_and_what_comes_later_is_forgotten_by_the_next(
    database: Database, manager: DBManager
) -> None:
    await created(manager, an_account("shop"))
    await talk_and_buy(database)
    forgotten = ForgottenBuyers(database)
    await forgotten.forget(BUYER, SHOPS)
    assert await forgotten.forget(BUYER, SHOPS) == [Forgotten(account_id="shop", **NONE)]
    log = MessageLog(database)
    assert await log.store_incoming("shop", [said(1)]) == set(), "a message that comes again is known"
    assert await canaries_in(database) == []
    await log.store_incoming("shop", [said(9_999)])
    (again,) = await forgotten.forget(BUYER, SHOPS)
    assert (again.messages, again.chats) == (1, 1)
    assert await canaries_in(database) == []


async def test_what_a_crash_cut_off_is_ended_by_the_next_call(
    database: Database, manager: DBManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(manager, an_account("shop"))
    await talk_and_buy(database, count=SAID)
    forgotten, write, left = ForgottenBuyers(database), database.write, (1, 1)
    for steps in left:
        done: list[object] = []

        async def dying(job: Any, made: list[object] = done, most: int = steps, **more: Any) -> Any:
            if len(made) == most:
                raise ConnectionError("the server dies")
            made.append(job)
            return await write(job, **more)

        with monkeypatch.context() as patch:
            patch.setattr(database, "write", dying)
            with pytest.raises(ConnectionError):
                await forgotten.forget(BUYER, SHOPS)
        assert await canaries_in(database) != []
    await forgotten.forget(BUYER, SHOPS)
    assert await canaries_in(database) == []


@pytest.mark.parametrize(
    ("status", "outcome", "even_open", "code"),
    [
        ("pending_ship", "sent", False, "buyer_has_open_orders"),
        ("pending_ship", "sent", True, ""),
        ("refunding", "dropped", False, "buyer_has_open_orders"),
        ("pending_ship", "uncertain", True, "buyer_is_written_to"),
        ("completed", "uncertain", False, ""),
        ("completed", "sending", True, "buyer_is_written_to"),
    ],
)
async def test_a_buyer_to_whom_something_is_due_is_not_forgotten_by_mistake(
    database: Database, manager: DBManager, status: str, outcome: str, even_open: bool, code: str
) -> None:
    await created(manager, an_account("shop"))
    await talk_and_buy(database, status=status, outcome="uncertain" if outcome == "sending" else outcome)
    if outcome == "sending":
        await database.write(lambda connection: connection.execute(update(outbox).values(outcome="sending")).rowcount)
    if not code:
        await ForgottenBuyers(database).forget(BUYER, SHOPS, even_open=even_open)
        assert await canaries_in(database) == []
        resends = await database.read(lambda connection: connection.scalar(select(outbox.c.resends)))
        assert (resends or 0) > 100 or outcome != "uncertain", "an emptied message is not sent again"
        return
    before = await database.read(everything)
    with pytest.raises(Conflict) as refused:
        await ForgottenBuyers(database).forget(BUYER, SHOPS, even_open=even_open)
    assert (refused.value.code, await database.read(everything)) == (code, before)
