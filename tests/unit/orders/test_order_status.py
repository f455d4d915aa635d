"""Where news lead an order, and what stands in its owner's way."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.advice import advice_on
from shoal.language.choice import Language
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_status import (
    ENDS,
    FREE_SHIPPING_OFF,
    GROUP_PATIENCE_MS,
    OF_THE_RULES,
    REFUND_CANCELLED,
    OrderProblem,
    OrderStatus,
    problem_of,
    status_after,
    status_before_refund,
)

STATUSES = [status.value for status in OrderStatus]
NEWS = [*STATUSES, REFUND_CANCELLED]


def an_intent(act: Action, state: ActionState, detail: str = "") -> OrderAction:
    return OrderAction(
        account_id="shop", order_id="1", action=act, state=state, detail=detail, created_at_ms=0, settled_at_ms=None
    )


@given(st.lists(st.sampled_from(NEWS), max_size=12))
def test_an_order_goes_forward_whatever_is_heard(heard: list[str]) -> None:
    order = ["", "processing", "group_pending", "pending_ship", "shipped"]
    told: list[str] = []
    status, furthest = "", 0
    for news in heard:
        is_end = (status, news) == ("refunding", REFUND_CANCELLED)
        before, status = status, (status_before_refund(told) if is_end else status_after(status, news)).value
        told.append(news)
        if before in ENDS:
            assert status == before
        if status in order:
            assert order.index(status) >= furthest
            furthest = order.index(status)
        if before == "refunding" and status != "refunding":
            assert news in {REFUND_CANCELLED, "completed", "cancelled"}


def test_a_withdrawn_refund_leads_nowhere_else_but_back() -> None:
    assert status_before_refund(["processing", "pending_ship", "refunding", REFUND_CANCELLED]) == "pending_ship"
    assert status_after("shipped", REFUND_CANCELLED) == "shipped"
    assert status_after("cancelled", REFUND_CANCELLED) == "cancelled"


@pytest.mark.parametrize(("status", "act", "state"), [*itertools.product(STATUSES, Action, ActionState)])
def test_an_owner_is_called_for_what_failed_or_is_unknown_and_nothing_else(
    status: str, act: Action, state: ActionState
) -> None:
    problem = problem_of(status, {act: an_intent(act, state)})
    settled = status in ENDS or status == OrderStatus.SHIPPED
    called = state in {ActionState.FAILED, ActionState.UNCERTAIN} or status == OrderStatus.REFUNDING
    is_completed = act is Action.FREE_SHIPPING and state is ActionState.DONE  # a moment ago: the site may yet answer
    called = called or (status == OrderStatus.PENDING_SHIP and act is not Action.PAID_MESSAGE and not is_completed)
    if state is ActionState.UNCERTAIN and act is Action.FREE_SHIPPING and status == OrderStatus.PENDING_SHIP:
        assert problem is OrderProblem.FREE_SHIPPING_UNCERTAIN
    assert (problem is not None) == (called and not settled)


def test_the_first_act_in_the_way_is_the_problem() -> None:
    order_actions = {
        Action.CONFIRM.value: an_intent(Action.CONFIRM, ActionState.UNCERTAIN),
        Action.PAID_MESSAGE.value: an_intent(Action.PAID_MESSAGE, ActionState.FAILED, Why.NO_PAID_MESSAGE),
    }
    assert problem_of("pending_ship", order_actions) is OrderProblem.NO_PAID_MESSAGE


def test_a_group_price_that_only_a_mark_tells_of_is_for_the_owner_after_a_while() -> None:
    late = 1_000 + GROUP_PATIENCE_MS
    assert problem_of("group_pending", {}, now_ms=late - 1, group_since_ms=1_000) is None
    assert problem_of("group_pending", {}, now_ms=late, group_since_ms=1_000) is OrderProblem.GROUP_WITHOUT_CARD


def test_a_payment_that_only_a_mark_tells_of_is_for_the_owner() -> None:
    assert problem_of("pending_ship", {}) is OrderProblem.PAID_WITHOUT_CARD
    assert problem_of("processing", {}) is None


@pytest.mark.parametrize(
    ("state", "detail", "problem"),
    [
        (ActionState.NOT_NEEDED, FREE_SHIPPING_OFF, OrderProblem.GROUP_WAITING),
        (ActionState.NOT_NEEDED, Why.BEFORE_ACCOUNT, None),
        (ActionState.DONE, "", OrderProblem.GROUP_NOT_READY),
    ],
)
def test_a_group_price_that_waits_for_minutes_is_for_the_owner(
    state: ActionState, detail: str, problem: OrderProblem | None
) -> None:
    completion = replace(an_intent(Action.FREE_SHIPPING, state, detail), settled_at_ms=1_000)
    order_actions = {Action.FREE_SHIPPING.value: completion}
    late = 1_000 + GROUP_PATIENCE_MS
    assert problem_of("group_pending", order_actions, now_ms=late - 1) is None
    assert problem_of("group_pending", order_actions, now_ms=late) is problem
    served = {**order_actions, Action.PAID_MESSAGE.value: an_intent(Action.PAID_MESSAGE, ActionState.PENDING)}
    assert problem_of("pending_ship", served, now_ms=late) is None


def test_a_shipment_that_the_site_does_not_confirm_yet_is_for_the_owner_after_a_while() -> None:
    refused = replace(an_intent(Action.CONFIRM, ActionState.FAILED, Why.NOT_READY), created_at_ms=1_000)
    order_actions = {Action.CONFIRM.value: refused}
    order_actions[Action.PAID_MESSAGE.value] = an_intent(Action.PAID_MESSAGE, ActionState.DONE)
    assert problem_of("pending_ship", order_actions, now_ms=2_000) is None
    late = 1_000 + GROUP_PATIENCE_MS
    order_actions[Action.CONFIRM.value] = replace(refused, settled_at_ms=late - 1)  # refused a second time
    assert problem_of("pending_ship", order_actions, now_ms=late) is OrderProblem.GROUP_NOT_READY


@pytest.mark.parametrize("status", STATUSES)
def test_one_text_for_several_pieces_is_for_the_owner_until_the_order_is_cancelled(status: str) -> None:
    order_actions = {Action.PAID_MESSAGE.value: an_intent(Action.PAID_MESSAGE, ActionState.DONE)}
    problem = problem_of(status, order_actions, one_text="pieces")
    if status == OrderStatus.CANCELLED:
        assert problem is None
    elif status == OrderStatus.REFUNDING:
        assert problem is OrderProblem.REFUND_ASKED
    else:
        assert problem is OrderProblem.ONE_TEXT


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("problem", list(OrderProblem))
def test_every_problem_says_what_to_do_in_both_languages(problem: OrderProblem) -> None:
    params = {"reason": "R", "item": "7001", "url": "https://example.org/o"}
    key = f"{'obstacle' if problem in OF_THE_RULES else 'order_advice'}.{problem.value}"
    zh, en = (advice_on(key, language, params) for language in (Language.ZH, Language.EN))
    assert all(map(is_chinese, zh))
    assert not any(map(is_chinese, en))
    assert all(zh + en)
