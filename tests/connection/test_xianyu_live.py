"""A shop over the real wire: it answers, it is silent when it shall be, and it never does a thing twice."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from sandboxed import Shoal
from shoal.account import AccountState
from shoal.change_path import Caller
from shoal.keywords import KeywordRow
from shoal.order_book import Act, IntentState
from standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)


async def intent(shoal: Shoal, order_id: str, act: Act, state: IntentState) -> None:
    async with asyncio.timeout(5):
        while await shoal.book.intent_state("shop", order_id, act) is not state:
            await asyncio.sleep(0.02)


async def test_a_buyer_is_answered_by_the_rule_with_the_variables_filled_literally(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "{send_user_name}您好 {send_message} {unknown}"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗{send_user_id}")
    seen = await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    assert seen == ["小鱼您好 在吗{send_user_id} {unknown}"]


async def test_a_keyword_change_answers_the_very_next_message_without_a_reconnect(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "old"})
    await shoal.manager.update_keywords("shop", [("在吗", "new")], caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["new"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


async def test_a_disabled_shop_sends_no_frame(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await asyncio.sleep(0.01)
    await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    published_ms = time.time() * 1000
    await asyncio.sleep(1.2)
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    late = [frame for frame in frames if frame["direction"] == "in" and frame["wall_ms"] > published_ms + 1]
    assert not late
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"], "still fresh, so answered now"


async def test_c1_the_same_text_again_is_answered_again_and_the_same_id_never_twice(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 2)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗", message_id=said["message_id"])
    await asyncio.sleep(0.3)
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 2


async def test_c2_a_duplicate_after_a_restart_is_not_answered(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗", message_id=said["message_id"])
    await asyncio.sleep(0.3)
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1


async def test_c3_a_burst_is_joined_and_gets_one_answer(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"多少钱": "10"})
    for text in ("多少钱", "?", "在吗"):
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=text)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["10"]
    await asyncio.sleep(0.3)
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1


async def test_c3_what_was_asked_before_the_line_dropped_is_answered_after_it_is_back(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": 0.5}, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await asyncio.sleep(0.1)
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


async def test_c4_our_own_echo_does_not_silence_the_chat_but_the_owner_does(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await asyncio.sleep(0.2)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    await shoal.sandbox.seen_soon(unb, "小鱼", 2)
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    await asyncio.sleep(0.3)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗??")
    await asyncio.sleep(0.4)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi", "hi", "我来了"]


@pytest.mark.parametrize("restart", [False, True])
async def test_c4_an_echo_whose_answer_never_came_does_not_silence_the_chat(shoal: Shoal, *, restart: bool) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=True, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    if restart:
        await shoal.close()
        await shoal.open()
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    else:
        await asyncio.sleep(1.2)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]
    assert [sending.outcome for sending in await shoal.log.list_sendings(["shop"])][1] == "uncertain"


async def test_a_sending_that_a_disable_cuts_in_two_is_uncertain_at_once(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(5):
        while not await shoal.log.list_sendings(["shop"]):
            await asyncio.sleep(0.01)
    stopped = await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    assert stopped.observation.state is AccountState.STOPPED
    (sending,) = await shoal.log.list_sendings(["shop"])
    assert sending.outcome == "uncertain"


async def test_an_item_rule_comes_before_a_general_one_and_others_are_not_asked(shoal: Shoal) -> None:

    unb = await shoal.add()
    item = shoal.item_of(unb)
    rows = [
        KeywordRow(keyword="尺码", reply="general"),
        KeywordRow(keyword="尺码", reply="bound", item_id=item),
        KeywordRow(keyword="尺码", reply="other", item_id="899999999999"),
    ]
    await shoal.manager.update_text_keywords("shop", rows, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="尺码?", item=item)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["bound"]


async def test_a_refused_message_does_not_count_as_sent(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(5):
        while not (sendings := await shoal.log.list_sendings(["shop"])) or sendings[0].outcome == "sending":
            await asyncio.sleep(0.02)
    assert (sendings[0].outcome, sendings[0].reason) == ("refused", "CSI_FORBID")


async def test_a_silent_send_is_uncertain_and_not_repeated(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=True, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(5):
        while not (sendings := await shoal.log.list_sendings(["shop"])) or sendings[0].outcome == "sending":
            await asyncio.sleep(0.05)
    assert sendings[0].outcome == "uncertain"
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1


async def test_b1_a_refused_registration_is_not_running(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="token_refused")
    await shoal.manager.resume("shop", caller=QUICK)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RETRYING)
    assert shoal.manager.observation("shop").reason == "token_refused"
    await shoal.sandbox.do("faults/clear")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_b2_unanswered_heartbeats_end_the_connection_and_it_comes_back(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="silent_zombie", heartbeats=False, times=1)
    await until(lambda: shoal.manager.observation("shop").state is not AccountState.RUNNING)
    await shoal.sandbox.do("faults/clear")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert (await shoal.sandbox.sockets(unb))["max"] == 1


async def test_b6_a_drop_reconnects_with_the_same_token(shoal: Shoal) -> None:
    unb = await shoal.add()
    before = len(await shoal.sandbox.calls("login.token", unb))
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    async with asyncio.timeout(5):
        while (await shoal.sandbox.sockets(unb))["total"] < 2:
            await asyncio.sleep(0.02)
    assert len(await shoal.sandbox.calls("login.token", unb)) == before


async def test_a_restart_reuses_the_token_and_the_device(shoal: Shoal) -> None:
    unb = await shoal.add()
    devices = (await shoal.sandbox.sockets(unb))["devices"]
    calls = len(await shoal.sandbox.calls("login.token", unb))
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert (await shoal.sandbox.sockets(unb))["devices"] == devices
    assert len(await shoal.sandbox.calls("login.token", unb)) == calls


async def test_a25_token_calls_of_many_shops_are_spaced(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(token_calls_per_second=5.0)
    shops = [(await shoal.sandbox.do("sellers"))["unb"] for _ in range(6)]
    for number, unb in enumerate(shops):
        cookie = shoal.sandbox.world.cookie_header(unb)
        await shoal.manager.add_cookie(f"shop{number}", cookie, owner_id=1, caller=QUICK)
    await until(lambda: all(shoal.manager.observation(name).state == "running" for name in shoal.manager.accounts))
    items = (await shoal.sandbox.get("calls"))["items"]
    moments = [call["wall_ms"] for call in items if str(call["api"]).endswith("login.token")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(moments) == len(shops)
    assert min(gaps) > 100, "evenly spaced at 200 ms, whatever the machine adds"


@pytest.mark.parametrize("order", ["validate_first", "rgv_first"])
async def test_b13_risk_control_parks_at_once_with_the_link_and_no_further_call(shoal: Shoal, order: str) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", order=order)
    outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert outcome.observation.state is AccountState.PARKED
    assert outcome.observation.reason == "risk_control"
    assert "punish" in outcome.observation.action_url
    calls = len(await shoal.sandbox.calls("login.token", unb))
    await asyncio.sleep(0.3)
    assert len(await shoal.sandbox.calls("login.token", unb)) == calls


async def test_an_expired_login_parks(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="session_expired")
    outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert (outcome.observation.state, outcome.observation.reason) == (AccountState.PARKED, "login_expired")


async def test_a_kick_parks(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="kickout", when="now", times=1)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    assert shoal.manager.observation("shop").reason == "kicked_out"


async def test_a_replaced_cookie_makes_exactly_one_reconnect_and_a_rotated_one_none(shoal: Shoal) -> None:
    unb = await shoal.add()
    world = shoal.sandbox.world
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", times=1)
    await shoal.manager.resume("shop", caller=ANN)
    before = (await shoal.sandbox.sockets(unb))["total"]
    cookie = world.cookie_header(world.seller(unb)) + "; extra=1"
    await shoal.manager.update_cookie("shop", cookie, caller=ANN)
    await asyncio.sleep(0.3)
    after = await shoal.sandbox.sockets(unb)
    assert (after["total"], after["now"], after["max"]) == (before + 1, 1, 1)


async def test_a6_a_rotated_cookie_survives_off_and_on(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="rotated1", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert "sgcookie=rotated1" in (await shoal.sandbox.sockets(unb))["cookie"]
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert "sgcookie=rotated1" in (await shoal.sandbox.sockets(unb))["cookie"]
    assert shoal.manager.account("shop").cookie_version == 1


async def test_a7_an_old_reply_cannot_write_over_the_owners_new_cookie(shoal: Shoal) -> None:
    unb = await shoal.add()
    world = shoal.sandbox.world
    cookie = world.cookie_header(world.seller(unb)) + "; mine=1"
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="late", times=1)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token")
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    await asyncio.sleep(0.3)
    await shoal.manager.update_cookie("shop", cookie, caller=QUICK)
    await shoal.sandbox.do("faults/clear")
    await shoal.sandbox.do("fault/release")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    account = shoal.manager.account("shop")
    assert account.cookie.endswith("mine=1")
    assert (await shoal.store.get_cookie_details("shop")).cookie == account.cookie
    assert "sgcookie=late" not in (await shoal.sandbox.sockets(unb))["cookie"]


async def test_b15_every_entry_of_a_push_is_read(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=3)
    for buyer in ("甲", "乙", "丙"):
        await shoal.sandbox.do("say", account=unb, buyer=buyer, text="在吗")
    for buyer in ("甲", "乙", "丙"):
        assert await shoal.sandbox.seen_soon(unb, buyer, 1) == ["hi"]


async def test_an_undecodable_push_is_acknowledged_and_harms_nothing(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("push", account=unb, shape="raw", data="%%%")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    assert (await shoal.sandbox.sockets(unb))["unacked"] == 0


async def test_c18_a_message_is_stored_before_it_is_acknowledged(shoal: Shoal) -> None:
    unb = await shoal.add()
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(5):
        while (await shoal.sandbox.sockets(unb))["unacked"]:
            await asyncio.sleep(0.001)
    stored = await shoal.log.list_messages(["shop"])
    assert [logged.message.message_id for logged in stored] == [said["message_id"]]


# -- paid orders -------------------------------------------------------------------------------------------------


async def paying_shop(shoal: Shoal, *, auto_confirm: bool = True, message: str = "网盘链接 {order_id}") -> str:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": message}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", auto_confirm, caller=ANN)
    return unb


async def test_a_paid_order_gets_its_message_first_and_is_confirmed_once(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.DONE)
    assert (await shoal.sandbox.seen(unb, "小鱼"))[0] == f"网盘链接 {paid['order_id']}"
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_c8_a_repeated_paid_card_delivers_once_even_after_a_restart(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.DONE)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await asyncio.sleep(0.4)
    words = [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert len(words) == 1
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_an_order_that_was_cancelled_while_the_shop_was_off_gets_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="closed", order_id=paid["order_id"])
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await intent(shoal, paid["order_id"], Act.PAID_MESSAGE, IntentState.NOT_NEEDED)
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.NOT_NEEDED)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await asyncio.sleep(0.3)
    assert not [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_an_order_that_is_cancelled_while_its_message_leaves_is_not_confirmed(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    await shoal.sandbox.do("fault", account=unb, kind="delay", which="send", seconds=0.5, times=1)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await asyncio.sleep(0.1)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="closed", order_id=paid["order_id"])
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.NOT_NEEDED)
    assert await shoal.book.intent_state("shop", paid["order_id"], Act.PAID_MESSAGE) is IntentState.DONE
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_an_old_paid_card_does_not_unship_an_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.DONE)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await asyncio.sleep(0.3)
    order = await shoal.book.order("shop", paid["order_id"])
    assert order is not None
    assert order.status == "shipped"


async def test_auto_confirm_off_sends_the_message_and_confirms_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, auto_confirm=False)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.NOT_NEEDED)
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_c6_c7_a_refused_paid_message_confirms_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID")
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await intent(shoal, paid["order_id"], Act.PAID_MESSAGE, IntentState.FAILED)
    await asyncio.sleep(0.2)
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    order = await shoal.book.order("shop", paid["order_id"])
    assert order is not None
    assert order.status == "pending_ship"


async def test_nothing_configured_confirms_nothing_but_nothing_to_send_does(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, message="")
    item = shoal.item_of(unb)
    first = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await intent(shoal, first["order_id"], Act.PAID_MESSAGE, IntentState.FAILED)
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    await shoal.manager.update_item("shop", item, {"nothing_to_send": True}, caller=ANN)
    second = await shoal.sandbox.do("pay", account=unb, buyer="小虾", item=item)
    await intent(shoal, second["order_id"], Act.CONFIRM, IntentState.DONE)
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_c10_a_typed_trigger_text_is_no_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="[我已付款，等待你发货] orderId=1234567890123456789")
    await asyncio.sleep(0.4)
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    assert not await shoal.sandbox.seen(unb, "小鱼")


async def test_an_unanswered_confirmation_is_uncertain_and_never_repeated(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="consign", times=1)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.UNCERTAIN)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await asyncio.sleep(0.3)
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) <= 1


async def test_an_id_that_is_taken_again_serves_no_old_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await intent(shoal, paid["order_id"], Act.CONFIRM, IntentState.DONE)
    await shoal.manager.remove_cookie("shop", caller=ANN)
    await until(lambda: "shop" not in shoal.manager.tasks)
    assert await paying_shop(shoal) == unb
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await asyncio.sleep(0.4)
    words = [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert len(words) == 1
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1
