"""One Chromium for all tests; for each a server, and pages that must neither complain nor ask another host."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, async_playwright, expect

from benchmarks.chromium import FLAGS, chromium_path
from benchmarks.processes import SandboxProcess
from doors import Door, open_door, served
from sandboxed import QUICK_SITE
from shoal.console import routes
from shoal.messages.message_log import IncomingMessage
from standins import until
from warm_start import _forked  # noqa: F401  (a fixture)

NAME = "豆豆妈"
"""A buyer."""
PASSWORD = "correct horse battery"
_PATIENCE_MS = 60_000
"""A busy machine is slow, not wrong."""
_NOTES_STAY = """
    const every = window.setInterval.bind(window)
    window.setInterval = (run, milliseconds, ...more) => milliseconds === 500 ? 0 : every(run, milliseconds, ...more)
"""
"""Only the notes at the edge ask each half second whether their seven seconds are over: a test may be slower."""
_EXPECTED = ("Failed to load resource", "Refused to apply style from", "Unable to preload CSS for")
"""What a browser says by itself of an answer such as 409, which the page shows in words, or of a file that is gone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them on one loop, so that there is one Chromium for each worker."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def _need(what: object, sentence: str) -> None:
    if what:
        return
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The running browser. Skips without one, or fails where ``REQUIRE_BROWSER`` is set."""
    path = chromium_path()
    _need(path, "no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM")
    _need((routes.STATIC / "index.html").is_file(), "the console has not been built; run `make console`")
    async with async_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE_MS)
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        await browser.close()


@dataclass
class Console:
    """A server with its console, and what its pages complained about."""

    door: Door
    url: str
    chromium: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def browser(self, **look: Any) -> BrowserContext:
        """A browser of its own, with its own cookies; by default Chinese, light and wide, and without motion.

        Motion would leave what is going away beside what comes: a toast and the one before it.
        """
        still = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
        values = {**still, **look}
        context = await self.chromium.new_context(base_url=self.url, **values)
        context.set_default_timeout(_PATIENCE_MS)
        await context.add_init_script(_NOTES_STAY)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self._failed(str(error.error)))
        context.on("request", lambda request: self._asked(request.url))
        self.contexts.append(context)
        return context

    async def page(self, path: str = "/console/", **look: Any) -> Page:
        """A signed-in page that shows the accounts live."""
        context = await self.browser(**look)
        token = await self.door.server.sessions.open(1, 3600, kind="console")
        await context.add_cookies([{"name": "shoal_session", "value": token, "url": self.url, "httpOnly": True}])
        page = await context.new_page()
        await page.goto(path)
        await page.locator("[data-test=line].live").wait_for()
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_EXPECTED):
            self.complaints.append(message.text)

    def _failed(self, error: str) -> None:
        if not error.removeprefix("Error: ").startswith(_EXPECTED):
            self.complaints.append(error)

    def _asked(self, url: str) -> None:
        host = self.url.split("://")[1]
        if not url.startswith((f"http://{host}/", f"ws://{host}/", "data:")):
            self.complaints.append(f"asked another host: {url}")


@dataclass
class WiredConsole(Console):
    """The same over a real site: the sandbox in a process of its own."""

    sandbox: SandboxProcess = field(kw_only=True)

    unb: str = field(kw_only=True)
    """The seller behind ``muzi``."""

    async def say(self, text: str, buyer: str = "豆豆妈") -> dict[str, Any]:
        """A buyer says something."""
        return await self.sandbox.do("say", account=self.unb, buyer=buyer, text=text)


async def said(console: Console, number: int, text: str, *, shop: str = "afu", chat: str = "c1") -> None:
    """A buyer says something in a chat of a shop; each chat has a buyer of its own."""
    message = IncomingMessage(
        message_id=f"m{number}", chat_id=chat, item_id="7001", sender_id=f"22{chat[1:]}",
        sender_name=f"{NAME}{chat[1:]}", text=text, created_at_ms=int(time.time() * 1000) + number,
    )  # fmt: skip
    await console.door.server.message_log.store_incoming(shop, [message])


async def answering(console: Console, *shops: str) -> None:
    """Give shops a default reply: without anything to say a shop waits for its owner."""
    for shop in shops:
        body = {"default_reply_enabled": True, "default_reply": "在的"}
        await console.door.call("PATCH", f"/cookies/{shop}/settings", json=body)


async def press(what: Locator) -> None:
    """Follow a link, or press a button, by keyboard: for what may move while more comes in from the server.

    A click goes where the link was a moment before.
    """
    await expect(what).to_be_enabled()
    await what.press("Enter")


async def hangs_over(page: Page) -> bool:
    """Whether anything reaches beyond the right edge, so that the page or its content scrolls sideways."""
    boxes = "[document.documentElement, document.querySelector('main')]"
    return bool(await page.evaluate(f"{boxes}.some(box => box.scrollWidth > box.clientWidth)"))


OpenConsole = Callable[..., Awaitable[Console]]


@asynccontextmanager
async def _open_console(chromium: Browser, data_dir: Path, **settings: Any) -> AsyncIterator[Console]:
    async with open_door(data_dir, admin_password=PASSWORD, **settings) as door, served(door) as url:
        console = Console(door, url, chromium)
        yield console
        for context in console.contexts:
            await context.close()
        assert console.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def console(chromium: Browser, tmp_path: Path) -> AsyncIterator[Console]:
    """A server with three shops: ``afu``, ``muzi`` and ``xiaoyu``."""
    async with _open_console(chromium, tmp_path / "data") as opened:
        for number, name in enumerate(("afu", "muzi", "xiaoyu"), 1):
            await opened.door.add(name, number)
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def wired(chromium: Browser, tmp_path: Path) -> AsyncIterator[WiredConsole]:
    """A server with one shop, ``muzi``, that talks to a sandbox."""
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    site = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
    site["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
    try:
        settings = {**site, **QUICK_SITE, "admin_password": PASSWORD}
        async with open_door(tmp_path / "data", over_the_wire=True, **settings) as door, served(door) as url:
            seller = (await sandbox.get("sellers"))["items"][0]
            await door.call("POST", "/cookies", json={"id": "muzi", "value": seller["cookie"]})
            await until(lambda: door.server.manager.observation("muzi").state == "running")
            console = WiredConsole(door, url, chromium, sandbox=sandbox, unb=seller["unb"])
            yield console
            for context in console.contexts:
                await context.close()
            assert console.complaints == []
    finally:
        await sandbox.end()


@pytest_asyncio.fixture(loop_scope="session")
async def open_console(chromium: Browser, tmp_path: Path) -> AsyncIterator[OpenConsole]:
    """A server without shops, with settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Console:
            return await stack.enter_async_context(_open_console(chromium, tmp_path / "data", **settings))

        yield opened
