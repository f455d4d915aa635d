"""Orders, refunds, voids, imports and undone batches in any order: on the real SQLite the stock always adds up."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine, event, func, insert, select, update

from shoal.errors import Conflict
from shoal.goods.batches import Batch, BatchState, begin_batch, end_batch, take_into, undo_batch
from shoal.goods.bindings import (
    HELD,
    OUT,
    bind_another,
    bind_units,
    release_units,
    units_of_order,
    units_went_out,
)
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.stock_history import By, StockEvent
from shoal.goods.unit_states import UnitState
from shoal.storage.columns import metadata
from shoal.storage.goods_tables import batches, bindings, goods, stock_history, units
from shoal.storage.notice_tables import incident_events, incidents
from shoal.storage.user_tables import users

UNB = "2200000000001"
BY = By(actor="user:ann", op_id="op", at_ms=1)
ORDERS = st.sampled_from(["o1", "o2", "o3", "o4"])
TABLES = [users, goods, batches, units, bindings, stock_history, incidents, incident_events]


class StockMachine(RuleBasedStateMachine):
    """Two goods of one owner, and the orders of one seller."""

    def __init__(self) -> None:
        super().__init__()
        self._place = tempfile.TemporaryDirectory()
        self.engine = create_engine(f"sqlite:///{Path(self._place.name) / 'stock.db'}")
        event.listen(
            self.engine, "connect", lambda raw, _: raw.executescript("PRAGMA foreign_keys=ON; PRAGMA synchronous=OFF")
        )
        metadata.create_all(self.engine, tables=TABLES)
        self.served: dict[int, str] = {}
        self.wanted: dict[str, int] = {}
        self.replaced: Counter[str] = Counter()
        self.taken = 0

    def teardown(self) -> None:
        self.engine.dispose()
        self._place.cleanup()

    @initialize()
    def two_goods(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(users).values(id=1, username="ann", name_key="ann", password_hash="-"))
            rows = [{"id": number, "owner_id": 1, "kind": "stock", "name": "x"} for number in (1, 2)]
            connection.execute(insert(goods), rows)
        self.goods = {number: Goods(id=number, owner_id=1, name="x", kind=GoodsKind.STOCK) for number in (1, 2)}

    @rule(which=st.integers(1, 2), count=st.integers(1, 6))
    def import_units(self, which: int, count: int) -> None:
        with self.engine.begin() as connection:
            batch = begin_batch(connection, BY, which, {"lines": count})
            rows = [
                {"goods_id": which, "owner_id": 1, "batch_id": batch.id, "digest": f"d{self.taken + number}"}
                for number in range(count)
            ]
            connection.execute(insert(units), rows)
            take_into(connection, batch, count, done=count)
            end_batch(connection, batch, BatchState.DONE, 1)
        self.taken += count

    @rule(which=st.integers(1, 2), order_id=ORDERS, count=st.integers(1, 4))
    def serve(self, which: int, order_id: str, count: int) -> None:
        with self.engine.begin() as connection:
            before = units_of_order(connection, UNB, order_id)
            try:
                found = bind_units(connection, self.goods[which], unb=UNB, order_id=order_id, count=count, by=BY)
            except Conflict:
                assert units_of_order(connection, UNB, order_id) == before
                return
        assert not before or found == before
        self.wanted[order_id] = count

    @rule(order_id=ORDERS, part=st.one_of(st.none(), st.integers(1, 4)))
    def goes_out(self, order_id: str, part: int | None) -> None:
        with self.engine.begin() as connection:
            units_went_out(connection, UNB, order_id, BY, only=None if part is None else [part])
            for one in units_of_order(connection, UNB, order_id):
                if one.state == OUT:
                    assert self.served.setdefault(one.unit_id, order_id) == order_id

    @rule(order_id=ORDERS)
    def refund(self, order_id: str) -> None:
        """Only an order of which nothing left is released: a part that left keeps the others with it."""
        with self.engine.begin() as connection:
            if all(one.state == HELD for one in units_of_order(connection, UNB, order_id)):
                release_units(connection, UNB, order_id, BY, reason="refund")
                self.wanted.pop(order_id, None)

    @rule(order_id=ORDERS, number=st.integers(1, 5))
    def send_another(self, order_id: str, number: int) -> None:
        with self.engine.begin() as connection:
            there = units_of_order(connection, UNB, order_id)
            if not there:
                return
            try:
                bind_another(
                    connection,
                    self.goods[there[0].goods_id],
                    unb=UNB,
                    order_id=order_id,
                    replaces=number,
                    reason="broken",
                    by=BY,
                )
            except Conflict:
                return
        self.replaced[order_id] += 1

    @rule(data=st.data())
    def void_one(self, data: st.DataObject) -> None:
        with self.engine.begin() as connection:
            free = connection.scalars(select(units.c.id).where(units.c.state == UnitState.FREE.value)).all()
            if free:
                chosen = data.draw(st.sampled_from(sorted(free)))
                connection.execute(update(units).where(units.c.id == chosen).values(state=UnitState.VOID.value))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        with self.engine.begin() as connection:
            pairs = connection.execute(select(batches.c.goods_id, batches.c.id)).all()
            goods_id, batch_id = data.draw(st.sampled_from(sorted((one.goods_id, one.id) for one in pairs)))
            used = connection.scalar(
                select(func.count()).where(units.c.batch_id == batch_id, units.c.state.in_(["held", "out"]))
            )
            try:
                undone: Batch | None = undo_batch(connection, BY, goods_id, batch_id)
            except Conflict:
                undone = None
            assert (undone is None) is bool(used)

    @invariant()
    def each_batch_adds_up(self) -> None:
        with self.engine.connect() as connection:
            for row in connection.execute(select(batches)):
                there = connection.scalar(select(func.count()).where(units.c.batch_id == row.id))
                assert row.taken - row.undone == there

    @invariant()
    def a_unit_has_one_order_for_life(self) -> None:
        with self.engine.connect() as connection:
            rows = connection.execute(select(bindings).where(bindings.c.state != "released")).all()
            assert len({row.unit_id for row in rows}) == len(rows)
            for row in rows:
                assert self.served.get(row.unit_id, row.order_id) == row.order_id
            states = {"held": Counter[str](), "out": Counter[str]()}
            for row in rows:
                states[row.state][row.order_id] += 1
            counted: Any = select(units.c.state, func.count()).group_by(units.c.state)
            stock = {row[0]: row[1] for row in connection.execute(counted)}
            assert {state: sum(count.values()) for state, count in states.items()} == {
                state: stock.get(state, 0) for state in states
            }

    @invariant()
    def an_order_has_all_its_units_or_none(self) -> None:
        with self.engine.connect() as connection:
            for order_id in ("o1", "o2", "o3", "o4"):
                there = units_of_order(connection, UNB, order_id)
                assert len({one.goods_id for one in there}) <= 1
                assert len(there) == self.wanted.get(order_id, 0) + (self.replaced[order_id] if there else 0)

    @invariant()
    def every_move_has_its_line(self) -> None:
        with self.engine.connect() as connection:
            counted: Any = select(stock_history.c.what, func.sum(stock_history.c.count)).group_by(stock_history.c.what)
            said = Counter({what: int(count) for what, count in connection.execute(counted)})
            states: Any = select(bindings.c.state, func.count()).group_by(bindings.c.state)
            there = Counter({row[0]: row[1] for row in connection.execute(states)})
        assert said[StockEvent.IMPORTED.value] == self.taken
        assert said[StockEvent.BOUND.value] == there.total()
        assert said[StockEvent.OUT.value] == there["out"]
        assert said[StockEvent.RELEASED.value] == there["released"]


StockMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
TestStock = StockMachine.TestCase
