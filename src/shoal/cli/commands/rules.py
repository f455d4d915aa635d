"""``shoal rules …``: which messages of buyers get which reply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.cells import SAVED, shown_as, since
from shoal.cli.commands.deliveries import FORCE, MERGE, changed, check_is_new
from shoal.cli.files import bytes_of, downloaded, uploaded, with_ending
from shoal.cli.rows import DRY_RUN, SHOP, Answer, Given, Param, Shown, arg, option, row
from shoal.cli.run_rows import group, listed
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_DAYS = 7
_MATCHES = ("contains", "exact", "whole_word", "regex")
_ENDING = with_ending(".json", ".xlsx", ".csv", refused="cli.rules.bad_ending")
_RULE = arg("RULE", "rule_id", help="cli.rules.help.rule_id")

# ── what a rule is made of ────────────────────────────────────────────────────────────────────────────────────────────


def _spans(typed: list[str]) -> list[Any]:
    from shoal.rules.schedule_text import span_of  # noqa: PLC0415  it is loaded with the reader of Excel files

    return [_converted(span_of, one, "--hours") for one in typed if one != "always"]


def _delay(typed: str) -> Any:
    from shoal.rules.rule_xlsx import delay_of  # noqa: PLC0415  it is loaded with the reader of Excel files

    return _converted(delay_of, typed, "--delay")


def _converted(read: Callable[[str], Any], text: str, name: str) -> Any:
    try:
        return read(text)
    except ValueError:
        key = "cli.rules.bad_hours" if name == "--hours" else "cli.rules.bad_delay"
        raise typer.BadParameter(words(key), param_hint=name) from None


def _fields(match: Param) -> tuple[Param, ...]:
    return (
        option("--reply", "_texts", list[str]), option("--picture", "_pictures", list[str], metavar="FILE"), match,
        option("--all-words/--any-word", "word_mode", bool, read=lambda is_all: "all" if is_all else "any"),
        option("--item", "item_ids", list[str]), option("--priority", kind=int),
        option("--hours", "schedule", list[str], metavar="HOURS", read=_spans),
        option("--delay", "delay_seconds", metavar="SECONDS", read=_delay),
        option("--cooldown", "cooldown_seconds", int, min=0),
        option("--on/--off", "active", bool, help="cli.rules.help.active"),
    )  # fmt: skip


async def _body(client: ApiClient, given: Given) -> Given:
    parts: list[Given] = [{"text": text} for text in given["_texts"] or ()]
    parts += [{"image_url": await uploaded(client, picture)} for picture in given["_pictures"] or ()]
    body = {name: value for name, value in given.items() if value is not None and name[0] != "_"}
    return {**body, **({"parts": parts} if parts else {})}


async def _add(client: ApiClient, given: Given) -> Any:
    shop = given.pop("cid")
    return await client.ask("POST /cookies/{cid}/rules", cid=shop, body=await _body(client, given))


async def _edit(client: ApiClient, given: Given) -> Any:
    path = {name: given.pop(name) for name in ("cid", "rule_id")}
    if all(value is None for value in given.values()):
        raise ConfigError("cli.error.nothing_to_change")
    return await client.ask("PATCH /cookies/{cid}/rules/{rule_id}", body=await _body(client, given), query=None, **path)


async def _move(client: ApiClient, given: Given) -> Any:
    shop, moved, before, after = (given[name] for name in ("cid", "rule_id", "_before", "_after"))
    if (before is None) == (after is None):
        raise ConfigError("cli.rules.before_or_after")
    other = after if before is None else before
    found = {one["id"]: one for one in await listed(client, "GET /cookies/{cid}/rules", {"limit": 1_000_000}, cid=shop)}
    for name in (moved, other):
        if name not in found:
            raise ConfigError("cli.rules.unknown", rule=printable(name))
    ids = [one for one in found if one != moved or moved == other]
    if moved != other:
        ids.insert(ids.index(other) + (before is None), moved)
    priority = found[other]["priority"]
    priorities = {} if priority == found[moved]["priority"] else {moved: priority}
    body = {"ids": ids, "priorities": priorities}
    return await client.ask("PUT /cookies/{cid}/rules/order", cid=shop, body=body)


async def _export(client: ApiClient, given: Given) -> Any:
    check_is_new(given["_file"], given["_force"])
    return await downloaded(client, "GET /cookies/{cid}/rules-file", given["_file"], {}, cid=given["cid"])


async def _import(client: ApiClient, given: Given) -> Any:
    file: Path = given["_file"]
    read = await client.send_file("POST /rules-file", file.name, bytes_of(file))
    query = {"mode": given["?mode"] or "replace", "dry_run": given["?dry_run"]}
    return await client.ask("PUT /cookies/{cid}/rules", cid=given["cid"], body=read, query=query)


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _words(one: Answer) -> str:
    joined = f" {words('cli.rules.and')} " if one["word_mode"] == "all" else " · "
    text, mode = joined.join(one["words"]), one["match_mode"]
    return text if mode == "contains" else f"{text} ({words(f'cli.rules.modes.{mode}')})"


def _reply(one: Answer) -> str:
    return " · ".join(part["text"] or part["image_url"] for part in one["parts"]) or words("cli.rules.sends_nothing")


def _conditions(one: Answer) -> str:
    parts = [*(words("cli.rules.item", id=item) for item in one["item_ids"]), _hours(one)]
    if one["priority"]:
        parts.append(words("cli.rules.with_priority", priority=one["priority"]))
    if not one["active"]:
        parts.append(words("cli.rules.off"))
    return ", ".join(part for part in parts if part)


def _hours(one: Answer) -> str:
    return ", ".join(f"{_days(span['weekdays'])}{span['start']}–{span['end']}" for span in one["schedule"])


def _days(weekdays: list[Any]) -> str:
    return "" if len(weekdays) == _DAYS else ",".join(map(str, weekdays)) + " "


def _waits(one: Answer) -> str:
    least, most = one["delay_seconds"]
    return f"{least:g}–{most:g} s" if most else ""


def _made(answer: Answer, _: Given) -> str:
    """Return the id of a rule that was added or edited, the change to undo, and warnings about it."""
    rule = answer["rule"]
    lines = [words("cli.rules.made", id=rule["id"], words=printable(" · ".join(rule["words"]))), _saved(answer)]
    return "\n".join(
        [*lines, *(printable(one["detail"]) for one in answer["warnings"] if one["rule_id"] == rule["id"])]
    )


def _saved(answer: Answer) -> str:
    return str(shown_as(SAVED, answer, {}))


def _imported(facts: Answer, given: Given) -> str:
    text = changed(facts, given)
    return text if facts["dry_run"] or not facts["changed"] else f"{text}\n{_saved(facts)}"


def _tried(answer: Answer, _: Given) -> str:
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


_FACTS: Shown = {
    "id": "id", "words": _words,
    "reply": lambda one: "\n".join(part["text"] or part["image_url"] for part in one["parts"]),
    "for_items": "item_ids", "priority": "priority", "hours": _hours, "delay": _waits,
    "cooldown": lambda one: f"{one['cooldown_seconds']} s" if one["cooldown_seconds"] else "", "enabled": "active",
    "hits": "hits", "last_hit": since("last_hit_at"),
}  # fmt: skip

rules = group("rules", (
    row(
        "list", "GET /cookies/{cid}/rules", SHOP, option("--search", "q"),
        option("--item", "item_id", help="cli.rules.help.of_item"),
        option("--limit", kind=int, default=200, min=1, help="cli.help.limit"), none="cli.rules.none",
        shown={"id": "id", "words": _words, "reply": _reply, "only_if": _conditions, "hits": "hits",
               "last_hit": since("last_hit_at")},
    ),
    row("show", "GET /cookies/{cid}/rules/{rule_id}", SHOP, _RULE, shown=_FACTS),
    row("add", _add, SHOP, arg("WORD...", "words", list[str]),
        *_fields(option("--match", "match_mode", _MATCHES, "contains")), shown=_made),
    row("edit", _edit, SHOP, _RULE, option("--word", "words", list[str], help="cli.rules.help.words"),
        *_fields(option("--match", "match_mode", _MATCHES)), shown=_made),
    row("remove", "DELETE /cookies/{cid}/rules/{rule_id}", SHOP, _RULE, shown=SAVED),
    row("move", _move, SHOP, _RULE, option("--before", "_before", metavar="RULE"), option("--after", "_after",
        metavar="RULE"), shown=SAVED),
    row("try", "POST /cookies/{cid}/try", SHOP, arg("MESSAGE", "message"),
        option("--item", "item_id", help="cli.rules.help.try_item"),
        option("--chat", "chat_id", help="cli.rules.help.try_chat"), shown=_tried),
    row("export", _export, SHOP, arg("FILE", "_file", Path, read=_ENDING, help="cli.rules.help.export_file"), FORCE,
        shown="cli.deliveries.exported"),
    row("import", _import, SHOP, arg("FILE", "_file", Path, exists=True, dir_okay=False, read=_ENDING,
        help="cli.rules.help.import_file"), MERGE, DRY_RUN, shown=_imported),
))  # fmt: skip
