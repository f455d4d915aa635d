"""Rules, and what they would answer, as tables and lines for a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from shoal.cli.output import Row, saved
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import ago, printable, words

_DAYS = 7


def rule_table(found: list[Row]) -> Table:
    """Return a table with one row per rule."""
    rows = (
        (one["id"], _words(one), _reply(one), _conditions(one), str(one["hits"]), ago(one["last_hit_at"]))
        for one in found
    )
    return rows_table(("id", "words", "reply", "only_if", "hits", "last_hit"), rows)


def rule_facts(one: Row) -> Table:
    """Return a table of one rule."""
    least, most = one["delay_seconds"]
    return facts_table(
        [
            ("id", one["id"]),
            ("words", _words(one)),
            *(("reply", part["text"] or part["image_url"]) for part in one["parts"]),
            ("for_items", ", ".join(one["item_ids"])),
            ("priority", str(one["priority"])),
            ("hours", _hours(one)),
            ("delay", f"{least:g}–{most:g} s" if most else ""),
            ("cooldown", f"{one['cooldown_seconds']} s" if one["cooldown_seconds"] else ""),
            ("enabled", words("cli.table.yes" if one["active"] else "cli.table.no")),
            ("hits", str(one["hits"])),
            ("last_hit", ago(one["last_hit_at"])),
        ]
    )


def made(answer: Row) -> str:
    """Return what is printed after a rule was added or edited: its id, warnings, and the change to undo."""
    rule = answer["rule"]
    lines = [words("cli.rules.made", id=rule["id"], words=printable(" · ".join(rule["words"]))), saved(answer)]
    return "\n".join(
        [*lines, *(printable(one["detail"]) for one in answer["warnings"] if one["rule_id"] == rule["id"])]
    )


def tried(answer: Row) -> str:
    """Return what a buyer would get, and why, or why not."""
    lines = [printable(part["text"] or part["image_url"]) for part in answer["parts"]]
    if answer["rule"] is not None:
        lines.append(words("cli.rules.by_rule", id=answer["rule"]["id"], words=_words(answer["rule"])))
    elif answer["parts"]:
        lines.append(words(f"cli.rules.sources.{answer['source']}"))
    elif answer["source"] is None:
        lines.append(words("cli.rules.no_answer"))
        lines += [f"  {printable(' · '.join(one['words']))}: {one['detail']}" for one in answer["considered"][:10]]
    if answer["asks_model"]:
        lines.append(words("cli.rules.asks_model"))
    if answer["source"] is not None and answer["detail"] and not answer["would_send"]:
        lines.append(words("cli.rules.blocked", detail=answer["detail"], do=answer["do"]))
    if answer["filtered_words"] and answer["blocked_by"] != "filtered":  # else the line before has them
        lines.append(words("cli.answers.found", words=printable(" / ".join(answer["filtered_words"]))))
    return "\n".join(lines)


def _words(one: Row) -> str:
    joined = f" {words('cli.rules.and')} " if one["word_mode"] == "all" else " · "
    text = joined.join(one["words"])
    mode = one["match_mode"]
    return text if mode == "contains" else f"{text} ({words(f'cli.rules.modes.{mode}')})"


def _reply(one: Row) -> str:
    return " · ".join(part["text"] or part["image_url"] for part in one["parts"]) or words("cli.rules.sends_nothing")


def _conditions(one: Row) -> str:
    parts = [*(words("cli.rules.item", id=item) for item in one["item_ids"]), _hours(one)]
    if one["priority"]:
        parts.append(words("cli.rules.with_priority", priority=one["priority"]))
    if not one["active"]:
        parts.append(words("cli.rules.off"))
    return ", ".join(part for part in parts if part)


def _hours(one: Row) -> str:
    return ", ".join(f"{_days(span['weekdays'])}{span['start']}–{span['end']}" for span in one["schedule"])


def _days(weekdays: list[Any]) -> str:
    return "" if len(weekdays) == _DAYS else ",".join(map(str, weekdays)) + " "
