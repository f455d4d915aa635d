"""``shoal rules …``: which messages of buyers get which reply, over the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AccountId, AsJson, DryRun, Limit
from shoal.cli.output import ask, ask_rows, given, publish, rows_of, saved
from shoal.cli.rule_options import (
    Active,
    AllWords,
    Cooldown,
    Delay,
    Hours,
    Items,
    Match,
    MatchName,
    Pictures,
    Priority,
    Replies,
    Words,
    rule_body,
    uploaded,
)
from shoal.cli.rule_tables import made, rule_facts, rule_table, tried
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

rules = typer.Typer(no_args_is_help=True, help=words("cli.rules.help.rules"))

RuleId = Annotated[str, typer.Argument(metavar="RULE", help=words("cli.rules.help.rule_id"), show_default=False)]
_FORMATS = {".json", ".xlsx", ".csv"}


@rules.command("list", help=words("cli.rules.help.list"))
def list_rules(
    account_id: AccountId,
    search: Annotated[str | None, typer.Option(help=words("cli.rules.help.search"), show_default=False)] = None,
    item: Annotated[str | None, typer.Option(help=words("cli.rules.help.of_item"), show_default=False)] = None,
    limit: Limit = 200,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the rules in the order in which they are matched."""
    params = given(q=search, item_id=item)
    none = words("cli.rules.none")
    path = ("cookies", account_id, "rules")
    ask_rows(url, *path, table=rule_table, none=none, limit=limit, params=params, as_json=as_json)


@rules.command("show", help=words("cli.rules.help.show"))
def show_rule(account_id: AccountId, rule_id: RuleId, url: Url = None, as_json: AsJson = False) -> None:
    """Show one rule with all its conditions."""
    ask(url, "GET", "cookies", account_id, "rules", rule_id, shown=rule_facts, as_json=as_json)


@rules.command("add", help=words("cli.rules.help.add"))
def add_rule(
    *,
    account_id: AccountId,
    word: Annotated[
        list[str], typer.Argument(metavar="WORD...", help=words("cli.rules.help.word"), show_default=False)
    ],
    reply: Replies = None,
    picture: Pictures = None,
    match: Match = MatchName.CONTAINS,
    all_words: AllWords = None,
    item: Items = None,
    priority: Priority = None,
    hours: Hours = None,
    delay: Delay = None,
    cooldown: Cooldown = None,
    active: Active = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Add a rule after all others of its priority."""
    body = rule_body(
        words=word, match_mode=match, all_words=all_words, item_ids=item, priority=priority, hours=hours, delay=delay,
        cooldown_seconds=cooldown, active=active,
    )  # fmt: skip
    run(_write(url, "POST", ("cookies", account_id, "rules"), body, reply, picture, as_json=as_json))


@rules.command("edit", help=words("cli.rules.help.edit"))
def edit_rule(
    *,
    account_id: AccountId,
    rule_id: RuleId,
    word: Words = None,
    reply: Replies = None,
    picture: Pictures = None,
    match: Annotated[MatchName | None, typer.Option(help=words("cli.rules.help.match"), show_default=False)] = None,
    all_words: AllWords = None,
    item: Items = None,
    priority: Priority = None,
    hours: Hours = None,
    delay: Delay = None,
    cooldown: Cooldown = None,
    active: Active = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; the other fields of the rule stay."""
    body = rule_body(
        words=word, match_mode=match, all_words=all_words, item_ids=item, priority=priority, hours=hours, delay=delay,
        cooldown_seconds=cooldown, active=active,
    )  # fmt: skip
    if not body and not reply and not picture:
        raise ConfigError("cli.error.nothing_to_change")
    run(_write(url, "PATCH", ("cookies", account_id, "rules", rule_id), body, reply, picture, as_json=as_json))


@rules.command("remove", help=words("cli.rules.help.remove"))
def remove_rule(account_id: AccountId, rule_id: RuleId, url: Url = None, as_json: AsJson = False) -> None:
    """Delete a rule. The history can bring it back."""
    ask(url, "DELETE", "cookies", account_id, "rules", rule_id, shown=saved, as_json=as_json)


@rules.command("move", help=words("cli.rules.help.move"))
def move_rule(
    account_id: AccountId,
    rule_id: RuleId,
    before: Annotated[
        str | None, typer.Option(metavar="RULE", help=words("cli.rules.help.before"), show_default=False)
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="RULE", help=words("cli.rules.help.after"), show_default=False)
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Match a rule right before or after another one, with that one's priority."""
    if (before is None) == (after is None):
        raise ConfigError("cli.rules.before_or_after")
    run(_move(url, account_id, rule_id, before or after or "", after=before is None, as_json=as_json))


@rules.command("try", help=words("cli.rules.help.try"))
def try_rules(
    account_id: AccountId,
    message: Annotated[str, typer.Argument(help=words("cli.rules.help.message"), show_default=False)],
    item: Annotated[str | None, typer.Option(help=words("cli.rules.help.try_item"), show_default=False)] = None,
    chat: Annotated[str | None, typer.Option(help=words("cli.rules.help.try_chat"), show_default=False)] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what a buyer who writes this would get, and why. Nothing is sent."""
    body = {"message": message, **({"item_id": item} if item else {}), **({"chat_id": chat} if chat else {})}
    ask(url, "POST", "cookies", account_id, "try", body=body, shown=tried, as_json=as_json)


@rules.command("export", help=words("cli.rules.help.export"))
def export_rules(
    account_id: AccountId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=words("cli.rules.help.export_file"))],
    force: Annotated[bool, typer.Option("--force", help=words("cli.deliveries.help.force"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Write all rules to a file, by the ending of its name."""
    _check_ending(file)
    if file.exists() and not force:
        raise typer.BadParameter(words("cli.deliveries.file_exists"), param_hint="FILE")
    run(_export(url, account_id, file, as_json=as_json))


@rules.command("import", help=words("cli.rules.help.import"))
def import_rules(
    account_id: AccountId,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=words("cli.rules.help.import_file"))
    ],
    merge: Annotated[bool, typer.Option("--merge", help=words("cli.rules.help.merge"))] = False,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Replace the rules with those of a file; with ``--merge`` the others stay."""
    _check_ending(file)
    run(_import(url, account_id, file, merge=merge, dry_run=dry_run, as_json=as_json))


async def _write(
    url: str | None,
    method: str,
    path: tuple[str, ...],
    body: dict[str, Any],
    replies: list[str] | None,
    pictures: list[str] | None,
    *,
    as_json: bool,
) -> None:
    async with signed_in(url) as client:
        parts = [{"text": text} for text in replies or ()]
        parts += [{"image_url": await uploaded(client, picture)} for picture in pictures or ()]
        answer = await client.call(method, *path, body={**body, **({"parts": parts} if parts else {})})
    publish(answer, made, as_json=as_json)


async def _move(url: str | None, account_id: str, rule_id: str, other: str, *, after: bool, as_json: bool) -> None:
    async with signed_in(url) as client:
        answer = await _reorder(client, account_id, rule_id, other, after=after)
    publish(answer, saved, as_json=as_json)


async def _reorder(client: ApiClient, account_id: str, rule_id: str, other: str, *, after: bool) -> Any:
    found = {one["id"]: one for one in await rows_of(client, "cookies", account_id, "rules", limit=1_000_000)}
    for name in (rule_id, other):
        if name not in found:
            raise ConfigError("cli.rules.unknown", rule=printable(name))
    ids = [one for one in found if one != rule_id]
    if rule_id != other:
        ids.insert(ids.index(other) + after, rule_id)
    else:
        ids = list(found)
    priority = found[other]["priority"]
    priorities = {} if priority == found[rule_id]["priority"] else {rule_id: priority}
    body = {"ids": ids, "priorities": priorities}
    return await client.call("PUT", "cookies", account_id, "rules", "order", body=body)


async def _export(url: str | None, account_id: str, file: Path, *, as_json: bool) -> None:
    params = {"format": file.suffix.lower().removeprefix(".")}
    async with signed_in(url) as client:
        data = await client.fetch_file("cookies", account_id, "rules-file", params=params)
    try:
        await asyncio.to_thread(file.write_bytes, data)
    except OSError as error:
        raise typer.BadParameter(
            words("cli.deliveries.unwritable", path=file, why=error.strerror), param_hint="FILE"
        ) from None
    answer = {"file": str(file), "bytes": len(data)}
    publish(answer, lambda one: words("cli.deliveries.exported", file=printable(one["file"])), as_json=as_json)


async def _import(url: str | None, account_id: str, file: Path, *, merge: bool, dry_run: bool, as_json: bool) -> None:
    data = await asyncio.to_thread(file.read_bytes)
    params = {"mode": "merge" if merge else "replace", "dry_run": str(dry_run).lower()}
    async with signed_in(url) as client:
        read = await client.send_file("rules-file", name=file.name, data=data)
        answer = await client.call("PUT", "cookies", account_id, "rules", body=read, params=params)
    publish(answer, _counted, as_json=as_json)


def _counted(facts: dict[str, Any]) -> str:
    counts = {name: facts[name] for name in ("added", "edited", "removed", "unchanged")}
    text = words("cli.deliveries.would_change" if facts["dry_run"] else "cli.deliveries.changed", **counts)
    return text if facts["dry_run"] or not facts["changed"] else f"{text}\n{saved(facts)}"


def _check_ending(file: Path) -> None:
    if file.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(words("cli.rules.bad_ending"), param_hint="FILE")
