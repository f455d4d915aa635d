"""The invariants of delivery see each breach that is planted in a healthy database, and nothing in the healthy one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, insert, text

from faults.delivery_invariants import QUERIES, Sold, breaches, clear_in_files, clear_in_tables
from shoal.goods.bindings import bind_units, release_units, units_went_out
from shoal.goods.goods import Goods
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import lines_of_list
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.goods_tables import deliveries
from shoal.storage.order_tables import order_actions, orders
from shoal.storage.schema import accounts, outbox
from shoal.storage.vault import Vault
from support.databases.store_steps import Place
from support.orders.goods_steps import an_owner, by, some_goods, unit_texts

UNB, SHOP = "2200000000001", "shop"
MARKER = "CANARY7UNIT"
ORDERS = {
    "o1": ("2", "月卡", "done", "done"),
    "o2": ("3", "月卡", "intended", None),
    "o3": ("1", "月卡", "pending", None),
}
"""Pieces, spec, the paid message's state and the confirmation's: one served, one under way, one taken back."""

PLANTED = {
    "1: batch 1 took in 9 units and has 8": "DELETE FROM units WHERE id = 9",
    "1: unit 9 is sold, which is no state": "UPDATE units SET state = 'sold' WHERE id = 9",
    "1: unit 1 is free, and order o1 has it": "UPDATE units SET state = 'free' WHERE id = 1",
    "1: unit 9 is held, and no order holds it": "UPDATE units SET state = 'held' WHERE id = 9",
    "1: unit 9 is out, and no order got it": "UPDATE units SET state = 'out' WHERE id = 9",
    "2: unit 1 went out to order o1, and is held": "UPDATE units SET state = 'held' WHERE id = 1",
    "2: unit 1 belongs to 2 orders": "INSERT INTO bindings (unit_id, goods_id, owner_id, unb, order_id, unit_no, "
    "state, one_time, reason, created_at_ms) SELECT 1, goods_id, owner_id, unb, 'o9', 1, 'held', one_time, '', 0 "
    "FROM bindings WHERE unit_id = 1",
    "2: unit 1 went out to 2 orders, says the history": "INSERT INTO stock_history (goods_id, unit_id, unb, order_id, "
    "what, count, reason, facts, actor, op_id, at_ms) SELECT goods_id, unit_id, unb, 'o9', what, 1, '', '', '', '', 0 "
    "FROM stock_history WHERE unit_id = 1 AND what = 'out'",
    "3: order o2 wants 3 units and has 2": "UPDATE bindings SET state = 'released' WHERE unit_id = 5",
    "3: order o2 has units, and no delivery says which": "DELETE FROM deliveries WHERE order_id = 'o2'",
    "3: the units of order o2 are numbered 1 to 9, and are 3": "UPDATE bindings SET unit_no = 9 WHERE unit_id = 5",
    "3: order o2 holds units, and no message of it waits or left": "DELETE FROM outbox WHERE order_id = 'o2'",
    "3: order o2 is begun, and no delivery says with what": "DELETE FROM deliveries WHERE order_id = 'o2'",
    "3: order o2 is begun, and none of its messages is written down": "DELETE FROM outbox WHERE order_id = 'o2'",
    "4: order o1 is confirmed, and its message 1 is waiting": "UPDATE outbox SET outcome = 'waiting' "
    "WHERE order_id = 'o1' AND part = 1",
    "4: order o1 is confirmed, and its units are not out": "UPDATE bindings SET state = 'held' WHERE unit_id = 1",
    "5: order o1 has unit 1 of goods 2, and its delivery is of goods 1": "UPDATE units SET goods_id = 2 WHERE id = 1",
    "5: order o1 has units, and nothing says how many pieces were bought": "UPDATE orders SET quantity = '' "
    "WHERE order_id = 'o1'",
    "5: order o1 of spec 年卡 gets goods 1": "UPDATE orders SET spec_value = '年卡' WHERE order_id = 'o1'",
    "5: order o1 of 3 pieces gets 2 units": "UPDATE orders SET quantity = '3' WHERE order_id = 'o1'",
}
"""What must be said of each planted change. It may be said among other things: a change can break two of them."""
UNIQUE = ("uq_bindings_one_time", "uq_bindings_order")


@pytest.fixture
async def goods(database: Database, vault: Vault) -> Goods:
    """Goods of nine units: two went out, three are held, one was released."""
    owner_id = await an_owner(database)
    made = await some_goods(database, owner_id)
    await some_goods(database, owner_id, name="年卡")
    lines = lines_of_list([f"{MARKER}-{number}" for number in range(9)])
    await Imports(database, await unit_texts(database, vault)).run(made, lines, by())
    await database.write(lambda connection: _served(connection, made))
    return made


def _served(connection: Connection, goods: Goods) -> None:
    account = {"id": SHOP, "owner_id": goods.owner_id, "unb": UNB, "created_at_ms": 1}
    account |= {"shard": 0, "generation": 1, "rev": 1}
    connection.execute(insert(accounts).values(account))
    for order_id, (pieces, spec, said, confirmed) in ORDERS.items():
        key = {"account_id": SHOP, "order_id": order_id, "created_at_ms": 1}
        connection.execute(
            insert(orders).values(**key, quantity=pieces, spec_value=spec, status="pending_ship", updated_at_ms=1)
        )
        count = int(pieces)
        bind_units(connection, goods, unb=UNB, order_id=order_id, count=count, by=by())
        row = {"unb": UNB, "order_id": order_id, "owner_id": goods.owner_id, "goods_id": goods.id, "created_at_ms": 1}
        connection.execute(insert(deliveries).values(**row, wanted=count))
        connection.execute(insert(order_actions).values(**key, action="paid_message", state=said))
        if confirmed:
            connection.execute(insert(order_actions).values(**key, action="confirm", state=confirmed))
        for part in range(2):
            sent = {"chat_id": "1", "uuid": f"{order_id}-{part}", "kind": "paid", "part": part, "text": "{codes}"}
            outcome = "sent" if said == "done" else "waiting"
            connection.execute(insert(outbox).values(**key, **sent, outcome=outcome))
    units_went_out(connection, UNB, "o1", by())
    release_units(connection, UNB, "o3", by(), reason="cancelled")


async def test_a_healthy_stock_breaks_nothing_and_each_planted_breach_is_seen(place: Place, goods: Goods) -> None:
    sold = Sold(goods_of={"月卡": goods.id})

    def seen(connection: Connection) -> dict[str, list[str]]:
        found = {"": breaches(connection, sold)}
        for name in UNIQUE:
            connection.execute(text(f"DROP INDEX {name}"))
        if place.url:  # a foreign key forbids nothing that is planted here
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for sentence, change in PLANTED.items():
            with connection.begin_nested() as planted:
                connection.execute(text(change))
                found[sentence] = breaches(connection, sold)
                planted.rollback()
        return found

    engine = create_engine(place.url or f"sqlite:///{place.data_dir / DATABASE_FILE}")
    with engine.connect() as connection:
        found = seen(connection)
        connection.rollback()
    engine.dispose()
    assert found.pop("") == []
    assert {sentence: told for sentence, told in found.items() if sentence not in told} == {}
    heads = [sentence.partition("{")[0] for sentence in QUERIES]
    assert [head for head in heads if not any(planted.startswith(head) for planted in PLANTED)] == []


async def test_a_unit_that_stands_in_clear_is_seen_in_tables_and_files(
    database: Database, goods: Goods, tmp_path: Path
) -> None:
    assert await database.read(lambda connection: clear_in_tables(connection, MARKER)) == []
    await database.write(
        lambda connection: (
            connection.execute(
                text("UPDATE outbox SET text = :told WHERE order_id = 'o1'"), {"told": f"您的卡密 {MARKER}-1"}
            ).rowcount
        )
    )
    found = await database.read(lambda connection: clear_in_tables(connection, MARKER))
    assert found == ["6: a unit stands in outbox.text"]
    log = tmp_path / "server.log"
    log.write_text(f"sent {MARKER}-1")
    assert clear_in_files([log, tmp_path / "none"], MARKER) == ["6: a unit stands in server.log"]
    assert clear_in_files([log], MARKER + "-2") == []
