"""Speed of the web console, with the real processes and Chromium: ``python -m benchmarks.console``.

Measured with 200 and 2,000 accounts: the time from a change through the API until another browser shows it; the time
until a browser with an empty cache shows the live shops; the bytes transferred for that; the gaps between frames during
2,000 changes in 2 s. Thirty accounts are connected to the sandbox. The others are parked, because the sandbox does not
know their sellers: they change like any account, and cause no other load.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from benchmarks.chromium import FLAGS, chromium_path
from benchmarks.figures import keep
from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess, free_port, soon

CONNECTED = 30
AT_ONCE = 20
CHANGES = 200
ACCOUNTS_CHANGED = 6
MESSAGE_BYTES = 1_400
BURST_CHANGES = 2000
BURST_SECONDS = 2.0
BURST_BATCH = 100
COLD_STARTS = 5

WATCH_STREAM = """
window.received = []
window.WebSocket = class extends window.WebSocket {
  constructor(...words) {
    super(...words)
    this.addEventListener('message', () => received.push(Date.now()))
  }
}
"""
LISTENING_PAGE = """<!doctype html><script>
window.received = []
new WebSocket(`ws://${location.host}/live`).onmessage = () => received.push(Date.now())
</script>"""
WATCH_SWITCHES = """
window.seen = []
new MutationObserver((records) => {
  const at = Date.now()
  for (const { target } of records) {
    const account = target.closest('[data-account]')?.dataset.account
    if (account && target.dataset.test === 'auto-confirm') seen.push([account, target.getAttribute('aria-checked'), at])
  }
}).observe(document.querySelector('main'), { subtree: true, attributeFilter: ['aria-checked'] })
"""
WATCH_FRAMES = """
window.gaps = []
window.tasks = []
let last = performance.now()
requestAnimationFrame(function frame() {
  const now = performance.now()
  gaps.push(now - last)
  last = now
  requestAnimationFrame(frame)
})
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration))).observe({
  type: 'longtask',
})
"""
WAIT_UNTIL_LIVE = """
window.liveAt = new Promise((resolve) => {
  new MutationObserver(() => {
    if (document.querySelector('[data-account]') && document.querySelector('[data-test=line].live'))
      resolve(performance.now())
  }).observe(document, { subtree: true, childList: true, attributes: true })
})
"""


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a measurement needs."""

    server: ServerProcess
    browser: Browser
    accounts: int


async def fill(sandbox: SandboxProcess, server: ServerProcess, accounts: int) -> None:
    """Add the accounts and wait until each is in its final state."""
    sellers = (await sandbox.get("sellers"))["items"]
    cookies = [seller["cookie"] for seller in sellers]
    cookies += [f"unb={3_300_000_000_000 + n}; cookie2=s{n}; _m_h5_tk={n:032x}_1900000000000" for n in range(accounts)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def add(number: int) -> None:
        async with turn:
            await server.add(f"shop-{number:04}", cookies[number], wait=0)

    await asyncio.gather(*(add(number) for number in range(accounts)))

    async def settled() -> bool:
        states = [row["state"] for row in await server.ok("GET", "/cookies/details")]
        await asyncio.sleep(0.5)
        return states.count("running") == len(sellers) and states.count("parked") == accounts - len(sellers)

    await soon(settled, seconds=600)


async def visitor(setting: Setting) -> BrowserContext:
    """Return a signed-in browser context with an empty cache."""
    context = await setting.browser.new_context(base_url=setting.server.url, viewport={"width": 1280, "height": 800})
    origin = {"Origin": setting.server.url}
    credentials = {"name": "admin", "password": PASSWORD}
    signed_in = await context.request.post("/console/session", data=credentials, headers=origin)
    assert signed_in.ok, await signed_in.text()
    return context


async def shown(context: BrowserContext, path: str) -> Page:
    """Open a page and wait until it is live."""
    page = await context.new_page()
    await page.goto(path)
    await page.locator("[data-test=line].live").wait_for(timeout=60_000)
    return page


async def change_to_dom(setting: Setting) -> Row:
    """Measure the time from a change through the API until the switch in another browser moves, and its parts.

    The parts are the times until the change is answered, and until that browser has received it. The limit is a message
    of as many bytes to a page that does nothing but listen. At most five changes are on their way, each of another
    account: two of one account may be shown as one.
    """
    context = await visitor(setting)
    await context.add_init_script(WATCH_STREAM)
    page = await shown(context, "/console/accounts")
    rows = await page.locator("[data-account]").evaluate_all("rows => rows.map((row) => row.dataset.account)")
    await page.evaluate(WATCH_SWITCHES)
    apply_edit = dict.fromkeys(rows[:ACCOUNTS_CHANGED], False)
    sent: dict[str, list[float]] = {account: [] for account in apply_edit}
    answered: list[float] = []
    rng = random.Random(1)  # noqa: S311  it spreads what is sent
    for number in range(CHANGES):
        await page.wait_for_function("least => seen.length >= least", arg=number - ACCOUNTS_CHANGED + 1)
        await asyncio.sleep(rng.uniform(0.03, 0.08))
        account = rows[number % len(apply_edit)]
        apply_edit[account] = not apply_edit[account]
        began = time.time() * 1000
        await setting.server.ok("PUT", f"/cookies/{account}/auto-confirm", {"auto_confirm": apply_edit[account]})
        sent[account].append(began)
        answered.append(time.time() * 1000 - began)
    await page.wait_for_function("least => seen.length >= least", arg=CHANGES)
    seen: list[list[Any]] = await page.evaluate("seen")
    received: list[float] = await page.evaluate("received")
    await context.close()
    at: dict[str, list[float]] = {account: [] for account in apply_edit}
    for account, _, moment in seen:
        at[account].append(moment)
    assert {account: len(times) for account, times in at.items()} == {one: len(times) for one, times in sent.items()}
    both = [pair for account in apply_edit for pair in zip(sent[account], at[account], strict=True)]
    came = [max((moment for moment in received if moment <= there), default=there) - here for here, there in both]
    limit = figures_of(await bare_messages(setting))
    return {
        "measured": "a change by the API until another browser shows it",
        **figures_of([there - here for here, there in both]),
        **_part("answered", figures_of(answered)),
        **_part("heard", figures_of(came)),
        **_part("limit", limit),
    }


def _part(name: str, figures: Row) -> Row:
    return {f"{name}: {key}": figures[key] for key in ("median ms", "p95 ms")}


async def bare_messages(setting: Setting) -> list[float]:
    """Return the times from this process to a page that does nothing but listen on a WebSocket."""
    opened: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()

    async def listened(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        opened.set_result(socket)
        async for _ in socket:
            pass
        return socket

    async def page_of(_: web.Request) -> web.Response:
        return web.Response(text=LISTENING_PAGE, content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/", page_of), web.get("/live", listened)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    context = await setting.browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        socket, sent = await opened, list[float]()
        rng = random.Random(1)  # noqa: S311  it spreads what is sent
        for _ in range(CHANGES):
            await asyncio.sleep(rng.uniform(0.03, 0.08))
            sent.append(time.time() * 1000)
            await socket.send_str("x" * MESSAGE_BYTES)
        await page.wait_for_function("least => received.length >= least", arg=CHANGES)
        received: list[float] = await page.evaluate("received")
        return [there - here for here, there in zip(sent, received, strict=True)]
    finally:
        await context.close()
        await runner.cleanup()


async def cold_start(setting: Setting) -> Row:
    """Measure the time from a browser's first request, with an empty cache, until the live shops are shown."""
    times, kilobytes = [], 0.0
    for _ in range(COLD_STARTS):
        context = await visitor(setting)
        page = await context.new_page()
        meter = await WireMeter.on(page)
        await page.add_init_script(WAIT_UNTIL_LIVE)
        await page.goto("/console/accounts")
        times.append(await page.evaluate("liveAt"))
        await page.wait_for_load_state("networkidle")
        kilobytes = meter.kilobytes
        await context.close()
    return {"measured": "an empty cache until the live shops are shown", **figures_of(times), "received KB": kilobytes}


class WireMeter:
    """Counts received bytes as Chromium reports them: files compressed, with headers; socket frames uncompressed."""

    def __init__(self) -> None:
        self.files = 0
        self.frames = 0

    @classmethod
    async def on(cls, page: Page) -> WireMeter:
        """Start to count for a page."""
        meter = cls()
        devtools: CDPSession = await page.context.new_cdp_session(page)
        devtools.on("Network.loadingFinished", meter._finished)
        devtools.on("Network.webSocketFrameReceived", meter._received)
        await devtools.send("Network.enable")
        return meter

    def _finished(self, event: dict[str, Any]) -> None:
        self.files += round(event["encodedDataLength"])

    def _received(self, event: dict[str, Any]) -> None:
        self.frames += len(event["response"]["payloadData"].encode())

    @property
    def kilobytes(self) -> float:
        """Files as sent, and frames of the socket."""
        return (self.files + self.frames) / 1000


async def burst(setting: Setting, path: str) -> Row:
    """Measure the gaps between a page's frames during many changes, and its thread's CPU time."""
    context = await visitor(setting)
    page = await shown(context, path)
    await page.wait_for_load_state("networkidle")
    devtools = await context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.evaluate(WATCH_FRAMES)
    await asyncio.sleep(2)
    calm: list[float] = await page.evaluate("gaps.splice(0).slice(5)")
    await page.evaluate("tasks.length = 0")
    busy_before = await busy_seconds(devtools)
    parked = [f"shop-{number:04}" for number in range(CONNECTED, setting.accounts)]
    enabled = dict.fromkeys(parked, True)
    began = time.monotonic()
    for number in range(BURST_CHANGES // BURST_BATCH):
        await asyncio.sleep(max(0.0, began + number * BURST_SECONDS * BURST_BATCH / BURST_CHANGES - time.monotonic()))
        ids = [parked[(number * BURST_BATCH + n) % len(parked)] for n in range(BURST_BATCH)]
        updates = {name: not enabled[name] for name in ids}
        enabled |= updates
        answer = await setting.server.ok("PUT", "/cookies/status?wait=0", {"updates": updates})
        assert all(row["outcome"] == "changed" for row in answer["results"])
    await asyncio.sleep(1)
    gaps: list[float] = await page.evaluate("gaps.splice(0)")
    tasks: list[float] = await page.evaluate("tasks")
    busy = await busy_seconds(devtools) - busy_before
    await context.close()
    back = {name: True for name, on in enabled.items() if not on}
    if back:
        await setting.server.ok("PUT", "/cookies/status?wait=0", {"updates": back})
    return {
        "measured": f"frame gaps of {path} during {BURST_CHANGES} changes in {BURST_SECONDS:g} s",
        **figures_of(gaps),
        "longest at rest ms": max(calm),
        "longest task ms": max(tasks, default=0.0),
        "page's CPU ms": busy * 1000,
    }


async def busy_seconds(devtools: CDPSession) -> float:
    """Return the CPU time of the page's main thread."""
    metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def figures_of(values: list[float]) -> Row:
    """Return how many there are, the middle one, the one in twenty, and the longest."""
    return {
        "times": len(values),
        "median ms": statistics.median(values),
        "p95 ms": _share(values, 0.95),
        "longest ms": max(values),
    }


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(len(ordered) * share))]


async def measure(accounts: int) -> list[Row]:
    """Measure with that many accounts."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        sandbox = SandboxProcess(root / "sandbox.log")
        await sandbox.start(shops=CONNECTED)
        server = ServerProcess(root / "data", sandbox.url, SHOAL_LOG_LEVEL="ERROR")
        try:
            await server.start()
            await fill(sandbox, server, accounts)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
                setting = Setting(server, browser, accounts)
                rows = [await cold_start(setting), await change_to_dom(setting)]
                rows += [await burst(setting, path) for path in ("/console/accounts", "/console/")]
                await browser.close()
                return [{"accounts": accounts, **row} for row in rows]
        finally:
            await server.close()
            await sandbox.end()


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[200, 2000])
    arguments = parser.parse_args()
    if chromium_path() is None:
        sys.stderr.write("no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM\n")
        return 1
    rows = [row for accounts in arguments.accounts for row in asyncio.run(measure(accounts))]
    keep("console", rows, about=f"The web console in Chromium, {CONNECTED} shops connected and the others parked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
