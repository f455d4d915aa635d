"""Orders in answers (the row, its actions, its timeline, what the owner must do), and what a caller may ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from shoal.api.advice import advice_on
from shoal.api.schemas.filled import filled
from shoal.api.schemas.goods import StateShape
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.language.catalogue import refusal_words
from shoal.language.choice import Language
from shoal.orders.explain_order import Obstacle
from shoal.orders.order_lists import ListedOrder
from shoal.orders.order_status import OF_THE_RULES, OrderProblem, OrderStatus, sentence_of
from shoal.orders.order_store import Action, ActionState, Order, OrderAction, OrderEvent
from shoal.orders.order_waits import Waits, WaitsFor
from shoal.xianyu.push_events import Parcel
from shoal.xianyu.site_pages import PAGE_OF_ORDER

"""The order's page on the site, for its seller."""

_LINE = {
    "at": "2026-01-02T03:04:05.120Z", "site_at": "2026-01-02T03:04:05.000Z", "source": "card",
    "status": "pending_ship", "action": "", "outcome": "", "words": "我已付款，等待你发货",
}  # fmt: skip
ORDER_EXAMPLE: dict[str, Any] = {
    "account": "my-shop", "order_id": "4500000000000000001", "item_id": "700000000001", "item_title": "会员月卡",
    "item_picture": "/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.webp",
    "buyer_id": "2200000000099", "buyer_name": "buyer", "chat_id": "59000001", "status": "pending_ship",
    "amount": "19.90", "quantity": "1",
    "spec_name": "", "spec_value": "", "group_price": False, "parcel": "no",
    "problem": {
        "code": "message_refused", "detail": "闲鱼拒绝了付款后消息（安全拦截），因此没有确认发货。",
        "do": "修改付款后消息（例如去掉联系方式或网址）。然后点击“重新处理”；若您已亲自完成，点击“已处理”。",
        "resolved": False,
    },
    "waits": {"since": "2026-01-02T03:04:05.120Z", "for": "owner"},
    "created_at": "2026-01-02T03:04:05.120Z", "updated_at": "2026-01-02T03:04:06.020Z",
}  # fmt: skip
FULL_EXAMPLE: dict[str, Any] = {
    **ORDER_EXAMPLE,
    "url": PAGE_OF_ORDER.format("4500000000000000001"),
    "actions": [
        {
            "action": "paid_message", "state": "failed", "detail": "CSI_FORBID", "since": "2026-01-02T03:04:05.120Z",
            "settled_at": "2026-01-02T03:04:06.020Z",
        }
    ],
    "timeline": [_LINE],
    "delivery": {
        "goods_id": 7, "goods_name": "月卡", "wanted": 1, "state": "done", "gets": ["您的卡密：{codes}"],
        "spec": "时长:月卡", "rule_spec": None, "obstacle": None, "detail": "", "do": "",
        "units": [
            {"unit_id": 41, "goods_id": 7, "unit_no": 1, "state": "out", "masked": "AB…42", "replaces": None,
             "reason": ""},
        ],
    },
}  # fmt: skip


ObstaclesNow = Mapping[tuple[str, str], Obstacle | None]
"""What stands in the way now of orders of which rules, goods or stock stood in the way, by account and id."""


RESOLVED: Final = "resolved"


class OrderStatusShape(StrEnum):
    """The status of an order."""

    UNKNOWN = "unknown"
    PROCESSING = "processing"
    GROUP_PENDING = "group_pending"
    PENDING_SHIP = "pending_ship"
    SHIPPED = "shipped"
    REFUNDING = "refunding"
    COMPLETED = "completed"
    CANCELLED = "cancelled"

    @property
    def stored(self) -> OrderStatus:
        """Return the status as the order store has it."""
        return OrderStatus.UNKNOWN if self is OrderStatusShape.UNKNOWN else OrderStatus(self.value)


class ProblemShape(BaseModel):
    """The reason why an order is not served, and what its owner can do.

    Of rules, goods and stock it is the reason of now. ``resolved``: there is none any more, and the order waits to be
    served; ``code`` is the last one.
    """

    code: OrderProblem
    detail: str
    do: str
    resolved: bool


class WaitsShape(BaseModel):
    """What an order waits for, and since when."""

    since: str
    for_: WaitsFor = Field(alias="for")


class OrderShape(BaseModel):
    """One order. ``amount`` (yuan), ``quantity`` and the spec are the site's own texts; empty until known.

    ``buyer_name`` is the name in the chat, ``item_title`` and ``item_picture`` (an address of this server) are those of
    the item; empty when they are not known. ``parcel``: whether the goods go in a parcel; empty when the site has not
    said. ``waits``: what its buyer waits for, and since when; `null` when nothing is to be done, or not yet.
    """

    account: str
    order_id: str
    item_id: str | None
    item_title: str
    item_picture: str
    buyer_id: str
    buyer_name: str
    chat_id: str
    status: OrderStatusShape
    amount: str
    quantity: str
    spec_name: str
    spec_value: str
    group_price: bool
    parcel: Parcel
    problem: ProblemShape | None
    waits: WaitsShape | None
    created_at: str
    updated_at: str


class OrderList(BaseModel):
    """Orders, newest first."""

    model_config = example(items=[ORDER_EXAMPLE], next=None)
    items: list[OrderShape]
    next: str | None


class ActionShape(BaseModel):
    """One irreversible order action. ``detail`` is the site's reason, or a code of this server."""

    action: Action
    state: ActionState
    detail: str
    since: str
    settled_at: str | None


class LineShape(BaseModel):
    """One line of the timeline: an order update (``status``, in the site's ``words``), or an action and its outcome.

    ``source`` is ``card``, ``card_update``, ``mark``, ``detail`` (the order's page), ``auto``, ``site`` or a user.
    ``site_at`` is the site's own time, if the site sent one.
    """

    at: str
    site_at: str | None
    source: str
    status: str
    action: str
    outcome: str
    words: str


class OrderUnitShape(BaseModel):
    """A unit of an order, without its text. ``replaces``: the number of the unit in whose place it was sent."""

    unit_id: int
    goods_id: int
    unit_no: int
    state: StateShape
    masked: str
    replaces: int | None
    reason: str


class OrderDeliveryShape(BaseModel):
    """What an order got, or would get now.

    ``state`` is `planned` while the delivery has not begun; then ``gets`` has the messages, and ``obstacle`` names what
    stands in the way (``detail`` and ``do`` say it to the owner). ``wanted``: how many units of the goods. ``spec``:
    what was bought, in the form for comparison, null while it is not known; ``rule_spec``: see the check of deliveries.
    """

    goods_id: int | None
    goods_name: str
    wanted: int
    state: str
    gets: list[str]
    spec: str | None
    rule_spec: str | None
    obstacle: str | None
    detail: str
    do: str
    units: list[OrderUnitShape]


class FullOrder(OrderShape):
    """One order with everything that is known about it; ``url`` is its page on the site.

    ``delivery`` is `null` for an order that got nothing from here and gets nothing more.
    """

    model_config = example(**FULL_EXAMPLE)
    url: str
    delivery: OrderDeliveryShape | None
    actions: list[ActionShape]
    timeline: list[LineShape]


class CompatOrder(BaseModel):
    """One order in the older system's form; times are UTC. The last two fields are additions of this server."""

    order_id: str
    item_id: str
    buyer_id: str
    spec_name: str
    spec_value: str
    quantity: str
    amount: str
    order_status: str
    cookie_id: str
    created_at: str
    updated_at: str
    chat_id: str
    problem: str


class CompatOrders(BaseModel):
    """Orders, newest first."""

    model_config = example(
        success=True,
        data=[
            {
                "order_id": "4500000000000000001", "item_id": "700000000001", "buyer_id": "2200000000099",
                "spec_name": "", "spec_value": "", "quantity": "1", "amount": "19.90", "order_status": "pending_ship",
                "cookie_id": "my-shop", "created_at": "2026-01-02 03:04:05", "updated_at": "2026-01-02 03:04:06",
                "chat_id": "59000001", "problem": "",
            }
        ],
    )  # fmt: skip
    success: bool = True
    data: list[CompatOrder]


def order_shape(listed: ListedOrder, language: Language, now: ObstaclesNow) -> OrderShape:
    """Return one order as JSON."""
    return OrderShape(**_facts(listed, language, now))


def full_order(
    listed: ListedOrder,
    order_actions: Sequence[OrderAction],
    events: Sequence[OrderEvent],
    delivery: OrderDeliveryShape | None,
    language: Language,
    now: ObstaclesNow,
) -> FullOrder:
    """Return one order with its delivery, its actions and its timeline."""
    actions = [
        ActionShape(
            action=Action(order_action.action),
            state=order_action.state,
            detail=order_action.detail,
            since=rfc3339(order_action.created_at_ms),
            settled_at=maybe_rfc3339(order_action.settled_at_ms),
        )
        for order_action in order_actions
    ]
    return FullOrder(
        **_facts(listed, language, now),
        url=PAGE_OF_ORDER.format(listed.order.order_id),
        delivery=delivery,
        actions=actions,
        timeline=[_line(event) for event in events],
    )


def compat_order(order: Order) -> CompatOrder:
    """Return one order in the older system's form."""
    status = OrderStatus(order.status)
    known = {OrderStatus.UNKNOWN: "unknown", OrderStatus.GROUP_PENDING: "processing"}
    return filled(
        CompatOrder,
        order,
        item_id=order.item_id or "",
        order_status=known.get(status, status.value),
        cookie_id=order.account_id,
        created_at=_sqlite_time(order.created_at_ms),
        updated_at=_sqlite_time(order.updated_at_ms),
    )


def _facts(listed: ListedOrder, language: Language, now: ObstaclesNow) -> dict[str, Any]:
    order = listed.order
    return {
        "account": order.account_id,
        "order_id": order.order_id,
        "item_id": order.item_id,
        "buyer_id": order.buyer_id,
        "item_title": listed.item_title,
        "item_picture": listed.item_picture,
        "buyer_name": listed.buyer_name,
        "chat_id": order.chat_id,
        "status": OrderStatusShape(order.status or "unknown"),
        "amount": order.amount,
        "quantity": order.quantity,
        "spec_name": order.spec_name,
        "spec_value": order.spec_value,
        "group_price": order.group_price,
        "parcel": Parcel(order.parcel),
        "problem": _problem(listed, language, now),
        "waits": _waits(listed.waits),
        "created_at": rfc3339(order.created_at_ms),
        "updated_at": rfc3339(order.updated_at_ms),
    }


def _waits(waits: Waits | None) -> dict[str, Any] | None:
    return None if waits is None else {"since": rfc3339(waits.since_ms), "for": waits.wants}


def _problem(listed: ListedOrder, language: Language, now: ObstaclesNow) -> ProblemShape | None:
    order = listed.order
    if not order.problem:
        return None
    code = OrderProblem(order.problem)
    if order.key in now:
        obstacle = now[order.key]
        if obstacle is None:
            detail, do = advice_on(f"order_advice.{RESOLVED}", language, {})
            return ProblemShape(code=code, detail=detail, do=do, resolved=True)
        code = OrderProblem.NO_PAID_MESSAGE if obstacle is Obstacle.NO_RULE else OrderProblem(obstacle.value)
    params = {
        "reason": refusal_words(listed.reason, language),
        "item": " · ".join(filter(None, (listed.item_title, order.item_id))) or "?",
        "url": PAGE_OF_ORDER.format(order.order_id),
        "quantity": order.quantity or "?",
        "spec": order.spec or "–",
    }
    if code in OF_THE_RULES:
        detail, do = advice_on(f"obstacle.{sentence_of(code.value, order.spec)}", language, params)
    else:
        detail, do = advice_on(f"order_advice.{code.value}", language, params)
    return ProblemShape(code=code, detail=detail, do=do, resolved=False)


def _line(event: OrderEvent) -> LineShape:
    return filled(LineShape, event)


def _sqlite_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


AnyAction = Literal["free_shipping", "paid_message", "confirm"]


class ServeBody(BaseModel):
    """The order action to do; without one, all that failed or are uncertain.

    ``replace_unit``: send another unit instead of the one of this number, with the ``reason``. ``again``: send all
    messages of the delivery once more, with the units that the order has.
    """

    model_config = body_example(action="confirm")
    action: AnyAction | None = None
    replace_unit: int | None = Field(None, ge=1, le=10_000)
    again: bool = False
    reason: Text = ""


class SettleBody(BaseModel):
    """The result that the owner states: the action was ``done``, or is ``not_needed``."""

    model_config = body_example(action="confirm", outcome="done")
    action: AnyAction
    outcome: Literal["done", "not_needed"]
