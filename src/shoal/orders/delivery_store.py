"""Begins the deliveries of orders, each in one transaction with all that it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import structlog
from sqlalchemy import Connection, and_, func, select, text

from shoal.errors import Conflict, StoreError
from shoal.goods.bindings import BoundUnit, bind_units, release_units
from shoal.goods.goods_store import read_goods
from shoal.goods.stock_history import By
from shoal.goods.unit_messages import with_codes
from shoal.goods.unit_texts import UnitTexts
from shoal.messages.outbox import insert_rows
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome
from shoal.messages.sealed_texts import UNITS_LOST
from shoal.orders.delivery_rows import AUTO, Delivery, sent_before, write_delivery
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_rows import OrderRow
from shoal.orders.order_status import NOTHING_DUE, OrderProblem
from shoal.orders.planned_messages import MAX_CHARACTERS
from shoal.storage.database import Database
from shoal.storage.order_tables import order_actions
from shoal.storage.schema import OUTBOX_OPEN, outbox

log = structlog.get_logger("shoal.orders")

_ANEW = "planned_anew"


class Begun(msgspec.Struct, frozen=True):
    """The stored messages, of which the first is to be sent now. Without any nothing is to be sent.

    ``why_not``: the order's problem, when that was stored instead. ``have_arrived``: the messages were begun, and all
    of them had arrived by then.
    """

    sendings: Sequence[Sending] = ()
    why_not: str = ""
    have_arrived: bool = False


class DeliveryStore:
    """The deliveries of all accounts."""

    def __init__(self, database: Database, texts: UnitTexts | None, now_ms: Callable[[], int]) -> None:
        """``texts`` opens units; without it only what has none can be delivered."""
        self._database = database
        self._texts = texts
        self._now_ms = now_ms

    async def begin(
        self, account_id: str, delivery: Delivery, rows: Sequence[OutboxRow], may: Callable[[], bool]
    ) -> Begun:
        """Begin to send an order what it gets: announce the action, bind the units, store delivery and messages.

        All of it is one transaction: after a crash either nothing of it happened, or the next connection goes on with
        the same units and texts. ``rows`` are the messages from the first on that did not arrive. Nothing is begun when
        ``may`` says no, the action is not due any more, or the order has ended. Too few units: nothing is bound, and
        ``out_of_stock`` is the order's problem; units that cannot be opened: ``unit_lost``; too
        many characters in one message: ``message_too_long``.

        A message that has arrived is not sent again. An uncertain one is sent again as it is, with its uuid: a
        site that knows the uuid drops the repeat.

        An order that has units keeps them: those of an earlier try, and those that were bound before, as for goods of a
        supplier. Who fetches such units binds them to the order (``held``, one after another from number 1 on) and then
        makes the action due; ``explain_order`` must not name an obstacle for it then.
        """

        def job(connection: Connection) -> Begun:
            row = OrderRow(connection, account_id, delivery.order_id, self._now_ms())
            if not may() or not row.begin(Action.PAID_MESSAGE, unless=NOTHING_DUE):
                return Begun()
            by = By(actor=AUTO, at_ms=row.now_ms)
            try:
                bound = self._bound(connection, delivery, by)
            except Conflict as conflict:
                row.settle(Action.PAID_MESSAGE, ActionState.FAILED, conflict.code)
                return Begun(why_not=conflict.code)
            begun_at_ms = delivery.created_at_ms or row.now_ms
            write_delivery(connection, replace(delivery, created_at_ms=begun_at_ms))
            filled = self._with_units(delivery, rows, bound)
            while filled and (before := sent_before(connection, account_id, filled[0])) is not None:
                filled = filled[1:]
                if before.outcome is SendOutcome.UNCERTAIN:
                    return Begun(insert_rows(connection, filled, row.now_ms, again=before))
            return Begun(insert_rows(connection, filled, row.now_ms), have_arrived=not filled)

        why_not = OrderProblem.UNIT_LOST
        try:
            return await self._database.announce(job)
        except Conflict as conflict:
            if conflict.code != OrderProblem.MESSAGE_TOO_LONG:
                raise
            why_not = OrderProblem.MESSAGE_TOO_LONG
        except StoreError as error:
            if error.code not in UNITS_LOST:
                raise
            log.warning(
                "units of an order cannot be opened", account=account_id, order=delivery.order_id, why=error.code
            )
        await self._database.write(
            lambda connection: OrderRow(connection, account_id, delivery.order_id, self._now_ms()).settle(
                Action.PAID_MESSAGE, ActionState.FAILED, why_not
            )
        )
        return Begun(why_not=why_not)

    def _bound(self, connection: Connection, delivery: Delivery, by: By) -> Sequence[BoundUnit]:
        """Bind the units of an order, oldest first, and return those that it ordered. Raise ``Conflict``.

        An order that needs none gives back what it held: of an earlier try with other goods nothing left.
        """
        if not delivery.wanted:
            release_units(connection, delivery.unb, delivery.order_id, by, reason=_ANEW)
            return ()
        goods = None if delivery.goods_id is None else read_goods(connection, delivery.goods_id)
        if goods is None or goods.owner_id != delivery.owner_id:
            raise Conflict("the goods are gone", code=OrderProblem.UNKNOWN_GOODS.value)
        key = {"unb": delivery.unb, "order_id": delivery.order_id}
        wanted = delivery.wanted
        try:
            bound = bind_units(connection, goods, **key, count=wanted, by=by)
        except Conflict as conflict:
            if conflict.code != "order_has_other_units":
                raise
            # it holds those of another plan, of which nothing left
            release_units(connection, **key, by=by, reason=_ANEW)
            bound = bind_units(connection, goods, **key, count=wanted, by=by)
        return [one for one in bound if one.replaces is None]

    def _with_units(self, delivery: Delivery, rows: Sequence[OutboxRow], bound: Sequence[BoundUnit]) -> list[OutboxRow]:
        """Return the rows with the ids of their units, and the digests by which their echoes are recognised."""
        ids = [one.unit_id for one in bound]
        found = []
        for row in rows:
            message = delivery.messages[row.part]
            if message.count:
                mine = bound[message.first : message.first + message.count]
                text = with_codes(row.text, self._codes(mine))
                if len(text) > MAX_CHARACTERS and not delivery.created_at_ms:  # what has begun goes on as it is
                    raise Conflict("a message is too long", code=OrderProblem.MESSAGE_TOO_LONG.value)
                row = replace(row, units=message.units_of(ids), digest=self._opening.digest_of_message(text))  # noqa: PLW2901
            found.append(row)
        return found

    def _codes(self, bound: Sequence[BoundUnit]) -> list[str]:
        if any(one.sealed is None for one in bound):
            raise StoreError("a unit of the order is gone", code="unit_gone")
        return [self._opening.open(one.sealed or b"", one.owner_id) for one in bound]

    @property
    def _opening(self) -> UnitTexts:
        if self._texts is None:
            raise StoreError("units of goods cannot be opened here")
        return self._texts

    async def doubted_since(self, account_id: str, order_id: str) -> int | None:
        """Return when the oldest message of an order was sent of which it is unknown whether it arrived."""
        mine = and_(outbox.c.account_id == account_id, outbox.c.order_id == order_id, text(OUTBOX_OPEN))
        doubted = and_(mine, outbox.c.outcome == SendOutcome.UNCERTAIN.value)
        query = select(func.min(outbox.c.created_at_ms)).where(doubted, outbox.c.kind == OutboxKind.PAID.value)
        since_ms: int | None = await self._database.read(lambda connection: connection.scalar(query))
        return since_ms

    async def next_due_at(self, account_id: str, after_ms: int) -> int | None:
        """Return when the next action of the account is due that was put off until after then; ``None`` without one."""
        put_off = and_(
            order_actions.c.account_id == account_id,
            order_actions.c.due_at_ms > after_ms,
            order_actions.c.state == ActionState.PENDING.value,
        )
        query = select(func.min(order_actions.c.due_at_ms)).where(put_off)
        due_at_ms: int | None = await self._database.read(lambda connection: connection.scalar(query))
        return due_at_ms
