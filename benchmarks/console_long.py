"""Long lists in the web console, with the real processes and Chromium: ``python -m benchmarks.console_long``.

Measured with 2,000 accounts: the gaps between frames while the shops are scrolled from top to bottom; a chat of 5,000
messages until it is shown, and the gaps while it is scrolled to its beginning. The gaps stand beside their limit,
measured in the same minute: those of a page that is empty but for its height and scrolled by the same script.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from benchmarks.chromium import FLAGS, chromium_path
from benchmarks.console import CONNECTED, Row, Setting, busy_seconds, figures_of, fill, shown, visitor
from benchmarks.figures import keep
from benchmarks.processes import SandboxProcess, ServerProcess, soon

MESSAGES = 5_000
OPENED = 5
BUYER = "芒果冰"
STEP = 120
FRAMES = 600
MOST_GAP_MS = 50
SCROLL = f"""
async ([selector, by]) => {{
  const pane = [document.querySelector(selector), ...document.querySelectorAll(`${{selector}} *`)]
    .find((one) => one.scrollHeight > one.clientHeight && /auto|scroll/.test(getComputedStyle(one).overflowY))
  const gaps = []
  let last = performance.now()
  for (let n = 0; n < {FRAMES}; n++) {{
    pane.scrollTop += by
    await new Promise(requestAnimationFrame)
    const now = performance.now()
    gaps.push(now - last)
    last = now
  }}
  return gaps.slice(2)
}}
"""
PAGES_ASKED = "performance.getEntriesByType('resource').filter(one => /messages.*cursor=/.test(one.name)).length"
EMPTY = '<main style="height:100vh;overflow:auto"><div style="height:200000px"></div></main>'


async def scrolled(page: Page, selector: str, by: int) -> tuple[list[float], float]:
    """Scroll what scrolls within an element, a step in each frame.

    Return the gaps between the frames, and the CPU milliseconds of the page's main thread for a frame, which tell on a
    busy machine what the gaps cannot.
    """
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = await busy_seconds(devtools)
    gaps: list[float] = await page.evaluate(SCROLL, [selector, by])
    busy = await busy_seconds(devtools) - before
    await devtools.detach()
    return gaps, busy * 1000 / FRAMES


async def empty_page(setting: Setting) -> tuple[list[float], float]:
    """Return the gaps and the work of a page that has nothing to draw."""
    context = await setting.browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await page.set_content(EMPTY)
    found = await scrolled(page, "main", STEP)
    await context.close()
    return found


async def shops(setting: Setting) -> Row:
    """Scroll the table of shops from its top to its end."""
    context = await visitor(setting)
    page = await shown(context, "/console/accounts")
    await page.wait_for_load_state("networkidle")
    found = await scrolled(page, ".rows", STEP)
    last = await page.locator("[data-account]").last.get_attribute("data-account")
    await context.close()
    limit = await empty_page(setting)
    measured = f"frame gaps while {setting.accounts} shops are scrolled, {STEP} px a frame"
    return {"measured": measured, **_figures(found, limit), "shown last": last}


async def write_long_chat(setting: Setting, sandbox: SandboxProcess, data_dir: Path) -> str:
    """Let a buyer say one thing, put it days back, and copy it into the minutes since; return the path of the chat."""
    seller = (await sandbox.get("sellers"))["items"][0]
    await sandbox.do("say", account=seller["unb"], buyer=BUYER, text="在吗")
    chats: list[dict[str, Any]] = []

    async def arrived() -> bool:
        chats[:] = (await setting.server.ok("GET", "/chats?limit=1"))["items"]
        return bool(chats)

    await soon(arrived, seconds=60)
    chat = chats[0]
    with closing(sqlite3.connect(data_dir / "shoal.db", timeout=60)) as database:
        cursor = database.execute("SELECT * FROM messages WHERE chat_id = ? LIMIT 1", (chat["chat_id"],))
        names = [column[0] for column in cursor.description]
        row = dict(zip(names, cursor.fetchone(), strict=True))
        holes = ", ".join("?" * len(row))
        began_ms = row["created_at_ms"] - MESSAGES * 60_000
        database.execute("UPDATE messages SET created_at_ms = ? WHERE id = ?", (began_ms, row["id"]))
        for number in range(1, MESSAGES):
            copy = {
                **row,
                "id": row["id"] + number,
                "message_id": f"{row['message_id']}~{number}",
                "text": f"第 {number + 1} 条：在吗，这个还有吗？" * (1 + number % 3),
                "created_at_ms": began_ms + number * 60_000,
            }
            database.execute(f"INSERT INTO messages VALUES ({holes})", list(copy.values()))
        database.commit()
    return f"/console/conversations/{chat['account']}/{chat['chat_id']}"


async def long_chat(setting: Setting, path: str) -> list[Row]:
    """Open a chat of thousands of messages some times, then scroll it to its beginning."""
    context = await visitor(setting)
    page = await shown(context, "/console/conversations")
    opened = []
    for _ in range(OPENED):
        began = time.monotonic()
        await page.goto(path)
        await page.locator("main .run > *").first.wait_for()
        opened.append((time.monotonic() - began) * 1000)
    await page.wait_for_load_state("networkidle")
    found = await scrolled(page, ".log", -STEP)
    elements = await page.locator("main *").count()
    asked = await page.evaluate(PAGES_ASKED)
    assert asked > 2, f"only {asked} pages of messages were loaded while it was scrolled"
    await context.close()
    limit = await empty_page(setting)
    return [
        {"measured": f"a chat of {MESSAGES} messages until it is shown", **figures_of(opened)},
        {
            "measured": f"frame gaps while that chat is scrolled back, {STEP} px a frame",
            **_figures(found, limit),
            "elements": elements,
            "pages loaded": asked,
        },
    ]


def _figures(found: tuple[list[float], float], limit: tuple[list[float], float]) -> Row:
    (gaps, busy), (bare, bare_busy) = found, limit
    figures = figures_of(bare)
    return {
        **figures_of(gaps),
        "above 50 ms": sum(gap > MOST_GAP_MS for gap in gaps),
        "CPU ms a frame": busy,
        "limit: median ms": figures["median ms"],
        "limit: longest ms": figures["longest ms"],
        "limit: above 50 ms": sum(gap > MOST_GAP_MS for gap in bare),
        "limit: CPU ms a frame": bare_busy,
    }


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
                path = await write_long_chat(setting, sandbox, root / "data")
                rows = [await shops(setting), *await long_chat(setting, path)]
                await browser.close()
                return [{"accounts": accounts, **row} for row in rows]
        finally:
            await server.close()
            await sandbox.end()


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2000)
    arguments = parser.parse_args()
    if chromium_path() is None:
        sys.stderr.write("no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM\n")
        return 1
    rows = asyncio.run(measure(arguments.accounts))
    keep(
        "console_long",
        rows,
        about="Long lists in the web console, each beside its limit on that machine",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
