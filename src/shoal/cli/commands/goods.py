"""``shoal goods …`` and ``shoal items …``: what is sold by machine, and what a shop says and sends for single items."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.cells import SAVED, actor, as_json, says, when, word
from shoal.cli.files import bytes_of, json_of
from shoal.cli.rows import LIMIT, SHOP, Answer, Given, Param, Row, Shown, arg, flag, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import printable, words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_NAMED = 20
"""How many doubles and refused lines are printed."""
_KINDS = ("stock", "reusable", "fixed")
_STATES = ("free", "held", "out", "void", "returned", "doubted", "fetching")

_GOODS = arg("GOODS", "goods_id", int, help="cli.goods.help.goods_id")
_UNIT = arg("UNIT", "unit_id", int, help="cli.goods.help.unit_id")
_NAME = arg("NAME", "name")
_REASON = option("--reason", default=...)
_LIMIT = option("--limit", kind=int, default=50, min=1, max=200)


def _file(name: str, read: Any = json_of, default: Any = ..., help: str = "cli.goods.help.settings") -> Param:  # noqa: A002
    return arg("FILE", name, Path, default, allow_dash=True, read=read, help=help)


async def _import(client: ApiClient, given: Given) -> Answer:
    file: Path = given["_file"]
    name = "-.txt" if str(file) == "-" else file.name
    query, goods = {"dry_run": given["?dry_run"]}, str(given["goods_id"])
    operation = "POST /goods/{goods_id}/units"
    answer: Answer = await client.send_file(operation, name, bytes_of(file), query=query, goods_id=goods)
    return answer


def _imported(answer: Answer, given: Given) -> str:
    counted = {name: answer[name] for name in ("taken", "doubles_count", "refused_count")}
    if given["?dry_run"]:
        lines = [words("cli.goods.would_take", **counted)]
    else:
        lines = [words("cli.goods.taken", batch=answer["batch_id"], **counted)]
    named = sorted((*answer["doubles"], *answer["refused"]), key=lambda one: int(one["line"]))[:_NAMED]
    return "\n".join([*lines, *(words("cli.goods.line", line=one["line"], detail=one["detail"]) for one in named)])


async def _supplier(client: ApiClient, given: Given) -> Answer:
    goods, settings = str(given["goods_id"]), given["_file"]
    if settings is None:
        found = await client.ask("GET /goods/{goods_id}", goods_id=goods)
    else:
        found = await client.ask("PATCH /goods/{goods_id}", goods_id=goods, body={"supplier": settings})
    if found["supplier"] is None:
        typer.echo(words("cli.goods.no_supplier"), err=True)
        raise typer.Exit(1)
    supplier: Answer = found["supplier"]
    return supplier


def _tried(answer: Answer, _: Given) -> str:
    request, called = answer["request"], answer["answer"]
    heads = (f"{name}: {text}" for name, text in request["headers"].items())
    lines = [f"{request['method']} {request['url']}", *heads, "", *request["body"].splitlines()]
    text = "\n".join(map(printable, lines))
    if called is None:
        return f"{text}\n{words('cli.goods.not_called')}"
    outcome = words(f"cli.goods.outcomes.{called['outcome']}")
    answered = words("cli.goods.called", outcome=outcome, status=called["status"], masked=called["masked"] or "–")
    return f"{text}\n{answered}"


def _sends(one: Answer) -> str:
    return words("cli.deliveries.nothing") if one["nothing_to_send"] else str(one["paid_message"])


def _price(one: Answer) -> str:
    specs = [f"{spec['name']} {_yuan(spec['price_fen'])}" for spec in one["specs"]]
    return "\n".join(specs) or ("" if one["price_fen"] is None else _yuan(one["price_fen"]))


def _yuan(fen: int) -> str:
    return f"¥{fen // 100}.{fen % 100:02}"


def _unit_row(verb: str) -> Row:
    """Return a command that does something to one unit, for a reason."""
    operation = f"POST /goods/{{goods_id}}/units/{{unit_id}}/{verb}"
    return row(verb, operation, _GOODS, _UNIT, _REASON, shown="cli.goods.done")


_FACTS: Shown = {
    "id": "id", "name": "name", "enabled": "active", "text": "text", "url": "image_url", "in_stock": "units.free",
    "low_at": "low_at", "per_message": "per_message",
}  # fmt: skip

GOODS = (
    row(
        "list", "GET /goods", none="cli.goods.none",
        shown={
            "cli.goods.id": "id", "cli.goods.name": "name", "cli.goods.kind": word("cli.goods.kinds", "kind"),
            "cli.goods.free": lambda one: f"{one['units']['free']}{' !' if one['low'] else ''}",
            "cli.goods.held": "units.held", "cli.goods.out": "units.out",
            "cli.goods.days_left": lambda one: "–" if one["days_left"] is None else f"{one['days_left']:g}",
        },
    ),
    row(
        "add", "POST /goods", _NAME, option("--kind", kind=_KINDS, default="stock"),
        option("--low-at", kind=int, default=0, min=0), option("--per-message", kind=int, default=1, min=1),
        option("--text", default=""), shown="cli.goods.added",
    ),
    row("import", _import, _GOODS, arg("FILE", "_file", Path, allow_dash=True), flag("--dry-run", "?dry_run"),
        shown=_imported),
    row(
        "units", "GET /goods/{goods_id}/units", _GOODS, option("--state", kind=_STATES),
        option("--after", kind=int, default=0, min=0), _LIMIT, none="cli.goods.no_units",
        shown={
            "cli.goods.id": "id", "cli.goods.state": word("unit_state", "state"), "cli.goods.unit": "masked",
            "cli.goods.batch": "batch_id|–", "cli.goods.order": "order_id|–",
        },
    ),
    row("reveal", "POST /goods/{goods_id}/units/{unit_id}/reveal", _GOODS, _UNIT, _REASON,
        shown=lambda answer, _: str(answer["text"])),
    _unit_row("void"),
    _unit_row("return"),
    _unit_row("doubt"),
    row("give-back", "POST /goods/{goods_id}/units/{unit_id}/give-back", _GOODS, _UNIT, _REASON,
        option("--order", "order_id", default=""), flag("--never-arrived"),
        shown=says("cli.goods.given_back", count=lambda one: str(len(one["units"])), order="order_id")),
    row("undo", "POST /goods/{goods_id}/batches/{batch_id}/undo", _GOODS, arg("BATCH", "batch_id", int,
        help="cli.goods.help.batch_id"), shown="cli.goods.done"),
    row(
        "waiting", "GET /goods/{goods_id}/waiting", _GOODS, none="cli.goods.none_waiting",
        shown={
            "shop": "account", "cli.goods.order": "order_id", "cli.goods.wanted": "wanted", "cli.goods.gets": "gets",
            "problem": "detail",
        },
    ),
    row("serve-waiting", "POST /goods/{goods_id}/serve-waiting", _GOODS, body={},
        shown=says("cli.goods.requested", count="requested", waiting=lambda one: str(len(one["items"])))),
    row("show", "GET /goods/{goods_id}", _GOODS, shown=_FACTS),
    row(
        "change", "PATCH /goods/{goods_id}", _GOODS, option("--name"), option("--low-at", kind=int, min=0),
        option("--per-message", kind=int, min=1), option("--text"), option("--on/--off", "active", bool,
        help="cli.goods.help.active"), shown=_FACTS, needs_change=True,
    ),
    row(
        "history", "GET /goods/{goods_id}/history", _GOODS, LIMIT,
        shown={
            "at": when("at"), "actor": actor, "what": "what", "quantity": "count", "unit": "unit_id",
            "order": "order_id", "reason": "reason",
        },
    ),
    row(
        "batches", "GET /goods/{goods_id}/batches", _GOODS, LIMIT,
        shown={
            "id": "id", "at": when("created_at"), "state": "state", "file": "file_name",
            "lines": lambda one: f"{one['done']}/{one['lines']}", "taken": "taken", "undone": "undone",
        },
    ),
    row("supplier", _supplier, _GOODS, _file("_file", default=None), shown=as_json),
    row("add-supplier", "POST /goods", _NAME, _file("supplier"), body={"kind": "supplier"}, shown="cli.goods.added"),
    row("try", "POST /goods/{goods_id}/supplier/try", _GOODS, flag("--call"), option("--item-id", default=""),
        option("--spec", default=""), shown=_tried),
)  # fmt: skip
goods = group("goods", GOODS)

_ITEM = arg("ITEM", "item_id", help="cli.deliveries.help.item")
_PAGE: Shown = {
    "item": "item_id", "item_title": "title", "item_price": _price, "item_description": "description",
    "state": lambda one: words(f"cli.items.states.{one['status'] or 'unknown'}") if one["read_at"] else "",
    "read_at": when("read_at"), "reason": word("cli.items.why", "why"),
}  # fmt: skip


async def _page(client: ApiClient, given: Given) -> Any:
    operation = (
        "POST /cookies/{cid}/items/{item_id}/page" if given["_read"] else "GET /cookies/{cid}/items/{item_id}/page"
    )
    return await client.ask(operation, cid=given["cid"], item_id=given["item_id"])


ITEMS = (
    row("list", "GET /cookies/{cid}/items", SHOP, none="cli.items.none",
        shown={"item": "item_id", "item_reply": "reply", "paid_message": _sends}),
    row("show", "GET /cookies/{cid}/items/{item_id}", SHOP, _ITEM,
        shown={"item": "item_id", "item_reply": "reply", "paid_message": _sends}),
    row("set", "PUT /cookies/{cid}/items/{item_id}", SHOP, _ITEM, option("--reply"), option("--paid-message"),
        option("--nothing-to-send/--something-to-send", kind=bool), shown=SAVED, needs_change=True),
    row("page", _page, SHOP, _ITEM, flag("--read", "_read"), shown=_PAGE),
    row("remove", "DELETE /cookies/{cid}/items/{item_id}", SHOP, _ITEM, shown=SAVED),
)  # fmt: skip
items = group("items", ITEMS)
