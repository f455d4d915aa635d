"""How a soak stands: one line, a table, and a file that programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from endurance import gauges
from endurance.judge import ALONG, EXPLAINED, LEFT, LOST, MUST_NOT_BE, ONCE, PHANTOM, SERVED, SILENT, TWICE, grouped
from endurance.ledger import Ledger

COMPLAINTS = 50
"""The newest that are told; how many there are is told too."""


def write(ledger: Ledger, file: Path, hours: float) -> dict[str, Any]:
    """Renew the file, whole or not at all, and return what stands in it."""
    told = summary(ledger, hours)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)
    return told


def summary(ledger: Ledger, hours: float) -> dict[str, Any]:
    """Everything that was counted and measured so far."""
    lines, orders = ledger.outcomes("line"), ledger.outcomes("order")
    line_groups, order_groups = grouped("line", lines), grouped("order", orders)
    complaints = ledger.complaints(COMPLAINTS)
    bad = sum(groups[name] for groups in (line_groups, order_groups) for name in MUST_NOT_BE if name in groups)
    return {
        "hours": hours,
        "lived_hours": round(ledger.fact("lived") / 3600, 4),
        "lives_of_the_server": round(ledger.fact("lives")),
        "lines": line_groups,
        "orders": order_groups,
        "open": ledger.open_number(),
        "left_sending": round(ledger.fact("left sending")),
        "broken": bad + len(complaints),
        "line_outcomes": dict(lines.most_common()),
        "order_outcomes": dict(orders.most_common()),
        "happened": dict(ledger.counts("happened").most_common()),
        "gauges": gauges.table(list(ledger.samples())),
        "complaints": complaints,
    }


def line(ledger: Ledger, hours: float) -> str:
    """How it stands, on one line."""
    told = summary(ledger, hours)
    lines, orders = told["lines"], told["orders"]
    measured = ", ".join(f"{row['gauge']} {row['last']:g} {row['unit']}".strip() for row in told["gauges"])
    return (
        f"{told['lived_hours']:.2f} of {hours:g} h: {sum(lines.values()):,} lines, {lines[ONCE]:,} once, "
        f"{lines[ALONG]:,} along, {lines[LEFT]:,} left, {lines[EXPLAINED]:,} explained, {lines[TWICE]} TWICE, "
        f"{lines[PHANTOM]} PHANTOM, {lines[LOST]} LOST; {sum(orders.values()):,} orders, {orders[SERVED]:,} served, "
        f"{orders[TWICE]} TWICE, {orders[SILENT]} SILENT; {told['open']} open; {len(told['complaints'])} complaints; "
        f"{measured}"
    )


def table(told: dict[str, Any]) -> str:
    """All of it, for a person and for Markdown."""
    lines = [
        f"{told['lived_hours']:.2f} of {told['hours']:g} hours, {told['lives_of_the_server']} lives of the server",
        "",
        "| what | " + " | ".join(told["lines"]) + " |",
        "|---" * (len(told["lines"]) + 1) + "|",
        f"| {sum(told['lines'].values()):,} lines | " + " | ".join(f"{n:,}" for n in told["lines"].values()) + " |",
        "",
        "| what | " + " | ".join(told["orders"]) + " |",
        "|---" * (len(told["orders"]) + 1) + "|",
        f"| {sum(told['orders'].values()):,} orders | " + " | ".join(f"{n:,}" for n in told["orders"].values()) + " |",
        "",
        "| gauge | after warming up | last | most | per hour |",
        "|---|---|---|---|---|",
    ]
    for row in told["gauges"]:
        slope = "-" if row["per_hour"] is None else f"{row['per_hour']:+g}"
        lines.append(
            f"| {row['gauge']} {row['unit']} | {row['first']:g} | {row['last']:g} | {row['most']:g} | {slope} |"
        )
    lines += ["", f"open: {told['open']}; answers left `sending`: {told['left_sending']}"]
    for title in ("line_outcomes", "order_outcomes", "happened"):
        lines.append(f"{title}: " + ", ".join(f"{name} {number:,}" for name, number in told[title].items()))
    return "\n".join([*lines, *(f"complaint: {complaint}" for complaint in told["complaints"])])
