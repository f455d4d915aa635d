"""What is pushed besides messages is recognised, acknowledged, and never answered."""

from __future__ import annotations

import asyncio

import pytest

from shoal.accounts.account import AccountState
from shoal.orders.order_store import Action, ActionState
from support.orders.order_steps import action_state, pay, paying_shop
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

DEFAULT = {"default_reply_enabled": True, "default_reply": "您好"}


@pytest.mark.parametrize("shape", ["typing", "read_receipt", "new_message", "session_arouse", "resync"])
async def test_marks_receipts_and_typing_are_no_messages(shoal: Shoal, shape: str) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", DEFAULT, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["您好"]
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape=shape)
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == ["您好"]
    assert len(await shoal.log.list_messages(["shop"])) == 2, "the question and the echo of the answer"
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


@pytest.mark.parametrize("kind", [{"system": True}, {"tip": True}])
async def test_what_the_site_says_itself_is_stored_and_not_answered(shoal: Shoal, kind: dict[str, bool]) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", DEFAULT, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="卖家人不错？送Ta闲鱼小红花", **kind)
    await shoal.is_done()
    assert not await shoal.sandbox.seen(unb, "小鱼")
    (logged,) = await shoal.log.list_messages(["shop"])
    assert logged.message.handled


async def test_a_listed_account_of_the_site_gets_no_answer_and_pays_for_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_settings("shop", DEFAULT, caller=ANN)
    world = shoal.sandbox.world
    official = world.buyer("小鱼")
    await shoal.close()
    await shoal.open(official_senders=f"1,{official.id}")
    await shoal.runs()
    order_id = await pay(shoal, unb)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="您的店铺已升级")
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小虾", 1) == ["您好"]
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    assert await shoal.book.order("shop", order_id) is None
    (logged,) = [one for one in await shoal.log.list_messages(["shop"]) if one.message.text == "您的店铺已升级"]
    assert (logged.message.decision, logged.message.direction) == ("official", "site")


async def test_every_push_is_acknowledged_once_and_no_answer_of_the_site_is(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="duplicate_push", copies=2, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.is_done()
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    pushed = [
        line["frame"]["headers"]["mid"] for line in frames if line["direction"] == "out" and "lwp" in line["frame"]
    ]
    acked = [
        line["frame"]["headers"]["mid"] for line in frames if line["direction"] == "in" and "code" in line["frame"]
    ]
    assert sorted(acked) == sorted(pushed)


async def test_a_payment_that_comes_as_the_update_of_a_card_is_served(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    item = shoal.item_of(unb)
    order = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="not_paid")
    await shoal.sandbox.do(
        "pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=order["order_id"], as_update=True, mark=False
    )
    async with asyncio.timeout(60):
        while await action_state(shoal.book, "shop", order["order_id"], Action.CONFIRM) is not ActionState.DONE:
            await asyncio.sleep(0.02)
    assert (await shoal.sandbox.seen(unb, "小鱼"))[0] == "网盘链接"


async def test_a_session_that_the_site_removes_comes_back_later(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("push", account=unb, shape="session_remove")
    await until(lambda: shoal.manager.observation("shop").state is not AccountState.RUNNING)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert len(await shoal.sandbox.calls("login.token", unb)) == 1
