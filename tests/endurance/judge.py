"""The reckoning of a soak while it runs: what buyers saw and what the server stored, a window at a time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Final

import httpx
from sqlalchemy.exc import SQLAlchemyError

from endurance.ledger import CUT_OFF, KEEP_SECONDS, Ledger, OpenLine, OpenOrder
from endurance.stored_rows import StoredRows
from endurance.story import KEYWORD, Site
from endurance.verdicts import Limits, Row, Stored, Watched, outcome_of, outcome_of_order
from shoal.messages.decisions import Decision

AT_ONCE: Final = 500
"""Lines of one look."""
SETTLES_SECONDS: Final = 3.0
"""A line that young is not looked at: its rows are just being written."""
WAITS_SECONDS: Final = 60.0
"""A line without an answer whose end seems final is settled after so long."""
EVENTS_AT_ONCE: Final = 5000

ONCE, ALONG, LEFT, EXPLAINED = "answered once", "answered along with another", "rightly left", "explained"
TWICE, PHANTOM, LOST, WRONG = "answered twice", "phantom", "lost without a word", "otherwise wrong"
SERVED, SILENT = "served once", "silent"
_LINES: Final = {
    "answered once": ONCE,
    "answered along": ALONG,
    "rightly": LEFT,
    "!answered twice": TWICE,
    "!recorded as": PHANTOM,
    "!called answered": PHANTOM,
    "!answered, but recorded as": PHANTOM,
    "!lost": LOST,
    "!unexplained": LOST,
    "!the shop was deaf": LOST,
    "!": WRONG,
    CUT_OFF: CUT_OFF,
    "": EXPLAINED,
}
_ORDERS: Final = {
    "served": SERVED,
    "!paid message sent twice": TWICE,
    "!confirmed more than once": TWICE,
    "!silent": SILENT,
    "!order lost": LOST,
    "!": WRONG,
    CUT_OFF: CUT_OFF,
    "": EXPLAINED,
}
LINE_GROUPS: Final = tuple(dict.fromkeys(_LINES.values()))
ORDER_GROUPS: Final = tuple(dict.fromkeys(_ORDERS.values()))
MUST_NOT_BE: Final = (TWICE, PHANTOM, LOST, WRONG, SILENT)
_CONFIRM_IS_OVER: Final = ("done", "uncertain", "failed", "not_needed")


def grouped(what: str, outcomes: Counter[str]) -> dict[str, int]:
    """How many ended in each of the ways that a person tells apart. ``what``: ``line`` or ``order``."""
    beginnings, groups = (_LINES, LINE_GROUPS) if what == "line" else (_ORDERS, ORDER_GROUPS)
    counted = Counter[str]()
    for outcome, number in outcomes.items():
        counted[next(group for start, group in beginnings.items() if outcome.startswith(start))] += number
    return {group: counted[group] for group in groups}


class Judge:
    """Settles what is open in the ledger. One look after another."""

    def __init__(self, ledger: Ledger, site: Site, rows: StoredRows, watched: Watched, limits: Limits) -> None:
        self._ledger = ledger
        self._site = site
        self._rows = rows
        self._watched = watched
        self._limits = limits
        self._cursor = 0
        self.patience_seconds = limits.message_age_seconds + limits.deaf_seconds + WAITS_SECONDS
        """After so long nothing can happen to a line any more."""

    async def look(self, now: float) -> None:
        """Take in what buyers saw, and settle what can be settled, or must be by then."""
        try:
            await self._see()
            await self._settle_lines(now)
            await self._settle_orders(now)
        except (httpx.HTTPError, SQLAlchemyError) as error:  # the machine is slow, or the server just being killed
            self._ledger.count("happened", f"a look failed: {type(error).__name__}")
        self._ledger.commit()

    async def look_after(self, now: float) -> None:
        """What is done once a minute: drop what is old, and look for answers that will never be sent."""
        self._ledger.drop((now - KEEP_SECONDS) * 1000)
        before_ms = round((now - self.patience_seconds) * 1000)
        try:
            left = await asyncio.to_thread(self._rows.left_sending, before_ms)
        except SQLAlchemyError as error:
            self._ledger.count("happened", f"a look failed: {type(error).__name__}")
        else:
            self._ledger.set_fact("left sending", left)

    async def _see(self) -> None:
        while lines := (await self._site.get("events", after=str(self._cursor), limit=str(EVENTS_AT_ONCE)))["items"]:
            if missed := lines[0]["seq"] - self._cursor - 1:
                self._ledger.complain(lines[0]["wall_ms"] / 1000, f"the soak itself missed {missed} events of the site")
            self._cursor = lines[-1]["seq"]
            for line in lines:
                if line["kind"] == "replied":
                    self._ledger.seen(line["text"])

    # -- lines -----------------------------------------------------------------------------------------------------

    async def _settle_lines(self, now: float) -> None:
        lines = self._ledger.open_lines(limit=AT_ONCE, before_ms=(now - SETTLES_SECONDS) * 1000)
        if not lines:
            return
        stored = await asyncio.to_thread(self._rows.about, [line.question for line in lines], [])
        for line in lines:
            outcome = self._outcome(line, stored)
            waited = now - line.question.at_ms / 1000
            if waited >= self.patience_seconds or _is_final(line, outcome, stored, waited):
                self._ledger.settle_line(line, outcome)
                if outcome.startswith("!"):
                    self._complain(now, f"{outcome[1:]}: {line.question}", _rows_of_line(line, stored))

    def _outcome(self, line: OpenLine, stored: Stored) -> str:
        text = f"{KEYWORD if line.joined else ''}{line.question.token}"
        outcome = outcome_of(self._watched, line.question, [text] * line.seen, stored, self._limits)
        return ALONG if outcome == "answered once" and line.joined else outcome

    # -- orders ----------------------------------------------------------------------------------------------------

    async def _settle_orders(self, now: float) -> None:
        orders = self._ledger.open_orders(before_ms=(now - SETTLES_SECONDS) * 1000)
        if not orders:
            return
        stored = await asyncio.to_thread(self._rows.about, [], [order.purchase for order in orders])
        for order in orders:
            due = now - _due_since_ms(order, stored) / 1000 >= self.patience_seconds
            if not due and not _order_seems_over(order, stored):
                continue
            listed = (await self._site.get("orders", account=order.purchase.unb))["items"]
            attempts: list[Row] = next((row["attempts"] for row in listed if row["id"] == order.purchase.order_id), [])
            outcome = _order_outcome(order, attempts, stored)
            if due or not outcome.startswith("!") or outcome.startswith(("!paid message sent", "!confirmed more")):
                self._ledger.settle_order(order, outcome)
                if outcome.startswith("!"):
                    self._complain(now, f"{outcome[1:]}: {order.purchase}", _rows_of_order(order, stored))

    def _complain(self, now: float, what: str, rows: list[Row]) -> None:
        self._ledger.complain(now, f"{what} {json.dumps(rows, ensure_ascii=False, default=str)}")


def _is_final(line: OpenLine, outcome: str, stored: Stored, waited: float) -> bool:
    """Whether a line that is still young can be settled; should it be answered once more, it is opened again."""
    if line.seen:
        return not outcome.startswith("!") or line.seen > 1
    message = stored.messages.get((line.question.account_id, line.question.message_id))
    if message is None or not message["verdict"] or waited < WAITS_SECONDS or outcome.startswith("!"):
        return False
    verdict = Decision(message["verdict"])
    return verdict.is_final and verdict is not Decision.ANSWERED


def _order_seems_over(order: OpenOrder, stored: Stored) -> bool:
    states = _intents_of(order, stored)
    return order.seen > 1 or (order.seen == 1 and states["confirm"] in _CONFIRM_IS_OVER)


def _order_outcome(order: OpenOrder, attempts: list[Row], stored: Stored) -> str:
    """As the endurance runs reckon, but for what its owner must know: told it is explained, and else it is silent."""
    outcome = outcome_of_order(order.purchase, order.seen, attempts, stored)
    row = stored.orders.get((order.purchase.account_id, order.purchase.order_id), {})
    states, problem = _intents_of(order, stored), row.get("problem")
    undone = outcome.startswith(("!order forgotten", "unserved: failed", "unserved: uncertain"))
    if undone or (outcome.startswith("served") and states["confirm"] in {"intended", "pending", "failed", "uncertain"}):
        told = f"{outcome.lstrip('!')}; told: {problem}"
        return told if problem else outcome if outcome.endswith("uncertain") else f"!silent: {outcome.lstrip('!')}"
    return outcome


def _due_since_ms(order: OpenOrder, stored: Stored) -> int:
    """Since when the order's last step could be done: a step that the one before made due late has its own time."""
    key = (order.purchase.account_id, order.purchase.order_id)
    steps = (stored.order_actions.get((*key, act), {}) for act in ("paid_message", "confirm"))
    due: list[int] = [step["created_at_ms"] for step in steps if step.get("state") == "pending"]
    return max([order.at_ms, *due])


def _intents_of(order: OpenOrder, stored: Stored) -> dict[str, Any]:
    key = (order.purchase.account_id, order.purchase.order_id)
    return {act: stored.order_actions.get((*key, act), {}).get("state", "none") for act in ("paid_message", "confirm")}


def _rows_of_line(line: OpenLine, stored: Stored) -> list[Row]:
    message = stored.messages.get((line.question.account_id, line.question.message_id))
    return [*([message] if message else []), *stored.sent_about(line.question)]


def _rows_of_order(order: OpenOrder, stored: Stored) -> list[Row]:
    key = (order.purchase.account_id, order.purchase.order_id)
    kept = [stored.order_actions.get((*key, act)) for act in ("paid_message", "confirm")]
    return [row for row in (stored.orders.get(key), *kept) if row]
