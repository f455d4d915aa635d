"""What a connected shop learns of its items: from its orders, and from the site's list at most once an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connection.counters import opened
from shoal.accounts.account import AccountState
from shoal.connection import shop_items
from shoal.connection.shop_items import small
from shoal.errors import NotApplied
from shoal.items.known_item_store import KnownItemStore
from shoal.storage.known_item_rows import SeenItem
from support.servers.doors import Door
from support.site.sandboxed import Sandbox
from support.site.standins import until, until_told

FETCHING = "item pictures:shop"
"""The name of the task that fetches the pictures of the shop's items."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop with its first item."""

    door: Door
    sandbox: Sandbox
    unb: str
    item: str

    async def pay(self, **body: Any) -> str:
        values = {"account": self.unb, "buyer": "小鱼", "item": self.item, **body}
        return str((await self.sandbox.do("pay", **values))["order_id"])

    async def order(self, order_id: str) -> dict[str, Any]:
        found = await self.door.client.get(f"/cookies/shop/orders/{order_id}")
        return found.json() if found.status_code == 200 else {}

    async def lists_read(self) -> int:
        return len(await self.sandbox.calls("xyh.item.list", self.unb))


async def silent(_items: KnownItemStore, _account_id: str, _items_of_chats: Iterable[SeenItem]) -> None:
    """Take in nothing that a chat tells of its item."""


@pytest.fixture
async def shop(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(shop_items, "PICTURE_SECONDS", 0.01)
    async with opened(sandbox, tmp_path / "data", allow_private_targets="all") as door:
        seller = next(iter(sandbox.world.sellers.values()))
        cookie = sandbox.world.cookie_header(seller)
        assert (await door.call("POST", "/cookies", json={"id": "shop", "value": cookie}))["state"] == "running"
        yield Shop(door, sandbox, seller.unb, next(iter(seller.items)))


async def test_an_order_shows_what_was_bought_and_its_picture_without_a_question_to_the_site(shop: Shop) -> None:
    order_id = await shop.pay()

    async def is_shown() -> bool:
        return bool((await shop.order(order_id)).get("item_picture"))

    await until_told(is_shown, True)
    shown = await shop.order(order_id)
    assert shown["item_title"] == shop.sandbox.world.item(shop.item).title
    picture = await shop.door.client.get(shown["item_picture"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    card = await shop.door.call("GET", f"/cookies/shop/items/{shop.item}/card")
    assert (card["title"], card["picture"]) == (shown["item_title"], shown["item_picture"])
    found = (await shop.door.call("GET", f"/orders?q={shown['item_title'][:2]}"))["items"]
    assert [row["item_picture"] for row in found] == [shown["item_picture"]]
    assert await shop.lists_read() == 0


async def test_where_no_order_and_no_chat_names_its_item_the_list_is_read_once_an_hour(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KnownItemStore, "note_from_chats", silent)
    title = shop.sandbox.world.item(shop.item).title
    await shop.sandbox.do("fault", kind="lying_page", account=shop.unb, page="no_title", times=100)
    order_id = await shop.pay()

    async def is_named() -> bool:
        return bool((await shop.order(order_id)).get("item_title"))

    await until_told(is_named, True)
    assert (await shop.order(order_id))["item_title"] == title
    account = shop.door.server.manager.account("shop")
    assert await shop.lists_read() == 1
    shop.door.server.item_lists.read_for_titles(account)
    await until(lambda: not shop.door.server.item_lists._reading)
    assert await shop.lists_read() == 1, "within the hour it is not read again"


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://img.alicdn.com/i1/a.jpg", "https://img.alicdn.com/i1/a.jpg_220x10000Q90.jpg_.webp"),
        ("//img.alicdn.com/i1/a.HEIC", "//img.alicdn.com/i1/a.HEIC_220x10000Q90.jpg_.webp"),
        ("https://img.alicdn.com/i1/a.jpg?x=1", "https://img.alicdn.com/i1/a.jpg?x=1"),
        ("http://127.0.0.1:1/a.png", "http://127.0.0.1:1/a.png"),
        ("", ""),
    ],
)
def test_of_a_picture_of_the_site_the_small_copy_is_asked_for(address: str, asked: str) -> None:
    assert small(address) == asked


async def test_a_check_at_the_list_parks_the_shop_and_no_title_is_asked_for_any_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KnownItemStore, "note_from_chats", silent)
    await shop.sandbox.do("fault", kind="lying_page", account=shop.unb, page="no_title", times=100)
    await shop.sandbox.do("fault", kind="risk_control", account=shop.unb, which="items")
    await shop.pay()
    observed = shop.door.server.manager.observation
    await until(lambda: observed("shop").state is AccountState.PARKED, seconds=60)
    assert (observed("shop").reason, await shop.lists_read()) == ("risk_control", 1)
    lists, account = shop.door.server.item_lists, shop.door.server.manager.account("shop")
    lists._titles_at_ms.clear()  # as an hour later
    lists.read_for_titles(account)
    await until(lambda: not lists._reading)
    assert await shop.lists_read() == 1


@pytest.mark.parametrize("full", ["for the row", "for the picture"])
async def test_a_full_disk_ends_no_connection_and_the_picture_comes_once_there_is_room(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    failed, observed = asyncio.Event(), shop.door.server.manager.observation
    since_ms = observed("shop").since_ms
    keep = shop.door.server.pictures.keep

    async def no_room(*values: Any) -> str:
        if (task := asyncio.current_task()) is None or task.get_name() != FETCHING:
            return await keep(*values)  # it is the picture of the seller
        failed.set()
        raise NotApplied("No space left on device", code="picture_not_stored")

    with monkeypatch.context() as failing:
        if full == "for the row":  # a process that dies there leaves the same: a picture that no row names
            failing.setattr(shop.door.server.order_store.items, "has_picture", no_room)
        else:
            failing.setattr(shop.door.server.pictures, "keep", no_room)
        first = await shop.pay()
        async with asyncio.timeout(60):
            await failed.wait()
        await until(lambda: all(task.get_name() != FETCHING for task in asyncio.all_tasks()))
        assert (await shop.order(first))["item_picture"] == ""
    await shop.pay(buyer="老客")

    async def is_shown() -> bool:
        return bool((await shop.order(first)).get("item_picture"))

    await until_told(is_shown, True)
    assert observed("shop").since_ms == since_ms, "the connection is the same"
