"""``shoal tokens …``: the API tokens of the person who is signed in, over the API."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import ago, in_chinese, printable, words

tokens = typer.Typer(
    no_args_is_help=True,
    help=words(
        "Make, list and revoke API tokens for your scripts.",
        "为您的脚本创建、查看和撤销 API 令牌。",
    ),
)

_WIDE = 1_000


class Scope(StrEnum):
    """What a token may do; each contains the one before."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"
    MANAGE = "manage"


_SCOPES = {
    Scope.READ: ("read", "查看"),
    Scope.REPLY: ("reply", "回复"),
    Scope.OPERATE: ("operate", "操作"),
    Scope.MANAGE: ("manage", "管理"),
}


@tokens.command("list")
@in_chinese("列出您的 API 令牌。令牌本身只在创建时显示一次。")
def list_tokens(
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help=words("Print JSON.", "以 JSON 输出。"))] = False,
) -> None:
    """List your API tokens. The tokens themselves are shown once only, when they are made."""
    run(_list(url, as_json=as_json))


@tokens.command("make")
@in_chinese(
    "创建一个 API 令牌，并显示这一次。\n\n"
    "权限：read 查看；reply 另可发消息、接管会话、处理订单；operate 另可改开关、规则和设置；"
    "manage 可做您能对账号做的一切。"
)
def make_token(
    name: Annotated[str, typer.Argument(help=words("What it is for.", "用途。"), show_default=False)],
    scope: Annotated[Scope, typer.Option(help=words("What it may do.", "权限。"))] = Scope.READ,
    account: Annotated[
        list[str] | None,
        typer.Option(
            help=words(
                "Only for this account; may be given again. Without it: for all of yours.",
                "只用于这个账号，可重复；不写则用于您的全部账号。",
            ),
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(help=words("How long it holds, in days.", "有效期（天）。"), min=1, max=366)
    ] = 90,
    url: Url = None,
) -> None:
    """Make an API token, and show it this once.

    read: see everything but secrets. reply: also send, take chats over, serve orders. operate: also switches, rules and
    settings. manage: all that you may do with accounts.
    """
    run(_make(url, {"name": name, "scope": scope.value, "accounts": account, "expires_days": days}))


@tokens.command("revoke")
@in_chinese("撤销一个 API 令牌，立即生效。")
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", help=words("Its number in the list.", "列表中的编号。"))],
    url: Url = None,
) -> None:
    """Revoke an API token, at once and for good."""
    run(_revoke(url, token_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "tokens"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(
            words("No tokens yet. Make one with: shoal tokens make NAME", "还没有令牌。创建：shoal tokens make 名称")
        )
    else:
        is_terminal = sys.stdout.isatty()
        (Console() if is_terminal else Console(width=_WIDE)).print(_table(found, plain=not is_terminal))


def _table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        words("ID", "编号"), words("Name", "名称"), words("May", "权限"), words("Accounts", "账号"),
        words("Until", "有效期至"), words("Last used", "最近使用"),
    ):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for token in found:
        only = token["accounts"]
        table.add_row(
            str(token["id"]),
            Text(printable(token["name"]), style="bold"),
            words(*_SCOPES[Scope(token["scope"])]),
            Text(words("all", "全部") if only is None else printable(", ".join(only))),
            words("over", "已过期") if token["expired"] else token["expires_at"][:10],
            ago(token["last_used_at"]) if token["last_used_at"] else words("never", "从未"),
        )
    return table


async def _make(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "tokens", body=body)
    typer.echo(
        words(
            f"Keep it now: it is not shown again. It holds until {made['expires_at'][:10]}.",
            f"请立即保存：之后不再显示。有效期至 {made['expires_at'][:10]}。",
        ),
        err=True,
    )
    typer.echo(made["token"])


async def _revoke(url: str | None, token_id: int) -> None:
    async with signed_in(url) as client:
        await client.call("DELETE", "tokens", str(token_id))
    typer.echo(words("It was revoked.", "已撤销。"))
