"""What models wrote and cost, as tables for a terminal."""

from __future__ import annotations

from rich.table import Table

from shoal.cli.moments import local
from shoal.cli.output import Row
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import ago, word_or, words

_MICROFEN_OF_YUAN = 100_000_000


def money(microfen: int) -> str:
    """Return an amount in yuan; what is less than a hundredth of a fen still shows."""
    yuan = microfen / _MICROFEN_OF_YUAN
    return f"¥{yuan:.2f}" if not microfen or yuan >= 1 else f"¥{yuan:.6f}"


def run_table(found: list[Row]) -> Table:
    """Return a table of runs, one row each."""
    rows = (
        (
            str(one["id"]), ago(one["at"]), one["account"], one["chat_id"], _state_words(one),
            one["text"], why_words(one["why"]), money(one["cost_microfen"]),
        )
        for one in found
    )  # fmt: skip
    return rows_table(("id", "at", "shop", "chat", "state", "text", "reason", "cost"), rows)


def run_facts(one: Row) -> Table:
    """Return a table of one run."""
    return facts_table([
        ("id", str(one["id"])),
        ("at", local(one["at"])),
        ("shop", one["account"]),
        ("chat", one["chat_id"]),
        ("item", one["item_id"] or ""),
        ("model", one["model"]),
        ("state", _state_words(one)),
        ("reason", why_words(one["why"])),
        ("rail", one["rail"]),
        ("text", one["text"]),
        ("raw", one["raw"]),
        ("tokens", f"{one['tokens_in']} + {one['tokens_out']}"),
        ("cost", money(one["cost_microfen"])),
        ("actor", one["actor"]),
    ])  # fmt: skip


def usage_table(found: list[Row]) -> Table:
    """Return a table of days and shops."""
    rows = (
        (one["day"], one["account"], str(one["calls"]), str(one["tokens_in"]), str(one["tokens_out"]),
         money(one["cost_microfen"]))
        for one in found
    )  # fmt: skip
    return rows_table(("day", "shop", "calls", "tokens_in", "tokens_out", "cost"), rows)


def _state_words(one: Row) -> str:
    """Return what became of a run; one that cost no call is told apart from one that failed in it."""
    return (
        words(f"run_state.{one['state']}")
        if one["called"] or one["state"] != "failed"
        else words("run_state.not_called")
    )


def why_words(why: str) -> str:
    """Return a reason as a person reads it; one without a sentence as it is."""
    return word_or(f"ai.why.{why}", why) if why else ""
