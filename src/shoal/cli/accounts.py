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
from shoal.cli.board import AccountBoard
from shoal.cli.hidden_prompt import MAX_BYTES, ask_hidden
from shoal.cli.qr_login import log_in_by_qr
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import account_facts, account_table, standing, why
from shoal.cli.words import in_chinese, printable, state_word, words
from shoal.errors import ConfigError

accounts = typer.Typer(
    no_args_is_help=True,
    help=words(
        "List, add, switch, look at and remove accounts of a running server.",
        "查看、添加、启用、停用和删除服务器上的账号。",
    ),
)

AccountId = Annotated[
    str, typer.Argument(metavar="ID", help=words("The account's id.", "账号 ID。"), show_default=False)
]
AccountIds = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help=words("One or more account ids.", "一个或多个账号 ID。"), show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help=words("Print JSON instead.", "以 JSON 输出。"))]
_SPARE_LINES = 6
_WIDE = 1_000


@accounts.command("list")
@in_chinese(
    "列出账号：现在怎样、从何时起、为什么。\n\n同时使用 --watch 和 --json：每行一个 JSON，逐条输出服务器的事件。\n"
)
def list_accounts(
    url: Url = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help=words("Stay, and show every change as it happens.", "持续显示每一次变化。")),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the accounts: what is happening to each, since when, and why.

    With --watch and --json: each event of the server's stream, one JSON object per line.
    """
    if watch:
        run(_watch(url, as_json=as_json), interrupted=0)
    else:
        run(_list(url, as_json=as_json))


@accounts.command("show")
@in_chinese("显示一个账号的全部信息；Cookie 除外，它从不离开服务器。")
def show_account(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Show everything about one account, except its cookie, which never leaves the server."""
    run(_show(url, account_id, as_json=as_json))


@accounts.command("add")
@in_chinese(
    "添加账号并启动；ID 已存在时换用新的 Cookie。\n\n"
    "Cookie 可以是一行请求头、cURL 命令、JSON 或 Netscape 导出。"
    "它不能作为参数给出：参数会留在历史记录里，本机的其他人也看得到。"
)
def add_account(
    account_id: AccountId,
    cookie_file: Annotated[
        str | None,
        typer.Option(
            "--cookie-file",
            "-f",
            metavar="FILE",
            help=words(
                "Read the cookie from a file, or from standard input with -. Without it you are asked.",
                "从文件读取 Cookie，- 表示标准输入；不写则提示输入。",
            ),
            show_default=False,
        ),
    ] = None,
    remark: Annotated[
        str | None,
        typer.Option(
            "--remark", help=words("A note, shown to all who see the account.", "备注，能看到该账号的人都能看到。")
        ),
    ] = None,
    url: Url = None,
) -> None:
    """Add an account and start it; an id that is there already gets the new cookie.

    The cookie may be a header line, a cURL command, a JSON or a Netscape export. It is never an argument: those stay
    in the shell's history, and everybody on the machine can see them.
    """
    run(_add(url, account_id, _cookie(cookie_file), remark))


@accounts.command("qr")
@in_chinese("添加账号或更新它的 Cookie：卖家用闲鱼 App 扫描终端里显示的二维码。")
def log_in(
    account_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help=words(
                "The account to add or to renew; without it, that of the seller who scans.",
                "要添加或更新的账号；不写则为扫码的卖家的账号。",
            ),
            show_default=False,
        ),
    ] = None,
    proxy: Annotated[
        bool,
        typer.Option(
            "--proxy",
            help=words(
                "Ask for a proxy through which a new account logs in and connects.", "询问新账号登录和连接用的代理。"
            ),
        ),
    ] = False,
    url: Url = None,
) -> None:
    """Add an account, or renew its cookie, by a QR code that the seller scans with the app."""
    run(_log_in(url, account_id, _asked_proxy() if proxy else None))


@accounts.command("proxy")
@in_chinese(
    "让账号通过代理连接：http://用户:密码@主机:端口 或 socks5://…\n\n"
    "地址会提示输入，或取自标准输入的第一行。它不能作为参数给出：参数会留在历史记录里，本机的其他人也看得到。"
)
def set_proxy(
    account_id: AccountId,
    none: Annotated[
        bool, typer.Option("--none", help=words("Take the proxy away: connect directly.", "取消代理，直接连接。"))
    ] = False,
    url: Url = None,
) -> None:
    """Let an account connect through a proxy: http://user:password@host:port or socks5://…

    You are asked for the address, or it is the first line of standard input. It is never an argument: those stay in
    the shell's history, and everybody on the machine can see them.
    """
    run(_set_proxy(url, account_id, None if none else _asked_proxy()))


@accounts.command("enable")
@in_chinese("启用账号，每个最多等待 5 秒。")
def enable_account(account_ids: AccountIds, url: Url = None) -> None:
    """Switch accounts on, and wait up to 5 seconds for each to start."""
    run(_switch(url, account_ids, enabled=True))


@accounts.command("disable")
@in_chinese("停用账号，每个最多等待 10 秒。")
def disable_account(account_ids: AccountIds, url: Url = None) -> None:
    """Switch accounts off, and wait up to 10 seconds for each to stop."""
    run(_switch(url, account_ids, enabled=False))


@accounts.command("resume")
@in_chinese("您处理之后，让等待您处理的账号重试。")
def resume_account(account_id: AccountId, url: Url = None) -> None:
    """Let an account that waits for you try again, after you did what was asked."""
    run(_resume(url, account_id))


@accounts.command("remove")
@in_chinese("停止账号，并删除它的 Cookie、关键词和消息。")
def remove_account(
    account_id: AccountId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("Do not ask.", "不再询问。"))] = False,
    url: Url = None,
) -> None:
    """Stop an account and forget its cookie, rules and messages."""
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(words("say --yes to remove an account without being asked", "非交互环境请加 --yes"))
        question = words(
            "Remove {} with its cookie, rules and messages?", "删除账号 {} 以及它的 Cookie、关键词和消息？"
        )
        typer.confirm(question.format(printable(account_id)), abort=True)
    run(_remove(url, account_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.snapshot()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(
            words("No accounts yet. Add one with: shoal accounts add ID", "还没有账号。添加：shoal accounts add ID")
        )
    else:
        _console().print(account_table(found, plain=not sys.stdout.isatty()))


async def _watch(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        board = AccountBoard(client)
        if as_json or not sys.stdout.isatty():
            await _watch_lines(board, as_json=as_json)
        else:
            await _watch_table(board)


async def _watch_lines(board: AccountBoard, *, as_json: bool) -> None:
    told = ""
    async with aclosing(board.follow()) as events:
        async for event in events:
            if board.trouble != told:
                told = board.trouble
                if told:
                    typer.echo(told, err=True)
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
            drawn.caption = f"{board.trouble} {words('Trying again …', '正在重连……')}"
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
        _console().print(account_facts(account))


async def _add(url: str | None, account_id: str, cookie: str, remark: str | None) -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "cookies", body={"id": account_id, "value": cookie})
        if remark is not None:
            await client.call("PUT", "cookies", account_id, "remark", body={"remark": remark})
        name = printable(account_id)
        if answer["generation"] == 1:
            typer.echo(words(f"{name} was added.", f"已添加 {name}。"))
        elif answer["changed"]:
            typer.echo(words(f"{name} has the new cookie.", f"{name} 已换用新 Cookie。"))
        else:
            typer.echo(words(f"{name} has this cookie already.", f"{name} 已在使用这个 Cookie。"))
        await _publish(client, account_id)


async def _log_in(url: str | None, account_id: str | None, proxy: str | None) -> None:
    name = await log_in_by_qr(url, account_id, proxy)
    async with signed_in(url) as client:
        typer.echo(words(f"{printable(name)} has the new cookie.", f"{printable(name)} 已换用新 Cookie。"))
        await _publish(client, name)


async def _set_proxy(url: str | None, account_id: str, proxy: str | None) -> None:
    async with signed_in(url) as client:
        answer = await client.call("PATCH", "cookies", account_id, "settings", body={"proxy": proxy})
        name, shown = printable(account_id), printable(answer["settings"]["proxy"])
        if shown:
            typer.echo(words(f"{name} connects through {shown}.", f"{name} 通过代理 {shown} 连接。"))
        else:
            typer.echo(words(f"{name} connects directly.", f"{name} 直接连接。"))
        await _publish(client, account_id)


async def _switch(url: str | None, account_ids: list[str], *, enabled: bool) -> None:
    async with signed_in(url) as client:
        for account_id in account_ids:
            await client.call("PUT", "cookies", account_id, "status", body={"enabled": enabled})
            await _publish(client, account_id)


async def _resume(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        await client.call("POST", "cookies", account_id, "resume")
        await _publish(client, account_id)


async def _remove(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "cookies", account_id)
    shown = printable(account_id)
    if gone["purged"]:
        typer.echo(words(f"{shown} was removed.", f"已删除 {shown}。"))
    else:
        typer.echo(
            words(
                f"{shown} is being removed; its id is free once that has ended.",
                f"正在删除 {shown}；删除完成后才能再次使用这个编号。",
            )
        )


async def _publish(client: ApiClient, account_id: str) -> None:
    typer.echo(_line(await client.call("GET", "cookies", account_id)))


def _console() -> Console:
    """As wide as the terminal; elsewhere wide enough to cut nothing."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


def _line(account: dict[str, Any]) -> str:
    reason = why(account)
    line = f"{printable(account['id'])}: {state_word(standing(account))}"
    return f"{line} ({reason})" if reason else line


def _asked_proxy() -> str:
    try:
        if sys.stdin.isatty():
            return ask_hidden(words("Proxy address (it is not shown): ", "代理地址（不显示）："))
        line = sys.stdin.readline(MAX_BYTES).strip()
    except EOFError:
        line = ""
    if not line:
        raise ConfigError(words("no proxy was given; --none takes it away", "没有输入代理；用 --none 取消代理"))
    return line


def _cookie(source: str | None) -> str:
    if source is None:
        if not sys.stdin.isatty():
            raise ConfigError(
                words(
                    "give the cookie with --cookie-file FILE, or - for standard input",
                    "请用 --cookie-file 文件 提供 Cookie（- 表示标准输入）",
                )
            )
        try:
            return ask_hidden(
                words("Paste the cookie (it is not shown), then Enter: ", "粘贴 Cookie（不显示），然后回车：")
            )
        except EOFError:
            raise ConfigError(words("no cookie was given", "没有输入 Cookie")) from None
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if source == "-" else _file(Path(source))
        text = raw.decode("utf-8-sig").strip()
    except OSError as error:
        raise ConfigError(f"{source} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is not a text in UTF-8") from None
    if not text or len(raw) > MAX_BYTES:
        raise ConfigError(f"{source} is {'larger than a cookie can be' if text else 'empty'}")
    return text


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
