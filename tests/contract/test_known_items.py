"""What the site calls the items of shops, on both databases: what is kept of what it tells, and for how long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from contract.order_book_steps import told
from shoal.clock import SiteClock
from shoal.messages.chats import Chat, note
from shoal.orders.order_lists import OrderPage, SoughtOrders
from shoal.orders.order_store import OrderStore, OrderUpdate
from shoal.orders.order_updates import OrderUpdates
from shoal.storage import known_item_rows
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.known_item_rows import (
    UNKNOWN,
    ItemFacts,
    SeenItem,
    item_facts,
    items_of_shops,
    note_items,
    note_picture,
    shown_pictures,
    without_picture,
)
from shoal.storage.notice_tables import incidents
from shoal.storage.order_tables import known_items
from shoal.xianyu.push_events import SessionArouse
from support.databases.store_steps import an_account, committed, created, deletion

ITEM = "800000000001"
ON_SITE = "https://img.alicdn.com/i1/a.jpg"
HERE = "/static/uploads/images/0123456789abcdef0123456789abcdef.png"


def notes(*items: SeenItem, at_ms: int, is_current: bool = True, shop: str = "shop") -> Callable[[Connection], None]:
    return lambda connection: note_items(connection, shop, items, now_ms=at_ms, is_current=is_current)


async def facts(database: Database, item_id: str = ITEM) -> ItemFacts:
    key = ("shop", item_id)
    return (await database.read(lambda connection: item_facts(connection, [key]))).get(key, UNKNOWN)


async def seen_at(database: Database) -> dict[str, int]:
    query = select(known_items.c.item_id, known_items.c.seen_at_ms)
    return await database.read(lambda connection: {row.item_id: row.seen_at_ms for row in connection.execute(query)})


async def test_a_list_replaces_what_is_known_and_an_order_only_fills_in(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())
    await database.write(notes(SeenItem(item_id=ITEM, title="月卡", price_fen=2500, site_picture=ON_SITE), at_ms=10))
    assert await facts(database) == ItemFacts(title="月卡", price_fen=2500)
    ordered = SeenItem(item_id=ITEM, title="旧名", site_picture="https://img.alicdn.com/i1/old.jpg")
    await database.write(notes(ordered, at_ms=20, is_current=False))
    assert (await seen_at(database), (await facts(database)).title) == ({ITEM: 10}, "月卡")
    await database.write(notes(SeenItem(item_id=ITEM, title="年卡"), at_ms=30))
    assert await facts(database) == ItemFacts(title="年卡", price_fen=2500), "what a list leaves out stays"
    await database.write(notes(SeenItem(item_id="9", site_picture=ON_SITE), at_ms=40))
    await database.write(notes(SeenItem(item_id="9", title="袜子"), at_ms=50, is_current=False))
    assert (await facts(database, "9")).title == "袜子"
    assert await seen_at(database) == {ITEM: 30, "9": 50}


async def test_what_is_not_new_is_not_written(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())
    same = SeenItem(item_id=ITEM, title="月卡", price_fen=2500, site_picture=ON_SITE)
    for at_ms in (10, 20):
        await database.write(notes(same, SeenItem(item_id="9"), SeenItem(item_id="", title="x"), at_ms=at_ms))
    assert await seen_at(database) == {ITEM: 10}
    long = SeenItem(item_id=ITEM, title="长" * 300, site_picture="https://img.alicdn.com/" + "a" * 600)
    await database.write(notes(long, at_ms=30))
    assert (await facts(database)).title == "长" * 200
    assert await database.read(lambda one: one.scalar(select(known_items.c.site_picture))) == ON_SITE


async def test_what_is_known_is_asked_once_for_a_push_however_often_it_names_its_items(
    book: OrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates, asked = OrderUpdates(an_account(), book, site_clock=SiteClock()), Counter[str]()
    for name in ("read", "write"):
        answered = getattr(Database, name)

        def counted(*values: Any, name: str = name, answered: Callable[..., Any] = answered) -> Any:
            asked[name] += 1
            return answered(*values)

        monkeypatch.setattr(Database, name, counted)
    named = {ITEM: "月卡", "9": "袜子"}
    push = [SessionArouse("c1", item_id, title, we_sell=True) for item_id, title in named.items()]
    unnamed = [SessionArouse("c1", "8", we_sell=True), SessionArouse("c1", "7", "书")]
    for writes in (1, 0):  # what the second one names is known
        await updates.store([*push * 7, *unnamed])
        assert asked == Counter(read=1, write=writes)
        asked.clear()
    monkeypatch.undo()
    known = await book._database.read(lambda one: items_of_shops(one, ["shop"]))
    assert {item_id: facts.title for (_, item_id), facts in known.items()} == named


async def test_only_the_newest_items_are_kept(
    database: Database, manager: DBManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_item_rows, "MOST_ITEMS", 3)
    await created(manager, an_account(), an_account("other"))
    await database.write(notes(SeenItem(item_id="1", title="a"), at_ms=5, shop="other"))
    for number in range(5):
        await database.write(notes(SeenItem(item_id=str(number), title="b"), at_ms=number))
    kept = await database.read(lambda one: items_of_shops(one, ["shop", "other"]))
    assert sorted(kept) == [("other", "1"), ("shop", "2"), ("shop", "3"), ("shop", "4")]
    await database.write(notes(*(SeenItem(item_id=one, title="b") for one in "2345"), at_ms=6))
    assert sorted(await database.read(lambda one: items_of_shops(one, ["shop"]))) == [
        ("shop", "3"),
        ("shop", "4"),
        ("shop", "5"),
    ], "also where most of what a list tells is known"


async def test_two_who_tell_the_same_items_at_once_leave_one_row_of_each(
    database: Database, manager: DBManager
) -> None:
    await created(manager, an_account())
    items = [SeenItem(item_id=str(number), title=f"货 {number}") for number in range(20)]
    await asyncio.gather(*(database.write(notes(*items[turn:], *items[:turn], at_ms=turn)) for turn in range(8)))
    assert len(await seen_at(database)) == 20


async def test_items_go_with_their_shop(database: Database, manager: DBManager) -> None:
    (account,) = await created(manager, an_account())
    await database.write(notes(SeenItem(item_id=ITEM, title="月卡"), at_ms=10))
    await committed(manager, deletion(account))
    await manager.purge(account.id)
    await database.write(notes(SeenItem(item_id=ITEM, title="月卡"), at_ms=20))
    assert await database.read(lambda one: one.scalar(select(func.count()).select_from(known_items))) == 0


async def test_the_pictures_of_ordered_and_discussed_items_are_wanted_until_they_are_here(
    book: OrderStore, manager: DBManager
) -> None:
    database = book._database
    names = ("1", "2", "3", "4")
    await database.write(notes(*(SeenItem(item_id=one, site_picture=f"{ON_SITE}?{one}") for one in names), at_ms=10))
    await told(book, "pending_ship", "45", item_id="1")
    await told(book, "pending_ship", "46", item_id="5")
    await database.write(lambda one: note(one, [Chat(account_id="shop", chat_id="c", item_id="2", last_at_ms=1)]))

    async def wanted() -> dict[str, str]:
        return await database.read(lambda connection: without_picture(connection, "shop", 10))

    assert await wanted() == {"1": f"{ON_SITE}?1", "2": f"{ON_SITE}?2"}
    await database.write(lambda one: note_picture(one, "shop", "1", f"{ON_SITE}?old", HERE))
    assert "1" in await wanted(), "the site has told another picture since"
    await database.write(lambda one: note_picture(one, "shop", "1", f"{ON_SITE}?1", HERE))
    assert (await facts(database, "1")).picture == HERE
    assert await database.read(shown_pictures) == [HERE]
    assert await wanted() == {"2": f"{ON_SITE}?2"}
    await database.write(notes(SeenItem(item_id="1", site_picture=f"{ON_SITE}?new"), at_ms=20))
    assert (await facts(database, "1")).picture == "", "an outdated picture is not shown"


async def test_orders_are_found_by_the_words_of_the_title_that_an_order_told(book: OrderStore) -> None:
    sold = OrderUpdate(
        order_id="45",
        status="pending_ship",
        source="detail",
        item_id=ITEM,
        item=SeenItem(item_id=ITEM, title="会员月卡"),
    )
    await book.receive("shop", sold)
    await book.receive("shop", OrderUpdate(order_id="46", status="pending_ship", source="detail", item_id="9"))
    page = OrderPage(["shop"], SoughtOrders(query="月卡"))
    found = await book._database.search(page.listed)
    assert [(one.order.order_id, one.item_title, one.item_picture) for one in found] == [("45", "会员月卡", "")]
    told_owner = await book._database.read(lambda one: one.scalars(select(incidents.c.facts)).all())
    assert any(f"会员月卡 · {ITEM}" in str(facts) for facts in told_owner), "a notice names it too"
