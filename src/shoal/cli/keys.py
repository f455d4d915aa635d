"""``shoal keys …``: the keys of a running server's secrets, over its API."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shoal.cli.api_client import ApiClient
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import in_chinese, words

keys = typer.Typer(
    no_args_is_help=True,
    help=words(
        "See which key seals the secrets, take a new one, forget the old ones.",
        "查看加密用的密钥，更换密钥，删除旧密钥。",
    ),
)

_LOOK_SECONDS = 0.3


@keys.command("status")
@in_chinese("显示每个密钥加密了多少个值。密钥本身从不显示。")
def show_keys(url: Url = None) -> None:
    """Show how many values are sealed with which key. The keys themselves are never shown."""
    run(_show(url))


@keys.command("rotate")
@in_chinese("更换密钥：服务器继续运行，所有密文逐步用新密钥重新加密；中断后会自动继续。")
def rotate_keys(
    url: Url = None,
    wait: Annotated[
        bool, typer.Option(help=words("Wait until everything is sealed anew.", "等待全部重新加密完成。"))
    ] = True,
) -> None:
    """Take a new key: everything is sealed anew while the server serves, and goes on by itself after a crash."""
    run(_rotate(url, wait=wait))


@keys.command("forget")
@in_chinese("删除旧密钥（仅当不再有值使用它）。旧备份仍需要旧密钥，请先另行保存。")
def forget_keys(
    url: Url = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("Do not ask.", "不再询问。"))] = False,
) -> None:
    """Forget the old keys, when nothing is sealed with them. Older backups need them: keep a copy apart."""
    if not yes and not typer.confirm(_question(), err=True):
        raise typer.Exit(1)
    run(_forget(url))


async def _show(url: str | None) -> None:
    async with signed_in(url) as client:
        _publish(await client.call("GET", "system", "keys"))


async def _rotate(url: str | None, *, wait: bool) -> None:
    async with signed_in(url) as client:
        seen = await client.call("POST", "system", "keys", "rotate")
        typer.echo(words("A new key seals from now on.", "新密钥已启用。"))
        if not wait:
            typer.echo(words("Look at it with: shoal keys status", "查看进度：shoal keys status"))
            return
        seen = await _follow(client, seen)
        if seen["renewed"] < seen["total"]:
            _publish(seen)
            raise typer.Exit(1)
        typer.echo(
            words(f"Done: {seen['total']} values have the new key.", f"完成：{seen['total']} 个值已使用新密钥。")
        )
        if sys.stdin.isatty() and typer.confirm(_question(), err=True):
            await client.call("POST", "system", "keys", "forget")
            typer.echo(words("The old key is forgotten.", "旧密钥已删除。"))
        else:
            typer.echo(
                words(
                    "Nothing needs the old key now; drop it with: shoal keys forget",
                    "旧密钥已不再需要，删除：shoal keys forget",
                )
            )


async def _follow(client: ApiClient, seen: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("Sealing anew", "重新加密"), total=seen["total"], completed=seen["renewed"])
        while seen["rotating"]:
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await client.call("GET", "system", "keys")
            progress.update(bar, total=seen["total"], completed=seen["renewed"])
    return seen


async def _forget(url: str | None) -> None:
    async with signed_in(url) as client:
        await client.call("POST", "system", "keys", "forget")
    typer.echo(words("The old keys are forgotten.", "旧密钥已删除。"))


def _question() -> str:
    return words(
        "Backups made before need the old key. Forget it now?", "此前的备份需要旧密钥才能打开。现在删除旧密钥吗？"
    )


def _publish(seen: dict[str, Any]) -> None:
    for key in seen["keys"]:
        kind = words("newest", "最新") if key["newest"] else words("old", "旧")
        if not key["loaded"]:
            kind = words("MISSING: put it back into the key file", "缺失：请把它放回密钥文件")
        typer.echo(
            words(f"{key['id']}  {key['values']:>6} values  {kind}", f"{key['id']}  {key['values']:>6} 个值  {kind}")
        )
    if seen["from_setting"]:
        typer.echo(words("They stand in SHOAL_SECRET_KEY.", "密钥来自 SHOAL_SECRET_KEY。"))
    if seen["unreadable"]:
        typer.echo(
            words(
                f"{seen['unreadable']} values are damaged and stay as they are.",
                f"{seen['unreadable']} 个值已损坏，保持不变。",
            )
        )
    if seen["rotating"]:
        typer.echo(
            words(
                f"Sealing anew: {seen['renewed']} of {seen['total']}.",
                f"正在重新加密：{seen['renewed']}/{seen['total']}。",
            )
        )
