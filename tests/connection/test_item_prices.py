"""The prices of the site's list, which count where an item's own page cannot be read, and how old they may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connection.counters import opened
from shoal.items import item_lists
from shoal.items.item_lists import ItemLists
from shoal.server import open_connections
from shoal.xianyu.items_on_sale import ListedItem
from support.models.model_steps import settings_for
from support.servers.doors import Door
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import until


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that is connected to the sandbox, and whose model answers by itself; its first item has a price."""

    door: Door
    sandbox: Sandbox
    unb: str
    item: str

    async def price(self, fen: int) -> None:
        await self.sandbox.do("item", account=self.unb, item=self.item, price_fen=fen)

    async def lists_read(self) -> int:
        return len(await self.sandbox.calls("xyh.item.list", self.unb))

    async def said(self, yuan: str) -> None:
        """The model says this amount from now on."""
        output = {"action": "reply", "text": f"最低{yuan}元哦", "offered_fen": round(float(yuan) * 100), "facts": []}
        await self.sandbox.do("model", outputs=[output], cycles=True)

    async def asked(self, buyer: str) -> tuple[str, str]:
        """A buyer asks about the item; return how the run ended, and why."""
        await self.sandbox.do("say", account=self.unb, buyer=buyer, text="最低多少钱？", item=self.item)
        async with asyncio.timeout(60):
            while True:
                runs = (await self.door.call("GET", "/ai-runs", params={"cid": "shop"}))["items"]
                mine = [run for run in runs if run["buyer_id"] == self.sandbox.world.buyer(buyer).id]
                if mine and mine[0]["state"] != "asked":
                    return mine[0]["state"], mine[0]["why"]
                await asyncio.sleep(0.02)

    async def tried(self) -> tuple[str, str]:
        """The same in a trial."""
        body = {"text": "最低多少钱？", "item_id": self.item}
        tried = await self.door.call("POST", "/cookies/shop/ai/try", json=body)
        failed = [rail["why"] for rail in tried["rails"] if not rail["passed"]]
        return tried["decision"], failed[0] if failed else ""


@pytest.fixture
async def shop(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(sandbox, tmp_path / "data", allow_private_targets="all") as door:
        seller = next(iter(sandbox.world.sellers.values()))
        cookie = sandbox.world.cookie_header(seller)
        assert (await door.call("POST", "/cookies", json={"id": "shop", "value": cookie}))["state"] == "running"
        provider = await door.server.assistant.providers.create(1, settings_for(sandbox.url, calls_per_minute=1_000))
        values = {"ai_mode": "auto", "ai_provider_id": provider.id, "ai_disclosure": False}
        await door.call("PUT", "/cookies/shop/ai", json=values)
        reason = "FAIL_BIZ_BUSY::系统繁忙,请稍后重试"
        fault = {"account": seller.unb, "which": "detail", "times": 1_000_000}
        await sandbox.do("fault", kind="business_error", reason=reason, **fault)
        yield Shop(door, sandbox, seller.unb, next(iter(seller.items)))


async def test_without_a_floor_a_model_says_the_price_of_the_site_and_nothing_below(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.price(1990)
    await shop.said("19.89")
    assert await shop.asked("豆豆妈") == ("blocked", "below_price")
    assert await shop.tried() == ("blocked", "below_price")
    await shop.said("19.9")
    assert await shop.asked("路过的风") == ("answered", "")
    assert await shop.sandbox.seen_soon(shop.unb, "路过的风", 1) == ["最低19.9元哦"]
    assert await shop.tried() == ("reply", "")
    assert await shop.lists_read() == 1, "one list serves all questions for a while"
    shown = (await shop.door.call("GET", f"/items/shop/{shop.item}"))["item"]
    assert shown["item_price"] == "¥19.90"
    assert (await shop.door.call("GET", "/items/shop"))["items"][0]["item_price"] == "¥19.90"

    await shop.price(2500)
    monkeypatch.setattr(item_lists, "KEPT_MS", 0)
    monkeypatch.setattr(item_lists, "AGED_MS", 0)
    assert await shop.tried() == ("reply", ""), "an aged price serves while the list is read beside"
    lists, account = shop.door.server.item_lists, shop.door.server.manager.account("shop")
    await until(lambda: lists.prices(account).get(shop.item) == 2500)
    assert await shop.tried() == ("blocked", "below_price"), "what changed on the site is known from the next list on"

    rule = {"item_id": shop.item, "spec": "时长:年卡", "parts": [{"text": "年卡"}]}
    await shop.door.call("PUT", "/cookies/shop/deliveries", json={"rules": [rule]})
    await shop.said("25")
    assert await shop.tried() == ("blocked", "price_unknown"), "a price of the list is not that of each spec"


async def test_a_price_that_the_site_does_not_tell_is_unknown_and_hinders_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.price(1990)
    await shop.said("19.9")
    reason = "FAIL_BIZ_BUSY::系统繁忙,请稍后重试"
    fault = {"account": shop.unb, "which": "items", "times": 1_000}
    await shop.sandbox.do("fault", kind="business_error", reason=reason, **fault)
    assert await shop.asked("豆豆妈") == ("blocked", "price_unknown")
    asked = await shop.lists_read()
    assert await shop.tried() == ("blocked", "price_unknown")
    assert await shop.lists_read() == asked, "a site that does not tell is left alone for a while"

    await shop.sandbox.do("faults/clear", kind="business_error")
    monkeypatch.setattr(item_lists, "RETRY_MS", 0)
    monkeypatch.setattr(open_connections, "ITEM_SECONDS", 0.05)
    await shop.sandbox.do("fault", kind="hold", **fault)
    assert await shop.asked("路过的风") == ("blocked", "price_unknown"), "a buyer is not kept waiting by a slow list"
    await shop.sandbox.do("fault/release")
    await shop.sandbox.do("faults/clear")
    lists, account = shop.door.server.item_lists, shop.door.server.manager.account("shop")
    await until(lambda: bool(lists.prices(account)))
    assert await shop.asked("北方的狼") == ("answered", ""), "a list that came late serves the next question"


async def test_a_buyer_who_writes_on_while_the_list_is_read_is_asked_about_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.price(1990)
    await shop.said("19.9")
    monkeypatch.setattr(open_connections, "ITEM_SECONDS", 60.0)
    await shop.sandbox.do("fault", account=shop.unb, kind="hold", which="items")
    said = {"account": shop.unb, "buyer": "豆豆妈", "item": shop.item}
    await shop.sandbox.do("say", text="最低多少钱？", **said)
    faults = shop.sandbox.site.faults
    await until(lambda: any(fault.held for fault in faults.all()))
    await shop.sandbox.do("say", text="今天能发吗", **said)

    async def is_stored() -> bool:
        found = await shop.door.call("GET", "/messages", params={"cid": "shop"})
        return [one["text"] for one in found["items"]].count("今天能发吗") == 1

    async with asyncio.timeout(60):
        while not await is_stored():
            await asyncio.sleep(0.02)
    await shop.sandbox.do("fault/release")
    assert await shop.sandbox.seen_soon(shop.unb, "豆豆妈", 1) == ["最低19.9元哦"]
    runs = (await shop.door.call("GET", "/ai-runs", params={"cid": "shop"}))["items"]
    assert [(run["state"], len(run["message_ids"])) for run in runs] == [("answered", 2)]
    assert len((await shop.sandbox.get("model"))["calls"]) == 1


async def test_a_price_is_forgotten_after_an_hour_and_the_title_is_not(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await shoal.add()
    lists, item = ItemLists(shoal.live_connections), shoal.sandbox.world.item(shoal.item_of(unb))
    account = shoal.manager.account("shop")
    found = await asyncio.gather(*(lists.item(account, item.id, seconds=60) for _ in range(5)))
    assert found == [ListedItem(item.title, item.price_fen)] * 5
    assert len(await shoal.sandbox.calls("xyh.item.list", unb)) == 1, "those who ask at once share one reading"
    assert await lists.item(account, "1", seconds=60) == ListedItem()
    reason = "FAIL_BIZ_BUSY::系统繁忙,请稍后重试"
    await shoal.sandbox.do("fault", account=unb, kind="business_error", which="items", reason=reason, times=1_000)
    for name in ("KEPT_MS", "PRICES_MS"):
        monkeypatch.setattr(item_lists, name, 0)
    assert await lists.item(account, item.id, seconds=60) == ListedItem(item.title, None)
    assert lists.prices(account) == {}


async def test_an_account_that_is_not_connected_has_no_prices_and_nobody_waits(shoal: Shoal) -> None:
    await shoal.add()
    lists = ItemLists(type(shoal.live_connections)())
    for _ in range(2):
        found: Any = await lists.item(shoal.manager.account("shop"), "1", seconds=60)
        assert found == ListedItem()
    assert not lists._failed_at_ms, "that is no failure: the next question asks again"
