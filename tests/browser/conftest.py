"""One Chromium for all tests; for each a server, and pages that must neither complain nor ask another host."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Request,
    Route,
    WebError,
    async_playwright,
    expect,
)

from benchmarks.chromium import FLAGS, SHORT_LIVED, chromium_path, shell_path
from benchmarks.processes import SandboxProcess
from browser.kept_contexts import PATIENCE_MS, KeptContexts, new_context
from shoal.console import routes
from shoal.messages.message_log import IncomingMessage
from support.runs.warm_start import _forked  # noqa: F401  (a fixture)
from support.servers.doors import Door, open_door, served, started_door
from support.site.sandboxed import QUICK_SITE
from support.site.standins import until, until_told

NAME = "豆豆妈"
"""A buyer."""
PASSWORD = "correct horse battery"
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
async def playwright() -> AsyncIterator[Playwright]:
    """What starts browsers. It waits for each thing as long as a busy machine takes."""
    _need((routes.STATIC / "index.html").is_file(), "the console has not been built; run `make console`")
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        yield playwright


@asynccontextmanager
async def _started(playwright: Playwright, path: str | None) -> AsyncIterator[Browser]:
    _need(path, "no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM")
    browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *SHORT_LIVED])
    yield browser
    await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """The running browser. Skips without one, or fails where ``REQUIRE_BROWSER`` is set."""
    async with _started(playwright, shell_path()) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def notifying_chromium(playwright: Playwright) -> AsyncIterator[Browser]:
    """A whole Chromium, which shows notifications."""
    async with _started(playwright, chromium_path()) as browser:
        yield browser


@dataclass(frozen=True)
class Place:
    """Where a worker's consoles are, one after the other: browsers keep the files of an address that stays."""

    listener: socket.socket
    kept: KeptContexts
    url: str


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(chromium: Browser) -> AsyncIterator[Place]:
    """A socket that listens as long as the tests run, and the browsers that know it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Place(listener, KeptContexts(chromium, url), url)


@dataclass
class Console:
    """A server with its console, and what its pages complained about."""

    door: Door
    place: Place
    chromium: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    lent: list[tuple[BrowserContext, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return self.place.url

    async def browser(self, **look: Any) -> BrowserContext:
        """A browser of the test's own, that never saw the console. Its look is that of ``new_context``."""
        context = await new_context(self.chromium, self.url, **look)
        self.contexts.append(context)
        self._listen(context)
        return context

    async def page(self, path: str = "/console/", **look: Any) -> Page:
        """A signed-in page that shows the accounts live, in a browser in which nothing is stored.

        The browser is used again: who changes more of it than its pages, cookies and permissions, such as its clock,
        takes ``fresh_page``. Its size and appearance are those of the page alone, so that one browser serves them all.
        """
        own = {name: look.pop(name) for name in ("viewport", "color_scheme") if name in look}
        if look.get("reduced_motion") == "reduce":
            del look["reduced_motion"]  # as every browser here
        return await self._signed_in(await self._lent(look), path, **own)

    async def fresh_page(self, path: str = "/console/", **look: Any) -> Page:
        """The same in a browser of its own that never saw the console: for what is loaded, and how."""
        return await self._signed_in(await self.browser(**look), path)

    async def _signed_in(
        self, context: BrowserContext, path: str, viewport: Any = None, color_scheme: Any = None
    ) -> Page:
        token = await self.door.server.sessions.open(1, 3600, kind="console")
        await context.add_cookies([{"name": "shoal_session", "value": token, "url": self.url, "httpOnly": True}])
        page = await context.new_page()
        if viewport:
            await page.set_viewport_size(viewport)
        if color_scheme:
            await page.emulate_media(color_scheme=color_scheme)
        await page.goto(path)
        await page.locator("[data-test=line].live").wait_for()
        return page

    async def _lent(self, look: dict[str, Any]) -> BrowserContext:
        context = await self.place.kept.lend(look)
        self.lent.append((context, look))
        self._listen(context)
        return context

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the browsers, or give them back."""
        for context in self.contexts:
            await context.close()
        for context, look in self.lent:
            try:
                await self.place.kept.take_back(context, look)
            finally:
                self._listen(context, ending=True)

    def _listen(self, context: BrowserContext, *, ending: bool = False) -> None:
        for event, heard in (("console", self._heard), ("weberror", self._failed), ("request", self._asked)):
            (context.remove_listener if ending else context.on)(event, heard)  # type: ignore[call-overload]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_EXPECTED):
            self.complaints.append(message.text)

    def _failed(self, failure: WebError) -> None:
        error = str(failure.error)
        if not error.removeprefix("Error: ").startswith(_EXPECTED):
            self.complaints.append(error)

    def _asked(self, request: Request) -> None:
        host = self.url.split("://")[1]
        if not request.url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "about:blank")):
            self.complaints.append(f"asked another host: {request.url}")


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


async def choose_item(page: Page, name: str, words: str) -> None:
    """Choose the only item that a chooser of items finds by some words, a number or a link."""
    await page.locator(f"[data-test=pick-{name}]").click()
    await page.locator(f"[name={name}]").fill(words)
    await expect(page.locator(".n-base-select-option")).to_have_count(1)
    await expect(page.locator(".n-base-select-option--pending")).to_have_count(1)
    await page.locator(f"[name={name}]").press("Enter")


async def turn(switch: Locator) -> None:
    """Press a switch that takes no press while its last change is on its way."""
    await expect(switch).not_to_have_attribute("aria-busy", "true")
    await switch.click()


async def intercept(page: Page, path: str, handler: Callable[[Route], Any], *, times: int | None = None) -> None:
    """Route the requests of an open page, from the next one on.

    ``Page.route`` returns before the browser has told the page, whose very next request may pass by.
    """
    probe = "/is-intercepted"
    await page.route(path, handler, times=times)
    await page.route(f"**{probe}", lambda route: route.fulfill(status=204))
    await until_told(lambda: page.evaluate(f"fetch('{probe}').then(answer => answer.status)"), 204)
    await page.unroute(f"**{probe}")


async def hangs_over(page: Page) -> bool:
    """Whether anything stays beyond the right edge, so that the page or its content scrolls sideways.

    A page that was given another width takes some frames to lay itself out, so it is asked again for ten seconds.
    """
    boxes = "[document.documentElement, document.querySelector('main')]"
    late = time.monotonic() + 10
    while await page.evaluate(f"{boxes}.some(box => box.scrollWidth > box.clientWidth)"):
        if time.monotonic() > late:
            return True
        await page.wait_for_timeout(50)
    return False


async def scrolled(box: Locator, to: str) -> None:
    """Scroll a box, and wait until its page has taken note of it, which a browser tells it with the next frame.

    ``to``: an expression, which may be of the ``box``.
    """
    frame = "await new Promise(requestAnimationFrame)"
    await box.evaluate(f"async box => {{ box.scrollTop = {to}; {frame}; {frame} }}")


OpenConsole = Callable[..., Awaitable[Console]]


@asynccontextmanager
async def opened_console(chromium: Browser, place: Place, data_dir: Path, **settings: Any) -> AsyncIterator[Console]:
    opened = (
        open_door(data_dir, admin_password=PASSWORD, **settings)
        if settings
        else started_door(data_dir, admin_password=PASSWORD)
    )
    async with (
        opened as door,
        served(door, place.listener),
        Console(door, place, chromium) as console,
    ):
        yield console
    assert console.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def console(chromium: Browser, place: Place, tmp_path: Path) -> AsyncIterator[Console]:
    """A server with three shops: ``afu``, ``muzi`` and ``xiaoyu``."""
    async with opened_console(chromium, place, tmp_path / "data") as opened:
        for number, name in enumerate(("afu", "muzi", "xiaoyu"), 1):
            await opened.door.add(name, number)
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def wired(chromium: Browser, place: Place, tmp_path: Path) -> AsyncIterator[WiredConsole]:
    """A server with one shop, ``muzi``, that talks to a sandbox."""
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    site = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
    site["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
    try:
        inside = {"allow_private_targets": "127.0.0.1/32"}  # where a test's provider of language models is
        settings = {**site, **QUICK_SITE, **inside, "admin_password": PASSWORD}
        async with open_door(tmp_path / "data", over_the_wire=True, **settings) as door, served(door, place.listener):
            seller = (await sandbox.get("sellers"))["items"][0]
            await door.call("POST", "/cookies", json={"id": "muzi", "value": seller["cookie"]})
            await until(lambda: door.server.manager.observation("muzi").state == "running")
            async with WiredConsole(door, place, chromium, sandbox=sandbox, unb=seller["unb"]) as console:
                yield console
            assert console.complaints == []
    finally:
        await sandbox.end()


@pytest_asyncio.fixture(loop_scope="session")
async def open_console(chromium: Browser, place: Place, tmp_path: Path) -> AsyncIterator[OpenConsole]:
    """A server without shops, with settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def opened(**settings: Any) -> Console:
            return await stack.enter_async_context(opened_console(chromium, place, tmp_path / "data", **settings))

        yield opened
