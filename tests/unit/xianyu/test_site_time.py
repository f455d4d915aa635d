"""The site's time is taken from its answers when the machine's clock is wrong, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.clock import machine_ms
from shoal.xianyu.browser import Browser
from shoal.xianyu.site_session import open_site_session
from shoal.xianyu.site_time import SiteTime
from support.site.sandboxed import Machine

HOUR_MS = 3600_000
SECOND_MS = 1_000
TOLERANCE_MS = 60 * SECOND_MS
YEAR_MS = 366 * 24 * HOUR_MS


def answered(at_ms: int) -> dict[str, str]:
    return {"Date": formatdate(at_ms / 1000, usegmt=True)}


@pytest.mark.parametrize("off_ms", [-YEAR_MS, -30 * HOUR_MS, -2 * TOLERANCE_MS, 2 * TOLERANCE_MS, YEAR_MS])
def test_a_clock_that_is_wrong_is_left_for_the_sites(off_ms: int) -> None:
    site_time = SiteTime()
    site_time.note_answer(answered(machine_ms() + off_ms))
    assert abs(site_time.now_ms() - machine_ms() - off_ms) < 30 * SECOND_MS
    assert abs(site_time.ahead_ms - off_ms) < 30 * SECOND_MS


@pytest.mark.parametrize("off_ms", [-30 * SECOND_MS, 0, 30 * SECOND_MS])
def test_a_clock_that_is_about_right_is_kept(off_ms: int) -> None:
    site_time = SiteTime()
    site_time.note_answer(answered(machine_ms() + off_ms))
    assert abs(site_time.now_ms() - machine_ms()) < 10 * SECOND_MS
    assert site_time.ahead_ms == 0


@pytest.mark.parametrize("headers", [{}, {"Date": "tomorrow"}, {**answered(0), "Age": "7200"}, {"Date": "9" * 400}])
def test_an_answer_that_tells_no_time_changes_nothing(headers: dict[str, str]) -> None:
    site_time = SiteTime()
    site_time.note_answer(answered(machine_ms() + 5 * HOUR_MS))
    site_time.note_answer(headers)
    assert site_time.ahead_ms > 4 * HOUR_MS


def test_the_sites_time_goes_on_when_the_machines_clock_is_set_right(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    machine.shown_ahead_ms = -5 * HOUR_MS
    site_time = SiteTime()
    site_time.note_answer(answered(machine_ms() + 5 * HOUR_MS))
    machine.shown_ahead_ms = 0
    assert abs(site_time.now_ms() - machine_ms()) < 30 * SECOND_MS
    assert site_time.ahead_ms == 0


# ── asked before a call ──


class Site:
    """Tells its time to who asks, and counts that."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.ahead_ms = 0
        self.heard_in_silence = asyncio.Event()
        self.url = ""
        self.session: aiohttp.ClientSession

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return web.json_response({"ret": ["FAIL_SYS_TOKEN_EMPTY::x"]}, headers=answered(machine_ms() + self.ahead_ms))

    async def say_nothing(self, _: web.Request) -> web.Response:
        self.heard_in_silence.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def ask(self, site_time: SiteTime) -> None:
        await site_time.ask(self.session, self.url, Browser("T"))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/h5/{api}/1.0/", site.handle)
    app.router.add_get("/silent/h5/{api}/1.0/", site.say_nothing)
    async with TestServer(app) as server, open_site_session() as session:
        site.url, site.session = str(server.make_url("/")).rstrip("/"), session
        yield site


async def test_the_site_is_asked_once_without_a_login(site: Site) -> None:
    site.ahead_ms = 7 * HOUR_MS
    site_time = SiteTime()
    for _ in range(3):
        await site.ask(site_time)
    (request,) = site.asked
    assert "Cookie" not in request.headers
    assert not request.query
    assert site_time.ahead_ms > 6 * HOUR_MS


async def test_the_site_is_asked_again_when_the_machines_clock_was_set(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, site_time = Machine(monkeypatch), SiteTime()
    await site.ask(site_time)
    machine.passed_ms = 2 * HOUR_MS
    await site.ask(site_time)
    assert len(site.asked) == 1, "time passes"
    machine.shown_ahead_ms = site.ahead_ms = 3 * HOUR_MS
    site.ahead_ms *= -1
    await site.ask(site_time)
    assert len(site.asked) == 2
    assert site_time.ahead_ms < -2 * HOUR_MS


async def test_a_site_that_does_not_answer_is_not_asked_before_each_call(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, site_time, url = Machine(monkeypatch), SiteTime(), site.url
    site.url = "http://127.0.0.1:9"
    await site.ask(site_time)
    site.url = url
    await site.ask(site_time)
    assert not site.asked
    machine.passed_ms = 61 * SECOND_MS
    await site.ask(site_time)
    assert len(site.asked) == 1


async def test_an_account_whose_proxy_is_dead_keeps_no_other_from_asking(site: Site) -> None:
    site_time, url = SiteTime(), site.url
    site.url = "http://127.0.0.1:9"
    await site.ask(site_time)
    site.url, site.ahead_ms = url, 7 * HOUR_MS
    async with open_site_session() as site.session:
        await site.ask(site_time)
    assert site_time.ahead_ms > 6 * HOUR_MS


async def test_an_account_whose_proxy_is_silent_lets_no_other_wait(site: Site) -> None:
    site_time = SiteTime()
    async with open_site_session() as silent:
        waiting = asyncio.create_task(site_time.ask(silent, f"{site.url}/silent", Browser("T")))
        await site.heard_in_silence.wait()
        site.ahead_ms = 7 * HOUR_MS
        await site.ask(site_time)
        assert site_time.ahead_ms > 6 * HOUR_MS
        assert not waiting.done(), "it still waits for its own answer"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
