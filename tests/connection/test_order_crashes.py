"""The process dies at each step of an order, or somebody switches off: nothing is done twice, nothing is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from shoal.accounts.change_path import Caller
from shoal.errors import StoreError
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from support.orders.order_steps import (
    CONSIGN,
    FREE,
    action_state,
    calls,
    died,
    held,
    order_action,
    order_soon,
    pay,
    paying_shop,
    running,
    words,
)
from support.site.sandboxed import UNANSWERED, Shoal
from support.site.standins import ANN, until


@pytest.fixture
async def heirs() -> AsyncIterator[list[Shoal]]:
    """Servers that go on where another one died; closed at the end."""
    opened: list[Shoal] = []
    yield opened
    for shoal in opened:
        await shoal.close()


async def heir_of(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> Shoal:
    heir = await died(shoal, tmp_path)
    await shoal.sandbox.do("fault/release")
    heirs.append(heir)
    await heir.open()
    await running(heir)
    return heir


async def test_it_dies_before_the_message_is_sent(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    order_id = await pay(shoal, unb)
    await shoal.book.receive("shop", OrderUpdate(order_id=order_id, status="pending_ship", source="card", paid=True))
    assert await shoal.book.begin_action("shop", order_id, Action.PAID_MESSAGE)
    heir = await died(shoal, tmp_path)
    heirs.append(heir)
    await heir.open()
    await heir.manager.update_cookie_status("shop", True, caller=ANN)
    await order_action(heir, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(heir, unb)) == 1


async def test_it_dies_while_the_message_is_answered(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send")
    order_id = await pay(shoal, unb)
    await held(shoal, "send")
    heir = await heir_of(shoal, tmp_path, heirs)
    await heir.is_done()
    assert len(await words(heir, unb)) == 1
    state = await action_state(heir.book, "shop", order_id, Action.PAID_MESSAGE)
    (sending,) = await heir.log.outbox.list_sendings(["shop"], order_id=order_id)
    if sending.outcome is SendOutcome.UNCERTAIN:
        assert state is ActionState.UNCERTAIN
        assert (await order_soon(heir, order_id, problem="message_uncertain")).status == "pending_ship"
        assert await calls(heir, CONSIGN, unb) == 0
    else:
        assert sending.outcome is SendOutcome.SENT


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
@pytest.mark.parametrize("delivered", [True, False])
async def test_f4_an_uncertain_paid_message_is_never_sent_again_by_a_later_connection(
    shoal: Shoal, *, delivered: bool
) -> None:
    """A site that knows no uuid again would show it twice. Its owner is asked instead."""
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("policy", dedupe_uuid=False)
    await shoal.sandbox.do(
        "fault",
        account=unb,
        kind="hold" if delivered else "send_timeout",
        **({"which": "send"} if delivered else {"delivered": False, "times": 1}),
    )
    order_id = await pay(shoal, unb)
    if delivered:
        await held(shoal, "send")
    else:
        await order_soon(shoal, order_id, problem="message_uncertain")
    before = await words(shoal, unb)
    for _ in range(2):
        await shoal.close()
        await shoal.sandbox.do("faults/clear")
        await shoal.open()
        await running(shoal)
        await shoal.is_done()
    assert await words(shoal, unb) == before
    (sending,) = await shoal.log.outbox.list_sendings(["shop"], order_id=order_id)
    assert sending.resends == 0


async def test_it_dies_after_the_message_was_answered(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="consign")
    order_id = await pay(shoal, unb)
    await held(shoal, "consign")
    heir = await heir_of(shoal, tmp_path, heirs)
    await order_action(
        heir, order_id, Action.CONFIRM, ActionState.DONE
    )  # the site's own card tells what the answer did not
    assert await calls(heir, CONSIGN, unb) == 1
    assert len(await words(heir, unb)) == 1
    assert (await order_soon(heir, order_id, status="shipped")).problem == ""


async def test_it_dies_before_the_confirmation_is_sent(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> None:
    unb = await paying_shop(shoal, auto_confirm=False)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert await shoal.book.ask_again("shop", order_id, Action.CONFIRM, actor="user:ann") is True
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    second = await pay(shoal, unb, buyer="小虾")
    await order_action(shoal, second, Action.CONFIRM, ActionState.NOT_NEEDED)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.book.ask_again("shop", second, Action.CONFIRM, actor="user:ann")
    assert await shoal.book.begin_action("shop", second, Action.CONFIRM)
    heir = await died(shoal, tmp_path)
    heirs.append(heir)
    await heir.open()
    await heir.manager.update_cookie_status("shop", True, caller=ANN)
    await order_soon(heir, second, problem="confirm_uncertain")
    await heir.is_done()
    assert await calls(heir, CONSIGN, unb) == 1  # that of the first order


async def test_it_dies_while_a_group_price_is_completed_and_the_page_tells_the_rest(
    shoal: Shoal, tmp_path: Path, heirs: list[Shoal]
) -> None:
    unb = await paying_shop(shoal, free_shipping=True)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="freeshipping")
    order_id = await pay(shoal, unb, card="group")
    await held(shoal, "freeshipping")
    heir = await heir_of(shoal, tmp_path, heirs)
    await order_action(heir, order_id, Action.CONFIRM, ActionState.DONE)
    order = await order_soon(heir, order_id, status="shipped")
    assert order.problem == ""
    assert (await calls(heir, FREE, unb), await calls(heir, CONSIGN, unb), len(await words(heir, unb))) == (1, 1, 1)


async def test_it_dies_while_a_group_price_is_completed(shoal: Shoal, tmp_path: Path, heirs: list[Shoal]) -> None:
    unb = await paying_shop(shoal, free_shipping=True)
    await shoal.sandbox.do("policy", also=["ready_card"], ready_seconds=-1)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="freeshipping")
    order_id = await pay(shoal, unb, card="group")
    await held(shoal, "freeshipping")
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="order", times=99)
    heir = await heir_of(shoal, tmp_path, heirs)
    await order_soon(heir, order_id, problem="free_shipping_uncertain")
    await heir.is_done()
    assert await calls(heir, FREE, unb) == 1
    assert await words(heir, unb) == []
    assert await heir.book.owner_settles("shop", order_id, Action.FREE_SHIPPING, ActionState.DONE, actor="user:ann")
    await pay(heir, unb, card="group_ready", order_id=order_id)
    await order_action(heir, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(heir, unb)) == 1


async def test_what_is_under_way_when_the_server_closes_is_finished_or_told(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="consign", times=1)
    order_id = await pay(shoal, unb)
    await held(shoal, "consign")
    closing = asyncio.create_task(shoal.close())
    await until(lambda: shoal.live_connections.sender("shop") is None)
    await shoal.sandbox.do("fault/release")
    await closing
    await shoal.open()
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert await calls(shoal, CONSIGN, unb) == 1


async def test_c9_switching_off_while_the_message_is_answered_confirms_nothing(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 60.0)
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    order_id = await pay(shoal, unb)
    await held(shoal, "send")
    await shoal.manager.update_cookie_status("shop", False, caller=Caller(actor="user:ann", wait_seconds=0))
    await shoal.sandbox.do("fault/release")
    await shoal.is_out()
    assert await calls(shoal, CONSIGN, unb) == 0
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (1, 1)


async def test_c9_switching_the_confirmation_off_meanwhile_confirms_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    order_id = await pay(shoal, unb)
    await held(shoal, "send")
    await shoal.manager.update_auto_confirm_setting("shop", False, caller=ANN)
    await shoal.sandbox.do("fault/release")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert await calls(shoal, CONSIGN, unb) == 0


async def test_f4_switching_the_confirmation_off_between_its_announcement_and_the_call_confirms_nothing(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await paying_shop(shoal)
    begin = shoal.book.begin_action

    async def begin_action(account_id: str, order_id: str, act: Action) -> bool:
        begun = await begin(account_id, order_id, act)
        if act is Action.CONFIRM:
            await shoal.manager.update_auto_confirm_setting("shop", False, caller=ANN)
        return begun

    monkeypatch.setattr(shoal.book, "begin_action", begin_action)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (0, 1)


async def test_many_copies_of_a_card_and_a_restart_among_them_serve_once(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="duplicate_push", times=20, copies=3)
    order_id = await pay(shoal, unb)
    for as_update in (False, True):
        await pay(shoal, unb, card="paid", order_id=order_id, as_update=as_update)
    await shoal.close()
    await pay(shoal, unb, card="paid", order_id=order_id)
    await shoal.open()
    await running(shoal)
    await pay(shoal, unb, card="paid", order_id=order_id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (1, 1)


async def test_c8_an_account_that_is_added_again_under_another_id_serves_no_order_twice(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await shoal.manager.remove_cookie("shop", caller=ANN)
    await until(lambda: "shop" not in shoal.manager.tasks)
    assert await shoal.add("another") == unb
    await shoal.manager.update_settings("another", {"paid_message": "网盘链接 {order_id}"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("another", True, caller=ANN)
    await pay(shoal, unb, card="paid", order_id=order_id)
    await shoal.is_done("another")
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (1, 1)


async def test_a_full_disk_after_the_confirmation_is_uncertain_until_the_sites_card_tells(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await paying_shop(shoal)
    write, failed = shoal.book._database.write, asyncio.Event()

    async def full(job: Callable[[Connection], Any], **told: Any) -> Any:
        if not failed.is_set() and await calls(shoal, CONSIGN, unb) and not failed.is_set():
            failed.set()
            raise StoreError("disk full")
        return await write(job, **told)

    monkeypatch.setattr(shoal.book._database, "write", full)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert failed.is_set()
    assert await calls(shoal, CONSIGN, unb) == 1
    assert await calls(shoal, CONSIGN, unb) == 1


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
async def test_the_echo_of_an_unanswered_message_tells_that_it_arrived_and_the_order_goes_on(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", times=1)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (1, 1)
    acts = [(event.action, event.outcome) for event in await shoal.book.events("shop", order_id) if event.action]
    assert acts == [("paid_message", "uncertain"), ("paid_message", "done"), ("confirm", "done")]
