"""The site's time, for the calls that carry one: the machine's clock may be wrong (docs/protocol.md §2.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from weakref import WeakKeyDictionary

import aiohttp
import structlog

from shoal.clock import machine_ms, present_clock, steady_ms
from shoal.xianyu.browser import Browser

log = structlog.get_logger("shoal.site_time")

_HOME_CALL: Final = "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"
_ASK_SECONDS: Final = 10.0
_ASK_AGAIN_MS: Final = 60_000


class _Asking:
    """The questions of one session: one at a time, and one a minute."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.last_steady_ms: int | None = None

    @property
    def is_due(self) -> bool:
        return self.last_steady_ms is None or steady_ms() - self.last_steady_ms >= _ASK_AGAIN_MS


class SiteTime:
    """The time at the site, from the ``Date`` of its answers. A machine's clock that is about right is used itself."""

    def __init__(self) -> None:
        self._asking: WeakKeyDictionary[aiohttp.ClientSession, _Asking] = WeakKeyDictionary()
        """Each session asks for itself: one account's proxy may be dead or silent, and another one's works."""

    def now_ms(self) -> int:
        """Return the site's time in milliseconds since 1970; the machine's until an answer has brought another."""
        return machine_ms() + self.ahead_ms

    @property
    def ahead_ms(self) -> int:
        """Return how far the site's clock is ahead of the machine's; 0 when about equal, or not known."""
        return present_clock().site_ahead_ms

    def note_answer(self, headers: Mapping[str, str]) -> None:
        """Compare the clocks by an answer of the site. One that was kept on its way (``Age``) says nothing."""
        at_ms = None if "Age" in headers else _moment_ms(headers.get("Date", ""))
        if at_ms is not None:
            note_site(at_ms)

    async def ask(self, session: aiohttp.ClientSession, base_url: str, browser: Browser) -> None:
        """Ask the site for its time before a call that needs it, unless it is known: as a visitor without a login.

        It is asked again after the machine's clock was set. Without an answer the machine's time is used, and this
        session does not ask again for a minute.
        """
        if present_clock().is_known_since_set:
            return
        asking = self._asking.setdefault(session, _Asking())
        async with asking.turn:
            if present_clock().is_known_since_set or not asking.is_due:
                return
            asking.last_steady_ms = steady_ms()
            try:
                async with session.get(
                    f"{base_url}/h5/{_HOME_CALL}/1.0/",
                    headers=browser.call_headers("application/json"),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=_ASK_SECONDS),
                ) as response:
                    self.note_answer(response.headers)
            except (aiohttp.ClientError, OSError) as failure:
                log.info("the site's time is not known", why=type(failure).__name__)


def note_site(at_ms: int) -> None:
    """Take the time that the site tells; a moment that is none changes nothing."""
    clock = present_clock()
    was_off = clock.site_ahead_ms != 0
    clock.note_site(at_ms)
    if clock.site_ahead_ms and not was_off:
        log.warning("the machine's clock is wrong", ahead_seconds=-clock.site_ahead_ms // 1000)


def _moment_ms(date: str) -> int | None:
    try:
        at = parsedate_to_datetime(date)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
