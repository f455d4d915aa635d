"""The command line: ``shoal serve``, ``demo``, ``sandbox``, ``login``, ``accounts``, ``orders``, ``users`` and more."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from shoal import __version__
from shoal.cli.late_commands import LateGroup
from shoal.cli.words import language, words
from shoal.concurrency.child_process import forbid_core_dumps
from shoal.errors import ConfigError, ShoalError

if TYPE_CHECKING:
    import socket

    from shoal.config import Settings
    from shoal.server.reply_server import Application
    from shoal.server.worker import Worker

# Commands import what only they need: the server's modules take longer to load than most commands run.
# ruff: noqa: PLC0415

_EXIT_CODES = words("cli.app.help.exit_codes")


class _Shoal(LateGroup):
    """All commands; those that are defined here stand between the two."""

    before = MappingProxyType(
        {
            "restore": "restore:restoring",
            "migrate-store": "migrate_store:moving",
            "doctor": "doctor.command:examining",
            "export": "shop_file:shops",
            "apply": "shop_file:shops",
        }
    )
    after = MappingProxyType(
        {
            "login": "sign_in:sign_in",
            "logout": "sign_in:sign_in",
            "accounts": "commands.accounts:accounts",
            "rules": "commands.rules:rules",
            "items": "commands.goods:items",
            "chats": "commands.chats:chats",
            "ai": "commands.ai:ai",
            "messages": "commands.chats:messages",
            "orders": "commands.orders:orders",
            "deliveries": "commands.deliveries:deliveries",
            "goods": "commands.goods:goods",
            "buyers": "commands.chats:buyers",
            "channels": "commands.notices:channels",
            "incidents": "commands.notices:incidents",
            "notices": "commands.notices:notices",
            "history": "commands.system:history",
            "users": "commands.users:users",
            "me": "commands.own:me",
            "keys": "commands.servers:keys",
            "backup": "backup:backup",
            "tokens": "commands.own:tokens",
            "webhooks": "commands.own:webhooks",
            "system": "commands.system:system",
            "nodes": "commands.servers:nodes",
            "import": "imports:imports",
        }
    )


app = typer.Typer(
    cls=_Shoal,
    name="shoal",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=words("cli.app.help.shoal"),
    epilog=_EXIT_CODES,
)


def main() -> None:
    """Run the command line. A known error becomes one sentence and an exit code."""
    forbid_core_dumps()
    try:
        app()
    except ShoalError as error:
        sys.exit(_print_error(error))
    except BrokenPipeError:  # the program that reads our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_error(error: ShoalError) -> int:
    """Say an error as one sentence. Return the exit status."""
    sentence = error.sentence(language()) if isinstance(error, ConfigError) else str(error)
    typer.echo(f"shoal: {sentence}", err=True)
    return 2 if isinstance(error, ConfigError) else 1


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
            help=words("cli.app.help.version"),
        ),
    ] = False,
) -> None:
    """Keep many Xianyu seller accounts connected, answering and in step."""
    if not gc.isenabled():  # by now the command has been imported, and that stays for good
        gc.freeze()
        gc.enable()


@app.command(help=words("cli.app.help.serve"))
def serve(
    *,
    host: Annotated[str | None, typer.Option(help=words("cli.app.help.host"))] = None,
    port: Annotated[
        int | None,
        typer.Option(help=words("cli.app.help.port")),
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(help=words("cli.help.data_dir")),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(help=words("cli.app.help.tls_cert")),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(help=words("cli.app.help.tls_key")),
    ] = None,
    node: Annotated[str | None, typer.Option(help=words("cli.app.help.node"))] = None,
    workers: Annotated[int | None, typer.Option(help=words("cli.app.help.workers"))] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM. It prints its address when it listens."""
    from shoal.config import load_settings
    from shoal.logs.logs import configure_logging, log_crashes

    settings = load_settings(
        host=host, port=port, data_dir=data_dir, tls_cert=tls_cert, tls_key=tls_key, node=node, workers=workers
    )
    gc.disable()  # until it is set apart: to look through it again and again takes an eighth of the start
    from shoal.server.listener import serve as serve_app
    from shoal.server.reply_server import build_app

    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    log_crashes()
    if settings.workers:
        from shoal.server.route_table import routers
        from shoal.server.workers import Workers

        routers()  # imported once for all of them
        status = Workers(settings, _be_worker, lambda url: typer.echo(words("cli.app.listening", url=url))).run()
        raise typer.Exit(status)
    serve_app(build_app(settings), settings, _announce)


def _be_worker(settings: Settings, taken: socket.socket, worker: Worker) -> int:
    """Serve in a process that was forked for it. Return the exit status."""
    from shoal.server.listener import serve_at, usable_certificate
    from shoal.server.reply_server import build_app

    try:
        serve_at(
            taken, build_app(settings, worker=worker), settings, usable_certificate(settings), _show_first_entry, worker
        )
    except ShoalError as error:
        return _print_error(error)
    return 0


def _announce(application: Application, url: str) -> None:
    _show_first_entry(application, url)
    typer.echo(words("cli.app.listening", url=url))


def _show_first_entry(application: Application, url: str) -> None:
    from shoal.api.routes.invitations import JOIN_PATH

    password = application.state.first_password
    if password is not None:
        typer.echo(words("cli.app.first_password"))
        typer.echo(f"\n    {password}\n")
        typer.echo(words("cli.app.first_link"))
        address = application.settings.public_url.rstrip("/") or url
        typer.echo(f"\n    {address}{JOIN_PATH}#{application.state.first_link}\n")


@app.command(help=words("cli.app.help.demo"))
def demo() -> None:
    """Start a server, a local sandbox of the site, six shops and buyers who chat and pay."""
    from shoal.cli.demo.run import run_demo

    raise typer.Exit(run_demo())


@app.command(help=words("cli.app.help.sandbox"))
def sandbox(
    *,
    host: Annotated[str, typer.Option(help=words("cli.app.help.sandbox_host"))] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help=words("cli.app.help.sandbox_port"))] = 0,
    seed: Annotated[int, typer.Option(help=words("cli.app.help.seed"))] = 0,
    shops: Annotated[int, typer.Option(min=0, max=10_000, help=words("cli.app.help.shops"))] = 3,
    script: Annotated[bool, typer.Option("--script", help=words("cli.app.help.script"))] = False,
    buyers: Annotated[int, typer.Option(min=1, max=1_000, help=words("cli.app.help.buyers"))] = 5,
    interval: Annotated[float, typer.Option(min=0.05, help=words("cli.app.help.interval"))] = 4.0,
    strict: Annotated[bool, typer.Option("--strict", help=words("cli.app.help.strict"))] = False,
    tls: Annotated[
        Path | None,
        typer.Option(
            metavar=words("cli.app.help.directory"),
            help=words("cli.app.help.tls"),
        ),
    ] = None,
) -> None:
    """Run a local sandbox of the site until Ctrl-C. It prints its address, and each seller with a cookie to use."""
    import asyncio

    from shoal.sandbox.clock import Clock
    from shoal.sandbox.policy import Policy, strict_policy
    from shoal.sandbox.script import Script
    from shoal.sandbox.server import build_sandbox, serve_sandbox
    from shoal.sandbox.world import World

    certificate = None
    if tls:
        from shoal.sandbox.certificate import make_certificate

        try:
            certificate = make_certificate(tls)
        except OSError as error:
            raise ConfigError("startup.no_room_for_certificate", path=tls, why=error.strerror) from None
    policy = strict_policy() if strict else Policy()
    world = World(seed=seed, shops=shops, clock=Clock(), policy=policy)
    story = Script(interval_seconds=interval, buyers=buyers) if script else False

    def ready(url: str) -> None:
        typer.echo(words("cli.app.sandbox_listening", url=url))
        typer.echo(
            words("cli.app.sandbox_settings")
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
        raise ConfigError("startup.sandbox_refused", why=error) from None
    except OSError as error:
        raise ConfigError("startup.sandbox_port", host=host, port=port, why=error.strerror) from None


if __name__ == "__main__":
    main()
