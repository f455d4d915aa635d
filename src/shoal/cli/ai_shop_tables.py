"""What a shop's model is set to, and what it answered in a trial, as tables and lines for a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from shoal.cli.ai_tables import money, why_words
from shoal.cli.moments import local
from shoal.cli.output import Row
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import printable, words


def settings_facts(answer: Row) -> Table:
    """Return a table of the settings of a shop's model."""
    return facts_table([
        ("ai_mode", words(f"ai.modes.{answer['ai_mode']}")),
        ("ai_provider", _provider(answer)),
        ("ai_persona", answer["ai_persona"]),
        ("ai_facts", str(len(answer["ai_facts"]))),
        ("ai_hours", answer["ai_hours"].replace("\n", ", ")),
        ("ai_turns", str(answer["ai_turns_per_chat"])),
        ("ai_tokens", words("ai.used_of", used=answer["tokens_today"], limit=answer["ai_tokens_per_day"])),
        ("ai_disclosure", words("cli.table.yes" if answer["ai_disclosure"] else "cli.table.no")),
        ("ai_resting", local(answer["resting_until"])),
    ])  # fmt: skip


def _provider(answer: Row) -> str:
    number, lacks = str(answer["ai_provider_id"] or "–"), answer["lacks"]
    return f"{number}: {words(f'ai.lacks.{lacks}')}" if lacks else number


def fact_table(answer: Row) -> str | Table:
    """Return a table of the facts of a shop."""
    rows = [(str(one["id"]), one["question"], one["answer"]) for one in answer["ai_facts"]]
    return rows_table(("id", "question", "answer"), rows) if rows else words("ai.no_facts")


def tried(answer: Row) -> str:
    """Return what the model wrote, the word of each rail that holds it back, and what it cost."""
    output = answer["output"]
    lines = [words(f"ai.decisions.{answer['decision']}")]
    if output is not None and output["text"]:
        lines.append(f"  {printable(output['text'])}")
    elif answer["raw"] and output is None:
        lines.append(f"  {printable(answer['raw'])}")
    if answer["why"]:
        lines.append(words("ai.because", why=why_words(answer["why"])))
    lines += [_rail(rail) for rail in answer["rails"] if not rail["passed"]]
    if answer["tokens_in"]:
        lines.append(words("ai.spent", tokens_in=answer["tokens_in"], tokens_out=answer["tokens_out"],
                           cost=money(answer["cost_microfen"]), ms=answer["duration_ms"]))  # fmt: skip
    return "\n".join(lines)


def _rail(rail: dict[str, Any]) -> str:
    found = " / ".join(rail["words"])
    text = words("ai.rail", rail=rail["rail"], why=why_words(rail["why"]))
    return f"  {text}: {printable(found)}" if found else f"  {text}"
