"""``shoal deliveries …``: what buyers get, whether they will get it, and the switches of a shop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from shoal.cli.cells import table_of
from shoal.cli.files import bytes_of, downloaded, json_of, with_ending
from shoal.cli.rows import DRY_RUN, SHOP, Answer, Cell, Given, arg, flag, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import printable, words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

SWITCHES = tuple(
    option(f"--{name}/--no-{name}", kind=bool, help=f"cli.deliveries.help.{key}")
    for name, key in (("replies", "replies"), ("delivery", "delivery"), ("auto-confirm", "auto_confirm"))
)
"""The three switches of a shop."""
FORCE = flag("--force", "_force", help="cli.deliveries.help.force")
MERGE = flag("--merge", "?mode", read=lambda _: "merge")
_ENDING = with_ending(".xlsx", ".csv", refused="cli.deliveries.bad_ending")


def changed(facts: Answer, _: Given) -> str:
    """Return how many rules a file would change, or changed."""
    counts = {name: facts[name] for name in ("added", "edited", "removed", "unchanged")}
    return words("cli.deliveries.would_change" if facts["dry_run"] else "cli.deliveries.changed", **counts)


def check_is_new(file: Path, force: Any) -> None:
    """Raise ``typer.BadParameter`` for a file that exists, unless it may be replaced."""
    if file.exists() and not force:
        raise typer.BadParameter(words("cli.deliveries.file_exists"), param_hint="FILE")


def _rules(file: Path) -> Any:
    try:
        found = json_of(file)
    except typer.BadParameter:
        raise typer.BadParameter(words("cli.deliveries.bad_file"), param_hint="FILE") from None
    return found["rules"] if isinstance(found, dict) and "rules" in found else found


async def _list(client: ApiClient, given: Given) -> Any:
    return {"rules": (await client.ask("GET /cookies/{cid}/deliveries", cid=given["cid"]))["rules"]}


async def _export(client: ApiClient, given: Given) -> Any:
    check_is_new(given["_file"], given["_force"])
    return await downloaded(client, "GET /cookies/{cid}/deliveries/file", given["_file"], {}, cid=given["cid"])


async def _import(client: ApiClient, given: Given) -> Any:
    file, operation = given["_file"], "POST /cookies/{cid}/deliveries/file"
    query = {"mode": given["?mode"] or "replace", "dry_run": given["?dry_run"]}
    return await client.send_file(operation, file.name, bytes_of(file), query=query, cid=given["cid"])


async def _switch(client: ApiClient, given: Given) -> Any:
    values = {name: given[name] for name in ("replies", "delivery", "auto_confirm") if given[name] is not None}
    if values:
        wanted = (await client.ask("PATCH /cookies/{cid}/settings", cid=given["cid"], body=values))["settings"]
    else:
        wanted = (await client.ask("GET /cookies/{cid}", cid=given["cid"]))["desired"]
    return {name: wanted[name] for name in ("replies", "delivery", "auto_confirm")}


def _switches(answer: Answer, _: Given) -> str:
    return "\n".join(f"{name}: {words('cli.table.yes' if is_on else 'cli.table.no')}" for name, is_on in answer.items())


def _checked(found: Answer, _: Given) -> RenderableType:
    if not found["items"]:
        return words("cli.deliveries.no_items")
    notes = [] if found["listed"] else [words("cli.deliveries.not_listed")]
    notes += [words("cli.deliveries.reading", count=found["reading"])] if found["reading"] else []
    cells: Mapping[str, Cell] = {"item": "title", "id": "item_id", "spec": "spec", "gets": _gets}
    return Group(*map(Text, notes), table_of(cells, found["items"]))


def _gets(line: Answer) -> Text:
    if not line["ok"]:
        style = "dim" if line["obstacle"] == "not_compared" else "red"
        return Text(printable(f"{line['detail']} {line['do']}"), style)
    text = " · ".join(line["gets"])
    is_alone = line["rule_spec"] and line["rule_spec"] != line["spec"]
    taken = words("cli.deliveries.taken", text=text, spec=line["rule_spec"]) if is_alone else text
    return Text(printable(taken))


def _shown(found: Answer, _: Given) -> RenderableType:
    cells: Mapping[str, Cell] = {"item": _orders, "spec": "spec", "gets": _sends}
    return table_of(cells, found["rules"]) if found["rules"] else words("cli.deliveries.none")


def _orders(rule: Answer) -> str:
    return str(rule["item_id"] or rule["title_contains"] or words("cli.deliveries.every"))


def _sends(rule: Answer) -> str:
    texts = [part.get("text") or part["image_url"] for part in rule["parts"]]
    goods = [words("cli.deliveries.goods", id=rule["goods_id"], count=rule["count"])] if rule["goods_id"] else []
    return words("cli.deliveries.nothing") if rule["nothing_to_send"] else " · ".join([*goods, *texts])


def _tried(found: Answer, _: Given) -> str:
    return "\n".join(map(printable, found["messages"] or [words("cli.deliveries.no_message")]))


def _blocked(found: Answer, _: Given) -> str:
    return words("cli.deliveries.blocked", detail=found["detail"], do=found["do"]) if found["obstacle"] else ""


deliveries = group("deliveries", (
    row("check", "GET /cookies/{cid}/deliveries/check", SHOP, shown=_checked,
        ok=lambda found: all(line["ok"] for line in found["items"])),
    row("list", _list, SHOP, shown=_shown),
    row("put", "PUT /cookies/{cid}/deliveries", SHOP, arg("FILE", "rules", Path, exists=True, dir_okay=False,
        read=_rules), MERGE, DRY_RUN, shown=changed),
    row("export", _export, SHOP, arg("FILE", "_file", Path, read=_ENDING, help="cli.deliveries.help.export_file"),
        FORCE, shown="cli.deliveries.exported"),
    row("import", _import, SHOP, arg("FILE", "_file", Path, exists=True, dir_okay=False, read=_ENDING,
        help="cli.deliveries.help.import_file"), MERGE, DRY_RUN, shown=changed),
    row("try", "POST /cookies/{cid}/deliveries/try", SHOP, arg("ITEM", "item_id", help="cli.deliveries.help.item"),
        option("--spec", default=""), option("--quantity", kind=int, default=1, min=1), shown=_tried, note=_blocked,
        ok=lambda found: not found["obstacle"]),
    row("switch", _switch, SHOP, *SWITCHES, shown=_switches),
))  # fmt: skip
