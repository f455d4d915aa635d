"""An account with a proxy speaks through it or not at all."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connection.test_pictures import give_picture
from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from support.network.proxies import SITE, Kind, small_proxy, tripwire
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN, until

NOW = Caller(actor="user:ann", wait_seconds=0)
KINDS: tuple[Kind, ...] = ("http", "socks5")


def behind(sandbox: Sandbox) -> dict[str, Any]:
    """The settings of a site that only a proxy can find."""
    port = urlsplit(sandbox.url).port
    http = dict.fromkeys(("site_mtop_url", "site_passport_url", "site_upload_url"), f"http://{SITE}:{port}")
    return {**http, "site_ws_url": f"ws://{SITE}:{port}/"}


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_an_account_says_goes_through_its_proxy_names_included(
    sandbox: Sandbox, tmp_path: Path, kind: Kind
) -> None:
    shoal = Shoal(sandbox, tmp_path / "data")
    await shoal.open(**behind(sandbox), login_check_seconds=0.2)
    seller = next(iter(sandbox.world.sellers.values()))
    cookie = sandbox.world.cookie_header(seller)
    try:
        async with small_proxy(kind, "ann:s3cret/%40") as proxy:
            proxy.credentials = "ann:s3cret/@"
            url = f"{kind}://ann:s3cret%2F%40@127.0.0.1:{proxy.port}"
            added = await shoal.manager.add_cookie("shop", cookie, owner_id=1, caller=ANN, proxy=url)
            assert added.observation.state is AccountState.RUNNING, added.observation
            await shoal.manager.update_keywords("shop", [("在吗", "在的")], caller=ANN)
            await give_picture(shoal)
            for number, asked in enumerate(("在吗", "图"), 1):
                await sandbox.do("say", account=seller.unb, buyer="小鱼", text=asked)
                await sandbox.seen_soon(seller.unb, "小鱼", number)
            said, shown = await sandbox.seen(seller.unb, "小鱼")
            assert (said, shown[:4]) == ("在的", "[图片]")
            assert {host for host, _ in proxy.passed} == {SITE}
            async with asyncio.timeout(60):
                while not await sandbox.calls("hasLogin.do", seller.unb):
                    await asyncio.sleep(0.02)
            counts = await sandbox.sockets(seller.unb)
            assert counts["now"] == 1
            assert proxy.bytes_up > 2_000, "a signed call, the socket's frames"
            await shoal.manager.update_cookie_status("shop", False, caller=ANN)
            direct = await shoal.manager.update_settings("shop", {"proxy": None}, caller=ANN)
            assert direct.account.proxy == ""
            passed = len(proxy.passed)
            await shoal.manager.update_cookie_status("shop", True, caller=NOW)
            await until(lambda: shoal.manager.observation("shop").reason == "unreachable")
            assert len(proxy.passed) == passed, "without its proxy the account cannot even find this site"
    finally:
        await shoal.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ("refuses", "proxy_refused"), ("no_route", "proxy_no_route"), ("hangs_up", "proxy_refused"),
        ("is_silent", "proxy_unreachable"), ("talks_nonsense", "proxy_refused"),
    ],
)  # fmt: skip
async def test_a_proxy_that_fails_has_a_reason_of_its_own_and_nothing_goes_direct(
    sandbox: Sandbox, tmp_path: Path, kind: Kind, failing: str, reason: str
) -> None:
    shoal = Shoal(sandbox, tmp_path / "data")
    cookie = sandbox.world.cookie_header(next(iter(sandbox.world.sellers.values())))
    async with tripwire() as wire, small_proxy(kind, "ann:canarypass") as proxy:
        proxy.failing = failing  # type: ignore[assignment]
        site = f"http://127.0.0.1:{wire.port}"
        await shoal.open(
            site_mtop_url=site, site_passport_url=site, site_upload_url=site, site_ws_url=f"ws://127.0.0.1:{wire.port}/",
            site_timeout_seconds=0.4 if failing == "is_silent" else 60.0,
        )  # fmt: skip
        try:
            await shoal.manager.add_cookie("shop", cookie, owner_id=1, caller=NOW, proxy=proxy.url)
            await until(lambda: proxy.knocks >= 3)
            await until(lambda: shoal.manager.observation("shop").reason == reason)
            assert "canarypass" not in repr(shoal.manager.observation("shop"))
        finally:
            await shoal.close()
        assert (wire.touched, proxy.passed) == (0, [])


async def test_a_proxy_that_is_gone_is_told_from_a_site_that_is_gone(sandbox: Sandbox, tmp_path: Path) -> None:
    shoal = Shoal(sandbox, tmp_path / "data")
    cookie = sandbox.world.cookie_header(next(iter(sandbox.world.sellers.values())))
    async with small_proxy("http") as proxy:
        gone = proxy.url
    await shoal.open()
    try:
        await shoal.manager.add_cookie("shop", cookie, owner_id=1, caller=NOW, proxy=gone)
        await until(lambda: shoal.manager.observation("shop").reason == "proxy_unreachable")
        assert (await sandbox.get("calls"))["items"] == [], "it did not go direct"
    finally:
        await shoal.close()


async def test_another_proxy_reconnects_a_running_account_once_and_never_by_two_at_once(shoal: Shoal) -> None:
    unb = await shoal.add()
    async with small_proxy("socks5") as proxy:
        outcome = await shoal.manager.update_settings("shop", {"proxy": proxy.url}, caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING
        assert len(proxy.passed) == 1, "the socket; the token is still good"
        counts = await shoal.sandbox.sockets(unb)
        assert (counts["total"], counts["now"], counts["max"]) == (2, 1, 1)
        same = await shoal.manager.update_settings("shop", {"proxy": proxy.url}, caller=ANN)
        assert not same.changed
        await shoal.is_done()
        assert (await shoal.sandbox.sockets(unb))["total"] == 2


async def test_another_proxy_does_not_unpark(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control")
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    async with small_proxy("http") as proxy:
        outcome = await shoal.manager.update_settings("shop", {"proxy": proxy.url}, caller=ANN)
        assert (outcome.observation.state, outcome.observation.reason) == (AccountState.PARKED, "risk_control")
        await shoal.is_out()
        assert proxy.knocks == 0


async def test_a_proxy_outlives_a_restart_sealed(shoal: Shoal) -> None:
    await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    secret = "socks5://ann:canaryproxypass@127.0.0.1:1080"
    await shoal.manager.update_settings("shop", {"proxy": secret}, caller=ANN)
    await shoal.manager.update_settings("shop", {"proxy": f"{secret[:-4]}1081"}, caller=ANN)
    await shoal.close()
    for path in shoal.data_dir.rglob("*"):
        if path.is_file():
            assert not re.search(rb"canaryproxypass", path.read_bytes()), path
    await shoal.open()
    account = shoal.manager.account("shop")
    assert account.proxy == "socks5://ann:canaryproxypass@127.0.0.1:1081"
    assert "canaryproxypass" not in repr(account)
