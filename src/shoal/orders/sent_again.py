"""What a person sends for an order once more: the same units again, or another unit in place of one that went out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.errors import ActionRequired, Conflict, StoreError, TemporaryFailure
from shoal.goods.bindings import BoundUnit, OutOfStock, bind_another, units_of_order, units_went_out
from shoal.goods.goods import GoodsKind
from shoal.goods.goods_store import read_goods
from shoal.goods.stock_history import By
from shoal.goods.unit_messages import with_codes
from shoal.goods.unit_texts import UnitTexts
from shoal.messages.manual_sending import NotSent
from shoal.messages.outbox import insert_rows
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending
from shoal.messages.sender import OutgoingMessage, Sender
from shoal.orders.action_rows import message_states
from shoal.orders.delivery_rows import Delivery, DeliveryState, read_delivery
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_records import Order
from shoal.orders.order_rows import OrderRow
from shoal.orders.order_status import OrderStatus
from shoal.orders.planned_messages import PlannedMessage
from shoal.storage.database import Database
from shoal.storage.order_tables import order_events, orders

SAME_AGAIN: Final = "same_again"
ANOTHER_UNIT: Final = "another_unit"
"""What the order's timeline says was done."""


class SentAgain:
    """Sends for orders whose delivery has begun. Each sending and what it means for units is one transaction."""

    def __init__(self, database: Database, texts: UnitTexts, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._texts = texts
        self._now_ms = now_ms

    async def send(
        self, sender: Sender, account: Account, order: Order, unit_no: int | None, by: By, *, reason: str = ""
    ) -> None:
        """Send another unit in place of that one, or (without a number) all messages of the delivery once more.

        Raises ``Conflict`` when nothing was sent, ``NotSent`` when the connection ended before, and ``StoreError``.
        """

        async def begin(rows: Sequence[OutboxRow]) -> Sequence[Sending]:
            if unit_no is None:
                return await self._begin_again(account, order, rows, by)
            return await self._begin_another(account, order, rows, unit_no, by, reason=reason)

        try:
            await sender.serve(await self._messages(account, order, unit_no, by), begin, lambda _: None)
        except (TemporaryFailure, ActionRequired) as failure:
            why = failure.reason if isinstance(failure, ActionRequired) else failure.code
            raise NotSent("the connection ended before the message left", reason=why) from None

    async def _messages(self, account: Account, order: Order, unit_no: int | None, by: By) -> list[OutgoingMessage]:
        found = await self._database.read(lambda connection: _planned(connection, account, order, unit_no))
        return [
            OutgoingMessage(
                chat_id=order.chat_id,
                buyer_id=order.buyer_id,
                text=one.text,
                image_url=one.image_url,
                width=one.width,
                height=one.height,
                kind=OutboxKind.MANUAL,
                order_id=order.order_id,
                part=place,
                actor=by.actor,
                op_id=None if place else by.op_id or None,
            )
            for place, one in enumerate(found)
        ]

    async def _begin_again(
        self, account: Account, order: Order, rows: Sequence[OutboxRow], by: By
    ) -> Sequence[Sending]:
        """Store that the messages of the delivery are sent once more, with the units that the order has now.

        A unit in whose place another one was sent is not sent again. Those that were only held count as out: from now
        on they may leave. Raises ``Conflict``.
        """

        def job(connection: Connection) -> Sequence[Sending]:
            now = self._now_ms()
            message_states(connection, order.order_id)
            planned = _planned(connection, account, order, None)
            units = _current(units_of_order(connection, account.unb, order.order_id))
            if len(units) < max((one.first + one.count for one in planned), default=0):
                raise Conflict("units of the order were given back", code="units_were_given_back")
            filled = [self._with_units(row, one, units) for row, one in zip(rows, planned, strict=True)]
            units_went_out(connection, account.unb, order.order_id, replace(by, at_ms=now))
            _note(connection, order, by.actor, SAME_AGAIN, now=now)
            return insert_rows(connection, filled, now)

        return await self._database.announce(job)

    async def _begin_another(
        self, account: Account, order: Order, rows: Sequence[OutboxRow], unit_no: int, by: By, *, reason: str
    ) -> Sequence[Sending]:
        """Bind one more unit in place of one that went out, and store the message that carries it.

        The unit counts as out at once: from now on it may leave, and it goes to no other order. Raises ``OutOfStock``,
        and ``Conflict`` like ``bind_another``.
        """
        if len(rows) != 1:
            raise StoreError("one unit is sent in one message")

        def job(connection: Connection) -> Sequence[Sending]:
            now = self._now_ms()
            message_states(connection, order.order_id)
            _require_open(connection, account, order)
            key = {"unb": account.unb, "order_id": order.order_id}
            old = next((one for one in units_of_order(connection, **key) if one.unit_no == unit_no), None)
            goods = None if old is None else read_goods(connection, old.goods_id)
            if goods is None or goods.owner_id != account.owner_id:
                raise Conflict("the order has no such unit", code="no_unit_to_replace", unit_no=unit_no)
            at = replace(by, at_ms=now)
            try:
                fresh = bind_another(connection, goods, **key, replaces=unit_no, reason=reason, by=at)
            except OutOfStock as none:
                if goods.kind is not GoodsKind.SUPPLIER:
                    raise
                raise Conflict("no unit of the supplier is in stock", code="no_supplied_unit") from none
            units_went_out(connection, account.unb, order.order_id, at, only=[fresh.unit_no])
            _note(connection, order, by.actor, ANOTHER_UNIT, reason=reason, now=now)
            return insert_rows(connection, [self._filled(rows[0], [fresh])], now)

        return await self._database.announce(job)

    def _with_units(self, row: OutboxRow, planned: PlannedMessage, units: Sequence[BoundUnit]) -> OutboxRow:
        mine = units[planned.first : planned.first + planned.count]
        if len(mine) < planned.count:
            raise Conflict("the order has fewer units", code="nothing_sent_yet")
        return self._filled(row, mine) if mine else row

    def _filled(self, row: OutboxRow, units: Sequence[BoundUnit]) -> OutboxRow:
        if any(one.sealed is None for one in units):
            raise StoreError("a unit of the order is gone", code="unit_gone")
        codes = [self._texts.open(one.sealed or b"", one.owner_id) for one in units]
        digest = self._texts.digest_of_message(with_codes(row.text, codes))
        return replace(row, units=",".join(str(one.unit_id) for one in units), digest=digest)


def _note(connection: Connection, order: Order, actor: str, what: str, *, reason: str = "", now: int) -> None:
    """Add what a person does to the order's timeline."""
    line = {
        "account_id": order.account_id, "order_id": order.order_id, "status": "", "at_ms": now, "source": actor,
        "act": what, "outcome": ActionState.INTENDED.value, "words": reason,
    }  # fmt: skip
    connection.execute(order_events.insert().values(line))


def _planned(connection: Connection, account: Account, order: Order, unit_no: int | None) -> tuple[PlannedMessage, ...]:
    """Return the messages of a delivery that has begun, or the one of this unit. Raises ``Conflict``."""
    _require_open(connection, account, order)
    delivery = read_delivery(connection, account.id, order.order_id)
    if delivery is None or delivery.owner_id != account.owner_id or delivery.state is DeliveryState.RELEASED:
        raise Conflict("nothing was sent for the order", code="nothing_sent_yet")
    action = OrderRow(connection, account.id, order.order_id, 0).order_action(Action.PAID_MESSAGE)
    if action is not None and action.state is ActionState.INTENDED:
        raise Conflict("it is under way", code="act_under_way", action=Action.PAID_MESSAGE.value)
    if unit_no is None:
        return delivery.messages
    units = units_of_order(connection, account.unb, order.order_id)
    return (_message_of(delivery, _first_number(units, unit_no)),)


def _require_open(connection: Connection, account: Account, order: Order) -> None:
    """Raise ``Conflict`` for an order that is cancelled or whose buyer asks for a refund."""
    mine = (orders.c.account_id == account.id, orders.c.order_id == order.order_id)
    status = connection.scalar(select(orders.c.status).where(*mine))
    if status == OrderStatus.CANCELLED:
        raise Conflict("the order is settled", code="order_settled", status=status)
    if status == OrderStatus.REFUNDING:
        raise Conflict("the order is being refunded", code="order_refunding")


def _first_number(units: Sequence[BoundUnit], unit_no: int) -> int:
    """Return the number of the unit that was ordered, in whose place this one was sent in the end."""
    replaced = {one.unit_no: one.replaces for one in units}
    while (before := replaced.get(unit_no)) is not None:
        unit_no = before
    return unit_no


def _message_of(delivery: Delivery, unit_no: int) -> PlannedMessage:
    """Return the message that carried a unit, for a single one."""
    for one in delivery.messages:
        if one.first < unit_no <= one.first + one.count:
            return PlannedMessage(text=one.text, first=0, count=1)
    raise Conflict("no unit of that number went out", code="no_unit_to_replace", unit_no=unit_no)


def _current(units: Sequence[BoundUnit]) -> list[BoundUnit]:
    """Return the units that the order has now, in the places of those that it ordered."""
    replaced_by = {one.replaces: one for one in units if one.replaces is not None}
    current = []
    for one in units:
        if one.replaces is None:
            last = one
            while last.unit_no in replaced_by:
                last = replaced_by[last.unit_no]
            current.append(last)
    return current
