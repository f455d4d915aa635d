"""The work on chats on both databases: races with the buyer, ends, retention, plans; and at two servers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update

from contract.message_steps import a_message
from shoal.accounts.events import MessageEvent
from shoal.errors import Conflict, UnknownAccount
from shoal.messages.chat_notes import ChatNotes
from shoal.messages.chat_status import ChatFilter, WorkStatus
from shoal.messages.chat_work import ChatWork, SnoozeEnds, WorkChange
from shoal.messages.chats import Chats
from shoal.messages.message_log import MessageLog
from shoal.messages.quick_replies import QuickReplies, QuickReply
from shoal.storage.chat_tables import chat_events, chat_notes, chat_seen, chat_work, chats
from shoal.storage.database import Database
from shoal.storage.schema import accounts
from shoal.storage.user_tables import users
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Clock
from support.servers.door_pairs import open_door_pair

DONE = WorkStatus.DONE
OF_CHAT = (chats, chat_work, chat_seen, chat_notes, chat_events)


@pytest.fixture
def work(database: Database, log: MessageLog, clock: Clock, told: list[MessageEvent]) -> ChatWork:
    return ChatWork(database, now_ms=clock, publish=told.append)


@pytest.fixture
async def mei(database: Database) -> int:
    """A user."""
    row = {"username": "mei", "password_hash": "x", "name_key": "mei"}
    made = await database.write(lambda connection: connection.execute(insert(users).values(row)).inserted_primary_key)
    assert made is not None
    return int(made[0])


async def test_a_message_and_a_hand_that_closes_its_chat_race_and_the_message_is_never_lost(
    log: MessageLog, work: ChatWork
) -> None:
    await log.store_incoming("shop", [a_message(0)])
    for number in range(1, 15):
        seen = (await work.of("shop", "c"))[0].received

        async def close(received: int = seen) -> None:
            with suppress(Conflict):
                await work.change("shop", "c", WorkChange(status=DONE, received=received), "user:mei")

        first, second = close(), log.store_incoming("shop", [a_message(number)])
        await asyncio.gather(*([first, second] if number % 2 else [second, first]))
        assert (await work.of("shop", "c"))[0].status is WorkStatus.OPEN, "it was not seen by who closed the chat"
    assert (await work.of("shop", "c"))[0].received == 15


async def test_two_who_change_one_chat_at_once_lose_nothing_of_each_other(
    log: MessageLog, work: ChatWork, mei: int
) -> None:
    await log.store_incoming("shop", [a_message(1)])
    changes = (WorkChange(assignee_id=mei), WorkChange(status=DONE, received=1), WorkChange(status=DONE, received=1))
    await asyncio.gather(*(work.change("shop", "c", one, f"user:{number}") for number, one in enumerate(changes)))
    now, entries = await work.of("shop", "c")
    assert (now.assignee, now.status) == ("mei", DONE)
    assert sorted(entry.what for entry in entries) == ["assignee", "status"], "the second found it done"


async def test_what_is_pushed_twice_or_is_our_own_opens_nothing(log: MessageLog, work: ChatWork) -> None:
    await log.store_incoming("shop", [a_message(1), a_message(1), a_message(2)])
    await work.change("shop", "c", WorkChange(status=DONE, received=2), "user:mei")
    await log.store_incoming("shop", [a_message(2), a_message(1)])
    assert ((await work.of("shop", "c"))[0].status, (await work.of("shop", "c"))[0].received) == (DONE, 2)


async def test_the_end_of_a_snooze_is_told_once_unless_the_buyer_wrote_before(
    database: Database, log: MessageLog, work: ChatWork, clock: Clock, told: list[MessageEvent]
) -> None:
    await log.store_incoming("shop", [a_message(1), a_message(2, chat_id="d"), a_message(3, chat_id="e")])
    for number, name in enumerate("cde", 1):
        later = WorkChange(status=WorkStatus.SNOOZED, until_ms=clock.now + number * 1_000)
        await work.change("shop", name, later, "user:mei")
    await log.store_incoming("shop", [a_message(4, chat_id="d")])
    told.clear()
    ends, began = SnoozeEnds(database, told.append, now_ms=clock), clock.now
    assert await ends.publish_ended(began) == began
    clock.now += 2_500
    at = await ends.publish_ended(began)
    assert [(event.kind, event.facts["chat"], event.facts["what"], event.facts["status"]) for event in told] == [
        ("chat", "c", "snooze_ended", "open")
    ]
    assert (at, await ends.publish_ended(at), len(told)) == (clock.now, clock.now, 1)
    clock.now += 2_500
    await ends.publish_ended(at)
    assert [event.facts["chat"] for event in told] == ["c", "e"]


async def test_the_loop_tells_of_ends_until_it_is_cancelled(
    database: Database, log: MessageLog, work: ChatWork, clock: Clock, told: list[MessageEvent]
) -> None:
    await log.store_incoming("shop", [a_message(1)])
    await work.change("shop", "c", WorkChange(status=WorkStatus.SNOOZED, until_ms=clock.now + 5), "user:mei")
    heard = asyncio.Event()
    ends = SnoozeEnds(database, lambda _: heard.set(), now_ms=clock, look_seconds=0.01)
    loop = asyncio.create_task(ends.run())
    await asyncio.sleep(0)
    clock.now += 10
    async with asyncio.timeout(60):
        await heard.wait()
    loop.cancel()
    assert (await asyncio.gather(loop, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_retention_takes_all_that_belongs_to_an_old_chat_and_old_notes_of_others(
    database: Database, log: MessageLog, work: ChatWork, mei: int, clock: Clock
) -> None:
    notes = ChatNotes(database, now_ms=clock)
    for name, number in (("old", 1), ("new", 2)):
        await log.store_incoming("shop", [a_message(number, chat_id=name)])
        await work.change("shop", name, WorkChange(status=DONE), "user:mei")
        await work.see("shop", name, user_id=mei, received=1, actor="user:mei")
        await notes.add("shop", name, "x", author_id=mei, author="mei", op_id=f"op {name}")
    noted_at = clock.now
    clock.now += 10
    await log.store_incoming("shop", [a_message(clock.now + 5, chat_id="new")])
    await notes.add("shop", "new", "later", author_id=mei, author="mei", op_id="op later")
    await log.forget_older_than(noted_at + 1, rows=1)

    def left(connection: Connection) -> dict[str, int]:
        return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in OF_CHAT}

    assert await database.read(left) == {
        "chats": 1, "chat_work": 1, "chat_seen": 1, "chat_notes": 1, "chat_events": 1,
    }  # fmt: skip
    assert [note.text for note in await notes.list("shop", "new")] == ["later"]
    await log.store_incoming("shop", [a_message(clock.now + 6, chat_id="old")])
    assert (await work.of("shop", "old"))[0].status is WorkStatus.OPEN, "nothing of the earlier chat is left"


async def test_a_note_and_a_quick_reply_are_added_once_by_an_op_and_no_more_than_fit(
    *, database: Database, log: MessageLog, work: ChatWork, mei: int, clock: Clock, told: list[MessageEvent],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shoal.messages.chat_notes.MOST_NOTES", 1)
    monkeypatch.setattr("shoal.messages.quick_replies.MOST_QUICK_REPLIES", 1)
    notes, replies = ChatNotes(database, now_ms=clock, publish=told.append), QuickReplies(database)
    await log.store_incoming("shop", [a_message(1)])
    told.clear()
    add = partial(notes.add, "shop", "c", "x", author_id=mei, author="mei")
    assert await add(op_id="op1") == await add(op_id="op1")
    assert [event.facts["what"] for event in told] == ["note"]
    assert [entry.what for entry in (await work.of("shop", "c"))[1]] == ["note"]
    new = QuickReply(owner_id=mei, account_id="shop", shortcut="", text="x")
    assert await replies.add(new, None, "op1") == await replies.add(new, None, "op1")
    for adding in (add(op_id="op2"), replies.add(new, None, "op2")):
        with pytest.raises(Conflict):
            await adding
    assert (len(await notes.list("shop", "c")), len(await replies.of([mei], ["shop"]))) == (1, 1)


@pytest.mark.usefixtures("log")
async def test_a_quick_reply_never_comes_to_a_shop_that_was_removed(database: Database, mei: int) -> None:
    replies = QuickReplies(database)
    new = QuickReply(owner_id=mei, account_id="shop", shortcut="", text="x")
    for_all = await replies.add(replace(new, account_id=None), None, "op1")
    gone = update(accounts).where(accounts.c.id == "shop").values(deleted=True, purged=True)
    await database.write(lambda connection: connection.execute(gone))
    for late in (replies.add(new, None, "op2"), replies.change(for_all.id, new, None)):
        with pytest.raises(UnknownAccount):
            await late
    assert await replies.of([mei], ["shop"]) == [for_all], "else the next owner of the id would see it"


async def test_filters_find_chats_beyond_the_page_that_is_looked_at_first(
    database: Database, log: MessageLog, work: ChatWork, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.messages.chats._LOOKED_AT", (1, 2))
    for shop in ("shop", "other"):
        await log.store_incoming(shop, [a_message(number, chat_id=f"c{number}") for number in range(1, 9)])
    await work.change("shop", "c1", WorkChange(status=DONE), "user:mei")
    both, lists = ["shop", "other"], Chats(database)
    done = await lists.list_chats(both, now_ms=clock.now, only=ChatFilter(status=DONE), limit=2)
    assert [(chat.account_id, chat.chat_id) for chat in done] == [("shop", "c1")]
    some = await lists.list_chats(both, now_ms=clock.now, only=ChatFilter(status=WorkStatus.OPEN), limit=15)
    all_of = await lists.list_chats(both, now_ms=clock.now, limit=99)
    assert some == [chat for chat in all_of if chat not in done]


@pytest.mark.postgresql
async def test_what_is_done_at_one_server_holds_and_is_told_at_the_other(tmp_path: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as url:
        async with open_door_pair(tmp_path, url) as pair, pair.answering():
            await pair.owner.server.message_log.store_incoming("shop", [a_message(1)])
            path = "/cookies/shop/chats/c/work"
            with pair.other.server.events.subscribe(for_another_node=True) as heard_there:
                await pair.other.call("PUT", path, json={"status": "done", "received": 1})
                told = [event for event in await heard_there.take() if isinstance(event, MessageEvent)]
            assert [(event.kind, event.facts["what"]) for event in told] == [("chat", "work")]
            assert (await pair.owner.call("GET", path))["status"] == "done"
            await pair.owner.server.message_log.store_incoming("shop", [a_message(2)])
            refused = await pair.other.call("PUT", path, 409, json={"status": "done", "received": 1})
            assert refused["code"] == "buyer_wrote_since"
            (row,) = (await pair.other.call("GET", "/chats"))["items"]
            assert (row["status"], row["received"]) == ("open", 2)
