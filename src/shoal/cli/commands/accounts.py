"""``shoal accounts …``: the shops of a server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from shoal.accounts.shop_settings import BasicSettings, ChatSettings, FilterSettings, HoursSettings, OrderSettings
from shoal.cli.account_tables import account_facts, account_line, account_table
from shoal.cli.cells import SAVED, either, says, table_of, when, word
from shoal.cli.hidden_prompt import MAX_BYTES, ask_hidden
from shoal.cli.names import account_ids
from shoal.cli.rows import LIMIT, SHOP, SINCE, YES, Answer, Cell, Given, arg, flag, option, row
from shoal.cli.run_rows import group, note, sure, wants_json
from shoal.cli.setting_options import options_of
from shoal.cli.words import printable, reason_words, state_word, words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shoal.cli.api_client import ApiClient
    from shoal.cli.board import AccountBoard

# The client, what follows events and what draws QR codes are imported by the commands that need them.
# ruff: noqa: PLC0415

_SPARE_LINES = 6

# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _list(client: ApiClient, given: Given) -> Any:
    if not given["_watch"]:
        return await client.snapshot()
    try:
        await _watch(client)
    except asyncio.CancelledError:  # Ctrl-C is how it ends
        raise typer.Exit(0) from None
    return None


async def _watch(client: ApiClient) -> None:
    from shoal.cli.board import AccountBoard

    board = AccountBoard(client)
    if wants_json() or not sys.stdout.isatty():
        await _watch_lines(board)
    else:
        await _watch_table(board)


async def _watch_lines(board: AccountBoard) -> None:
    shown_trouble = ""
    async with aclosing(board.follow()) as events:
        async for event in events:
            if board.trouble != shown_trouble:
                shown_trouble = board.trouble
                if shown_trouble:
                    typer.echo(shown_trouble, err=True)
            if event and wants_json():
                typer.echo(json.dumps(event, ensure_ascii=False))
            elif event.get("type") == "snapshot":
                for account in board.accounts:
                    typer.echo(account_line(account))
            elif changed := board.get(event.get("account", "")):
                typer.echo(account_line(changed))


async def _watch_table(board: AccountBoard) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()

    def table() -> Any:
        drawn = account_table(board.accounts, rows=max(3, console.height - _SPARE_LINES))
        if board.trouble:
            drawn.caption = f"{board.trouble} {words('cli.accounts.reconnecting')}"
            drawn.caption_style = "yellow"
        return drawn

    with Live(get_renderable=table, console=console, refresh_per_second=2):
        async with aclosing(board.follow()) as events:
            async for _ in events:
                pass


def _listed(found: list[Answer], _: Given) -> RenderableType:
    return account_table(found, plain=not sys.stdout.isatty()) if found else words("cli.accounts.none")


# ── one shop ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _now(client: ApiClient, account_id: str) -> Any:
    return await client.ask("GET /cookies/{cid}", cid=account_id)


def _line(account: Answer, _: Given) -> str:
    return account_line(account)


async def _add(client: ApiClient, given: Given) -> Any:
    cid, name = given["cid"], printable(given["cid"])
    answer = await client.ask("POST /cookies", body={"id": cid, "value": given["_cookie"]})
    if given["_remark"] is not None:
        await client.ask("PUT /cookies/{cid}/remark", cid=cid, body={"remark": given["_remark"]})
    if answer["generation"] == 1:
        note(words("cli.accounts.added", name=name))
    elif answer["changed"]:
        note(words("cli.accounts.cookie_changed", name=name))
    else:
        note(words("cli.accounts.cookie_unchanged", name=name))
    return await _now(client, cid)


def _cookie(source: str) -> str:
    """Return the cookie: asked for, or from a file or standard input. It is never an argument."""
    if source == _ASKED and sys.stdin.isatty():
        try:
            return ask_hidden(words("cli.accounts.ask_cookie"))
        except EOFError:
            raise ConfigError("cli.accounts.no_cookie") from None
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if source in {_ASKED, "-"} else _beginning(Path(source))
        text = raw.decode("utf-8-sig").strip()
    except OSError as error:
        raise ConfigError("startup.file_unreadable", path=source, why=error.strerror) from None
    except UnicodeDecodeError:
        raise ConfigError("startup.file_no_text", path=source) from None
    if not text and source == _ASKED:
        raise ConfigError("cli.accounts.how_to_give_cookie")
    if not text or len(raw) > MAX_BYTES:
        raise ConfigError("startup.file_too_large" if text else "startup.file_empty", path=source)
    return text


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _proxy() -> str:
    try:
        line = ask_hidden(words("cli.accounts.ask_proxy")) if sys.stdin.isatty() else sys.stdin.readline(MAX_BYTES)
    except EOFError:
        line = ""
    if not line.strip():
        raise ConfigError("cli.accounts.no_proxy")
    return line.strip()


async def _log_in(client: ApiClient, given: Given) -> Any:
    from shoal.cli.qr_login import log_in_by_qr

    name = await log_in_by_qr(client, given["_account"], given["_proxy"], keep_signed_in=bool(given["_keep"]))
    note(words("cli.accounts.cookie_changed", name=printable(name)))
    return await _now(client, name)


async def _set_proxy(client: ApiClient, given: Given) -> Any:
    proxy = None if given["_none"] else _proxy()
    answer = await client.ask("PATCH /cookies/{cid}/settings", cid=given["cid"], body={"proxy": proxy})
    name, shown = printable(given["cid"]), printable(answer["settings"]["proxy"])
    if shown:
        note(words("cli.accounts.uses_proxy", name=name, shown=shown))
    else:
        note(words("cli.accounts.uses_no_proxy", name=name))
    return await _now(client, given["cid"])


async def _enable(client: ApiClient, given: Given) -> Any:
    return await _switched(client, given["_accounts"], enabled=True)


async def _disable(client: ApiClient, given: Given) -> Any:
    return await _switched(client, given["_accounts"], enabled=False)


async def _switched(client: ApiClient, names: list[str], *, enabled: bool) -> list[Any]:
    switched = []
    for cid in names:
        await client.ask("PUT /cookies/{cid}/status", cid=cid, body={"enabled": enabled})
        switched.append(await _now(client, cid))
        note(account_line(switched[-1]))
    return switched


async def _resume(client: ApiClient, given: Given) -> Any:
    await client.ask("POST /cookies/{cid}/resume", cid=given["cid"], query={"anyway": given["_anyway"]})
    return await _now(client, given["cid"])


_CHECKS: Mapping[str, Cell] = {
    "ok": lambda one: Text("✓" if one["ok"] else "✗", "green" if one["ok"] else "bold red"), "finding": "detail",
    "what_to_do": "do",
}  # fmt: skip


def _timeline(found: Answer, _: Given) -> RenderableType:
    cells: Mapping[str, Cell] = {
        "state": word("cli.state", "state"), "reason": lambda one: one["reason"] and reason_words(one["reason"]),
        "since": when("since"), "until": when("until"),
    }  # fmt: skip
    table, uptime = table_of(cells, found["items"]), found["uptime"]
    table.caption = words("cli.settings.uptime", day=_share(uptime["day"]), week=_share(uptime["week"]))
    table.caption_justify = "left"
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _filtered(answer: Answer, _: Given) -> str:
    found = answer["filtered_words"]
    return words("cli.answers.found", words=printable(" / ".join(found))) if found else words("cli.answers.nothing")


# ── sellers that several users added ──────────────────────────────────────────────────────────────────────────────────


def _numbers(found: list[Answer], _: Given) -> str:
    return "\n".join(map(_number_line, found)) or words("cli.numbers.none")


def _number_line(one: Answer) -> str:
    holder = _shop(one["holder"]) if one["holder"] else words("cli.numbers.no_holder")
    waiting = ", ".join(map(_shop, one["waiting"]))
    return words("cli.numbers.line", number=one["number"], holder=holder, waiting=waiting)


def _shop(shop: Answer) -> str:
    return f"{printable(shop['account'])} ({printable(shop['owner'])}, {state_word(shop['state'])})"


async def _list_numbers(client: ApiClient, _: Given) -> Any:
    return (await client.ask("GET /seller-numbers"))["items"]


async def _free_number(client: ApiClient, given: Given) -> Any:
    number = given["number"]
    listed = await _list_numbers(client, given)
    holder = next((one["holder"] for one in listed if one["number"] == number), None)
    if holder is not None and not given["_yes"]:
        question = words("cli.numbers.free_question", number=printable(number), holder=_shop(holder))
        if not sure(question):
            raise typer.Abort
    query = {} if holder is None else {"holder": holder["account"]}
    return await client.ask("DELETE /seller-numbers/{number}", number=number, query=query)


async def _staff(client: ApiClient, given: Given) -> Any:
    return (await client.ask("GET /cookies/{cid}/staff", cid=given["cid"]))["items"]


def _staff_lines(found: list[Answer], _: Given) -> str:
    lines = (f"{printable(one['username'])}: {_PERMISSION(one)}" for one in found)
    return "\n".join(lines) or words("cli.sharing.none")


_PERMISSION = word("permission", "permission")
_SETTINGS = "PATCH /cookies/{cid}/settings"
_SHOPS = arg("ACCOUNT...", "_accounts", list[str], help="cli.help.shop_ids", autocompletion=account_ids)
_USER = arg("USER", "username", help="cli.sharing.help.user")
_ASKED = "?"
"""No file was named: the cookie is asked for, or is what standard input has."""

accounts = group("accounts", (
    row("list", _list, flag("--watch -w", "_watch"), shown=_listed),
    row("show", "GET /cookies/{cid}", SHOP, shown=lambda account, _: account_facts(account)),
    row("add", _add, SHOP, option("--cookie-file -f", "_cookie", metavar="FILE", default=_ASKED, read=_cookie,
        show_default=False), option("--remark", "_remark"), shown=_line),
    row("qr", _log_in, SHOP.but(name="_account", default=None, help="cli.accounts.help.qr_id"),
        flag("--proxy", "_proxy", help="cli.accounts.help.qr_proxy", read=lambda _: _proxy()),
        flag("--keep-signed-in", "_keep", help="cli.accounts.help.qr_keep"), shown=_line),
    row("proxy", _set_proxy, SHOP, flag("--none", "_none", help="cli.accounts.help.no_proxy"), shown=_line),
    row("enable", _enable, _SHOPS, shown=lambda *_: ""),
    row("disable", _disable, _SHOPS, shown=lambda *_: ""),
    row("resume", _resume, SHOP, flag("--anyway", "_anyway"), shown=_line),
    row("remove", "DELETE /cookies/{cid}", SHOP, confirm="cli.accounts.remove_question",
        shown=either("purged", "cli.accounts.removed", "cli.accounts.removing")),
    row("set", _SETTINGS, SHOP, *options_of(BasicSettings, ChatSettings, OrderSettings), shown=SAVED, needs_change=True,
        help="cli.settings.help.set"),
    row("answers", _SETTINGS, SHOP, *options_of(HoursSettings, FilterSettings), shown=SAVED, needs_change=True,
        help="cli.answers.help.answers"),
    row("try-filter", "POST /cookies/{cid}/filter/try", SHOP, arg("TEXT", "text", help="cli.answers.help.text"),
        shown=_filtered, help="cli.answers.help.try_filter"),
    row("diagnose", "GET /cookies/{cid}/diagnosis", SHOP, shown=lambda found, _: table_of(_CHECKS, found["checks"]),
        ok="replying", help="cli.settings.help.diagnose"),
    row("timeline", "GET /cookies/{cid}/timeline", SHOP, SINCE, LIMIT.but(read=lambda limit: min(limit, 200)),
        shown=_timeline, help="cli.settings.help.timeline"),
    row("forget-greeted", "POST /default-replies/{cid}/clear-records", SHOP, shown="cli.settings.forgotten",
        help="cli.settings.help.forget_greeted"),
    row("check-proxy", "POST /console/proxy-check", SHOP.but(name="account"), ok="ok",
        help="cli.settings.help.check_proxy",
        shown=lambda one, _: printable(" ".join(filter(None, (one["detail"], one["do"]))))),
    row("numbers", _list_numbers, shown=_numbers, help="cli.numbers.help.numbers"),
    row("free-number", _free_number, arg("NUMBER", "number", help="cli.numbers.help.number"), YES,
        shown="cli.numbers.freed", help="cli.numbers.help.free_number"),
    row("staff", _staff, SHOP, shown=_staff_lines, help="cli.sharing.help.staff"),
    row("share", "PUT /cookies/{cid}/staff/{username}", SHOP, _USER, option("--permission",
        kind=("read", "reply", "operate"), default="read", help="cli.help.permission"),
        shown=says("cli.sharing.shared", permission=_PERMISSION), help="cli.sharing.help.share"),
    row("unshare", "DELETE /cookies/{cid}/staff/{username}", SHOP, _USER, help="cli.sharing.help.unshare",
        shown=either("changed", "cli.sharing.unshared", "cli.sharing.was_not_shared")),
))  # fmt: skip
