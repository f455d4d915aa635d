"""Gives units of an order back to the stock, because a person says that the order gets none of them.

A shop that was removed, an order that its owner shipped by hand, one that ended without a word of the site: nothing
serves these orders any more, and their units would be held for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import msgspec
from sqlalchemy import Connection, select, text

from shoal.clock import now_ms
from shoal.errors import Conflict
from shoal.goods.bindings import OUT, BoundUnit, free_units, revealed_units, units_of_order
from shoal.goods.goods import Goods
from shoal.goods.stock_history import By, StockEvent, was_written
from shoal.goods.stock_units import UnknownUnit, checked_reason
from shoal.goods.unit_states import UnitState
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.action_rows import message_states
from shoal.orders.delivery_rows import (
    GIVEN_BACK,
    Delivery,
    delivery_at,
    drop_waiting,
    end_given_back,
    numbers_of,
)
from shoal.orders.order_actions import Action, ActionState
from shoal.storage.database import Database
from shoal.storage.goods_tables import BOUND, bindings, stock_history, units
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import accounts, outbox

_UNDER_WAY = frozenset({SendOutcome.SENDING.value, SendOutcome.WAITING.value})
_BACK_FROM = frozenset({UnitState.HELD.value, UnitState.OUT.value, UnitState.FREE.value})
"""The states of units that can be free again. A reusable unit is free while orders have it."""


class GivenBack(msgspec.Struct, frozen=True):
    """What an order gave back: the ids of the units."""

    order_id: str
    units: tuple[int, ...]


class _Known(msgspec.Struct, frozen=True):
    """What is known of an order: its delivery, what its messages say of each unit, and what is known of the message."""

    unb: str
    order_id: str
    delivery: Delivery | None
    outcomes: Mapping[int, Collection[str]]
    is_uncertain: bool

    def has_arrived(self, one: BoundUnit) -> bool:
        """Return whether the buyer certainly has the unit."""
        arrived = () if self.delivery is None else numbers_of(self.delivery.messages[: self.delivery.arrived])
        return one.unit_no in arrived or SendOutcome.SENT in self.outcomes.get(one.unit_id, ())

    def may_have_arrived(self, one: BoundUnit) -> bool:
        """Return whether the buyer may have the unit."""
        is_doubtful = SendOutcome.UNCERTAIN in self.outcomes.get(one.unit_id, ())
        return one.state == OUT or self.is_uncertain or is_doubtful


class UnitReturns:
    """Gives units back. All that it means is one transaction."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def give_back(
        self, goods: Goods, unit_id: int, by: By, *, reason: str, order_id: str = "", never_arrived: bool = False
    ) -> GivenBack:
        """Part the order that has a unit from all its units that its buyer does not have. They are free again.

        ``order_id``: which order, for a reusable unit that several have; else the last one. ``never_arrived``: the
        person says that what may have arrived did not. A unit whose message arrived stays with its order.

        Raises ``UnknownUnit``, ``InvalidInput``, and ``Conflict``: ``unit_of_no_order``, ``act_under_way``,
        ``units_arrived``, ``units_may_have_arrived``. Nothing was written then.
        """
        reason, now = checked_reason(reason), self._now_ms()
        at = replace(by, at_ms=now)

        def job(connection: Connection) -> GivenBack:
            if by.repeats and was_written(connection, goods.id, by):
                return _as_before(connection, goods.id, by)
            unb, order = _place_of(connection, goods, unit_id, order_id)
            known = _known(connection, unb, order)
            back = _to_give_back(connection, goods, known, never_arrived=never_arrived)
            free_units(connection, back, unb, order, at, reason=reason)
            _end(connection, known, by.actor, reason, now)
            return GivenBack(order, tuple(one.unit_id for one in back))

        return await self._database.write(job)


def _place_of(connection: Connection, goods: Goods, unit_id: int, order_id: str) -> tuple[str, str]:
    """Return the seller's number and the order that has the unit. Raises ``UnknownUnit`` and ``Conflict``."""
    mine = select(units.c.state).where(units.c.id == unit_id, units.c.goods_id == goods.id)
    state = connection.scalar(mine)
    if state is None:
        raise UnknownUnit
    query = select(bindings.c.unb, bindings.c.order_id).where(bindings.c.unit_id == unit_id, text(BOUND))
    if order_id:
        query = query.where(bindings.c.order_id == order_id)
    place = connection.execute(query.order_by(bindings.c.id.desc()).limit(1)).first()
    if place is None:
        raise Conflict("no order has the unit", code="unit_of_no_order", state=state)
    return place.unb, place.order_id


def _known(connection: Connection, unb: str, order_id: str) -> _Known:
    """Return what is known of an order. Raises ``Conflict`` (``act_under_way``) while something of it is sent."""
    states = message_states(connection, order_id)
    number = select(accounts.c.id).where(accounts.c.unb == unb)
    sent = select(outbox.c.units, outbox.c.outcome).where(
        outbox.c.account_id.in_(number), outbox.c.order_id == order_id, outbox.c.units != ""
    )
    outcomes: defaultdict[int, set[str]] = defaultdict(set)
    for carried, outcome in connection.execute(sent):
        for unit_id in carried.split(","):
            outcomes[int(unit_id)].add(outcome)
    if ActionState.INTENDED in states or any(_UNDER_WAY & found for found in outcomes.values()):
        raise Conflict("it is under way", code="act_under_way", action=Action.PAID_MESSAGE.value)
    delivery = delivery_at(connection, unb, order_id)
    return _Known(unb, order_id, delivery, outcomes, ActionState.UNCERTAIN in states)


def _to_give_back(connection: Connection, goods: Goods, known: _Known, *, never_arrived: bool) -> Sequence[BoundUnit]:
    there = [one for one in units_of_order(connection, known.unb, known.order_id) if one.goods_id == goods.id]
    query = select(units.c.id).where(units.c.id.in_([one.unit_id for one in there]), units.c.state.in_(_BACK_FROM))
    can_be_free = set(connection.scalars(query))
    back = [one for one in there if one.unit_id in can_be_free and not known.has_arrived(one)]
    if not back:
        raise Conflict("the buyer has the units", code="units_arrived")
    revealed = revealed_units(connection, back, known.unb, known.order_id)
    doubtful = [one for one in back if known.may_have_arrived(one) or one.unit_id in revealed]
    if doubtful and not never_arrived:
        raise Conflict("units may have arrived", code="units_may_have_arrived", units=len(doubtful))
    return back


def _end(connection: Connection, known: _Known, actor: str, reason: str, now: int) -> None:
    """End the delivery of an order that gave its units back, and add that to its timelines."""
    mine = select(orders.c.account_id).where(
        orders.c.order_id == known.order_id,
        orders.c.account_id.in_(select(accounts.c.id).where(accounts.c.unb == known.unb)),
    )
    for account_id in connection.scalars(mine).all():
        drop_waiting(connection, account_id, known.order_id, GIVEN_BACK, now)
        line = {
            "account_id": account_id, "order_id": known.order_id, "status": "", "at_ms": now, "source": actor,
            "act": GIVEN_BACK, "outcome": ActionState.DONE.value, "words": reason,
        }  # fmt: skip
        connection.execute(order_events.insert().values(line))
    if known.delivery is not None:
        end_given_back(connection, known.delivery, now)


def _as_before(connection: Connection, goods_id: int, by: By) -> GivenBack:
    """Return what this op gave back in an earlier try."""
    mine = (
        stock_history.c.goods_id == goods_id,
        stock_history.c.op_id == by.op_id,
        stock_history.c.what == StockEvent.RELEASED.value,
    )
    rows = connection.execute(select(stock_history.c.unit_id, stock_history.c.order_id).where(*mine)).all()
    return GivenBack(rows[0].order_id if rows else "", tuple(int(row.unit_id) for row in rows))
