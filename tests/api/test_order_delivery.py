"""What an order got of the stock, over the API: masked units, what it would get, and what a person does about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from api.test_goods import sent, some_goods
from api.test_orders import ID, PATH, failed, paid
from shoal.accounts.account import Account
from shoal.api.routes import order_delivery
from shoal.goods.bindings import bind_another, bind_units, units_went_out
from shoal.items.item_lists import ItemLists
from shoal.storage.goods_tables import deliveries
from support.orders.goods_steps import by, changed
from support.servers.doors import Door, another_person, in_shell, served

EN = {"Accept-Language": "en"}


async def rules(door: Door, *rows: dict[str, Any]) -> None:
    """The shop's delivery rules."""
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": list(rows)})


async def got(door: Door, goods_id: int, count: int = 1, *, out: bool = True, begun: bool = True) -> None:
    """Bind units to the order, as the serving does."""
    goods = await door.server.goods.store.get(goods_id)
    assert goods is not None
    unb = door.account().unb

    def job(connection: Connection) -> None:
        bind_units(connection, goods, unb=unb, order_id=ID, count=count, by=by())
        if out:
            units_went_out(connection, unb, ID, by())

    await door.server.database.write(job)
    if begun:
        values = {"unb": unb, "order_id": ID, "owner_id": 1, "goods_id": goods_id, "wanted": count, "state": "done"}
        await changed(door.server.database, insert(deliveries).values(values))


async def delivery(door: Door) -> Any:
    return (await door.call("GET", PATH, headers=EN))["delivery"]


async def test_an_order_says_what_it_would_get_and_what_stands_in_the_way(door: Door) -> None:
    goods_id = await some_goods(door)
    await rules(door, {"item_id": "7001", "goods_id": goods_id, "count": 2, "parts": [{"text": "码：{codes}"}]})
    await paid(door, quantity="1", parcel="no")
    planned = await delivery(door)
    assert (planned["state"], planned["goods_id"], planned["goods_name"], planned["wanted"]) == (
        "planned", goods_id, "月卡", 2,
    )  # fmt: skip
    assert (planned["gets"], planned["obstacle"], planned["units"]) == (["码：{codes}"], "out_of_stock", [])
    assert "stock" in planned["detail"]
    assert "Import" in planned["do"]
    await paid(door, status="cancelled", paid=False, message_id="2.PNM")
    assert await delivery(door) is None


async def test_an_order_of_a_rule_by_title_says_what_it_would_get(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def titles(_lists: ItemLists, _account: Account) -> dict[str, str] | None:
        return {"7001": "会员 月卡"}

    await rules(door, {"title_contains": "月卡", "parts": [{"text": "您好"}]})
    await paid(door, quantity="1", parcel="no")
    assert (await delivery(door))["obstacle"] == "unknown_title", "the shop is not connected, so nothing says the title"
    monkeypatch.setattr(ItemLists, "of", titles)
    planned = await delivery(door)
    assert (planned["obstacle"], planned["gets"]) == (None, ["您好"])

    async def disconnected(_lists: ItemLists, _account: Account) -> None:
        return None

    def last(_lists: ItemLists, _account: Account) -> dict[str, str]:
        return {"7001": "会员 月卡"}

    monkeypatch.setattr(ItemLists, "of", disconnected)
    with monkeypatch.context() as patched:
        patched.setattr(ItemLists, "kept", last)
        assert (await delivery(door))["gets"] == ["您好"], "the last list says it"
    never = asyncio.Event()

    async def slow(_lists: ItemLists, _account: Account) -> None:
        await never.wait()

    monkeypatch.setattr(ItemLists, "of", slow)
    monkeypatch.setattr(order_delivery, "TITLE_SECONDS", 0.01)
    assert (await delivery(door))["obstacle"] == "unknown_title", "a slow site does not hold the page up"
    never.set()


async def test_units_of_an_order_are_masked_and_say_what_became_of_them(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, [f"CANARY-CODE-000{number}" for number in range(4)])
    await paid(door)
    await got(door, goods_id, 2)
    found = await delivery(door)
    assert (found["state"], found["wanted"], found["obstacle"]) == ("done", 2, None)
    assert [(unit["unit_no"], unit["state"], unit["masked"]) for unit in found["units"]] == [
        (1, "out", "CA…00"), (2, "out", "CA…01"),
    ]  # fmt: skip
    first, second = (unit["unit_id"] for unit in found["units"])
    await door.call("POST", f"/goods/{goods_id}/units/{first}/doubt", json={"reason": "wrong code"})
    await door.call("POST", f"/goods/{goods_id}/units/{second}/return", json={"reason": "given back"})
    goods = await door.server.goods.store.get(goods_id)
    assert goods is not None
    unb = door.account().unb
    await door.server.database.write(
        lambda connection: bind_another(
            connection, goods, unb=unb, order_id=ID, replaces=1, reason="wrong code", by=by()
        )
    )
    found = await delivery(door)
    assert [(unit["unit_no"], unit["state"], unit["replaces"], unit["reason"]) for unit in found["units"]] == [
        (1, "doubted", None, ""), (2, "returned", None, ""), (3, "held", 1, "wrong code"),
    ]  # fmt: skip
    (noted,) = (await door.call("GET", "/security-log?kind=unit_doubted"))["items"]
    assert noted["facts"]["unit_id"] == first
    held = found["units"][2]["unit_id"]
    refused = await door.call("POST", f"/goods/{goods_id}/units/{held}/doubt", 409, json={"reason": "x"}, headers=EN)
    assert (refused["code"], refused["params"]["state"]) == ("unit_not_doubted", "held")


async def test_only_the_owner_of_the_units_sees_them_and_staff_see_them_masked(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, ["CANARY-CODE-0001"])
    await paid(door)
    await got(door, goods_id)
    async with another_person(door, "staff") as staff:
        assert (await staff.client.get(PATH)).status_code == 404
        await door.call("PUT", "/cookies/shop/staff/staff", json={"permission": "read"})
        body = (await staff.client.get(PATH)).text
        assert "CA…01" in body
        assert "CANARY" not in body
        unit_id = (await delivery(door))["units"][0]["unit_id"]
        path = f"/goods/{goods_id}/units/{unit_id}/reveal"
        assert (await staff.client.post(path, json={"reason": "curious"})).status_code == 404
    await changed(door.server.database, deliveries.update().values(owner_id=99))
    other = await door.server.goods.orders.of_order(door.account().unb, ID, 99)
    assert other is not None
    assert other.units == (), "the units are those of another owner"


async def test_the_shell_shows_the_units_of_an_order(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, ["CANARY-CODE-0001", "CANARY-CODE-0002"])
    await paid(door)
    await failed(door)
    await got(door, goods_id)
    token = (await door.call("POST", "/tokens", json={"name": "shell", "scope": "manage"}))["token"]
    async with served(door) as url:
        code, said = await in_shell(url, token, "orders", "show", "shop", ID)
        assert (code, "CA…01" in said, "CANARY" in said) == (0, True, False), said
        unit_id = (await delivery(door))["units"][0]["unit_id"]
        code, said = await in_shell(url, token, "goods", "doubt", str(goods_id), str(unit_id), "--reason", "broken")
        assert code == 0, said
    assert (await delivery(door))["units"][0]["state"] == "doubted"


async def test_units_of_an_order_that_nothing_serves_are_given_back(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, [f"CANARY-CODE-000{number}" for number in range(3)])
    await paid(door)
    await got(door, goods_id, 2, out=False, begun=False)
    first, second = (unit["unit_id"] for unit in (await delivery(door))["units"])
    path = f"/goods/{goods_id}/units/{second}/give-back"
    async with another_person(door) as bob:
        assert (await bob.call("POST", path, 404, json={"reason": "x"}))["code"] == "unknown_goods"
    back = await door.call("POST", path, json={"reason": "shipped by hand"})
    assert back == {"order_id": ID, "units": [first, second]}
    assert (await door.call("GET", f"/goods/{goods_id}"))["units"]["free"] == 3
    refused = await door.call("POST", path, 409, json={"reason": "again"}, headers=EN)
    assert (refused["code"], refused["detail"]) == ("unit_of_no_order", "The unit is “free”, and no order has it.")
    (noted,) = (await door.call("GET", "/security-log?kind=units_given_back"))["items"]
    assert (noted["facts"]["order_id"], noted["facts"]["reason"]) == (ID, "shipped by hand")
    line = (await door.call("GET", PATH))["timeline"][-1]
    assert (line["action"], line["words"]) == ("given_back", "shipped by hand")
    await got(door, goods_id, 1)
    refused = await door.call("POST", path.replace(str(second), str(first)), 409, json={"reason": "x"}, headers=EN)
    assert (refused["code"], refused["params"]) == ("units_may_have_arrived", {"units": 1})
    token = (await door.call("POST", "/tokens", json={"name": "shell", "scope": "manage"}))["token"]
    async with served(door) as url:
        words = ("goods", "give-back", str(goods_id), str(first), "--reason", "looked", "--never-arrived")
        code, said = await in_shell(url, token, *words)
    assert (code, ID in said) == (0, True), said
    assert (await door.call("GET", f"/goods/{goods_id}"))["units"]["free"] == 3


async def test_messages_that_units_would_make_too_long_are_refused_when_saved_and_named_by_the_check(
    door: Door,
) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, ["x" * 1_500, "short"])
    refused = await door.call("PATCH", f"/goods/{goods_id}", 422, json={"per_message": 3}, headers=EN)
    assert (refused["code"], refused["params"]) == (
        "message_too_long", {"limit": 4_000, "units": 3, "longest": 1_500},
    )  # fmt: skip
    await door.call("PATCH", f"/goods/{goods_id}", json={"per_message": 2})
    rule: dict[str, Any] = {"item_id": "7001", "goods_id": goods_id, "parts": [{"text": f"{'a' * 1_500} {{codes}}"}]}
    refused = await door.call("PUT", "/cookies/shop/deliveries", 422, json={"rules": [rule]})
    assert refused["code"] == "message_too_long"
    await rules(door, {**rule, "parts": [{"text": "{codes}"}]})
    await sent(door, goods_id, ["y" * 2_000, "z" * 2_000])
    bought = {"item_id": "7001", "quantity": 2}
    tried = await door.call("POST", "/cookies/shop/deliveries/try", json=bought, headers=EN)
    assert (tried["obstacle"], "too long" in tried["detail"]) == ("message_too_long", True)
    one = await door.call("POST", "/cookies/shop/deliveries/try", json={**bought, "quantity": 1})
    assert one["obstacle"] is None
