"""One browser at every door: the one that came with the cookie, else the default, in every request of a shop."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from connection.qr_steps import begin, ended, qr_logins, scan
from connection.test_pictures import give_picture
from shoal.accounts.account import AccountState
from shoal.xianyu.browser import OWN, Browser, chrome, read_browser
from support.runs.quick_start import blank_database
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN, until

OWNERS = Browser(
    user_agent="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/149.0.0.0 Safari/537.36",
    brands='"Not)A;Brand";v="24", "Chromium";v="149", "Google Chrome";v="149"',
    mobile="?0",
    platform='"macOS"',
    language="zh-CN,zh;q=0.9,en;q=0.8",
)
FIREFOX = Browser("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", language="zh-CN")
SAFARI = Browser(
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 "
    "Safari/605.1.15"
)
PHONE = Browser(
    user_agent="Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Mobile "
    "Safari/537.36",
    brands='"Not)A;Brand";v="24", "Chromium";v="149", "Google Chrome";v="149"',
    mobile="?1",
    platform='"Android"',
)
HINTS = {"sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"}
DOORS = ("login.token", "loginuser.get", "hasLogin.do", "upload.api", "socket")


class Watched(Shoal):
    """Keeps the headers of all requests as they were sent, by door."""

    def __init__(self, sandbox: Sandbox, data_dir: Path) -> None:
        super().__init__(sandbox, data_dir)
        self.sent: defaultdict[str, list[dict[str, str]]] = defaultdict(list)

    def make_session(self) -> aiohttp.ClientSession:
        session = super().make_session()
        watch = aiohttp.TraceConfig()
        watch.on_request_headers_sent.append(self._saw)
        watch.freeze()
        session.trace_configs.append(watch)
        return session

    async def _saw(
        self, _: aiohttp.ClientSession, __: SimpleNamespace, sent: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        door = next((door for door in DOORS if door in sent.url.path), "socket" if sent.url.path == "/" else "other")
        self.sent[door].append({name.lower(): value for name, value in sent.headers.items()})

    def browsers(self, door: str) -> set[tuple[tuple[str, str], ...]]:
        """What the requests at a door said of the browser."""
        said = HINTS | {"user-agent", "accept-language"}
        return {tuple(sorted((name, value) for name, value in one.items() if name in said)) for one in self.sent[door]}


def told(browser: Browser, *, hints: bool = True) -> tuple[tuple[str, str], ...]:
    headers = {name.lower(): value for name, value in browser.headers.items()}
    return tuple(sorted((name, value) for name, value in headers.items() if hints or name not in HINTS))


def pasted(cookie: str, browser: Browser) -> str:
    return "\n".join([f"Cookie: {cookie}", *(f"{name}: {value}" for name, value in browser.headers.items())])


@pytest.mark.parametrize(
    "owners", [OWNERS, FIREFOX, SAFARI, PHONE, None], ids=["the owner's", "Firefox", "Safari", "a phone", "the default"]
)
async def test_every_door_is_told_the_same_browser(sandbox: Sandbox, tmp_path: Path, owners: Browser | None) -> None:
    await blank_database(tmp_path / "data")
    shoal = Watched(sandbox, tmp_path / "data")
    await shoal.open(login_check_seconds=0.2, heartbeat_seconds=0.2)
    try:
        seller = next(iter(sandbox.world.sellers.values()))
        cookie = sandbox.world.cookie_header(seller)
        text = pasted(cookie, owners) if owners else cookie
        await shoal.manager.add_cookie("shop", text, owner_id=1, caller=ANN)
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
        await give_picture(shoal)
        await sandbox.do("say", account=seller.unb, buyer="小鱼", text="图")
        await until(lambda: bool(shoal.sent["hasLogin.do"] and shoal.sent["upload.api"]))
        browser = owners or chrome(shoal.settings.chrome_version)
        for door in ("login.token", "hasLogin.do", "upload.api"):
            assert shoal.browsers(door) == {told(browser)}, door
        assert shoal.browsers("socket") == {told(browser, hints=False)}
        frames = (await sandbox.get("frames", account=seller.unb))["items"]
        [said] = [line["frame"]["headers"]["ua"] for line in frames if line["frame"].get("lwp") == "/reg"]
        assert said.startswith(f"{browser.user_agent} DingTalk(2.1.5) OS({browser.system}) Browser({browser.product}) ")
    finally:
        await shoal.close()


@pytest.mark.lenient("one_browser", "reg_agent")  # the first browser counts as the cookie's
async def test_a_new_cookie_brings_its_browser_and_a_bare_one_keeps_it(shoal: Shoal) -> None:
    unb = await shoal.add()
    sockets = (await shoal.sandbox.sockets(unb))["total"]
    cookie = shoal.manager.account("shop").cookie
    assert shoal.manager.account("shop").browser is None
    outcome = await shoal.manager.update_cookie("shop", pasted(cookie, OWNERS), caller=ANN)
    assert (outcome.changed, outcome.account.cookie_version) == (True, 2), "the login of another browser is another"
    assert read_browser(outcome.account.browser or "") == OWNERS
    assert (await shoal.sandbox.sockets(unb))["total"] == sockets + 1, "and connects as that browser"
    outcome = await shoal.manager.update_cookie("shop", f"{cookie}; extra=1", caller=ANN)
    assert (outcome.account.cookie_version, read_browser(outcome.account.browser or "")) == (3, OWNERS)
    [*_, entry, _] = await shoal.store.journal()
    assert set(entry.changes) == {"browser", "cookie_version"}
    undone = await shoal.manager.undo(entry, caller=ANN)
    assert (undone.account.browser, undone.account.cookie_version) == (None, 4)
    assert (await shoal.store.get_cookie_details("shop")) == undone.account


@pytest.mark.lenient("one_browser")  # the first browser counts as the cookie's
async def test_a_token_that_another_browser_fetched_is_used_by_none(shoal: Shoal) -> None:
    unb = await shoal.add()
    cookie = shoal.manager.account("shop").cookie
    await shoal.manager.update_cookie("shop", pasted(cookie, OWNERS), caller=ANN)
    await shoal.runs()
    await shoal.manager.update_cookie("shop", pasted(cookie, OWNERS), caller=ANN)
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    registered = [line["frame"]["headers"] for line in frames if line["frame"].get("lwp") == "/reg"]
    assert [headers["ua"].startswith(OWNERS.user_agent) for headers in registered] == [False, True]
    assert registered[0]["token"] != registered[1]["token"]
    assert registered[0]["did"] == registered[1]["did"]


@pytest.mark.lenient("one_browser", "reg_agent")
async def test_the_browser_that_passed_the_check_runs_also_when_it_is_told_after_its_cookie(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", times=1)
    shoal.sandbox.expected.add("proof")
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    passed = await shoal.sandbox.do("check", account=unb, user_agent=OWNERS.user_agent)
    bare = await shoal.manager.update_cookie("shop", passed["cookie"], caller=ANN)
    assert bare.observation.state is AccountState.PARKED, "the proof is of another browser"
    whole = await shoal.manager.update_cookie("shop", pasted(passed["cookie"], OWNERS), caller=ANN)
    assert whole.account.cookie == bare.account.cookie
    assert whole.observation.state is AccountState.RUNNING


@pytest.mark.lenient("one_browser", "reg_agent")
async def test_a_scanned_code_presents_the_shops_browser_or_our_own(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        await ended(logins, login)
        assert shoal.manager.account("shop").browser == OWN
        bare = f"{shoal.manager.account('shop').cookie}; extra=1"
        await shoal.manager.update_cookie("shop", bare, caller=ANN)
        assert shoal.manager.account("shop").browser is None, "a pasted cookie is from another browser than ours"
        await shoal.manager.update_cookie("shop", pasted(bare, OWNERS), caller=ANN)
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        await ended(logins, login)
        assert read_browser(shoal.manager.account("shop").browser or "") == OWNERS
