"""What must hold of goods and orders after any death: the invariants of delivery, asked of a database by SQL.

Each is a query that finds what breaks it, so that an empty answer is the proof. They know nothing of the code that
writes, and run alike on SQLite and PostgreSQL. ``tests/faults/test_delivery_invariants.py`` plants each breach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, literal_column, select, table, text

QUERIES: dict[str, str] = {
    "1: batch {0} took in {1} units and has {2}": """
        SELECT t.id, t.taken - t.undone, count(u.id) FROM batches t LEFT JOIN units u ON u.batch_id = t.id
        GROUP BY t.id, t.taken, t.undone HAVING count(u.id) <> t.taken - t.undone
    """,
    "1: unit {0} is {1}, which is no state": """
        SELECT id, state FROM units
        WHERE state NOT IN ('free', 'held', 'out', 'void', 'returned', 'doubted', 'fetching')
    """,
    "1: unit {0} is {1}, and order {2} has it": """
        SELECT u.id, u.state, b.order_id FROM units u JOIN bindings b ON b.unit_id = u.id
        WHERE b.one_time AND b.state <> 'released' AND u.state IN ('free', 'void')
    """,
    "1: unit {0} is held, and no order holds it": """
        SELECT u.id FROM units u JOIN goods g ON g.id = u.goods_id WHERE g.kind = 'stock' AND u.state = 'held'
        AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.unit_id = u.id AND b.state = 'held')
    """,
    "1: unit {0} is out, and no order got it": """
        SELECT u.id FROM units u JOIN goods g ON g.id = u.goods_id WHERE g.kind = 'stock' AND u.state = 'out'
        AND NOT EXISTS (SELECT 1 FROM bindings b WHERE b.unit_id = u.id AND b.state = 'out')
    """,
    "2: unit {0} went out to order {1}, and is {2}": """
        SELECT u.id, b.order_id, u.state FROM units u JOIN bindings b ON b.unit_id = u.id
        WHERE b.one_time AND b.state = 'out' AND u.state NOT IN ('out', 'returned', 'doubted')
    """,
    "2: unit {0} belongs to {1} orders": """
        SELECT b.unit_id, count(*) FROM bindings b WHERE b.one_time AND b.state <> 'released' GROUP BY b.unit_id
        HAVING count(*) > 1
    """,
    "2: unit {0} went out to {1} orders, says the history": """
        SELECT h.unit_id, count(DISTINCT h.order_id) FROM stock_history h JOIN goods g ON g.id = h.goods_id
        WHERE g.kind = 'stock' AND h.what = 'out' AND h.order_id <> '' GROUP BY h.unit_id
        HAVING count(DISTINCT h.order_id) > 1
    """,
    "3: order {0} wants {1} units and has {2}": """
        SELECT d.order_id, d.wanted, count(b.id) FROM deliveries d LEFT
        JOIN bindings b ON b.unb = d.unb AND b.order_id = d.order_id AND b.state <> 'released' AND b.replaces IS
        NULL GROUP BY d.unb, d.order_id, d.wanted HAVING count(b.id) <> d.wanted
        AND NOT (count(b.id) = 0 AND EXISTS (SELECT 1 FROM bindings r
        WHERE r.unb = d.unb AND r.order_id = d.order_id AND r.state = 'released'))
    """,
    "3: order {0} has units, and no delivery says which": """
        SELECT DISTINCT b.order_id FROM bindings b LEFT
        JOIN deliveries d ON d.unb = b.unb AND d.order_id = b.order_id JOIN goods g ON g.id = b.goods_id
        WHERE b.state <> 'released' AND d.order_id IS NULL AND g.kind <> 'supplier'
    """,
    "3: the units of order {0} are numbered {1} to {2}, and are {3}": """
        SELECT b.order_id, min(b.unit_no), max(b.unit_no), count(*) FROM bindings b
        WHERE b.state <> 'released' AND b.replaces IS NULL GROUP BY b.unb, b.order_id
        HAVING min(b.unit_no) <> 1 OR max(b.unit_no) <> count(*)
    """,
    "3: order {0} holds units, and no message of it waits or left": """
        SELECT DISTINCT b.order_id FROM bindings b JOIN goods g ON g.id = b.goods_id
        WHERE g.kind = 'stock' AND b.state = 'held' AND NOT EXISTS (SELECT 1 FROM outbox o
        WHERE o.order_id = b.order_id AND o.kind = 'paid')
    """,
    "3: order {0} is begun, and no delivery says with what": """
        SELECT a.order_id FROM intents a WHERE a.action = 'paid_message' AND a.state = 'intended'
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = a.order_id)
    """,
    "3: order {0} is begun, and none of its messages is written down": """
        SELECT a.order_id FROM intents a WHERE a.action = 'paid_message' AND a.state = 'intended'
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.order_id = a.order_id AND o.kind = 'paid')
    """,
    "4: order {0} is confirmed, and its message {1} is {2}": """
        SELECT o.order_id, o.part, o.outcome FROM outbox o JOIN intents a ON a.order_id = o.order_id
        AND a.account_id = o.account_id AND a.action = 'confirm' WHERE o.kind = 'paid' AND o.outcome <> 'sent'
        AND a.state = 'done' AND a.detail NOT IN ('told_by_owner', 'seen_shipped') AND NOT EXISTS (SELECT 1
        FROM outbox n
        WHERE n.order_id = o.order_id AND n.kind = 'paid' AND n.part = o.part AND n.id > o.id AND n.outcome =
        'sent') AND NOT EXISTS (SELECT 1 FROM order_events e
        WHERE e.order_id = o.order_id AND ((e.act = 'confirm' AND e.words = 'asked_by_owner') OR (e.act =
        'paid_message' AND e.words = 'told_by_owner')))
    """,
    "4: order {0} is confirmed, and its units are not out": """
        SELECT DISTINCT b.order_id FROM bindings b JOIN intents a ON a.order_id = b.order_id
        AND a.action = 'confirm' WHERE b.state = 'held' AND a.state = 'done'
        AND a.detail NOT IN ('told_by_owner', 'seen_shipped')
    """,
    "5: order {0} has unit {1} of goods {2}, and its delivery is of goods {3}": """
        SELECT b.order_id, b.unit_id, u.goods_id, d.goods_id FROM bindings b JOIN units u ON u.id = b.unit_id
        JOIN deliveries d ON d.unb = b.unb AND d.order_id = b.order_id
        WHERE b.state <> 'released' AND (u.goods_id <> d.goods_id OR b.goods_id <> d.goods_id)
    """,
    "5: order {0} has units, and nothing says how many pieces were bought": """
        SELECT DISTINCT b.order_id FROM bindings b JOIN orders o ON o.order_id = b.order_id
        WHERE b.state <> 'released' AND o.quantity = ''
    """,
}
"""The number and sentence of each invariant, and the query that finds what breaks it."""

_BOUGHT = (
    "SELECT d.order_id, d.goods_id, d.wanted, o.quantity, o.spec_value FROM deliveries d "
    "JOIN orders o ON o.order_id = d.order_id WHERE d.wanted > 0"
)
MOST_NAMED = 5
"""How many breaches of one kind are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sold:
    """What the rules of a run say: which goods belong to a value of the spec, and the units of one piece."""

    goods_of: Mapping[str, int]
    count: int = 1


def breaches(connection: Connection, sold: Sold | None = None) -> list[str]:
    """Return a sentence for each breach of the invariants 1 to 5, at most ``MOST_NAMED`` of a kind."""
    found: list[str] = []
    for sentence, query in QUERIES.items():
        rows = connection.execute(text(query)).fetchmany(MOST_NAMED)
        found += [sentence.format(*row) for row in rows]
    if sold is not None:
        found += _of_another_spec(connection, sold)[:MOST_NAMED]
    return found


def _of_another_spec(connection: Connection, sold: Sold) -> list[str]:
    found = []
    for order_id, goods_id, wanted, quantity, spec in connection.execute(text(_BOUGHT)):
        if sold.goods_of.get(spec) != goods_id:
            found.append(f"5: order {order_id} of spec {spec} gets goods {goods_id}")
        if not str(quantity).isdigit() or int(quantity) * sold.count != wanted:
            found.append(f"5: order {order_id} of {quantity} pieces gets {wanted} units")
    return found


def clear_in_tables(connection: Connection, marker: str) -> list[str]:
    """Return the columns in which a text that all units contain stands in clear (invariant 6)."""
    found = []
    for name in inspect(connection).get_table_names():
        for row in connection.execute(select(literal_column("*")).select_from(table(name))).mappings():
            found += [f"6: a unit stands in {name}.{column}" for column, value in row.items() if _has(value, marker)]
    return sorted(set(found))


def _has(value: Any, marker: str) -> bool:
    if isinstance(value, bytes | bytearray | memoryview):
        return marker.encode() in bytes(value)
    return isinstance(value, str) and marker in value


def clear_in_files(files: Iterable[Path], marker: str) -> list[str]:
    """Return the files that contain that text: database, its log, the server's log (invariant 6)."""
    wanted = marker.encode()
    return [f"6: a unit stands in {file.name}" for file in files if file.exists() and wanted in file.read_bytes()]
