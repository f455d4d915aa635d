"""``shoal accounts …``: a running server's accounts, over its API."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AccountId, AsJson, Yes
from shoal.cli.board import AccountBoard
from shoal.cli.hidden_prompt import MAX_BYTES, ask_hidden
from shoal.cli.names import account_ids
from shoal.cli.output import echo, note, print_json
from shoal.cli.qr_login import log_in_by_qr
from shoal.cli.run_rows import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import account_facts, account_table, standing, why, wide_console
from shoal.cli.words import printable, state_word, words
from shoal.errors import ConfigError

accounts = typer.Typer(
    no_args_is_help=True,
    help=words("cli.accounts.help.accounts"),
)

AccountIds = Annotated[
    list[str],
    typer.Argument(
        metavar="ACCOUNT...", help=words("cli.help.shop_ids"), show_default=False, autocompletion=account_ids
    ),
]
_SPARE_LINES = 6


@accounts.command("list", help=words("cli.accounts.help.list"))
def list_accounts(
    url: Url = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help=words("cli.accounts.help.watch")),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the accounts: the state of each, since when, and why."""
    if watch:
        run(_watch(url, as_json=as_json), interrupted=0)
    else:
        run(_list(url, as_json=as_json))


@accounts.command("show", help=words("cli.accounts.help.show"))
def show_account(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Show everything about one account, except its cookie, which never leaves the server."""
    run(_show(url, account_id, as_json=as_json))


@accounts.command("add", help=words("cli.accounts.help.add"))
def add_account(
    account_id: AccountId,
    cookie_file: Annotated[
        str | None,
        typer.Option(
            "--cookie-file",
            "-f",
            metavar="FILE",
            help=words("cli.accounts.help.cookie_file"),
            show_default=False,
        ),
    ] = None,
    remark: Annotated[
        str | None,
        typer.Option("--remark", help=words("cli.accounts.help.remark")),
    ] = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add an account and start it; an existing id gets the new cookie."""
    run(_add(url, account_id, _cookie(cookie_file), remark))


@accounts.command("qr", help=words("cli.accounts.help.qr"))
def log_in(
    account_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help=words("cli.accounts.help.qr_id"),
            show_default=False,
        ),
    ] = None,
    proxy: Annotated[
        bool,
        typer.Option(
            "--proxy",
            help=words("cli.accounts.help.qr_proxy"),
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep-signed-in", help=words("cli.accounts.help.qr_keep"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add an account or renew its cookie with a QR code that the seller scans with the app."""
    run(_log_in(url, account_id, _asked_proxy() if proxy else None, keep))


@accounts.command("proxy", help=words("cli.accounts.help.proxy"))
def set_proxy(
    account_id: AccountId,
    none: Annotated[bool, typer.Option("--none", help=words("cli.accounts.help.no_proxy"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Connect an account through a proxy: http://user:password@host:port or socks5://…"""
    run(_set_proxy(url, account_id, None if none else _asked_proxy()))


@accounts.command("enable", help=words("cli.accounts.help.enable"))
def enable_account(account_ids: AccountIds, url: Url = None, _as_json: AsJson = False) -> None:
    """Enable accounts, and wait up to 5 seconds for each to start."""
    run(_switch(url, account_ids, enabled=True))


@accounts.command("disable", help=words("cli.accounts.help.disable"))
def disable_account(account_ids: AccountIds, url: Url = None, _as_json: AsJson = False) -> None:
    """Disable accounts, and wait up to 10 seconds for each to stop."""
    run(_switch(url, account_ids, enabled=False))


@accounts.command("resume", help=words("cli.accounts.help.resume"))
def resume_account(
    account_id: AccountId,
    anyway: Annotated[bool, typer.Option("--anyway", help=words("cli.accounts.help.anyway"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Resume a parked account, after you did what the site asked for."""
    run(_resume(url, account_id, anyway=anyway))


@accounts.command("remove", help=words("cli.accounts.help.remove"))
def remove_account(
    account_id: AccountId,
    yes: Yes = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Stop an account and delete its cookie, rules and messages."""
    if not yes and not sure(words("cli.accounts.remove_question", name=printable(account_id))):
        raise typer.Abort
    run(_remove(url, account_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.snapshot()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.accounts.none"))
    else:
        wide_console().print(account_table(found, plain=not sys.stdout.isatty()))


async def _watch(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        board = AccountBoard(client)
        if as_json or not sys.stdout.isatty():
            await _watch_lines(board, as_json=as_json)
        else:
            await _watch_table(board)


async def _watch_lines(board: AccountBoard, *, as_json: bool) -> None:
    shown_trouble = ""
    async with aclosing(board.follow()) as events:
        async for event in events:
            if board.trouble != shown_trouble:
                shown_trouble = board.trouble
                if shown_trouble:
                    typer.echo(shown_trouble, err=True)
            if event and as_json:
                typer.echo(json.dumps(event, ensure_ascii=False))
            elif event.get("type") == "snapshot":
                for account in board.accounts:
                    typer.echo(_line(account))
            elif changed := board.get(event.get("account", "")):
                typer.echo(_line(changed))


async def _watch_table(board: AccountBoard) -> None:
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


async def _show(url: str | None, account_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        account = await client.call("GET", "cookies", account_id)
    if as_json:
        typer.echo(json.dumps(account, ensure_ascii=False, indent=2))
    else:
        wide_console().print(account_facts(account))


async def _add(url: str | None, account_id: str, cookie: str, remark: str | None) -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "cookies", body={"id": account_id, "value": cookie})
        if remark is not None:
            await client.call("PUT", "cookies", account_id, "remark", body={"remark": remark})
        name = printable(account_id)
        if answer["generation"] == 1:
            note(words("cli.accounts.added", name=name))
        elif answer["changed"]:
            note(words("cli.accounts.cookie_changed", name=name))
        else:
            note(words("cli.accounts.cookie_unchanged", name=name))
        await _publish(client, account_id)


async def _log_in(url: str | None, account_id: str | None, proxy: str | None, keep: bool) -> None:
    name = await log_in_by_qr(url, account_id, proxy, keep_signed_in=keep)
    async with signed_in(url) as client:
        note(words("cli.accounts.cookie_changed", name=printable(name)))
        await _publish(client, name)


async def _set_proxy(url: str | None, account_id: str, proxy: str | None) -> None:
    async with signed_in(url) as client:
        answer = await client.call("PATCH", "cookies", account_id, "settings", body={"proxy": proxy})
        name, shown = printable(account_id), printable(answer["settings"]["proxy"])
        if shown:
            note(words("cli.accounts.uses_proxy", name=name, shown=shown))
        else:
            note(words("cli.accounts.uses_no_proxy", name=name))
        await _publish(client, account_id)


async def _switch(url: str | None, account_ids: list[str], *, enabled: bool) -> None:
    async with signed_in(url) as client:
        switched = []
        for account_id in account_ids:
            await client.call("PUT", "cookies", account_id, "status", body={"enabled": enabled})
            account = await client.call("GET", "cookies", account_id)
            note(_line(account))
            switched.append(account)
    print_json(switched)


async def _resume(url: str | None, account_id: str, *, anyway: bool) -> None:
    async with signed_in(url) as client:
        await client.call("POST", "cookies", account_id, "resume", params={"anyway": "true"} if anyway else None)
        await _publish(client, account_id)


async def _remove(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "cookies", account_id)
    shown = printable(account_id)
    if gone["purged"]:
        echo(gone, words("cli.accounts.removed", shown=shown))
    else:
        echo(gone, words("cli.accounts.removing", shown=shown))


async def _publish(client: ApiClient, account_id: str) -> None:
    account = await client.call("GET", "cookies", account_id)
    echo(account, _line(account))


def _line(account: dict[str, Any]) -> str:
    reason = why(account)
    line = f"{printable(account['id'])}: {state_word(standing(account))}"
    return f"{line} ({reason})" if reason else line


def _asked_proxy() -> str:
    try:
        if sys.stdin.isatty():
            return ask_hidden(words("cli.accounts.ask_proxy"))
        line = sys.stdin.readline(MAX_BYTES).strip()
    except EOFError:
        line = ""
    if not line:
        raise ConfigError("cli.accounts.no_proxy")
    return line


def _cookie(source: str | None) -> str:
    if source is None:
        if not sys.stdin.isatty():
            raise ConfigError("cli.accounts.how_to_give_cookie")
        try:
            return ask_hidden(words("cli.accounts.ask_cookie"))
        except EOFError:
            raise ConfigError("cli.accounts.no_cookie") from None
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if source == "-" else _file(Path(source))
        text = raw.decode("utf-8-sig").strip()
    except OSError as error:
        raise ConfigError("startup.file_unreadable", path=source, why=error.strerror) from None
    except UnicodeDecodeError:
        raise ConfigError("startup.file_no_text", path=source) from None
    if not text or len(raw) > MAX_BYTES:
        raise ConfigError("startup.file_too_large" if text else "startup.file_empty", path=source)
    return text


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
