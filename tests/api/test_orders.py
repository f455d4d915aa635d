"""Orders over the API: lists, one order with its time line, and an owner's word."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from api.stream_reader import one_by_one
from shoal.api.routes import orders as orders_routes
from shoal.messages.message_log import IncomingMessage
from shoal.messages.outbox_rows import OutboxRow
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from support.servers.doors import Door, another_person
from support.site.standins import until

EN = {"Accept-Language": "en"}
ID = "4500000000000000001"
PATH = f"/cookies/shop/orders/{ID}"
NOW = {"wait": "0"}
"""The invented site serves no orders: no test waits for it."""


async def paid(door: Door, order_id: str = ID, account_id: str = "shop", **news: Any) -> None:
    values = {
        "status": "pending_ship", "source": "card", "buyer_id": "2200000000099", "chat_id": "59", "item_id": "7001",
        "paid": True, "words": "我已付款，等待你发货", "message_id": "1.PNM", "site_at_ms": 1_700_000_000_000, **news,
    }  # fmt: skip
    await door.server.order_store.receive(account_id, OrderUpdate(order_id=order_id, **values))


async def failed(door: Door, act: Action = Action.PAID_MESSAGE, detail: str = "CSI_FORBID") -> None:
    await door.server.order_store.settle_action("shop", ID, act, ActionState.FAILED, detail)


async def states(door: Door) -> dict[str, str]:
    return {row["action"]: row["state"] for row in (await door.call("GET", PATH))["actions"]}


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_order_is_shown_with_its_acts_its_time_line_and_what_to_do(door: Door) -> None:
    await paid(door, amount="19.90", quantity="2", spec_name="尺码", spec_value="大")
    await failed(door)
    body = await door.call("GET", PATH, headers=EN)
    assert (body["account"], body["order_id"], body["status"]) == ("shop", ID, "pending_ship")
    assert (body["amount"], body["quantity"], body["spec_name"], body["spec_value"]) == ("19.90", "2", "尺码", "大")
    assert body["problem"]["code"] == "message_refused"
    assert "(blocked by its safety check)" in body["problem"]["detail"]
    assert "（安全拦截）" in (await door.call("GET", PATH))["problem"]["detail"]
    assert "Retry" in body["problem"]["do"]
    assert ID in body["url"]
    assert [(row["action"], row["state"], row["detail"]) for row in body["actions"]] == [
        ("paid_message", "failed", "CSI_FORBID")
    ]
    assert body["buyer_name"] == ""
    wanted = (ID, "7,8"), (ID, ""), ("46", "")
    letters = [
        OutboxRow(account_id="shop", chat_id="59", uuid=f"u{number}", order_id=order, units=units, digest=units or None)
        for number, (order, units) in enumerate(wanted)
    ]
    await door.server.message_log.outbox.queue(letters)
    handed = (await door.call("GET", f"/sendings?account=shop&order={ID}"))["items"]
    assert [(row["order_id"], row["has_units"]) for row in handed] == [(ID, False), (ID, True)]
    first, second = body["timeline"]
    assert (first["source"], first["status"], first["words"]) == ("card", "pending_ship", "我已付款，等待你发货")
    assert first["site_at"] == "2023-11-14T22:13:20.000Z"
    assert (second["action"], second["outcome"], second["site_at"]) == ("paid_message", "failed", None)


async def test_orders_are_listed_page_by_page_and_narrowed(door: Door) -> None:
    for number in range(5):
        await paid(door, f"450000000000000000{number}")
    await door.add("other", 2)
    await paid(door, "4600000000000000000", "other", status="completed", paid=False)
    seen: list[str] = []
    path = "/orders?limit=2"
    while True:
        body = await door.call("GET", path)
        seen += [row["order_id"] for row in body["items"]]
        if body["next"] is None:
            break
        path = f"/orders?limit=2&cursor={body['next']}"
    assert len(seen) == len(set(seen)) == 6
    assert [row["account"] for row in (await door.call("GET", "/orders?cid=other"))["items"]] == ["other"]
    assert [row["account"] for row in (await door.call("GET", "/orders?status=completed"))["items"]] == ["other"]
    assert len((await door.call("GET", "/cookies/shop/orders?q=45&limit=100"))["items"]) == 5
    assert (await door.call("GET", "/orders?q=%E8%B1%86"))["items"] == []
    message = IncomingMessage(
        message_id="m1", chat_id="59", sender_id="2200000000099", sender_name="豆豆妈", text="在吗"
    )
    await door.server.message_log.store_incoming("shop", [message])
    named = (await door.call("GET", "/orders?q=%E8%B1%86"))["items"]
    assert [(row["account"], row["buyer_name"]) for row in named] == [("shop", "豆豆妈")] * 5, (
        "of that shop's chat alone"
    )
    await door.server.order_store.settle_action("shop", ID, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    (row,) = (await door.call("GET", "/orders?problem=true"))["items"]
    assert (row["order_id"], row["problem"]["code"]) == (ID, "message_uncertain")
    for bad in ("nonsense", "WzEsMiwzXQ", "WzEsInNob3AiLCJcdTAwMDAiXQ"):
        assert (await door.call("GET", f"/orders?cursor={bad}", 422))["code"] == "bad_cursor"


async def test_nobody_sees_the_orders_of_others(door: Door) -> None:
    await paid(door)
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/orders"))["items"] == []
        assert (await bob.call("GET", "/api/orders"))["data"] == []
        assert (await bob.call("GET", "/orders?account=shop", 404))["code"] == "unknown_account"
        for method, path in (("GET", ""), ("POST", "/serve"), ("POST", "/settle")):
            body = {"action": "confirm", "outcome": "done"} if path == "/settle" else {}
            await bob.call(method, PATH + path, 404, **({"json": body} if method == "POST" else {}))
        assert (await bob.call("GET", "/cookies/shop/orders", 404))["code"] == "unknown_account"
    assert (await door.call("GET", "/cookies/shop/orders/999", 404))["code"] == "unknown_order"


async def test_old_scripts_read_their_rows(door: Door) -> None:
    await paid(door, amount="19.90")
    await paid(door, "4500000000000000002", status="", paid=False, item_id=None)
    body = await door.call("GET", "/api/orders")
    assert body["success"] is True
    unknown, row = sorted(body["data"], key=lambda one: one["order_id"], reverse=True)
    created = row.pop("created_at")
    assert len(created) == len("2026-01-02 03:04:05")
    assert created[10] == " "
    row.pop("updated_at")
    assert row == {
        "order_id": ID, "item_id": "7001", "buyer_id": "2200000000099", "spec_name": "", "spec_value": "",
        "quantity": "", "amount": "19.90", "order_status": "pending_ship", "cookie_id": "shop", "chat_id": "59",
        "problem": "",
    }  # fmt: skip
    assert (unknown["order_status"], unknown["item_id"]) == ("unknown", "")


# ── an owner's word ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_serving_again_makes_what_failed_due_and_tells_the_connection(door: Door) -> None:
    await paid(door)
    await failed(door)
    looked: list[str] = []
    with door.server.order_store.serving("shop", lambda: looked.append("shop")):
        body = await door.call("POST", f"{PATH}/serve", json={}, params=NOW)
    assert looked == ["shop"]
    assert body["problem"] is None
    assert [(row["action"], row["state"], row["detail"]) for row in body["actions"]] == [
        ("paid_message", "pending", "asked_by_owner")
    ]
    assert body["timeline"][-1]["source"] == "user:admin"


async def test_an_answer_waits_for_no_further_act_once_none_is_due(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await until(lambda: door.server.manager.observation("shop").state == "running")
    await paid(door)
    await failed(door)
    await door.call("POST", f"{PATH}/settle", json={"action": "paid_message", "outcome": "done"}, params=NOW)
    await failed(door, Action.CONFIRM)
    monkeypatch.setattr(orders_routes, "_LOOK_SECONDS", 3600.0)
    async with asyncio.timeout(60):
        body = await door.call("POST", f"{PATH}/settle", json={"action": "confirm", "outcome": "done"})
    assert {row["state"] for row in body["actions"]} == {"done"}


async def test_serving_again_with_the_same_key_asks_once(door: Door) -> None:
    await paid(door)
    await failed(door)
    key = {"Idempotency-Key": "again-1"}
    first = await door.call("POST", f"{PATH}/serve", json={}, params=NOW, headers=key)
    answer = await door.client.post(f"{PATH}/serve", json={}, params=NOW, headers=key)
    assert (answer.json(), answer.headers["idempotent-replayed"]) == (first, "true")
    assert [row["source"] for row in first["timeline"]].count("user:admin") == 1


async def test_an_act_that_was_done_or_is_under_way_is_not_done_again(door: Door) -> None:
    await paid(door)
    await door.server.order_store.begin_action("shop", ID, Action.PAID_MESSAGE)
    assert (await door.call("POST", f"{PATH}/serve", 409, json={"action": "paid_message"}))["code"] == "act_under_way"
    settle = {"action": "paid_message", "outcome": "done"}
    assert (await door.call("POST", f"{PATH}/settle", 409, json=settle))["code"] == "act_under_way"
    await door.server.order_store.settle_action("shop", ID, Action.PAID_MESSAGE, ActionState.DONE)
    assert (await door.call("POST", f"{PATH}/serve", 409, json={"action": "paid_message"}))["code"] == "act_done"
    assert (await door.call("POST", f"{PATH}/settle", 409, json=settle))["code"] == "act_done"


@pytest.mark.parametrize(
    ("status", "code"),
    [("shipped", "order_settled"), ("cancelled", "order_settled"), ("refunding", "order_refunding")],
)
async def test_an_order_that_is_settled_or_refunded_is_not_served(door: Door, status: str, code: str) -> None:
    await paid(door)
    await failed(door)
    await paid(door, status=status, paid=False, words="another card", message_id="2.PNM")
    assert (await door.call("POST", f"{PATH}/serve", 409, json={}))["code"] == code


async def test_an_order_that_nobody_paid_is_not_served(door: Door) -> None:
    await paid(door, status="processing", paid=False)
    assert (await door.call("POST", f"{PATH}/serve", 409, json={}))["code"] == "nothing_to_serve"


async def test_an_order_that_goes_in_a_parcel_is_not_confirmed_by_a_click_which_says_what_to_do(door: Door) -> None:
    await paid(door, parcel="yes")
    await door.server.order_store.settle_action("shop", ID, Action.PAID_MESSAGE, ActionState.DONE)
    await failed(door, Action.CONFIRM, "needs_parcel")
    refused = await door.call("POST", f"{PATH}/serve", 409, json={})
    assert refused["code"] == "goes_in_parcel"
    assert (await states(door))["confirm"] == "failed"


async def test_an_order_whose_paid_card_never_came_is_served_by_the_owners_word(door: Door) -> None:
    await paid(door, paid=False)
    assert (await door.call("GET", PATH))["problem"]["code"] == "paid_without_card"
    body = await door.call("POST", f"{PATH}/serve", json={}, params=NOW)
    assert (await states(door), body["problem"]) == ({"paid_message": "pending"}, None)


async def test_one_confirmation_can_be_asked_for_while_the_switch_is_off(door: Door) -> None:
    book = door.server.order_store
    await paid(door)
    await book.settle_action("shop", ID, Action.PAID_MESSAGE, ActionState.DONE)
    await book.settle_action("shop", ID, Action.CONFIRM, ActionState.NOT_NEEDED, "auto_confirm_off")
    body = await door.call("POST", f"{PATH}/serve", json={}, params=NOW)
    assert {row["action"]: row["state"] for row in body["actions"]} == {"paid_message": "done", "confirm": "pending"}


async def test_an_owner_says_what_became_of_an_act(door: Door) -> None:
    book = door.server.order_store
    await paid(door)
    await book.settle_action("shop", ID, Action.PAID_MESSAGE, ActionState.UNCERTAIN, "no_answer")
    unknown = {"action": "free_shipping", "outcome": "done"}
    assert (await door.call("POST", f"{PATH}/settle", 404, json=unknown))["code"] == "unknown_act"
    told = {"action": "paid_message", "outcome": "not_needed"}
    body = await door.call("POST", f"{PATH}/settle", json=told, params=NOW)
    assert body["problem"] is None
    assert await states(door) == {"paid_message": "not_needed", "confirm": "pending"}
    await book.settle_action("shop", ID, Action.CONFIRM, ActionState.UNCERTAIN, "no_answer")
    body = await door.call("POST", f"{PATH}/settle", json={"action": "confirm", "outcome": "done"}, params=NOW)
    assert (body["status"], body["problem"]) == ("shipped", None)
    assert body["timeline"][-1]["status"] == "shipped"


@pytest.mark.parametrize("body", [{}, {"action": "confirm"}, {"action": "ship", "outcome": "done"}, {"action": 1}])
async def test_a_body_of_the_wrong_shape_is_refused(door: Door, body: dict[str, Any]) -> None:
    await paid(door)
    assert (await door.call("POST", f"{PATH}/settle", 422, json=body))["code"] == "invalid_body"


async def test_the_stream_tells_of_each_order_that_changes_to_its_owner_alone(door: Door) -> None:
    async with (
        another_person(door) as bob,
        aclosing(one_by_one(door, await door.principal(1), None, beat_seconds=5)) as events,
    ):
        assert bob is not None
        stranger = one_by_one(door, await door.principal(2), None, beat_seconds=0.3)
        async with aclosing(stranger), asyncio.timeout(60):
            for told in (await anext(events), await anext(stranger)):
                assert told is not None
                assert told.body["type"] == "snapshot"
            await paid(door)
            await failed(door)
            seen: list[dict[str, Any]] = []
            while not seen or seen[-1].get("problem") != "message_refused":
                news = await anext(events)
                if news is not None and news.body["type"] == "order":
                    seen.append(news.body)
            assert await anext(stranger) is None
    assert {name: seen[-1][name] for name in ("account", "order_id", "chat_id", "status")} == {
        "account": "shop", "order_id": ID, "chat_id": "59", "status": "pending_ship",
    }  # fmt: skip
    assert seen[-1]["at"]
