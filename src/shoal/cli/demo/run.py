"""``shoal demo``: a real server, a real sandbox, six shops and their buyers, in a separate directory."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, Final

import aiohttp
import typer
from rich.console import Console

from shoal.cli.api_client import ApiClient
from shoal.cli.board import AccountBoard
from shoal.cli.demo.child_process import ChildDied, ChildProcess
from shoal.cli.demo.directory import demo_directory
from shoal.cli.demo.screen import DemoScreen
from shoal.cli.demo.shops import CODES_TITLE, DemoShop, OpenedShop, add_shops
from shoal.cli.words import words
from shoal.config import PREFIX, load_settings
from shoal.errors import ShoalError, TemporaryFailure
from shoal.server.bound_socket import bind

DEFAULT_DIRECTORY: Final = ".demo"
SANDBOX_READY_SECONDS: Final = 30.0
SERVER_READY_SECONDS: Final = 60.0
LONG_POLL_SECONDS: Final = 20
_USER: Final = "admin"
_SEED: Final = "7"
_PASSED_OVER: Final = {
    f"SHOAL_{name}"
    for name in ("DATABASE_URL", "SECRET_KEY", "CONFIG", "URL", "USER", "PASSWORD", "TOKEN", "TLS_CERT", "TLS_KEY")
}
"""Settings that could lead the demo's server to real data, settings of the command line, and the certificate, because
the demo is for this machine only.
"""
_LIVELY: Final = {
    "SHOAL_STARTS_PER_SECOND": "50",
    "SHOAL_TOKEN_CALLS_PER_SECOND": "50",
    "SHOAL_ALLOW_PRIVATE_TARGETS": "127.0.0.1",
}
"""Settings that make a demonstration start at once, and let it notify the sandbox of incidents; those of the
environment take precedence.
"""


def run_demo() -> int:
    """Run the demo until Ctrl-C or SIGTERM; return the exit code."""
    settings = load_settings()
    path = Path(os.environ.get("SHOAL_DATA_DIR") or DEFAULT_DIRECTORY)
    with demo_directory(path) as directory:
        bind(settings.host, settings.port).close()  # fails early, with a clear sentence, when the port is in use
        return asyncio.run(_Demo(directory, settings.host, settings.port).run())


class _Demo:
    """One run: two child processes, one client, one screen."""

    def __init__(self, directory: Path, host: str, port: int) -> None:
        self._directory = directory
        self._host, self._port = host, port
        self._password = os.environ.get("SHOAL_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
        self._sandbox = ChildProcess("sandbox", directory / "sandbox.log")
        self._server = ChildProcess("server", directory / "server.log")

    async def run(self) -> int:
        """Do everything from the start of the first child to the end of the last; return the exit code."""
        work = asyncio.create_task(self._work(), name="demo")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            return 0
        except ShoalError as error:
            self._explain(error)
            return 1
        else:
            return 0
        finally:
            _progress(words("cli.demo.ending"))
            await self._server.stop()
            await self._sandbox.stop()

    async def _work(self) -> None:
        _progress(words("cli.demo.starting_sandbox"))
        sandbox = await self._start_sandbox()
        _progress(words("cli.demo.starting_server"))
        url = await self._start_server(sandbox)
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aclosing(_Sandbox(sandbox)))
            client = await stack.enter_async_context(ApiClient(url))
            await client.sign_in(_USER, self._password)
            _progress(words("cli.demo.adding_shops"))
            await add_shops(client, http.open_shop)
            await add_notices(client, sandbox)
            ready = {"url": url, "user": _USER, "password": self._password, "sandbox": sandbox}
            typer.echo(f"READY {json.dumps(ready)}")
            board = AccountBoard(client)
            console = Console()
            heading = words("cli.demo.title", url=url, user=_USER, password=self._password)
            with DemoScreen(board, console, heading, live=console.is_terminal) as screen:
                await _until_one_ends(
                    sandbox=self._sandbox.wait(),
                    server=self._server.wait(),
                    states=_show_states(board, screen),
                    chat=_show_chat(http, screen),
                )

    async def _start_sandbox(self) -> str:
        return await self._sandbox.start(
            "shoal.sandbox",
            *("--host", "127.0.0.1", "--port", "0", "--seed", _SEED, "--shops", "0"),
            *("--script", "--interval", "2.5", "--quiet", "--strict"),
            env=_plain_environment(),
            cwd=self._directory,
            ready=r'^SANDBOX \{"url": "([^"]+)"',
            ready_seconds=SANDBOX_READY_SECONDS,
        )

    async def _start_server(self, sandbox: str) -> str:
        environment = _plain_environment() | _LIVELY | _own_settings()
        environment |= {
            "SHOAL_HOST": self._host,
            "SHOAL_PORT": str(self._port),
            "SHOAL_DATA_DIR": str(self._directory),
            "SHOAL_ADMIN_PASSWORD": self._password,
            "SHOAL_SITE_MTOP_URL": sandbox,
            "SHOAL_SITE_PASSPORT_URL": sandbox,
            "SHOAL_SITE_UPLOAD_URL": sandbox,
            "SHOAL_SITE_WS_URL": f"{sandbox.replace('http', 'ws', 1)}/",
        }
        return await self._server.start(
            "shoal",
            "serve",
            env=environment,
            cwd=self._directory,
            ready=r"(http://\S+)",
            ready_seconds=SERVER_READY_SECONDS,
        )

    def _explain(self, error: ShoalError) -> None:
        typer.echo(f"shoal: {error}", err=True)
        for child in (self._sandbox, self._server):
            if isinstance(error, ChildDied) and child.name in str(error):
                for line in child.last_lines():
                    typer.echo(f"  {child.name}| {line}", err=True)


class _Sandbox:
    """The control routes that the demo needs."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_sandbox"
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONG_POLL_SECONDS + 10))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def open_shop(self, shop: DemoShop) -> OpenedShop:
        """Open a shop for a new seller on the site; one that sells codes sells nothing else."""
        body: dict[str, Any] = {"nick": shop.name, **({"items": 0} if shop.codes else {})}
        seller = await self._ask("POST", "sellers", body=body)
        if not shop.codes:
            return OpenedShop(seller["cookie"])
        item = {"account": seller["unb"], "title": CODES_TITLE, "price_fen": 1250, "specs": list(shop.codes)}
        return OpenedShop(seller["cookie"], (await self._ask("POST", "item", body=item))["id"])

    async def events(self, after: int) -> tuple[list[dict[str, Any]], int]:
        """Return the events after a position, and the next position; waits for the first event."""
        query = {"after": str(after), "wait": str(LONG_POLL_SECONDS)}
        answer = await self._ask("GET", "events", query=query)
        items: list[dict[str, Any]] = answer["items"]
        return items, items[-1]["seq"] if items else after

    async def _ask(
        self, method: str, what: str, *, query: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            async with self._http.request(method, f"{self._url}/{what}", params=query, json=body) as response:
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError):
            raise TemporaryFailure("the sandbox does not answer") from None


async def _show_states(board: AccountBoard, screen: DemoScreen) -> None:
    async with aclosing(board.follow()) as events:
        async for _ in events:
            screen.accounts_changed()


async def _show_chat(sandbox: _Sandbox, screen: DemoScreen) -> None:
    place = 0
    while True:
        try:
            items, place = await sandbox.events(place)
        except TemporaryFailure:  # if the sandbox has ended, the watcher of its process reports it
            await asyncio.sleep(1)
            continue
        for event in items:
            screen.happened(event)


async def _until_one_ends(**works: Coroutine[Any, Any, None]) -> None:
    """Run until the first of them ends or fails; cancel and await the others."""
    tasks = [asyncio.create_task(work, name=f"demo:{name}") for name, work in works.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def _own_settings() -> dict[str, str]:
    """Return the user's own settings that may apply to the demo too."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in _PASSED_OVER}


def _progress(sentence: str) -> None:
    typer.echo(sentence, err=True)


CHANNEL: Final = "演示群"
SOLD_OUT: Final = "体验卡"


async def add_notices(client: ApiClient, sandbox: str) -> None:
    """Add the channel first, so that it is notified of the incident."""
    channel: dict[str, Any] = {"name": CHANNEL, "service": "webhook", "fields": {"url": f"{sandbox}/hook/demo"}}
    await client.ask("POST /channels", body=channel)
    goods = str((await client.ask("POST /goods", body={"name": SOLD_OUT, "kind": "stock"}))["id"])
    await client.ask("POST /goods/{goods_id}/units", goods_id=goods, body={"lines": ["TIYAN-0001"]})
    (unit,) = (await client.ask("GET /goods/{goods_id}/units", goods_id=goods))["items"]
    path = {"goods_id": goods, "unit_id": str(unit["id"])}
    await client.ask("POST /goods/{goods_id}/units/{unit_id}/void", body={"reason": "已过期"}, query=None, **path)
