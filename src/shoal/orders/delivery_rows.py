"""The delivery of an order as rows: what it gets, how far that has come, and where its units are.

Every function works within the caller's transaction. A delivery belongs to a seller's number, so that a shop that is
removed and added again goes on with the same units and texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, select, text, update

from shoal.goods.bindings import OUT, doubt_free_units, release_units, units_of_order, units_went_out
from shoal.goods.fetching import let_go_of_doubted
from shoal.goods.stock_history import By
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome, sending_of
from shoal.orders.order_actions import ActionState, Why
from shoal.orders.planned_messages import PlannedMessage
from shoal.storage.goods_tables import deliveries
from shoal.storage.schema import OUTBOX_OPEN, accounts, outbox
from shoal.storage.upserts import insert_or_renew

AUTO = "auto"
"""The actor of what is done without a person."""
GIVEN_BACK = "given_back"
"""Why a delivery ended whose units a person gave back, and what the order's timeline says then."""
_MAY_HAVE_LEFT = frozenset({SendOutcome.SENT, SendOutcome.UNCERTAIN, SendOutcome.SENDING})
_RENEWED = (
    "owner_id", "goods_id", "wanted", "parts", "confirm", "state", "why", "arrived", "created_at_ms", "settled_at_ms",
)  # fmt: skip


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    BEGUN = "begun"
    """Its messages are being sent, or go on to be: the same texts, with the same units."""
    REFUSED = "refused"
    """Nothing of it arrived. When it is asked for again, the texts may be others, the units are the same."""
    PARTLY = "partly"
    """Some of its messages arrived. It goes on at the first that did not, when its owner asks for it."""
    UNCERTAIN = "uncertain"
    DONE = "done"
    RELEASED = "released"
    """The order ended before anything left. Its units are free again."""

    @property
    def goes_on(self) -> bool:
        """Whether what is sent next has the texts and units of this delivery."""
        return self in {DeliveryState.BEGUN, DeliveryState.PARTLY, DeliveryState.UNCERTAIN}


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What an order gets. ``confirm``: whether the rule confirms the shipment, as it was then; a number: hours."""

    unb: str
    order_id: str
    owner_id: int
    goods_id: int | None = None
    wanted: int = 0
    messages: tuple[PlannedMessage, ...] = ()
    confirm: str = ""
    state: DeliveryState = DeliveryState.BEGUN
    why: str = ""
    arrived: int = 0
    created_at_ms: int = 0
    settled_at_ms: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far the messages of an order have come.

    ``arrived``: how many arrived, from the first on; ``outcome`` and ``reason``: of the next one, ``None`` when it was
    never begun, or there is none.
    """

    arrived: int
    outcome: SendOutcome | None
    reason: str
    is_whole: bool


_OutcomeRow = tuple[SendOutcome, str]


def read_delivery(connection: Connection, account_id: str, order_id: str) -> Delivery | None:
    """Return the delivery of an account's order, if one was begun."""
    return delivery_at(
        connection, select(accounts.c.unb).where(accounts.c.id == account_id).scalar_subquery(), order_id
    )


def delivery_at(connection: Connection, unb: Any, order_id: str) -> Delivery | None:
    """Return the delivery of an order of this seller's number, if one was begun."""
    query = select(deliveries).where(deliveries.c.unb == unb, deliveries.c.order_id == order_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    values = {name: row[name] for name in row if name not in {"parts", "state"}}
    messages = msgspec.json.decode(row["parts"] or "[]", type=tuple[PlannedMessage, ...])
    return Delivery(**values, messages=messages, state=DeliveryState(row["state"]))


def write_delivery(connection: Connection, delivery: Delivery) -> None:
    """Store a delivery, in the place of what was begun and is over."""
    row = {name: getattr(delivery, name) for name in ("unb", "order_id", *_RENEWED) if name != "parts"}
    parts = msgspec.json.encode(delivery.messages).decode()
    values = {**row, "state": delivery.state.value, "parts": parts}
    connection.execute(insert_or_renew(connection, deliveries, _RENEWED), [values])


def progress_of(connection: Connection, account_id: str, order_id: str, delivery: Delivery | None) -> Progress:
    """Return how far an order's messages have come, by the outbox. Without a delivery it is a single one."""
    last = _outcomes(connection, account_id, order_id)
    count = 1 if delivery is None else len(delivery.messages)
    arrived = 0 if delivery is None else delivery.arrived
    while arrived < count and last.get(arrived, (None, ""))[0] is SendOutcome.SENT:
        arrived += 1
    outcome, reason = last.get(arrived, (None, "")) if arrived < count else (None, "")
    return Progress(arrived, outcome, reason, arrived == count)


def _outcomes(connection: Connection, account_id: str, order_id: str) -> dict[int, _OutcomeRow]:
    """Return the outcome of each message: what arrived stays so, otherwise the newest row says it."""
    mine = and_(outbox.c.account_id == account_id, outbox.c.order_id == order_id)
    query = select(outbox.c.part, outbox.c.outcome, outbox.c.reason).where(mine, outbox.c.kind == OutboxKind.PAID.value)
    found: dict[int, _OutcomeRow] = {}
    for part, outcome, reason in connection.execute(query.order_by(outbox.c.id)):
        if found.get(part, (None, ""))[0] is not SendOutcome.SENT:
            found[part] = (SendOutcome(outcome), reason)
    return found


def sent_before(connection: Connection, account_id: str, row: OutboxRow) -> Sending | None:
    """Return the message of an order as it was sent before with the same content, when it arrived or may have.

    One that arrived comes first, then the newest.
    """
    mine = and_(outbox.c.account_id == account_id, outbox.c.order_id == row.order_id, outbox.c.part == row.part)
    query = select(outbox).where(mine, outbox.c.kind == OutboxKind.PAID.value).order_by(outbox.c.id.desc())
    before = [sending_of(one) for one in connection.execute(query).mappings()]
    same = [one for one in before if _content(one.row) == _content(row)]
    for outcome in (SendOutcome.SENT, SendOutcome.UNCERTAIN):
        for one in same:
            if one.outcome is outcome:
                return one
    return None


def _content(row: OutboxRow) -> tuple[str, str, str, str]:
    return row.chat_id, row.text, row.units, row.image_url


def drop_waiting(connection: Connection, account_id: str, order_id: str, reason: str, now_ms: int) -> None:
    """Drop messages of an order that wait for the one before. What goes on later begins them again."""
    mine = and_(outbox.c.account_id == account_id, outbox.c.order_id == order_id, text(OUTBOX_OPEN))
    waiting = and_(mine, outbox.c.kind == OutboxKind.PAID.value, outbox.c.outcome == SendOutcome.WAITING.value)
    values = {"outcome": SendOutcome.DROPPED.value, "reason": reason, "settled_at_ms": now_ms}
    connection.execute(update(outbox).where(waiting).values(values))


def settle_delivery(
    connection: Connection, delivery: Delivery, progress: Progress, state: ActionState, detail: str, now_ms: int
) -> None:
    """Store how far a delivery has come. The units of what arrived are out, and of what may have; others stay held."""
    after = {
        ActionState.DONE: DeliveryState.DONE,
        ActionState.UNCERTAIN: DeliveryState.UNCERTAIN,
        ActionState.PENDING: DeliveryState.BEGUN,
        ActionState.FAILED: DeliveryState.PARTLY if progress.arrived else DeliveryState.REFUSED,
    }[state]
    settled = None if after is DeliveryState.BEGUN else now_ms
    _update(connection, delivery, state=after.value, why=detail, arrived=progress.arrived, settled_at_ms=settled)
    if not delivery.wanted:
        return
    is_unknown = state is ActionState.UNCERTAIN and progress.outcome is None  # its messages are gone
    if state is ActionState.DONE or is_unknown:
        gone = None
    else:
        gone = numbers_of(delivery.messages[: progress.arrived + int(state is ActionState.UNCERTAIN)])
    if gone is None or gone:
        units_went_out(connection, delivery.unb, delivery.order_id, By(actor=AUTO, at_ms=now_ms), only=gone)


def end_given_back(connection: Connection, delivery: Delivery, now_ms: int) -> None:
    """End a delivery whose units a person gave back. What has left of it stays its order's."""
    has_left = delivery.arrived > 0 or bool(units_of_order(connection, delivery.unb, delivery.order_id))
    left = delivery.state if delivery.state is DeliveryState.DONE else DeliveryState.PARTLY
    state = left if has_left else DeliveryState.RELEASED
    _update(connection, delivery, state=state.value, why=GIVEN_BACK, settled_at_ms=now_ms)


def doubt_given_back(connection: Connection, account_id: str, delivery: Delivery, now_ms: int) -> None:
    """Doubt the units that a person gave back although their message arrived: no other order gets them."""
    mine = and_(outbox.c.account_id == account_id, outbox.c.order_id == delivery.order_id, outbox.c.units != "")
    carried = connection.scalars(select(outbox.c.units).where(mine, outbox.c.outcome == SendOutcome.SENT.value))
    arrived = {int(unit_id) for ids in carried for unit_id in ids.split(",")}
    arrived -= {one.unit_id for one in units_of_order(connection, delivery.unb, delivery.order_id)}
    doubt_free_units(connection, arrived, delivery.unb, delivery.order_id, By(actor=AUTO, at_ms=now_ms))


def owner_settled(connection: Connection, account_id: str, order_id: str, actor: str, now_ms: int) -> None:
    """Close a delivery because its owner says that the order has what it needs. Its units go to no other order."""
    delivery = read_delivery(connection, account_id, order_id)
    if delivery is None:
        units_went_out(connection, _unb_of(connection, account_id), order_id, By(actor=actor, at_ms=now_ms))
    if delivery is None or delivery.state in {DeliveryState.DONE, DeliveryState.RELEASED}:
        return
    drop_waiting(connection, account_id, order_id, Why.BY_OWNER, now_ms)
    _update(connection, delivery, state=DeliveryState.DONE.value, why=Why.BY_OWNER.value, settled_at_ms=now_ms)
    if delivery.wanted:
        units_went_out(connection, delivery.unb, order_id, By(actor=actor, at_ms=now_ms))


def let_go(connection: Connection, account_id: str, order_id: str, why: str, now_ms: int, actor: str = AUTO) -> bool:
    """End a delivery that nothing sends now. Return whether a part of it has left.

    Its units are free again when none has left, but for those that a person revealed; otherwise all of them are this
    order's: those that may have left are out, the others stay held, and a person may give them back.
    """
    delivery = read_delivery(connection, account_id, order_id)
    by = By(actor=actor, at_ms=now_ms)
    if delivery is None:  # units that a supplier sold wait to be sent
        release_units(connection, _unb_of(connection, account_id), order_id, by, reason=why)
    if delivery is None or delivery.state in {DeliveryState.DONE, DeliveryState.RELEASED}:
        return False
    drop_waiting(connection, account_id, order_id, why, now_ms)
    left = _left(connection, account_id, delivery) if delivery.wanted else frozenset()
    have_left = bool(left) or _are_out(connection, delivery)
    if left:
        units_went_out(connection, delivery.unb, order_id, by, only=left)
    elif delivery.wanted and not have_left:
        release_units(connection, delivery.unb, order_id, by, reason=why)
        have_left = _are_out(connection, delivery)
    is_partly = have_left or delivery.arrived > 0
    state = DeliveryState.PARTLY if is_partly else DeliveryState.RELEASED
    _update(connection, delivery, state=state.value, why=why, settled_at_ms=now_ms)
    return is_partly


def let_go_of_doubts(connection: Connection, account_id: str, order_id: str, actor: str, now_ms: int) -> None:
    """Part an order from units of which it is not known whether a supplier sold them, because its owner asks again."""
    by = By(actor=actor, at_ms=now_ms)
    let_go_of_doubted(connection, unb=_unb_of(connection, account_id), order_id=order_id, by=by)


def _unb_of(connection: Connection, account_id: str) -> str:
    return connection.scalar(select(accounts.c.unb).where(accounts.c.id == account_id)) or ""


def _left(connection: Connection, account_id: str, delivery: Delivery) -> frozenset[int]:
    """Return the numbers of the units in messages that arrived, or may have."""
    last = _outcomes(connection, account_id, delivery.order_id)
    return numbers_of(
        [
            message
            for place, message in enumerate(delivery.messages)
            if place < delivery.arrived or last.get(place, (None, ""))[0] in _MAY_HAVE_LEFT
        ]
    )


def _are_out(connection: Connection, delivery: Delivery) -> bool:
    return any(one.state == OUT for one in units_of_order(connection, delivery.unb, delivery.order_id))


def numbers_of(messages: Sequence[PlannedMessage]) -> frozenset[int]:
    """Return the numbers of the units in messages, which count from 1."""
    return frozenset(
        number for one in messages for number in range(one.first + 1, one.first + one.count + 1) if one.count
    )


def _update(connection: Connection, delivery: Delivery, **values: Any) -> None:
    mine = and_(deliveries.c.unb == delivery.unb, deliveries.c.order_id == delivery.order_id)
    connection.execute(update(deliveries).where(mine).values(values))


def begun_again(delivery: Delivery) -> Delivery:
    """Return a delivery that goes on where it stopped."""
    return replace(delivery, state=DeliveryState.BEGUN, why="", settled_at_ms=None)
