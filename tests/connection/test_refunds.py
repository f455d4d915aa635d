"""Refunds that end: by the request's card with another button, or by the order's page, which decides."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from connection.counters import opened
from shoal.orders import refunds
from shoal.orders.order_store import Action, ActionState
from support.orders.order_steps import (
    CONSIGN,
    PATIENCE,
    calls,
    held,
    order_action,
    order_soon,
    pay,
    paying_shop,
    running,
    words,
)
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN, until_told

PAGE = "order.detail"
UNKNOWN_WORDS = "售后已结束"
"""Words of which no word list knows."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of the sandbox lag only where a test says so."""
    monkeypatch.setattr(refunds, "LAG_SECONDS", 0.05)
    monkeypatch.setattr(refunds, "WAITS_SECONDS", (0.0, 0.3, 0.3, 0.3))


async def refunding(shoal: Shoal, **settings: Any) -> tuple[str, str]:
    """A running shop with a paid order whose buyer asks for a refund before anything was sent."""
    unb = await paying_shop(shoal, **settings)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    order_id = await pay(shoal, unb)
    await pay(shoal, unb, card="refund_asked", order_id=order_id)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await running(shoal)
    assert (await order_soon(shoal, order_id, status="refunding")).problem == "refund_asked"
    await shoal.is_done()
    assert await words(shoal, unb) == []
    return unb, order_id


FORMS: list[dict[str, bool]] = [{}, {"dynamic": True}, {"as_update": True}]


@pytest.mark.parametrize("form", FORMS, ids=["card", "dynamic", "update"])
@pytest.mark.parametrize("card", ["refund_withdrawn", "refund_refused"])
async def test_g2_a_request_that_comes_again_with_another_button_ends_the_refund(
    shoal: Shoal, card: str, form: dict[str, bool]
) -> None:
    unb, order_id = await refunding(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="order", times=99)  # only the card says it
    await pay(shoal, unb, card=card, order_id=order_id, mark=False, **form)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1
    assert not (await order_soon(shoal, order_id, status="shipped")).problem


@pytest.mark.parametrize("form", FORMS, ids=["card", "dynamic", "update"])
async def test_g2_words_that_nobody_knows_do_not_block_an_order(shoal: Shoal, form: dict[str, bool]) -> None:
    unb, order_id = await refunding(shoal)
    await pay(shoal, unb, card="refund_withdrawn", button=UNKNOWN_WORDS, order_id=order_id, mark=False, **form)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_g2_a_mark_of_the_chat_has_the_page_asked(shoal: Shoal) -> None:
    unb, order_id = await refunding(shoal)
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id, quiet=True)
    await shoal.sandbox.do("order_mark", account=unb, buyer="小鱼", red_reminder="等待卖家发货")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_g2_a_card_that_names_no_order_has_the_page_asked(shoal: Shoal) -> None:
    """So comes a changed card whose content the site left out."""
    unb, order_id = await refunding(shoal)
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id, quiet=True)
    content = '{"contentType":32,"dynamicOperation":{}}'
    extra = {"extJson": '{"msgArg1":"MsgCard","contentType":"32"}', "bizTag": '{"sourceId":"C2C:t1"}'}
    said = {"content_type": 32, "content": content, "extra": extra}
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="[卡片消息]", **said)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


@pytest.mark.parametrize("status", ["shipped", "completed"])
async def test_g2_a_page_that_says_shipped_or_completed_ends_the_refund(
    shoal: Shoal, status: Literal["shipped", "completed"]
) -> None:
    unb, order_id = await refunding(shoal)
    world = shoal.sandbox.world
    world.orders[order_id].move(status, world.clock.now_ms())
    await shoal.sandbox.do("order_mark", account=unb, buyer="小鱼", red_reminder="订单有更新")
    assert not (await order_soon(shoal, order_id, status=status)).problem
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_g2_a_page_that_still_shows_the_refund_outweighs_the_card(shoal: Shoal) -> None:
    unb, order_id = await refunding(shoal)
    await pay(shoal, unb, card="refund_refused", order_id=order_id, title="买家申请退款，等待平台处理")
    await shoal.is_done()
    pages = await calls(shoal, PAGE, unb)
    async with asyncio.timeout(PATIENCE):
        while await calls(shoal, PAGE, unb) == pages:  # it is asked again: the page may be late
            await asyncio.sleep(0.02)
    assert (await order_soon(shoal, order_id, status="refunding")).problem == "refund_asked"
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_g2_a_page_that_lags_behind_the_card_delays_the_order(shoal: Shoal) -> None:
    unb, order_id = await refunding(shoal)
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id, status_lag_seconds=0.5)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_g2_the_request_itself_does_not_ask_a_page_that_lags(shoal: Shoal) -> None:
    """The page still says "paid" for a moment: the refund must not end by that, nor by a copy of the card."""
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="order")
    order_id = await pay(shoal, unb)
    await held(shoal, "order")  # asked before the request, this page says "paid" as well
    await shoal.sandbox.do("fault", account=unb, kind="duplicate_push", times=9, copies=3)
    await pay(shoal, unb, card="refund_asked", order_id=order_id, status_lag_seconds=3600)
    await order_soon(shoal, order_id, status="refunding")
    await shoal.sandbox.do("fault/release")
    await shoal.sandbox.do("faults/clear")
    await order_soon(shoal, order_id, quantity="1", status="refunding")  # the page was read
    await shoal.is_done()
    await asyncio.sleep(0.2)  # longer than a page is taken to lag in these tests
    assert (await order_soon(shoal, order_id, status="refunding")).problem == "refund_asked"
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_g2_what_ended_while_the_server_was_down_is_seen_at_the_next_start(shoal: Shoal) -> None:
    unb, order_id = await refunding(shoal)
    await shoal.close()
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id, quiet=True)
    await shoal.open()
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_g2_a_request_that_is_read_again_later_stops_nothing(shoal: Shoal) -> None:
    """A connection reads the newest lines of a chat again, with the request that has ended since."""
    unb, order_id = await refunding(shoal, message="")
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id, quiet=True)
    await shoal.sandbox.do("order_mark", account=unb, buyer="小鱼", red_reminder="等待卖家发货")
    await order_soon(shoal, order_id, problem="no_paid_message")
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await running(shoal)
    await shoal.is_done()
    assert (await order_soon(shoal, order_id, status="pending_ship")).problem == "no_paid_message"


async def test_g2_a_refund_that_is_asked_for_again_stops_the_order_again(shoal: Shoal) -> None:
    unb, order_id = await refunding(shoal, message="")
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id)
    await order_soon(shoal, order_id, problem="no_paid_message")
    await pay(shoal, unb, card="refund_asked", order_id=order_id)
    await order_soon(shoal, order_id, status="refunding")
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接 {order_id}"}, caller=ANN)
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


# ── the owner's "serve" ──────────────────────────────────────────────────────────────────────────────────────────


class OwnersShop:
    """A shop behind the API with an order whose buyer asks for a refund."""

    def __init__(self, door: Any, sandbox: Sandbox, unb: str, order_id: str) -> None:
        self.door, self.sandbox, self.unb, self.order_id = door, sandbox, unb, order_id

    async def serve(self, status: int = 200, **body: Any) -> dict[str, Any]:
        path = f"/cookies/shop/orders/{self.order_id}/serve?wait=30"
        answer: dict[str, Any] = await self.door.call("POST", path, status, json=body)
        return answer

    async def pays(self, card: str, **body: Any) -> None:
        about = {"account": self.unb, "buyer": "小鱼", "order_id": self.order_id, "card": card, "quiet": True}
        await self.sandbox.do("pay", **about, **body)

    async def said(self) -> list[str]:
        return await self.sandbox.seen(self.unb, "小鱼")


@pytest.fixture
async def owned(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(refunds, "WAITS_SECONDS", ())  # only the owner has the page asked
    async with opened(sandbox, tmp_path / "data") as door:
        seller = next(iter(sandbox.world.sellers.values()))
        await door.call("POST", "/cookies", json={"id": "shop", "value": sandbox.world.cookie_header(seller)})
        await door.call(
            "PATCH", "/cookies/shop/settings", json={"paid_message": "货 {order_id}", "auto_confirm": False}
        )
        await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
        item = next(iter(seller.items))
        paid = await sandbox.do("pay", account=seller.unb, buyer="小鱼", item=item)
        shop = OwnersShop(door, sandbox, seller.unb, paid["order_id"])
        await sandbox.do("pay", account=seller.unb, buyer="小鱼", card="refund_asked", order_id=shop.order_id)
        await door.call("PUT", "/cookies/shop/status", json={"enabled": True})

        async def status() -> str:
            answer = await door.client.get(f"/cookies/shop/orders/{shop.order_id}")
            return str(answer.json().get("status"))

        await until_told(status, "refunding")
        yield shop


async def test_g2_an_owners_serve_asks_the_page_and_the_page_ends_the_refund(owned: OwnersShop) -> None:
    await owned.pays("refund_withdrawn")
    body = await owned.serve()
    assert (body["status"], body["problem"]) == ("pending_ship", None)
    assert await owned.said() == [f"货 {owned.order_id}"]


async def test_g2_an_owners_serve_sends_nothing_while_the_page_shows_the_refund(owned: OwnersShop) -> None:
    assert (await owned.serve(409))["code"] == "order_refunding"
    assert await owned.said() == []


async def test_g2_a_page_whose_words_nobody_knows_leaves_it_to_the_owner(owned: OwnersShop) -> None:
    await owned.pays("refund_withdrawn", title=UNKNOWN_WORDS)
    body = await owned.serve()
    assert (body["status"], body["problem"]) == ("pending_ship", None)
    assert await owned.said() == [f"货 {owned.order_id}"]
    assert [row["source"] for row in body["timeline"] if row["status"] == "pending_ship"][-1] == "user:admin"


async def test_g2_a_page_that_cannot_be_read_leaves_the_refund_open(owned: OwnersShop) -> None:
    await owned.pays("refund_withdrawn")
    await owned.sandbox.do("fault", account=owned.unb, kind="http_500", which="order", times=99)
    assert (await owned.serve(503))["code"] == "order_page_unread"
    assert await owned.said() == []
    await owned.sandbox.do("faults/clear")
    await owned.door.client.post(
        f"/cookies/shop/orders/{owned.order_id}/serve?wait=30", json={}
    )  # it may go on already
    await until_told(owned.said, [f"货 {owned.order_id}"])


async def test_g2_a_shop_that_is_off_asks_no_page(owned: OwnersShop) -> None:
    await owned.pays("refund_withdrawn")
    await owned.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    assert (await owned.serve(409))["code"] == "order_refunding"
    assert await owned.said() == []
