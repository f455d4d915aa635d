"""``shoal deliveries …``: what buyers get, whether they will get it, and the switches of a shop, over the API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import printable, words

deliveries = typer.Typer(no_args_is_help=True, help=words("cli.deliveries.help.deliveries"))


@deliveries.command("check", help=words("cli.deliveries.help.check"))
def check_deliveries(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """List each item on sale: what its buyers get, or what to do. Exits with 1 when something stands in the way."""
    run(_check(url, account_id, as_json=as_json))


@deliveries.command("list", help=words("cli.deliveries.help.list"))
def list_deliveries(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """List the delivery rules. ``--json`` writes them in the form that ``put`` reads."""
    run(_list(url, account_id, as_json=as_json))


@deliveries.command("put", help=words("cli.deliveries.help.put"))
def put_deliveries(
    account_id: AccountId,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help=words("cli.deliveries.help.file"))
    ],
    merge: Annotated[bool, typer.Option("--merge", help=words("cli.deliveries.help.merge"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=words("cli.deliveries.help.dry_run"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Replace the delivery rules with those of a JSON file; with ``--merge`` the others stay."""
    try:
        rules = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise typer.BadParameter(words("cli.deliveries.bad_file"), param_hint="FILE") from None
    body = {"rules": rules["rules"] if isinstance(rules, dict) and "rules" in rules else rules}
    run(_put(url, account_id, body, _import_params(merge=merge, dry_run=dry_run)))


@deliveries.command("export", help=words("cli.deliveries.help.export"))
def export_deliveries(
    account_id: AccountId,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=words("cli.deliveries.help.export_file"))],
    force: Annotated[bool, typer.Option("--force", help=words("cli.deliveries.help.force"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Write the delivery rules to an Excel or CSV file, by the ending of its name."""
    _check_ending(file)
    if file.exists() and not force:
        raise typer.BadParameter(words("cli.deliveries.file_exists"), param_hint="FILE")
    run(_export(url, account_id, file))


@deliveries.command("import", help=words("cli.deliveries.help.import"))
def import_deliveries(
    account_id: AccountId,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, readable=True, help=words("cli.deliveries.help.import_file")
        ),
    ],
    merge: Annotated[bool, typer.Option("--merge", help=words("cli.deliveries.help.merge"))] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=words("cli.deliveries.help.dry_run"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Replace the delivery rules with those of an Excel or CSV file; with ``--merge`` the others stay."""
    _check_ending(file)
    run(_import(url, account_id, file, _import_params(merge=merge, dry_run=dry_run)))


@deliveries.command("try", help=words("cli.deliveries.help.try"))
def try_purchase(
    account_id: AccountId,
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help=words("cli.deliveries.help.item"), show_default=False)],
    spec: Annotated[str, typer.Option(help=words("cli.deliveries.help.spec"))] = "",
    quantity: Annotated[int, typer.Option(min=1, help=words("cli.deliveries.help.quantity"))] = 1,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse a purchase: print the messages that the buyer would get. Nothing is sent."""
    run(_try(url, account_id, {"item_id": item_id, "spec": spec, "quantity": quantity}, as_json=as_json))


@deliveries.command("switch", help=words("cli.deliveries.help.switch"))
def switch(
    account_id: AccountId,
    replies: Annotated[
        bool | None, typer.Option("--replies/--no-replies", help=words("cli.deliveries.help.replies"))
    ] = None,
    delivery: Annotated[
        bool | None, typer.Option("--delivery/--no-delivery", help=words("cli.deliveries.help.delivery"))
    ] = None,
    auto_confirm: Annotated[
        bool | None, typer.Option("--auto-confirm/--no-auto-confirm", help=words("cli.deliveries.help.auto_confirm"))
    ] = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Switch automatic replies, deliveries or confirmations on or off, and print all three."""
    asked = {"replies": replies, "delivery": delivery, "auto_confirm": auto_confirm}
    run(_switch(url, account_id, {name: value for name, value in asked.items() if value is not None}))


async def _check(url: str | None, account_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("GET", "cookies", account_id, "deliveries", "check")
    if as_json:
        _print_json(found)
    elif not found["items"]:
        typer.echo(words("cli.deliveries.no_items"))
    else:
        if not found["listed"]:
            typer.echo(words("cli.deliveries.not_listed"))
        if found["reading"]:
            typer.echo(words("cli.deliveries.reading", count=found["reading"]))
        wide_console().print(_check_table(found["items"]))
    if not all(line["ok"] for line in found["items"]):
        raise typer.Exit(1)


async def _list(url: str | None, account_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("GET", "cookies", account_id, "deliveries")
    if as_json:
        _print_json({"rules": found["rules"]})
    elif not found["rules"]:
        typer.echo(words("cli.deliveries.none"))
    else:
        wide_console().print(_rule_table(found["rules"]))


async def _put(url: str | None, account_id: str, body: dict[str, Any], params: dict[str, str]) -> None:
    async with signed_in(url) as client:
        facts = await client.call("PUT", "cookies", account_id, "deliveries", body=body, params=params)
    _print_change(facts)


async def _export(url: str | None, account_id: str, file: Path) -> None:
    params = {"format": file.suffix.lower().removeprefix(".")}
    async with signed_in(url) as client:
        data = await client.fetch_file("cookies", account_id, "deliveries", "file", params=params)
    try:
        await asyncio.to_thread(file.write_bytes, data)
    except OSError as error:
        raise typer.BadParameter(
            words("cli.deliveries.unwritable", path=file, why=error.strerror), param_hint="FILE"
        ) from None
    answer = {"file": str(file), "bytes": len(data)}
    echo(answer, words("cli.deliveries.exported", file=printable(str(file))))


async def _import(url: str | None, account_id: str, file: Path, params: dict[str, str]) -> None:
    data = await asyncio.to_thread(file.read_bytes)
    async with signed_in(url) as client:
        facts = await client.send_file(
            "cookies", account_id, "deliveries", "file", name=file.name, data=data, params=params
        )
    _print_change(facts)


def _import_params(*, merge: bool, dry_run: bool) -> dict[str, str]:
    return {"mode": "merge" if merge else "replace", "dry_run": str(dry_run).lower()}


def _check_ending(file: Path) -> None:
    if file.suffix.lower() not in {".xlsx", ".csv"}:
        raise typer.BadParameter(words("cli.deliveries.bad_ending"), param_hint="FILE")


def _print_change(facts: dict[str, Any]) -> None:
    counts = {name: facts[name] for name in ("added", "edited", "removed", "unchanged")}
    echo(facts, words("cli.deliveries.would_change" if facts["dry_run"] else "cli.deliveries.changed", **counts))


async def _try(url: str | None, account_id: str, body: dict[str, Any], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "cookies", account_id, "deliveries", "try", body=body)
    if as_json:
        _print_json(found)
        return
    for message in found["messages"] or [words("cli.deliveries.no_message")]:
        typer.echo(printable(message))
    if found["obstacle"]:
        typer.echo(words("cli.deliveries.blocked", detail=found["detail"], do=found["do"]), err=True)
        raise typer.Exit(1)


async def _switch(url: str | None, account_id: str, values: dict[str, bool]) -> None:
    async with signed_in(url) as client:
        if values:
            wanted = (await client.call("PATCH", "cookies", account_id, "settings", body=values))["settings"]
        else:
            wanted = (await client.call("GET", "cookies", account_id))["desired"]
    yes = {True: words("cli.table.yes"), False: words("cli.table.no")}
    switches = {name: wanted[name] for name in ("replies", "delivery", "auto_confirm")}
    echo(switches, "\n".join(f"{name}: {yes[value]}" for name, value in switches.items()))


def _check_table(lines: list[dict[str, Any]]) -> Table:
    table = _table("item", "id", "spec", "gets")
    for line in lines:
        style = "" if line["ok"] else "dim" if line["obstacle"] == "not_compared" else "red"
        item, gets = Text(printable(line["title"]), style="bold"), Text(printable(_gets(line)), style)
        table.add_row(item, printable(line["item_id"]), printable(line["spec"]), gets)
    return table


def _gets(line: dict[str, Any]) -> str:
    if not line["ok"]:
        return f"{line['detail']} {line['do']}"
    text = " · ".join(line["gets"])
    is_alone = line["rule_spec"] and line["rule_spec"] != line["spec"]
    return words("cli.deliveries.taken", text=text, spec=line["rule_spec"]) if is_alone else text


def _rule_table(rules: list[dict[str, Any]]) -> Table:
    table = _table("item", "spec", "gets")
    for rule in rules:
        orders = rule["item_id"] or rule["title_contains"] or words("cli.deliveries.every")
        texts = [part.get("text") or part["image_url"] for part in rule["parts"]]
        goods = [words("cli.deliveries.goods", id=rule["goods_id"], count=rule["count"])] if rule["goods_id"] else []
        gets = words("cli.deliveries.nothing") if rule["nothing_to_send"] else " · ".join([*goods, *texts])
        table.add_row(Text(printable(orders), style="bold"), printable(rule["spec"]), printable(gets))
    return table


def _table(*names: str) -> Table:
    plain = not sys.stdout.isatty()
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(words(f"cli.table.{name}"), overflow="fold", no_wrap=plain)
    return table


def _print_json(found: Any) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
