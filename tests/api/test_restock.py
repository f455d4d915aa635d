"""Orders that wait for units: listed with what each would get, served when a person says so, or by a switch."""

from __future__ import annotations

from typing import Any

import pytest

from api.test_goods import sent, some_goods
from api.test_order_delivery import rules
from api.test_orders import paid
from shoal.accounts.account import Account
from shoal.items.item_lists import ItemLists
from shoal.messages.message_log import IncomingMessage
from shoal.orders.order_store import Action, ActionState
from shoal.storage.goods_tables import goods as goods_table
from support.servers.doors import Door, another_person

EN = {"Accept-Language": "en"}


async def waits(door: Door, number: int, quantity: int = 1, shop: str = "shop") -> str:
    """An order of the item that could not be served because the stock was too small."""
    order_id = f"450000000000000000{number}"
    await paid(door, order_id, shop, quantity=str(quantity), parcel="no", message_id=f"{number}.PNM")
    store = door.server.order_store
    await store.settle_action(shop, order_id, Action.PAID_MESSAGE, ActionState.FAILED, "out_of_stock")
    return order_id


async def state_of(door: Door, order_id: str, shop: str = "shop") -> tuple[str, str]:
    (said,) = await door.server.order_store.order_actions(shop, order_id)
    return said.state.value, said.detail


async def stocked(door: Door, **values: Any) -> int:
    goods_id = await some_goods(door, **values)
    await rules(door, {"item_id": "7001", "goods_id": goods_id, "parts": [{"text": "码：{codes}"}]})
    return goods_id


async def test_waiting_orders_are_listed_oldest_first_with_what_each_would_get(door: Door) -> None:
    goods_id = await stocked(door)
    first, large, small = await waits(door, 1, 2), await waits(door, 2, 5), await waits(door, 3)
    await paid(door, "4600000000000000000", quantity="1", parcel="no", message_id="9.PNM")  # it waits for nothing
    said = IncomingMessage(message_id="m1", chat_id="59", sender_id="2200000000099", sender_name="豆豆妈", text="在吗")
    await door.server.message_log.store_incoming("shop", [said])
    answer = await sent(door, goods_id, ["A", "B", "C"])
    assert (answer["waiting"], answer["requested"]) == (3, 0)
    assert [await state_of(door, order) for order in (first, large, small)] == [("failed", "out_of_stock")] * 3
    found = await door.call("GET", f"/goods/{goods_id}/waiting", headers=EN)
    assert found["free"] == 3
    assert [(row["order_id"], row["wanted"], row["gets"], row["obstacle"]) for row in found["items"]] == [
        (first, 2, 2, None), (large, 5, 0, "out_of_stock"), (small, 1, 1, None),
    ]  # fmt: skip
    assert "stock" in found["items"][1]["detail"]
    assert {row["buyer_name"] for row in found["items"]} == {"豆豆妈"}
    body = {"orders": [{"account": "shop", "order_id": small}, {"account": "shop", "order_id": large}]}
    served = await door.call("POST", f"/goods/{goods_id}/serve-waiting", json=body)
    assert (served["requested"], [row["gets"] for row in served["items"]]) == (1, [0, 0, 1])
    assert await state_of(door, small) == ("pending", "asked_by_owner")
    assert await state_of(door, first) == ("failed", "out_of_stock")
    served = await door.call("POST", f"/goods/{goods_id}/serve-waiting", json={})
    assert [row["order_id"] for row in served["items"] if row["gets"]] == [first]
    assert await state_of(door, first) == ("pending", "asked_by_owner")


async def test_goods_serve_their_waiting_orders_after_an_import_only_by_their_switch(door: Door) -> None:
    goods_id = await stocked(door)
    first, second = await waits(door, 1), await waits(door, 2)
    await door.call("PATCH", f"/goods/{goods_id}", json={"serve_on_restock": True})
    preview = await sent(door, goods_id, ["A"], dry_run=True)
    assert (preview["waiting"], preview["requested"]) == (0, 0)
    answer = await sent(door, goods_id, ["A"])
    assert (answer["waiting"], answer["requested"]) == (2, 1)
    assert await state_of(door, first) == ("pending", "asked_by_owner")
    assert await state_of(door, second) == ("failed", "out_of_stock")
    await door.call("PATCH", "/cookies/shop/settings", json={"delivery": False})
    assert (await sent(door, goods_id, ["B"]))["requested"] == 0, "the shop delivers nothing by itself"


async def test_orders_that_ended_and_those_of_other_goods_or_owners_do_not_wait(door: Door) -> None:
    goods_id = await stocked(door)
    await waits(door, 1)
    await paid(door, "4500000000000000001", status="refunding", paid=False, message_id="5.PNM")
    other = await some_goods(door, name="年卡")
    await waits(door, 2)
    assert [row["order_id"][-1] for row in (await door.call("GET", f"/goods/{goods_id}/waiting"))["items"]] == ["2"]
    assert (await door.call("GET", f"/goods/{other}/waiting"))["items"] == []
    async with another_person(door) as bob:
        assert (await bob.client.get(f"/goods/{goods_id}/waiting")).status_code == 404
        assert (await bob.client.post(f"/goods/{goods_id}/serve-waiting", json={})).status_code == 404


async def test_rules_with_goods_of_somebody_else_are_refused_by_every_writer(door: Door) -> None:
    mine = await some_goods(door)
    async with another_person(door) as bob:
        foreign = int((await bob.call("POST", "/goods", json={"name": "年卡", "kind": "stock"}))["id"])
    rule = {"item_id": "7001", "spec": "时长:月卡", "goods_id": foreign, "parts": [{"text": "{codes}"}]}
    path = "/cookies/shop/deliveries"
    for more in ("", "?mode=merge", "?dry_run=true"):
        refused = await door.call("PUT", f"{path}{more}", 422, json={"rules": [rule]}, headers=EN)
        assert refused["code"] == "delivery_goods_unknown"
        assert "7001" in refused["detail"]
        assert "时长:月卡" in refused["detail"]
    assert (await door.call("PUT", path, 422, json={"rules": [{**rule, "goods_id": 10**6}]}))["code"] == refused["code"]
    await rules(door, {**rule, "goods_id": mine})
    await rules(door)
    (removed, *_) = (await door.call("GET", "/history?limit=1"))["items"]
    await door.server.database.write(lambda connection: connection.execute(_given_away(mine)).rowcount)
    refused = await door.call("POST", f"/history/{removed['rev']}/undo", 422, headers=EN)
    assert refused["code"] == "delivery_goods_unknown", "an undo brings no rule back with goods of somebody else"
    assert (await door.call("GET", path))["rules"] == []


def _given_away(goods_id: int) -> Any:
    return goods_table.update().where(goods_table.c.id == goods_id).values(owner_id=2)


async def test_reusable_units_and_rules_by_title_and_group_prices_wait_too(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def titles(_lists: ItemLists, _account: Account) -> dict[str, str]:
        return {"7001": "会员 月卡"}

    monkeypatch.setattr(ItemLists, "of", titles)
    goods_id = await some_goods(door, kind="reusable", uses_each=2)
    await rules(door, {"title_contains": "月卡", "goods_id": goods_id, "parts": [{"text": "码：{codes}"}]})
    first, second = await waits(door, 1, 3), await waits(door, 2, 2)
    group = "4500000000000000003"
    news: dict[str, Any] = {
        "status": "group_pending",
        "paid": False,
        "group_price": True,
        "quantity": "1",
        "parcel": "no",
    }
    await paid(door, group, message_id="3.PNM", **news)
    act = Action.FREE_SHIPPING
    await door.server.order_store.settle_action("shop", group, act, ActionState.FAILED, "out_of_stock")
    await sent(door, goods_id, ["A", "B"])
    found = (await door.call("GET", f"/goods/{goods_id}/waiting"))["items"]
    assert [(row["order_id"], row["gets"]) for row in found] == [(first, 3), (second, 0), (group, 1)]
    assert (await door.call("POST", f"/goods/{goods_id}/serve-waiting", json={}))["requested"] == 2
    assert await state_of(door, group) == ("pending", "asked_by_owner")
