"""Where news lead an order, and what stands in its owner's way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.advice import advice_on
from shoal.language.choice import Language
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_status import ENDS, REFUND_CANCELLED, OrderProblem, OrderStatus, problem_of, status_after

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
        before, status = status, status_after(status, news, told).value
        told.append(news)
        if before in ENDS:
            assert status == before
        if status in order:
            assert order.index(status) >= furthest
            furthest = order.index(status)
        if before == "refunding" and status != "refunding":
            assert news in {REFUND_CANCELLED, "completed", "cancelled"}


def test_a_withdrawn_refund_leads_nowhere_else_but_back() -> None:
    assert status_after("refunding", REFUND_CANCELLED, ["processing", "pending_ship", "refunding"]) == "pending_ship"
    assert status_after("shipped", REFUND_CANCELLED, ["pending_ship"]) == "shipped"
    assert status_after("cancelled", REFUND_CANCELLED, ["pending_ship"]) == "cancelled"


@pytest.mark.parametrize(("status", "act", "state"), [*itertools.product(STATUSES, Action, ActionState)])
def test_an_owner_is_called_for_what_failed_or_is_unknown_and_nothing_else(
    status: str, act: Action, state: ActionState
) -> None:
    problem = problem_of(status, {act: an_intent(act, state)})
    settled = status in ENDS or status == OrderStatus.SHIPPED
    called = state in {ActionState.FAILED, ActionState.UNCERTAIN} or status == OrderStatus.REFUNDING
    called = called or (status == OrderStatus.PENDING_SHIP and act is not Action.PAID_MESSAGE)
    if state is ActionState.UNCERTAIN and act is Action.FREE_SHIPPING and status == OrderStatus.PENDING_SHIP:
        assert problem is OrderProblem.FREE_SHIPPING_UNCERTAIN
    assert (problem is not None) == (called and not settled)


def test_the_first_act_in_the_way_is_the_problem() -> None:
    order_actions = {
        Action.CONFIRM.value: an_intent(Action.CONFIRM, ActionState.UNCERTAIN),
        Action.PAID_MESSAGE.value: an_intent(Action.PAID_MESSAGE, ActionState.FAILED, Why.NO_PAID_MESSAGE),
    }
    assert problem_of("pending_ship", order_actions) is OrderProblem.NO_PAID_MESSAGE


def test_a_payment_that_only_a_mark_tells_of_is_for_the_owner() -> None:
    assert problem_of("pending_ship", {}) is OrderProblem.PAID_WITHOUT_CARD
    assert problem_of("processing", {}) is None


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("problem", list(OrderProblem))
def test_every_problem_says_what_to_do_in_both_languages(problem: OrderProblem) -> None:
    params = {"reason": "R", "item": "7001", "url": "https://example.org/o"}
    key = f"order_advice.{problem.value}"
    zh, en = (advice_on(key, language, params) for language in (Language.ZH, Language.EN))
    assert all(map(is_chinese, zh))
    assert not any(map(is_chinese, en))
    assert all(zh + en)
