"""The command line: ``shoal serve``, ``demo``, ``sandbox``, ``login``, ``accounts``, ``orders``, ``users`` and more."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal import __version__
from shoal.cli import numbers as _numbers  # noqa: F401  adds its commands to ``accounts``
from shoal.cli import sharing as _sharing  # noqa: F401  the same
from shoal.cli.accounts import accounts
from shoal.cli.api_client import ApiClient, NoServer, Refused
from shoal.cli.keys import keys
from shoal.cli.orders import orders
from shoal.cli.session import Url, chosen_url, run
from shoal.cli.token_file import TokenFile
from shoal.cli.tokens import tokens
from shoal.cli.users import users
from shoal.cli.words import in_chinese, words
from shoal.config import load_settings
from shoal.errors import ConfigError, ShoalError
from shoal.logs.core_dumps import forbid_core_dumps
from shoal.logs.logs import configure_logging, log_crashes

if TYPE_CHECKING:
    from fastapi import FastAPI

# What a command alone needs is imported where it is run: a server's modules take longer to load than most commands run.
# ruff: noqa: PLC0415

_EXIT_CODES = words(
    "Exit codes: 0 done; 1 the server refused or does not answer, or something failed; "
    "2 a wrong option or setting, an address in use, a data directory that cannot be used; 130 ended by Ctrl-C.",
    "退出码：0 完成；1 服务器拒绝、没有应答或失败；2 选项或设置有误、地址被占用、数据目录不可用；130 被 Ctrl-C 结束。",
)

app = typer.Typer(
    name="shoal",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=words(
        "Keep many Xianyu seller accounts connected, answering and in step.",
        "让多个闲鱼卖家账号保持在线、自动回复、状态一致。",
    ),
    epilog=_EXIT_CODES,
)
app.add_typer(accounts, name="accounts")
app.add_typer(orders, name="orders")
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.add_typer(tokens, name="tokens")


def main() -> None:
    """Run the command line. Errors that we know become one sentence and an exit code."""
    forbid_core_dumps()
    try:
        app()
    except ShoalError as error:
        typer.echo(f"shoal: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"shoal {__version__}")
        raise typer.Exit


@app.callback()
def shoal(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help=words("Show the version and exit.", "显示版本并退出。"),
        ),
    ] = False,
) -> None:
    """Keep many Xianyu seller accounts connected, answering and in step."""


@app.command()
@in_chinese(
    "运行服务器，直到 Ctrl-C 或 SIGTERM；开始监听时显示地址。\n\n"
    "数据库为空时会建立用户 admin，并显示一次密码。设置取自 SHOAL_… 环境变量和 shoal.toml，见 docs/operating.md。"
)
def serve(
    host: Annotated[
        str | None, typer.Option(help=words("Address to listen on; over SHOAL_HOST.", "监听地址，优先于 SHOAL_HOST。"))
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help=words("Port, 0 for a free one; over SHOAL_PORT.", "端口，0 为任意空闲端口，优先于 SHOAL_PORT。")
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help=words("Data directory; over SHOAL_DATA_DIR.", "数据目录，优先于 SHOAL_DATA_DIR。")),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(help=words("Certificate for HTTPS; over SHOAL_TLS_CERT.", "HTTPS 证书，优先于 SHOAL_TLS_CERT。")),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(help=words("Its key; over SHOAL_TLS_KEY.", "证书的私钥，优先于 SHOAL_TLS_KEY。")),
    ] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM. It prints its address when it listens.

    On an empty database it makes the user admin and prints his password, once. Settings come from SHOAL_… variables
    and shoal.toml; docs/operating.md lists them.
    """
    from shoal.server.listener import serve as serve_app
    from shoal.server.reply_server import build_app

    settings = load_settings(host=host, port=port, data_dir=data_dir, tls_cert=tls_cert, tls_key=tls_key)
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    log_crashes()
    serve_app(build_app(settings), settings, _announce)


def _announce(application: FastAPI, url: str) -> None:
    from shoal.api.routes.invitations import JOIN_PATH

    password = application.state.first_password
    if password is not None:
        typer.echo(
            words(
                "This is a new database. Sign in as admin with this password; it is shown only now:",
                "这是一个新数据库。请用 admin 和以下密码登录，密码只显示这一次：",
            )
        )
        typer.echo(f"\n    {password}\n")
        typer.echo(
            words(
                "Or choose a password of your own by this link. It works once, for a day, until you first sign in:",
                "或者打开以下链接，自己设置密码。链接只能用一次，一天内、首次登录之前有效：",
            )
        )
        typer.echo(f"\n    {url}{JOIN_PATH}#{application.state.first_link}\n")
    typer.echo(words(f"Shoal is listening at {url}", f"Shoal 已启动：{url}"))


@app.command()
@in_chinese(
    "演示全部功能：一台服务器、一个本地的模拟闲鱼、六个店铺，以及会聊天和付款的买家。\n\n"
    "使用新的目录 .demo（或 SHOAL_DATA_DIR），为脚本输出一行 READY {…}，按 Ctrl-C 结束。不访问外网。"
)
def demo() -> None:
    """Show everything at once: a server, a local stand-in for the site, six shops and buyers who talk and pay.

    It works in a fresh directory .demo (or SHOAL_DATA_DIR), prints one line READY {…} for scripts, and ends with
    Ctrl-C. Nothing leaves this machine.
    """
    from shoal.cli.demo.run import run_demo

    raise typer.Exit(run_demo())


@app.command()
@in_chinese("运行本地的模拟闲鱼，直到 Ctrl-C；显示它的地址，以及每个卖家和可用的 Cookie。")
def sandbox(
    *,
    host: Annotated[str, typer.Option(help=words("A loopback address.", "本机回环地址。"))] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help=words("Port; 0 takes a free one.", "端口；0 为任意空闲端口。"))
    ] = 0,
    seed: Annotated[
        int, typer.Option(help=words("What ids and cookies follow from.", "随机种子：ID 和 Cookie 由它决定。"))
    ] = 0,
    shops: Annotated[int, typer.Option(min=0, max=10_000, help=words("Sellers to begin with.", "起始的卖家数。"))] = 3,
    script: Annotated[
        bool, typer.Option("--script", help=words("Let scripted buyers talk and pay.", "让模拟买家聊天和付款。"))
    ] = False,
    buyers: Annotated[
        int, typer.Option(min=1, max=1_000, help=words("How many scripted buyers.", "模拟买家的人数。"))
    ] = 5,
    interval: Annotated[
        float, typer.Option(min=0.05, help=words("Mean seconds between their lines.", "他们发言的平均间隔秒数。"))
    ] = 4.0,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar=words("DIRECTORY", "目录"),
            help=words(
                "Serve TLS; the authority to trust is written into this directory.",
                "使用 TLS；要信任的证书颁发者写入此目录。",
            ),
        ),
    ] = None,
) -> None:
    """Run a local stand-in for the site until Ctrl-C. It prints its address, and each seller with a cookie to use."""
    from shoal.sandbox.certificate import make_certificate
    from shoal.sandbox.clock import Clock
    from shoal.sandbox.script import Script
    from shoal.sandbox.server import build_sandbox, serve_sandbox
    from shoal.sandbox.world import World

    try:
        certificate = make_certificate(tls) if tls else None
    except OSError as error:
        raise ConfigError(f"{tls} cannot hold a certificate ({error.strerror}); choose another --tls") from None
    world = World(seed=seed, shops=shops, clock=Clock())
    story = Script(interval_seconds=interval, buyers=buyers) if script else False

    def ready(url: str) -> None:
        typer.echo(words(f"The sandbox is listening at {url}", f"沙盒已启动：{url}"))
        typer.echo(
            words("Let a server use it with these settings:", "让服务使用它的设置：")
            + f"\n  SHOAL_SITE_MTOP_URL={url} SHOAL_SITE_PASSPORT_URL={url} SHOAL_SITE_UPLOAD_URL={url}"
            f" SHOAL_SITE_WS_URL={url.replace('http', 'ws', 1)}/"
            + (f" SSL_CERT_FILE={certificate.authority.resolve()}" if certificate else "")
        )
        for seller in world.sellers.values():
            typer.echo(f"\n{seller.nick}\n  {world.cookie_header(seller)}")

    try:
        sandbox_app = build_sandbox(world, script=story)
        asyncio.run(serve_sandbox(host, port, app=sandbox_app, ready=ready, certificate=certificate))
    except KeyboardInterrupt:
        return
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"{host} port {port} cannot be used ({error.strerror}); choose another --port") from None


@app.command()
@in_chinese(
    "登录服务器，并把会话保存在只有您能读的文件里，供以后的命令使用。\n\n密码会提示输入，或取自 SHOAL_PASSWORD。"
)
def login(
    url: Url = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help=words("The user's name; else you are asked.", "用户名；不写则提示输入。")),
    ] = None,
) -> None:
    """Sign in to a server and keep the session for later commands, in a file that only you can read.

    The password is asked for, or taken from SHOAL_PASSWORD.
    """
    address = chosen_url(url)
    run(_reach(address))
    name, password = user or os.environ.get("SHOAL_USER"), os.environ.get("SHOAL_PASSWORD")
    if password is None:
        if not sys.stdin.isatty():
            raise ConfigError(
                words("set SHOAL_PASSWORD to sign in without being asked", "非交互环境请设置 SHOAL_PASSWORD")
            )
        name = name or typer.prompt(words("User", "用户名"), default="admin", err=True)
        password = typer.prompt(words("Password", "密码"), hide_input=True, err=True)
    run(_login(address, name or "admin", password))


@app.command()
@in_chinese("结束保存的会话：服务器上的和本机的。")
def logout(url: Url = None) -> None:
    """End the stored session of a server, there and here."""
    run(_logout(chosen_url(url)))


async def _reach(url: str) -> None:
    """Nobody types a password for a server that is not there, or would not take it in clear."""
    async with ApiClient(url) as client:
        await client.call("POST", "login", body={})


async def _login(url: str, user: str, password: str) -> None:
    async with ApiClient(url) as client:
        try:
            token = await client.sign_in(user, password)
        except Refused as error:
            if error.code != "totp_needed" or not sys.stdin.isatty():
                raise
            code = typer.prompt(words("Code of your authenticator app", "验证器应用中的验证码"), err=True)
            token = await client.sign_in(user, password, code)
    TokenFile().put(url, user=user, token=token)
    typer.echo(words(f"Signed in to {url} as {user}.", f"已以 {user} 登录 {url}。"))


async def _logout(url: str) -> None:
    token = TokenFile().get(url)
    if token is None:
        typer.echo(words(f"You were not signed in to {url}.", f"尚未登录 {url}。"))
        return
    TokenFile().drop(url)
    async with ApiClient(url, token) as client:
        try:
            await client.call("POST", "logout")
        except (NoServer, Refused) as error:
            typer.echo(words(f"Forgotten here only: {error}", f"仅在本机退出：{error}"), err=True)
            return
    typer.echo(words(f"Signed out of {url}.", f"已退出 {url}。"))


if __name__ == "__main__":
    main()
