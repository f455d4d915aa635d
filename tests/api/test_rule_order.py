"""The order of rules: given whole, or by moving one rule."""

from __future__ import annotations

from api.rule_steps import add, listed
from support.servers.doors import Door


async def test_an_order_asks_the_rules_in_that_order_and_every_list_shows_it(door: Door) -> None:
    a, b, c = [(await add(door, words=[word]))["id"] for word in "abc"]
    body = await door.call("PUT", "/cookies/shop/rules/order", json={"ids": [c, a, b]})
    assert body["ids"] == [c, a, b] == [rule["id"] for rule in await listed(door)]
    assert [row["keyword"] for row in await door.call("GET", "/keywords/shop")] == ["c", "a", "b"]
    edited = (await door.call("GET", "/cookies/shop/history", params={"limit": 1}))["items"][0]["changes"]["keywords"]
    assert set(edited) == {"edited"}
    swapped = await door.call("PUT", "/cookies/shop/rules/order", json={"ids": [c, b, a]})
    (entry,) = (await door.call("GET", "/cookies/shop/history", params={"limit": 1}))["items"]
    assert swapped["changed"]
    assert len(entry["changes"]["keywords"]["edited"]) == 2, "only what moved"
    assert (await door.call("PUT", "/cookies/shop/rules/order", json={"ids": [c, b, a]}))["changed"] is False


async def test_an_order_names_every_rule_once_and_heeds_the_priorities(door: Door) -> None:
    a, b = [(await add(door, words=[word]))["id"] for word in "ab"]
    high = (await add(door, words=["h"], priority=3))["id"]
    path = "/cookies/shop/rules/order"
    for ids in ([a, b], [high, a, a], [high, a, b, "x"], []):
        assert (await door.call("PUT", path, 422, json={"ids": ids}))["code"] == "order_incomplete"
    body = await door.call("PUT", path, 422, json={"ids": [a, high, b]})
    assert (body["code"], body["params"]["keyword"], body["params"]["other"]) == ("order_against_priority", "a", "h")
    await door.call("PUT", path, json={"ids": [high, b, a]})


async def test_a_rule_moves_past_another_priority_in_one_change(door: Door) -> None:
    low = (await add(door, words=["low"]))["id"]
    high = (await add(door, words=["high"], priority=3))["id"]
    path, generation = "/cookies/shop/rules/order", door.account().generation
    body = await door.call("PUT", path, json={"ids": [low, high], "priorities": {low: 3}})
    assert (body["ids"], body["generation"]) == ([low, high], generation + 1)
    assert [rule["priority"] for rule in await listed(door)] == [3, 3]
    await door.call("POST", f"/history/{body['rev']}/undo")
    assert [(rule["id"], rule["priority"]) for rule in await listed(door)] == [(high, 3), (low, 0)]
    for priorities, code, status in (
        ({low: 1_001}, "bad_priority", 422),
        ({"nobody": 1}, "unknown_rule", 404),
        ({low: 1}, "order_against_priority", 422),
    ):
        refused = await door.call("PUT", path, status, json={"ids": [low, high], "priorities": priorities})
        assert refused["code"] == code
    assert [rule["id"] for rule in await listed(door)] == [high, low]
