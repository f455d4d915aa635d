"""Delivery rules by spec beside the specs that the item has on the site: what is green is what a buyer gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connection.counters import opened
from shoal.api.routes import compared_items, delivery_check
from shoal.items import item_pages
from shoal.orders import spec_pages
from shoal.xianyu import items_on_sale
from support.servers.doors import Door
from support.site.sandboxed import Sandbox
from support.site.standins import until_told

SPECS = ["时长:月卡", "时长:年卡"]
ROUTE = "/cookies/shop/deliveries"
BUYER = "豆豆妈"


@pytest.fixture(autouse=True)
def _quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (item_pages, items_on_sale):
        monkeypatch.setattr(module, "PAGE_SECONDS", 0.01)


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that is connected to the site, and an item of it that is sold in specs."""

    door: Door
    sandbox: Sandbox
    unb: str
    item: str

    async def sells(self, *specs: str) -> None:
        """Change the item on the site."""
        await self.sandbox.do("item", account=self.unb, item=self.item, specs=list(specs))

    async def rules(self, *rows: dict[str, Any]) -> None:
        rules = [{"item_id": self.item, **row} for row in rows]
        await self.door.call("PUT", ROUTE, json={"rules": rules})

    async def checked(self) -> dict[str, dict[str, Any]]:
        """The lines of the item, by spec."""
        found = (await self.door.call("GET", f"{ROUTE}/check"))["items"]
        return {line["spec"]: line for line in found if line["item_id"] == self.item}

    async def obstacles(self) -> dict[str, str | None]:
        return {spec: line["obstacle"] for spec, line in (await self.checked()).items()}

    async def incidents(self) -> list[dict[str, Any]]:
        found = (await self.door.call("GET", "/incidents", params={"open": "1", "cid": "shop"}))["items"]
        return [one for one in found if one["kind"] == "no_such_spec"]

    async def pays(self, spec: str, buyer: str = BUYER) -> str:
        paid = await self.sandbox.do("pay", account=self.unb, buyer=buyer, item=self.item, spec=spec)
        return str(paid["order_id"])

    async def got(self, buyer: str = BUYER) -> list[str]:
        return await self.sandbox.seen(self.unb, buyer)

    async def order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.door.call("GET", f"/cookies/shop/orders/{order_id}")
        return found

    async def needing_its_owner(self, order_id: str, problem: str) -> dict[str, Any]:
        """The order, once it has that problem."""

        async def shown() -> str | None:
            answer = await self.door.client.get(f"/cookies/shop/orders/{order_id}")
            found = answer.json().get("problem") if answer.status_code == 200 else None
            return None if found is None else str(found["code"])

        await until_told(shown, problem)
        return await self.order(order_id)

    async def stocked(self, name: str, *codes: str) -> int:
        goods_id = int((await self.door.call("POST", "/goods", json={"name": name, "kind": "stock"}))["id"])
        if codes:
            await self.door.call("POST", f"/goods/{goods_id}/units", json={"lines": list(codes)})
        return goods_id


@pytest.fixture
async def shop(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(sandbox, tmp_path / "data") as door:
        seller = next(iter(sandbox.world.sellers.values()))
        cookie = sandbox.world.cookie_header(seller)
        assert (await door.call("POST", "/cookies", json={"id": "shop", "value": cookie}))["state"] == "running"
        made = Shop(door, sandbox, seller.unb, next(iter(seller.items)))
        await made.sells(*SPECS)
        yield made


async def test_g18_a_rule_for_a_spec_that_the_item_does_not_have_is_never_green_and_told_once(shop: Shop) -> None:
    await shop.rules({"spec": "时长:季卡", "parts": [{"text": "季"}]}, {"spec": "时长:年卡", "parts": [{"text": "年"}]})
    await until_told(shop.obstacles, {"时长:年卡": None, "时长:月卡": "unknown_spec", "时长:季卡": "no_such_spec"})
    lines = await shop.checked()
    assert [lines[spec]["ok"] for spec in ("时长:年卡", "时长:月卡", "时长:季卡")] == [True, False, False]
    assert "时长:月卡、时长:年卡" in lines["时长:季卡"]["detail"]
    assert "时长:月卡" in lines["时长:月卡"]["detail"]
    (told,) = await shop.incidents()
    assert ("时长:季卡" in told["detail"], "时长:月卡、时长:年卡" in told["do"]) == (True, True)
    assert told["page"] == "accounts/shop/deliveries"
    await shop.rules({"spec": "时长:月卡", "parts": [{"text": "月"}]}, {"spec": "时长:年卡", "parts": [{"text": "年"}]})
    await until_told(shop.incidents, [])
    assert await shop.obstacles() == {"时长:年卡": None, "时长:月卡": None}


async def test_g18_a_value_alone_that_fits_one_property_is_taken_for_it_says_so_and_delivers(shop: Shop) -> None:
    month, year = await shop.stocked("月卡", "MONTH-0001"), await shop.stocked("年卡", "YEAR-0001", "YEAR-0002")
    await shop.rules(
        {"spec": "月卡", "goods_id": month, "parts": [{"text": "{codes}"}]},
        {"spec": "时长:年卡", "goods_id": year, "parts": [{"text": "{codes}"}]},
    )
    await until_told(shop.obstacles, {"时长:年卡": None, "时长:月卡": None})
    lines = await shop.checked()
    assert {spec: line["rule_spec"] for spec, line in lines.items()} == {"时长:年卡": "时长:年卡", "时长:月卡": "月卡"}
    assert await shop.incidents() == []
    await shop.pays("时长:月卡")
    await shop.pays("时长:年卡", "小鱼")
    assert await shop.sandbox.seen_soon(shop.unb, BUYER, 1) == ["MONTH-0001"]
    assert await shop.sandbox.seen_soon(shop.unb, "小鱼", 1) == ["YEAR-0001"]


async def test_g18_a_value_that_two_properties_have_is_taken_for_neither(shop: Shop) -> None:
    specs = ["时长:月卡;版本:标准", "时长:年卡;版本:标准", "时长:标准;版本:月卡"]
    await shop.sells(*specs)
    await shop.rules({"spec": "标准;年卡", "parts": [{"text": "年"}]}, {"spec": "月卡;标准", "parts": [{"text": "月"}]})
    folded = ["时长:月卡;版本:标准", "时长:年卡;版本:标准", "时长:标准;版本:月卡"]
    await until_told(
        shop.obstacles,
        {**dict.fromkeys(folded, "unknown_spec"), "年卡;标准": "no_such_spec", "月卡;标准": "no_such_spec"},
    )
    order_id = await shop.pays(specs[0])
    shown = await shop.needing_its_owner(order_id, "unknown_spec")
    assert "时长:月卡;版本:标准" in shown["problem"]["detail"]
    assert await shop.got() == []


async def test_g18_the_order_of_a_spec_without_a_rule_names_it_and_is_ready_once_the_rule_is_there(shop: Shop) -> None:
    await shop.rules({"spec": "时长:年卡", "parts": [{"text": "年"}]})
    order_id = await shop.pays("时长:月卡")
    shown = await shop.needing_its_owner(order_id, "unknown_spec")
    assert "“时长:月卡”" in shown["problem"]["detail"]
    assert (shown["problem"]["resolved"], shown["delivery"]["spec"]) == (False, "时长:月卡")
    empty = await shop.stocked("月卡")
    rules: list[dict[str, Any]] = [
        {"spec": "时长:年卡", "parts": [{"text": "年"}]},
        {"spec": "月卡", "goods_id": empty},
    ]
    await shop.rules(*rules)
    shown = await shop.needing_its_owner(order_id, "out_of_stock")
    assert (shown["problem"]["resolved"], shown["delivery"]["rule_spec"]) == (False, "月卡"), "the next reason"
    await shop.door.call("POST", f"/goods/{empty}/units", json={"lines": ["MONTH-0001"]})
    shown = await shop.order(order_id)
    assert (shown["problem"]["resolved"], "月卡" in shown["problem"]["detail"]) == (True, False)
    assert await shop.got() == [], "nothing is sent by itself: its owner may have sent it by hand"
    (listed,) = (await shop.door.call("GET", "/orders"))["items"]
    assert listed["problem"] == shown["problem"], "the list says the same"
    served = await shop.door.call("POST", f"/cookies/shop/orders/{order_id}/serve", json={})
    assert served["problem"] is None
    assert await shop.got() == ["MONTH-0001"]


async def test_g18_a_spec_that_its_seller_adds_on_the_site_turns_its_rule_green(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.rules({"spec": "时长:季卡", "parts": [{"text": "季"}]})
    assert (await shop.obstacles())["时长:季卡"] == "no_such_spec"
    await shop.sells(*SPECS, "时长:季卡")
    assert (await shop.obstacles())["时长:季卡"] == "no_such_spec", "a page is asked for at most once a minute"
    for module in (compared_items, spec_pages):
        monkeypatch.setattr(module, "AGAIN_MS", 0)
    assert await shop.obstacles() == {"时长:月卡": "unknown_spec", "时长:年卡": "unknown_spec", "时长:季卡": None}
    assert await shop.incidents() == []
    seen = len(await shop.sandbox.calls("pc.detail", shop.unb))
    await shop.rules(*({"spec": spec, "parts": [{"text": "卡"}]} for spec in (*SPECS, "时长:季卡")))
    await until_told(shop.obstacles, dict.fromkeys((*SPECS, "时长:季卡"), None))
    settled = len(await shop.sandbox.calls("pc.detail", shop.unb))
    assert settled - seen <= 2
    assert (await shop.obstacles(), len(await shop.sandbox.calls("pc.detail", shop.unb))) == (
        dict.fromkeys((*SPECS, "时长:季卡"), None), settled,
    ), "where all is well, a page is read again after an hour"  # fmt: skip


async def test_g18_rules_that_were_there_before_are_compared_when_the_shop_connects(shop: Shop) -> None:
    await shop.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    await shop.rules({"spec": "时长:季卡", "parts": [{"text": "季"}]})
    assert await shop.incidents() == []
    await shop.door.call("PUT", "/cookies/shop/status", json={"enabled": True})

    async def told() -> int:
        return len(await shop.incidents())

    await until_told(told, 1)


async def test_g18_orders_of_a_value_alone_wait_for_their_goods(shop: Shop) -> None:
    goods_id = await shop.stocked("月卡")
    await shop.rules({"spec": "月卡", "goods_id": goods_id})
    order_id = await shop.pays("时长:月卡")
    await shop.needing_its_owner(order_id, "out_of_stock")
    await shop.door.call("POST", f"/goods/{goods_id}/units", json={"lines": ["MONTH-0001"]})
    waiting = (await shop.door.call("GET", f"/goods/{goods_id}/waiting"))["items"]
    assert [(one["order_id"], one["gets"]) for one in waiting] == [(order_id, 1)]


async def test_g18_while_pages_are_being_read_the_check_says_so_and_only_so_many_are_read_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_check, "SITE_SECONDS", 0.05)
    monkeypatch.setattr(spec_pages, "MOST_AT_ONCE", 2)
    await shop.sandbox.do("fault", account=shop.unb, kind="hold", which="detail")
    items = list(shop.sandbox.world.sellers[shop.unb].items)
    assert len(items) == 3
    for item in items:
        await shop.sandbox.do("item", account=shop.unb, item=item, specs=SPECS)
    rules = [{"item_id": item, "spec": SPECS[0], "parts": [{"text": "月"}]} for item in items]
    await shop.door.call("PUT", ROUTE, json={"rules": rules})

    async def found() -> tuple[int, list[str | None]]:
        answer = await shop.door.call("GET", f"{ROUTE}/check")
        return answer["reading"], sorted(line["obstacle"] or "" for line in answer["items"])

    assert await found() == (2, ["not_compared"] * 3)
    await shop.sandbox.do("fault/release")

    async def compared() -> int:
        return sum(obstacle != "not_compared" for obstacle in (await found())[1]) // 2

    await until_told(compared, 3)
    assert await found() == (0, ["", "", "", "unknown_spec", "unknown_spec", "unknown_spec"])
    assert len(await shop.sandbox.calls("pc.detail", shop.unb)) == 3, "each is read once"


async def test_g18_a_rehearsal_of_a_spec_that_the_item_does_not_have_says_so(shop: Shop) -> None:
    await shop.rules({"spec": "季卡", "parts": [{"text": "季"}]}, {"spec": "月卡", "parts": [{"text": "月"}]})
    for spec, obstacle, messages in (
        ("季卡", "no_such_spec", ["季"]),
        ("月卡", None, ["月"]),
        ("时长：月卡", None, ["月"]),
        ("年卡", "unknown_spec", []),
    ):
        tried = await shop.door.call("POST", f"{ROUTE}/try", json={"item_id": shop.item, "spec": spec})
        assert (spec, tried["obstacle"], tried["messages"]) == (spec, obstacle, messages)
