"""Browsers that a test is lent and gives back: what a page fetches and compiles is kept, what it has stored is not.

In a browser that never saw the console, its first page costs 0.6 s of a processor more than the second.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from playwright.async_api import Browser, BrowserContext

PATIENCE_MS = 60_000
"""A busy machine is slow, not wrong."""
_NOTES_STAY = """
    const every = window.setInterval.bind(window)
    window.setInterval = (run, milliseconds, ...more) => milliseconds === 500 ? 0 : every(run, milliseconds, ...more)
"""
"""Only the notes at the edge ask each half second whether their seven seconds are over: a test may be slower."""
_STILL = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
_STAYS = "/health/live"
"""A page without scripts that stays open: its process is then that of each test's pages (``--process-per-site``)."""
_STORED = "cookies,local_storage,indexeddb,websql,service_workers,cache_storage,shared_storage"


async def new_context(chromium: Browser, url: str, **look: Any) -> BrowserContext:
    """Make a browser; by default Chinese, light and wide, and without motion.

    Motion would leave what is going away beside what comes: a toast and the one before it.
    """
    context = await chromium.new_context(base_url=url, **{**_STILL, **look})
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(_NOTES_STAY)
    return context


class KeptContexts:
    """The browsers of one worker, by their look. Each is with one test at a time."""

    def __init__(self, chromium: Browser, url: str) -> None:
        """``url``: where each test's console is in turn."""
        self._chromium = chromium
        self._url = url
        self._free: dict[str, list[BrowserContext]] = defaultdict(list)

    async def lend(self, look: dict[str, Any]) -> BrowserContext:
        """Give away a browser of that look in which nothing is stored."""
        free = self._free[_name(look)]
        if free:
            return free.pop()
        context = await new_context(self._chromium, self._url, **look)
        await (await context.new_page()).goto(_STAYS)
        return context

    async def take_back(self, context: BrowserContext, look: dict[str, Any]) -> None:
        """Close the test's pages and forget what they stored."""
        stays, *others = context.pages
        for page in others:
            await page.unroute_all(behavior="ignoreErrors")
            await page.close()
        devtools = await context.new_cdp_session(stays)
        await devtools.send("Storage.clearDataForOrigin", {"origin": self._url, "storageTypes": _STORED})
        await devtools.detach()
        await context.clear_cookies()
        await context.clear_permissions()
        self._free[_name(look)].append(context)


def _name(look: dict[str, Any]) -> str:
    return json.dumps(look, sort_keys=True)
