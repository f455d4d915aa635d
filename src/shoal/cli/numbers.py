"""``shoal accounts numbers|free-number``: sellers whom several people's shops name, for the administrator."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from shoal.cli.accounts import accounts
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import in_chinese, printable, state_word, words
from shoal.errors import ConfigError

Number = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help=words("The seller's number (unb).", "闲鱼号 (unb)。"), show_default=False),
]


@accounts.command("numbers")
@in_chinese("列出被多个用户添加的闲鱼号：哪个账号占用，哪些在等待。仅管理员可用。")
def list_numbers(url: Url = None) -> None:
    """List sellers whom several people's accounts name: which account holds each, which wait. For administrators."""
    run(_list(url))


@accounts.command("free-number")
@in_chinese(
    "释放一个闲鱼号：停用占用它的账号，其他使用这个闲鱼号的账号随后自动启动。仅管理员可用。\n\n"
    "用于店主已离开、账号却仍占用闲鱼号的情况。"
)
def free_number(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("Do not ask.", "不再询问。"))] = False,
    url: Url = None,
) -> None:
    """Take a seller's number from the account that holds it, and switch that account off. For administrators.

    For a number whose owner left. The other accounts with that number start by themselves.
    """
    run(_free(url, number, yes=yes))


async def _list(url: str | None) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "seller-numbers"))["items"]
    if not found:
        typer.echo(words("No seller is named by several people's accounts.", "没有被多个用户添加的闲鱼号。"))
    for row in found:
        typer.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    holder = _shop(row["holder"]) if row["holder"] else words("nobody yet", "暂无")
    waiting = ", ".join(_shop(shop) for shop in row["waiting"])
    return words(f"{row['number']}: held by {holder}; also named by {waiting}",
                 f"{row['number']}：占用者 {holder}；等待者 {waiting}")  # fmt: skip


def _shop(shop: dict[str, Any]) -> str:
    return f"{printable(shop['account'])} ({printable(shop['owner'])}, {state_word(shop['state'])})"


async def _free(url: str | None, number: str, *, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise ConfigError(words("say --yes to free a number without being asked", "非交互环境请加 --yes"))
    async with signed_in(url) as client:
        listed = (await client.call("GET", "seller-numbers"))["items"]
        holder = next((row["holder"] for row in listed if row["number"] == number), None)
        if holder is not None and not yes:
            question = words("Take the number {} from {}, and switch that account off?", "释放闲鱼号 {}，并停用 {}？")
            typer.confirm(question.format(printable(number), _shop(holder)), abort=True)
        params = {} if holder is None else {"holder": holder["account"]}
        answer = await client.call("DELETE", "seller-numbers", number, params=params)
    was = printable(answer["was"])
    typer.echo(
        words(f"{answer['number']} is free; {was} was switched off.", f"已释放 {answer['number']}；{was} 已停用。")
    )
