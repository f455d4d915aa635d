"""Searches by the index of words: right whatever is indexed, few rows read, and no word stays of what was deleted."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select

from benchmarks.many_messages import Talk, insert_chats, insert_messages
from contract.message_steps import a_message
from shoal.accounts.positions import Position
from shoal.messages.chats import Chats
from shoal.messages.message_log import MessageLog
from shoal.messages.word_indexer import WordIndexer
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.grams import SEGMENT, SLOT_BITS, coded_places, grams_wanted, slot_of
from shoal.storage.message_segments import draft_segment, ids_of, indexed, read_segment, store_segment
from shoal.storage.schema import grams, messages
from support.databases.asked_statements import asked, plans
from support.databases.spread_database import groups_committed
from support.databases.store_steps import an_account, committed, created, deletion

COUNT = 2 * SEGMENT + 200
RARE = "鲸鱼座"
BOTH = ["shop", "other"]
THREE = [*BOTH, "alien"]
QUERIES = (RARE, "鲸", "在吗", "邮", "BUYER 15", "tb7", "9", "0%_s", "没有这个", "c17", "x")
Row = dict[str, Any]


@cache
def made() -> list[Row]:
    """Messages of three accounts in two full segments and a part of a third; their ids are those of a new database."""
    rows = Talk(1, words=600).rows(1, COUNT, ["shop", "shop", "other", "alien"], 400)
    for number, said in {100: f"问{RARE}的书x", 5_000: f"{RARE}!", COUNT - 3: f"要x {RARE}", 7: "100%_Sure"}.items():
        rows[number] |= {"text": said, "account_id": "shop"}
    return rows


@pytest.fixture
async def rows(database: Database, manager: DBManager) -> list[Row]:
    """The stored messages."""
    await created(manager, an_account("shop"), an_account("other"), an_account("alien"))
    await database.write(lambda connection: insert_messages(connection, made()))
    await database.write(lambda connection: insert_chats(connection, made()))
    rows = [{**row, "id": number} for number, row in enumerate(made(), start=1)]
    last = select(messages.c.message_id).where(messages.c.id == COUNT)
    assert await database.read(lambda connection: connection.scalar(last)) == rows[-1]["message_id"]
    return rows


async def index_all(database: Database) -> int:
    indexer, many = WordIndexer(database), 0
    while await indexer.index_next():
        many += 1
    return many


def matching(rows: list[Row], query: str, accounts: list[str]) -> list[Row]:
    """The rows that a search must find, newest first."""
    small = query.lower()
    found = [
        row
        for row in rows
        if row["account_id"] in accounts and (small in row["text"].lower() or small in row["sender_name"].lower())
    ]
    return sorted(found, key=lambda row: (row["created_at_ms"], row["id"]), reverse=True)


async def searched(log: MessageLog, query: str, accounts: list[str], limit: int, **values: Any) -> list[str]:
    """The first three pages of a search."""
    found: list[str] = []
    before: tuple[int, int] | None = None
    for _ in range(3):
        page = await log.list_messages(accounts, query=query, limit=limit, before=before, **values)
        found += [logged.message.message_id for logged in page]
        if len(page) < limit:
            break
        before = page[-1].cursor
    return found


async def finds(log: MessageLog, rows: list[Row], query: str, accounts: list[str] = BOTH, limit: int = 60) -> None:
    wanted = [row["message_id"] for row in matching(rows, query, accounts)[: 3 * limit]]
    assert await searched(log, query, accounts, limit) == wanted, query


async def finds_chats(database: Database, rows: list[Row], query: str, limit: int = 60) -> None:
    """The first three pages of chats with a query: the chats, the most recent first, each with a text that has it."""
    matched = matching(rows, query, BOTH)
    keys = {(row["account_id"], row["chat_id"]) for row in matched}
    mine = [row for row in rows if row["account_id"] in BOTH]
    keys |= {(row["account_id"], row["chat_id"]) for row in mine if query in (row["chat_id"], row["sender_id"])}
    last: dict[tuple[str, str], int] = {}
    for row in mine:
        key = row["account_id"], row["chat_id"]
        last[key] = max(last.get(key, row["created_at_ms"]), row["created_at_ms"])
    wanted = sorted(keys, key=lambda key: (last[key], *key), reverse=True)[: 3 * limit]
    texts = {(row["account_id"], row["chat_id"], row["text"]) for row in matched} | {(*key, None) for key in keys}
    found: list[tuple[str, str]] = []
    before: tuple[int, str, str] | None = None
    for _ in range(3):
        page = await Chats(database).list_chats(BOTH, now_ms=0, query=query, limit=limit, before=before)
        found += [(chat.account_id, chat.chat_id) for chat in page]
        assert {(chat.account_id, chat.chat_id, chat.found_text) for chat in page} <= texts
        assert all(chat.found_text is not None or query in (chat.chat_id, chat.buyer_id) for chat in page)
        if len(page) < limit:
            break
        before = page[-1].cursor
    assert found == wanted, query


@pytest.mark.slow
async def test_a_search_finds_the_same_with_and_without_the_index_on_every_page(
    database: Database, rows: list[Row]
) -> None:
    log = MessageLog(database)
    for done in (0, 1, 2):  # nothing is indexed; the newest full segment; all full segments
        if done:
            commits = groups_committed(database)
            assert await WordIndexer(database).index_next()
            assert groups_committed(database) == commits + 1
        assert {one.segment for one in await database.read(indexed)} == set([1, 0][:done])
        for query in QUERIES:
            await finds(log, rows, query)
            await finds_chats(database, rows, query)
    assert not await WordIndexer(database).index_next()
    await finds(log, rows, RARE, limit=1)
    (hit,) = [row for row in matching(rows, RARE, BOTH) if row["text"].startswith("问")]
    limits = {"since_ms": hit["created_at_ms"], "until_ms": hit["created_at_ms"] + 1}
    assert await searched(log, RARE, BOTH, 5, **limits) == [hit["message_id"]]
    assert await searched(log, RARE, ["alien"], 5) == await searched(log, RARE, BOTH, 5, handled=False) == []
    assert await searched(log, RARE, ["shop"], 5, chat_id=hit["chat_id"]) == [hit["message_id"]]
    await reads_little(database, log)


async def reads_little(database: Database, log: MessageLog) -> None:
    """Few statements, and no row that lacks a rare word; a common one ends with the newest segments; rows are small."""
    with asked() as statements:
        assert len(await searched(log, "鲸鱼", BOTH, 50)) == 3
    compared = [one for one in statements if "FROM messages" in one[0] and "ESCAPE" in one[0]]
    assert len(compared) == 3  # what is not indexed, the candidates of the newest segment, those of the others
    assert len(statements) <= 12
    if database.is_sqlite:
        for plan in await plans(database, compared):
            assert "USING INTEGER PRIMARY KEY" in plan
            assert "SCAN messages" not in plan
        looked_up = [one for one in statements if "FROM grams" in one[0]]
        assert all("SEARCH grams USING INTEGER PRIMARY KEY" in plan for plan in await plans(database, looked_up))
    with asked() as statements:
        assert len(await log.list_messages(BOTH, query="在", limit=10)) == 10
    assert len([one for one in statements if "FROM grams" in one[0]]) == 1
    size = select(func.sum(func.length(grams.c.packed)), func.count())
    octets, count = await database.read(lambda connection: connection.execute(size).one())
    assert (count <= 2 * 256, octets <= 2 * 80 * SEGMENT) == (True, True)
    with asked() as statements:
        await log.store_incoming("shop", [a_message(1)])
    assert not [statement for statement, _ in statements if "grams" in statement or "segments" in statement]


async def test_a_page_of_many_accounts_reads_little_more_than_it_shows(database: Database, rows: list[Row]) -> None:
    log, limit = MessageLog(database), 50
    mine = sorted(
        (row for row in rows if row["account_id"] in THREE),
        key=lambda row: (row["created_at_ms"], row["id"]),
        reverse=True,
    )
    before: tuple[int, int] | None = None
    for first in range(0, 4 * limit, limit):
        with asked() as statements:
            page = await log.list_messages(THREE, before=before, limit=limit)
        wanted = mine[first : first + limit]
        assert [logged.message.message_id for logged in page] == [row["message_id"] for row in wanted]
        before = page[-1].cursor
        (_, values) = next(one for one in statements if "messages.created_at_ms >=" in one[0])
        since_ms = max(
            value
            for value in (values.values() if isinstance(values, dict) else values)
            if isinstance(value, int) and value <= wanted[-1]["created_at_ms"]
        )
        latest = wanted[0]["created_at_ms"]
        assert len([row for row in mine if since_ms <= row["created_at_ms"] <= latest]) <= 5 * limit
    lists = Chats(database)
    seen, last = [], None
    for _ in range(4):
        chats = await lists.list_chats(THREE, now_ms=0, before=last, limit=limit)
        last = chats[-1].cursor
        seen += [chat.cursor for chat in chats]
    everything = await lists.list_chats(THREE, now_ms=0, limit=10_000)
    assert seen == [chat.cursor for chat in everything[: 4 * limit]]
    assert await log.list_messages(THREE, since_ms=mine[10]["created_at_ms"] + 1, limit=limit) != []


async def test_a_page_is_whole_when_one_account_is_busy_and_others_are_not(
    database: Database, manager: DBManager
) -> None:
    await created(manager, *map(an_account, THREE))
    said = Talk(2, words=10).rows(1, 12, ["shop"], 3)
    for number, row in enumerate(said):
        row |= {"account_id": THREE[number % 3], "created_at_ms": 1000 * (number % 3) + number // 3}
    await database.write(lambda connection: insert_messages(connection, said))
    for limit in range(1, 13):
        page = await MessageLog(database).list_messages(THREE, limit=limit)
        times = [logged.message.created_at_ms for logged in page]
        assert times == sorted((row["created_at_ms"] for row in said), reverse=True)[:limit]


async def lists_with(database: Database, word: str) -> list[int]:
    """The segments in which the index has every gram of a word."""
    wanted = grams_wanted(word)

    def job(connection: Connection) -> list[int]:
        found: dict[int, set[int]] = {}
        for place, packed in connection.execute(select(grams.c.place, grams.c.packed)):
            slot = place & (1 << SLOT_BITS) - 1
            here = {gram for gram in wanted if slot_of(gram) == slot and coded_places(bytes(packed), gram)}
            found.setdefault(place >> SLOT_BITS, set()).update(here)
        return sorted(segment for segment, has in found.items() if has == set(wanted))

    return await database.read(job)


async def test_words_of_old_messages_leave_the_index_with_them(database: Database, rows: list[Row]) -> None:
    log = MessageLog(database)
    await index_all(database)
    assert await lists_with(database, RARE) == [0, 1]
    kept = 3_000  # in the midst of the first segment
    assert await log.forget_older_than(kept, rows=700) == kept - 1
    assert await lists_with(database, RARE) == [1]
    assert [one.segment for one in await database.read(indexed)] == [1]
    left = [row for row in rows if row["received_at_ms"] >= kept]
    old = {chat.chat_id for chat in await Chats(database).list_chats(["alien"], now_ms=0, limit=1000)}
    spoken = {row["chat_id"] for row in rows if row["account_id"] == "alien" and row["created_at_ms"] >= kept}
    assert old == spoken
    await finds(log, left, "在吗")
    assert await index_all(database) == 1
    assert await lists_with(database, RARE) == [1]
    await finds(log, left, "在吗")
    await log.forget_older_than(2 * SEGMENT)
    assert await database.read(lambda connection: connection.scalar(select(func.count()).select_from(grams))) == 0
    assert await database.read(indexed) == []


async def test_words_of_a_removed_account_leave_the_index_before_its_messages(
    database: Database, manager: DBManager, rows: list[Row]
) -> None:
    draft = draft_segment(0, await database.read(lambda connection: read_segment(connection, 0)))
    assert await index_all(database) == 2
    shop = await manager.get_cookie_details("shop")
    await committed(manager, deletion(shop))
    assert not await database.write(lambda connection: store_segment(connection, draft))  # its words are in the draft
    await manager.purge("shop")
    assert await database.read(indexed) == []
    assert await lists_with(database, RARE) == []
    assert await index_all(database) == 2
    assert await lists_with(database, RARE) == []
    left = [row for row in rows if row["account_id"] != "shop"]
    await finds(MessageLog(database), left, "邮", ["other", "alien"])


async def test_a_segment_is_not_stored_when_a_message_went_meanwhile(database: Database, rows: list[Row]) -> None:
    read = await database.read(lambda connection: read_segment(connection, 0))
    gone = delete(messages).where(messages.c.id == read[50].id)
    await database.write(lambda connection: connection.execute(gone).rowcount)
    assert not await database.write(lambda connection: store_segment(connection, draft_segment(0, read)))
    assert await database.read(indexed) == []


async def test_a_segment_is_indexed_once_no_server_can_add_a_message_to_it(
    database: Database, manager: DBManager
) -> None:
    await created(manager, an_account("shop"))
    first, last = ids_of(0)
    said = [{"id": max(first, 1), "message_id": "a"}, {"id": last + 1, "message_id": "b"}]
    query = insert(messages).values([{"account_id": "shop", "chat_id": "c", **one} for one in said])
    await database.write(lambda connection: connection.execute(query).rowcount)
    for settled, is_indexed in ((last - 1, False), (last, True)):
        position = Position(0, 0, settled, 0, 0)
        assert await WordIndexer(database, settled=partial(Position, *position)).index_next() is is_indexed
