"""An owner asks for an order again of which it is unknown whether a message arrived: its buyer gets no second copy."""

from __future__ import annotations

import pytest

from shoal.clock import now_ms
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders import deliveries as deliveries_module
from shoal.orders import uncertain_messages
from shoal.orders.order_store import Action, ActionState
from support.orders.delivery_steps import CODES, ORDER, bound, came_to, confirmations, paid
from support.orders.order_steps import action_state
from support.site.standins import ANN, until
from support.site.without_sockets import HISTORY, OneShop

FIRST, SECOND = f"码 {CODES[0]}", f"码 {CODES[1]}"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)
    monkeypatch.setattr(uncertain_messages, "AGAIN_MS", (20, 20))


async def doubted(shop: OneShop, quantity: str = "2") -> None:
    """A shop that was killed before it read the answer to the first message of an order, and runs again."""
    await paid(shop, quantity=quantity)
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: bool(shop.site.said))
    await shop.close()
    shop.site.held = None
    await shop.open()
    await shop.running()
    assert (await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)).problem == "message_uncertain"


async def asks(shop: OneShop) -> None:
    assert await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")


async def said_so_often(shop: OneShop, count: int) -> None:
    await until(lambda: len(shop.site.said) == count)


def readings(shop: OneShop) -> int:
    return sum(frame.get("lwp") == HISTORY for frame in shop.site.frames)


async def test_an_uncertain_message_that_is_asked_for_goes_out_with_its_uuid(shop: OneShop) -> None:
    """The site drops a repeated uuid; the messages after it are new ones."""
    await doubted(shop)
    await asks(shop)
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [FIRST, FIRST, SECOND]
    (_, first), (_, again), (_, second) = shop.site.said_as
    assert first == again != second
    rows = await shop.sendings("sent", "dropped", "sent")
    assert [(one.row.uuid, one.resends, one.reason) for one in rows[::2]] == [(first, 1, "sent_again"), (second, 0, "")]
    assert (order.problem, await bound(shop), confirmations(shop)) == ("", ["out", "out"], 1)


async def test_what_the_chat_on_the_site_shows_is_not_sent_again(shop: OneShop) -> None:
    """Also by a site that knows no uuid again."""
    await doubted(shop)
    shop.site.has_said(FIRST, at_ms=now_ms(), message_id="echo.PNM")
    await asks(shop)
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (shop.site.said, order.problem) == ([FIRST, SECOND], "")


async def test_an_order_whose_only_message_is_found_in_the_chat_is_done(shop: OneShop) -> None:
    await doubted(shop, quantity="1")
    shop.site.has_said(FIRST, at_ms=now_ms(), message_id="echo.PNM")
    await asks(shop)
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (shop.site.said, order.problem, confirmations(shop)) == ([FIRST], "", 1)
    assert (await shop.sendings("sent"))[0].resends == 0


async def test_an_echo_that_comes_after_the_owner_asked_counts(shop: OneShop) -> None:
    await doubted(shop)
    await shop.stop()
    await asks(shop)
    (doubt, _) = await shop.sendings("uncertain", "dropped")
    assert await shop.log.outbox.claim_echo("shop", doubt.row.chat_id, "echo.PNM", FIRST, "1")
    await shop.manager.update_cookie_status("shop", True, caller=ANN)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [FIRST, SECOND]
    assert readings(shop) == 0, "nothing is uncertain any more"


async def test_a_chat_that_cannot_be_read_holds_the_order_back_until_it_can(shop: OneShop) -> None:
    await doubted(shop)
    shop.site.has_said(FIRST, at_ms=now_ms(), message_id="echo.PNM")
    shop.site.history_refusal = {"reason": "busy"}

    def answers_the_second_time(path: str) -> None:
        if path == HISTORY and readings(shop) == 2:
            shop.site.history_refusal = None

    shop.site.before_answer = answers_the_second_time
    await asks(shop)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (shop.site.said, readings(shop)) == ([FIRST, SECOND], 2)


async def test_a_chat_that_is_never_readable_leaves_the_order_to_its_owner(shop: OneShop) -> None:
    await doubted(shop)
    shop.site.history_refusal = {"reason": "busy"}
    await asks(shop)
    await until(lambda: readings(shop) == 3)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (order.problem, shop.site.said) == ("message_uncertain", [FIRST])
    shop.site.history_refusal = None
    await asks(shop)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [FIRST, FIRST, SECOND]


async def test_a_repeat_that_is_refused_stays_uncertain(shop: OneShop) -> None:
    await doubted(shop)
    shop.site.refusal = {"reason": "CSI_FORBID"}
    for count in (2, 3):
        await asks(shop)
        await said_so_often(shop, count)
        order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
        assert order.problem == "message_uncertain"
    assert len({uuid for _, uuid in shop.site.said_as}) == 1
    outcomes = {one.outcome for one in await shop.log.outbox.list_sendings(["shop"], order_id=ORDER)}
    assert outcomes == {SendOutcome.UNCERTAIN, SendOutcome.DROPPED}
    assert await action_state(shop.orders, "shop", ORDER, Action.CONFIRM) is None
