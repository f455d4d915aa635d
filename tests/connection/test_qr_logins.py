"""A seller scans a code: an account is added or renewed, once, whatever comes between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connection.qr_steps import OWNER, begin, ended, qr_logins, scan
from connection.test_proxies import behind
from shoal.accounts.account import AccountState
from shoal.connection.qr_logins import MOST_OF_ONE_OWNER, QrLoginView
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import ActionRequired, Conflict, InvalidInput, UnknownAccount
from support.network.proxies import SITE, small_proxy
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN, until


async def is_over(login: QrLoginView) -> None:
    """Wait until no task of a login is left that would ask the site or store a cookie."""
    mine = {f"qr login:{login.id[:6]}", f"qr cookie:{login.id[:6]}"}
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() in mine])


async def test_a_scan_adds_an_account_that_runs(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        assert login.state is QrLoginState.WAITING
        assert login.content.startswith("https://")
        await scan(shoal, login, "SCANNED")
        await until(lambda: logins.get(OWNER, login.id).state is QrLoginState.SCANNED)
        unb = await scan(shoal, login, "CONFIRMED")
        view = await ended(logins, login)
        assert (view.state, view.account_id, view.is_new_account, view.content) == (QrLoginState.DONE, "shop", True, "")
        account = shoal.manager.account("shop")
        assert (account.unb, account.owner_id, account.enabled) == (unb, OWNER, True)
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
        assert [entry.actor for entry in await shoal.store.journal()] == ["user:ann"]


async def test_a_scan_renews_an_account_and_unparks_it(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("expire", account=unb, what="login")
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert shoal.manager.observation("shop").state is AccountState.PARKED
    async with qr_logins(shoal) as logins:
        login = await begin(logins)
        await scan(shoal, login, "CONFIRMED")
        view = await ended(logins, login)
    assert (view.state, view.account_id, view.is_new_account) == (QrLoginState.DONE, "shop", False)
    assert shoal.manager.account("shop").cookie_version == 2
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_without_a_name_a_new_account_gets_the_sellers_number(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins)
        unb = await scan(shoal, login, "CONFIRMED")
        assert (await ended(logins, login)).account_id == unb
        assert shoal.manager.account(unb).unb == unb


@pytest.mark.parametrize(("status", "state"), [("EXPIRED", QrLoginState.EXPIRED), ("CANCELED", QrLoginState.CANCELLED)])
async def test_a_code_that_leads_nowhere_ends_and_asks_no_more(shoal: Shoal, status: str, state: QrLoginState) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, status)
        assert (await ended(logins, login)).state is state
        asked = len((await shoal.sandbox.get("calls"))["items"])
        await is_over(login)
        assert len((await shoal.sandbox.get("calls"))["items"]) == asked
        assert not shoal.manager.accounts


async def test_nobody_scans_and_the_code_is_over_by_our_own_clock(shoal: Shoal) -> None:
    async with qr_logins(shoal, lifetime_seconds=0.2) as logins:
        login = await begin(logins)
        assert (await ended(logins, login)).state is QrLoginState.EXPIRED


async def test_risk_control_is_told_with_its_page_and_never_tried_again(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, "RISK")
        view = await ended(logins, login)
        assert view.state is QrLoginState.NEEDS_OWNER
        assert "identity_verify" in view.action_url
        asked = len((await shoal.sandbox.get("calls"))["items"])
        await is_over(login)
        assert len((await shoal.sandbox.get("calls"))["items"]) == asked


async def test_a_stranger_who_scans_a_renewal_changes_nothing(shoal: Shoal) -> None:
    await shoal.add()
    before = shoal.manager.account("shop")
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED", number=1)
        view = await ended(logins, login)
    assert view.state is QrLoginState.FAILED
    assert view.error is not None
    assert view.error.code == "other_unb"
    assert shoal.manager.account("shop") == before


async def test_f8_who_scans_a_number_of_somebody_elses_shop_has_a_row_that_waits(shoal: Shoal) -> None:
    unb = await shoal.add()
    async with qr_logins(shoal) as logins:
        for expected, is_new in ((unb, True), (unb, False)):
            login = await logins.begin(2, actor="user:bob", op_id="op")
            await scan(shoal, login, "CONFIRMED")
            await until(lambda known=login: logins.get(2, known.id).state.is_over)  # type: ignore[misc]
            view = logins.get(2, login.id)
            assert (view.state, view.account_id, view.is_new_account) == (QrLoginState.DONE, expected, is_new)
            await until(lambda: shoal.manager.observation(unb).state is AccountState.PARKED)
        third = await logins.begin(3, actor="user:cid", op_id="op")
        await scan(shoal, third, "CONFIRMED")
        await until(lambda: logins.get(3, third.id).state.is_over)
        assert logins.get(3, third.id).account_id == f"{unb}-2", "the next id that is free"
        assert {shoal.manager.observation(name).reason for name in (unb, f"{unb}-2")} == {"number_taken"}
        assert (await shoal.sandbox.sockets(unb))["max"] == 1
        with pytest.raises(UnknownAccount):
            await logins.begin(2, actor="user:bob", op_id="op", account_id="shop")
        with pytest.raises(InvalidInput):
            logins.get(OWNER, login.id)
        with pytest.raises(InvalidInput):
            await logins.cancel(OWNER, login.id)
        assert logins.of(OWNER) == []


async def test_a_cancelled_login_asks_no_more_and_its_code_is_worth_nothing_here(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        assert (await logins.cancel(OWNER, login.id)).state is QrLoginState.CANCELLED
        await scan(shoal, login, "CONFIRMED")
        await is_over(login)
        assert not shoal.manager.accounts
        assert (await logins.cancel(OWNER, login.id)).state is QrLoginState.CANCELLED


async def test_logins_are_bounded_and_room_comes_back(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        mine = [await begin(logins) for _ in range(MOST_OF_ONE_OWNER)]
        with pytest.raises(Conflict) as caught:
            await begin(logins)
        assert caught.value.code == "too_many_qr_logins"
        await logins.begin(2, actor="user:bob", op_id="op")
        await logins.cancel(OWNER, mine[0].id)
        await begin(logins)
        assert [view.state.is_over for view in logins.of(OWNER)] == [False, False, False, True]


async def test_the_end_of_a_login_is_forgotten_in_time(shoal: Shoal) -> None:
    now = [1_000_000]
    async with qr_logins(shoal, clock_ms=lambda: now[0]) as logins:
        login = await begin(logins)
        await logins.cancel(OWNER, login.id)
        now[0] += 599_000
        assert logins.get(OWNER, login.id).state is QrLoginState.CANCELLED
        now[0] += 2_000
        with pytest.raises(InvalidInput) as caught:
            logins.get(OWNER, login.id)
        assert caught.value.code == "unknown_qr_login"


async def test_whoever_confirms_last_is_who_is_logged_in(shoal: Shoal) -> None:
    first = await shoal.add()
    async with qr_logins(shoal) as logins:
        login = await begin(logins)
        await scan(shoal, login, "SCANNED")
        await until(lambda: logins.get(OWNER, login.id).state is QrLoginState.SCANNED)
        other = await scan(shoal, login, "CONFIRMED", number=1)
        view = await ended(logins, login)
        assert (view.state, view.account_id, view.is_new_account) == (QrLoginState.DONE, other, True)
        assert shoal.manager.account("shop").cookie_version == 1
        second = await begin(logins, "two")  # for a seller who is here under another id
        assert await scan(shoal, second, "CONFIRMED") == first
        view = await ended(logins, second)
        assert (view.state, view.error and view.error.code) == (QrLoginState.FAILED, "duplicate_unb")


async def test_two_codes_for_one_new_account_make_it_once_and_renew_it_once(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        one, two = await begin(logins, "shop"), await begin(logins, "shop")
        for login in (one, two):
            await scan(shoal, login, "CONFIRMED")
        ends = [await ended(logins, login) for login in (one, two)]
        assert [view.state for view in ends] == [QrLoginState.DONE] * 2
        assert list(shoal.manager.accounts) == ["shop"]
        assert shoal.manager.account("shop").cookie_version == 2
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
        assert (await shoal.sandbox.sockets(shoal.manager.account("shop").unb))["max"] == 1


async def test_a_new_account_logs_in_and_connects_through_its_proxy_only(sandbox: Sandbox, tmp_path: Path) -> None:
    shoal = Shoal(sandbox, tmp_path / "data")
    await shoal.open(**behind(sandbox))
    try:
        async with small_proxy("socks5", "ann:pass") as proxy, qr_logins(shoal) as logins:
            login = await begin(logins, "shop", proxy=proxy.url)
            assert {host for host, _ in proxy.passed} == {SITE}, "no other route leads to this site"
            await scan(shoal, login, "CONFIRMED")
            assert (await ended(logins, login)).state is QrLoginState.DONE
            assert shoal.manager.account("shop").proxy == proxy.url
            await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
            renewal = await begin(logins, "shop")
            await scan(shoal, renewal, "CONFIRMED")
            assert (await ended(logins, renewal)).state is QrLoginState.DONE
            assert shoal.manager.account("shop").proxy == proxy.url, "a renewal goes by the account's own"
    finally:
        await shoal.close()


async def test_risk_control_before_there_is_a_code_is_told_at_once(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="risk_control", which="qr_generate", times=1)
        with pytest.raises(ActionRequired) as caught:
            await begin(logins)
        assert "punish" in caught.value.action_url


async def test_a_bad_name_or_proxy_is_refused_before_the_site_is_asked(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        odd: tuple[dict[str, Any], ...] = ({"account_id": "a/b"}, {"proxy": "ftp://h:1"})
        for values in odd:
            with pytest.raises(InvalidInput):
                await logins.begin(OWNER, actor="user:ann", op_id="op", **values)
        assert (await shoal.sandbox.get("calls"))["items"] == []
