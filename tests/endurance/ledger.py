"""What a soak knows: every open line and order, how the settled ones ended, and what was measured. One SQLite file.

It is small however long the soak runs: a line that was settled an hour ago leaves nothing but its number in the counts.
A soak that is killed loses what happened since the last ``commit``.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from endurance.story import PAID_MESSAGE, Purchase, Question

KEEP_SECONDS: Final = 3600.0
"""How long a settled line is still known: what answers it then is seen to be the second answer."""
CUT_OFF: Final = "the run was cut off"
LATE: Final = "!answered twice: once more after an hour"

_TOKEN: Final = re.compile(r"#(\d+)#")
_PAID: Final = re.compile(PAID_MESSAGE.replace("{order_id}", r"(\d+)"))
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS lines (
    number INTEGER PRIMARY KEY, account TEXT, unb TEXT, buyer TEXT, message_id TEXT, cid TEXT, at_ms INTEGER, kind TEXT,
    seen INTEGER NOT NULL DEFAULT 0, joined INTEGER NOT NULL DEFAULT 0, outcome TEXT
);
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY, account TEXT, unb TEXT, buyer TEXT, at_ms INTEGER, seen INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS open_lines ON lines (at_ms) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS counts (what TEXT, name TEXT, number INTEGER, PRIMARY KEY (what, name));
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL);
CREATE TABLE IF NOT EXISTS samples (lived REAL, life INTEGER, age REAL, figures TEXT);
CREATE TABLE IF NOT EXISTS typed (account TEXT, cid TEXT, at REAL);
CREATE TABLE IF NOT EXISTS complaints (at REAL, what TEXT);
"""


@dataclass(frozen=True, slots=True)
class OpenLine:
    """A buyer's line whose end is not known, and how often an answer to it was seen."""

    question: Question
    seen: int
    joined: bool


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """A paid order whose end is not known, and how often its goods were seen."""

    purchase: Purchase
    at_ms: int
    seen: int


class Ledger:
    """The file. Opening it again closes what an interruption left open: its outcome is unknown."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._rows = sqlite3.connect(file)
        self._rows.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        for table in ("lines", "orders"):
            self._rows.execute(f"UPDATE {table} SET outcome = ? WHERE outcome IS NULL", (CUT_OFF,))  # noqa: S608
        self.commit()

    def close(self) -> None:
        """Keep everything."""
        self.commit()
        self._rows.close()

    def commit(self) -> None:
        """What happened up to now outlives a kill."""
        self._rows.commit()

    # -- what happens ----------------------------------------------------------------------------------------------

    @property
    def next_number(self) -> int:
        """The first number that no line had."""
        newest = self._rows.execute("SELECT max(number) FROM lines").fetchone()[0] or 0
        return max(int(newest), int(self.fact("dropped"))) + 1

    def asked(self, question: Question) -> None:
        """A buyer said something; its answer may have been seen before we were told so."""
        row = (
            question.account_id, question.unb, question.buyer, question.message_id, question.cid, question.at_ms,
            question.kind,
        )  # fmt: skip
        self._rows.execute(
            "INSERT INTO lines (number, account, unb, buyer, message_id, cid, at_ms, kind) VALUES (?,?,?,?,?,?,?,?) "
            "ON CONFLICT (number) DO UPDATE SET account = excluded.account, unb = excluded.unb, buyer = excluded.buyer,"
            " message_id = excluded.message_id, cid = excluded.cid, at_ms = excluded.at_ms, kind = excluded.kind",
            (int(question.token.strip("#")), *row),
        )

    def bought(self, purchase: Purchase, at_ms: int) -> None:
        """A buyer paid; the goods may have been seen before we were told so."""
        row = (purchase.order_id, purchase.account_id, purchase.unb, purchase.buyer, at_ms)
        self._rows.execute(
            "INSERT INTO orders (order_id, account, unb, buyer, at_ms) VALUES (?,?,?,?,?) ON CONFLICT (order_id) DO "
            "UPDATE SET account = excluded.account, unb = excluded.unb, buyer = excluded.buyer, at_ms = excluded.at_ms",
            row,
        )

    def spoke(self, account_id: str, cid: str, at: float) -> None:
        """An owner spoke himself: his word holds answers back, also those of a run that goes on."""
        self._rows.execute("INSERT INTO typed VALUES (?,?,?)", (account_id, cid, at))

    def spoken_since(self, at: float) -> list[tuple[str, str, float]]:
        """What owners said since, and nothing else is kept."""
        self._rows.execute("DELETE FROM typed WHERE at < ?", (at,))
        return [(account, cid, when) for account, cid, when in self._rows.execute("SELECT * FROM typed ORDER BY at")]

    def seen(self, text: str) -> None:
        """A buyer saw words of a shop. What was settled and is answered once more is open again.

        What an interruption cut off stays so: the new site knows nothing of the old one's messages.
        """
        numbers = {int(number) for number in _TOKEN.findall(text)}
        for number in numbers:
            known = self._rows.execute("SELECT 1 FROM lines WHERE number = ?", (number,)).fetchone()
            if known is None and number <= self.fact("dropped"):
                self.count("line", LATE)
                continue
            self._rows.execute(
                "INSERT INTO lines (number, seen, joined) VALUES (?, 1, ?) ON CONFLICT (number) DO UPDATE SET "
                "seen = seen + 1, joined = max(joined, excluded.joined), "
                "outcome = CASE WHEN outcome = ? THEN outcome END",
                (number, int(len(numbers) > 1), CUT_OFF),
            )
        for order_id in _PAID.findall(text):
            self._rows.execute(
                "INSERT INTO orders (order_id, seen) VALUES (?, 1) ON CONFLICT (order_id) DO UPDATE SET "
                "seen = seen + 1, outcome = CASE WHEN outcome = ? THEN outcome END",
                (order_id, CUT_OFF),
            )

    # -- settling --------------------------------------------------------------------------------------------------

    def open_lines(self, *, limit: int, before_ms: float) -> list[OpenLine]:
        """Up to so many lines that want a look, those whose answer was seen first; ``before_ms``: and no younger."""
        rows = self._rows.execute(
            "SELECT number, account, unb, buyer, message_id, cid, at_ms, kind, seen, joined FROM lines "
            "WHERE outcome IS NULL AND account IS NOT NULL AND at_ms <= ? ORDER BY seen = 0, at_ms LIMIT ?",
            (before_ms, limit),
        )
        return [OpenLine(Question(f"#{number}#", *more), seen, bool(joined)) for number, *more, seen, joined in rows]

    def open_orders(self, *, before_ms: float) -> list[OpenOrder]:
        """Every order that is not settled and not younger."""
        rows = self._rows.execute(
            "SELECT account, unb, buyer, order_id, at_ms, seen FROM orders "
            "WHERE outcome IS NULL AND account IS NOT NULL AND at_ms <= ?",
            (before_ms,),
        )
        return [OpenOrder(Purchase(account, unb, *more), at_ms, seen) for account, unb, *more, at_ms, seen in rows]

    def settle_line(self, line: OpenLine, outcome: str) -> None:
        """A line ended so, unless it was answered once more since it was looked at."""
        number = int(line.question.token.strip("#"))
        self._rows.execute("UPDATE lines SET outcome = ? WHERE number = ? AND seen = ?", (outcome, number, line.seen))

    def settle_order(self, order: OpenOrder, outcome: str) -> None:
        """An order ended so, unless goods were seen since."""
        key = (outcome, order.purchase.order_id, order.seen)
        self._rows.execute("UPDATE orders SET outcome = ? WHERE order_id = ? AND seen = ?", key)

    def drop(self, before_ms: float) -> None:
        """Leave nothing of lines and orders that were settled before but their counts."""
        for table, what, key in (("lines", "line", "number"), ("orders", "order", "order_id")):
            old = f"FROM {table} WHERE outcome IS NOT NULL AND at_ms < ?"
            counted = self._rows.execute(f"SELECT outcome, count(*) {old} GROUP BY 1", (before_ms,)).fetchall()
            for outcome, number in counted:
                self.count(what, outcome, number)
            newest = self._rows.execute(f"SELECT max({key}) {old}", (before_ms,)).fetchone()[0]
            if table == "lines" and newest is not None:
                self.set_fact("dropped", max(self.fact("dropped"), newest))
            self._rows.execute(f"DELETE {old}", (before_ms,))

    def open_number(self) -> int:
        """How many lines and orders are not settled."""
        counted = "SELECT count(*) FROM lines WHERE outcome IS NULL AND account IS NOT NULL"
        orders = counted.replace("lines", "orders")
        return sum(int(self._rows.execute(query).fetchone()[0]) for query in (counted, orders))

    def outcomes(self, what: str) -> Counter[str]:
        """How the lines (``line``) or orders (``order``) ended so far."""
        table = {"line": "lines", "order": "orders"}[what]
        query = f"SELECT outcome, count(*) FROM {table} WHERE outcome IS NOT NULL GROUP BY 1"  # noqa: S608
        return self.counts(what) + Counter(dict(self._rows.execute(query).fetchall()))

    # -- figures ---------------------------------------------------------------------------------------------------

    def count(self, what: str, name: str, number: int = 1) -> None:
        """Add to a count."""
        self._rows.execute(
            "INSERT INTO counts VALUES (?,?,?) "
            "ON CONFLICT (what, name) DO UPDATE SET number = number + excluded.number",
            (what, name, number),
        )

    def counts(self, what: str) -> Counter[str]:
        """Every count of a kind."""
        return Counter(dict(self._rows.execute("SELECT name, number FROM counts WHERE what = ?", (what,)).fetchall()))

    def fact(self, name: str) -> float:
        """A number that outlives an interruption; 0 when it was never set."""
        row = self._rows.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return float(row[0]) if row else 0.0

    def set_fact(self, name: str, value: float) -> None:
        """Set one."""
        self._rows.execute("INSERT OR REPLACE INTO facts VALUES (?,?)", (name, value))

    def complain(self, at: float, what: str) -> None:
        """Note that a promise was broken, or something unforeseen happened."""
        self._rows.execute("INSERT INTO complaints VALUES (?,?)", (at, what))

    def complaints(self, limit: int = 50) -> list[str]:
        """The newest."""
        rows = self._rows.execute("SELECT what FROM complaints ORDER BY at DESC, rowid DESC LIMIT ?", (limit,))
        return [what for (what,) in rows]

    def sample(self, lived: float, life: int, age: float, figures: Mapping[str, Any]) -> None:
        """Note what was measured: after so many seconds of the soak, so many of this life of the server."""
        self._rows.execute("INSERT INTO samples VALUES (?,?,?,?)", (lived, life, age, json.dumps(figures)))

    def samples(self) -> Iterable[tuple[float, int, float, dict[str, Any]]]:
        """Every sample, oldest first."""
        rows = self._rows.execute("SELECT lived, life, age, figures FROM samples ORDER BY lived")
        return [(lived, life, age, json.loads(figures)) for lived, life, age, figures in rows]
