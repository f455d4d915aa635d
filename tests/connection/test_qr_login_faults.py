"""QR logins whose answers are lost, whose database, proxy or site fails, whose server restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.qr_steps import OWNER, begin, ended, qr_logins, scan
from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import InvalidInput, NotApplied, TemporaryFailure
from support.network.proxies import small_proxy, tripwire
from support.orders.order_steps import held
from support.site.sandboxed import Machine, Shoal
from support.site.standins import until


async def test_unanswered_questions_are_asked_again_and_too_many_end_it(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="http_500", which="qr_query", times=3)
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        assert (await ended(logins, login)).state is QrLoginState.DONE
        await shoal.sandbox.do("fault", kind="html_answer", which="qr_query", times=99)
        other = await begin(logins, "two")
        view = await ended(logins, other)
        assert view.state is QrLoginState.FAILED
        assert view.error is not None
        assert view.error.code == "qr_login_failed"


async def test_a_confirmation_whose_answer_is_lost_is_told_unless_its_cookies_came(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="answer_lost", which="qr_query", times=1)
        lost = await begin(logins, "shop")
        await scan(shoal, lost, "CONFIRMED")
        view = await ended(logins, lost)
        assert (view.state, view.error and view.error.code) == (QrLoginState.FAILED, "qr_answer_lost")
        assert not shoal.manager.accounts
        await shoal.sandbox.do("fault", kind="answer_lost", which="qr_query", times=1, delivered=True)
        found = await begin(logins, "shop")
        await scan(shoal, found, "CONFIRMED")
        assert (await ended(logins, found)).state is QrLoginState.DONE
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_what_fails_for_a_moment_after_the_confirmation_costs_no_second_scan(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", qr_token=True)
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="http_500", which="qr_token", times=2)
        await shoal.sandbox.do("fault", kind="html_answer", which="message_page", times=1)
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        assert (await ended(logins, login)).state is QrLoginState.DONE
    await shoal.runs()


async def test_a_check_whose_page_fails_for_a_moment_is_shown_all_the_same(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="http_500", which="face_page", times=2)
        login = await begin(logins, "shop")
        await scan(shoal, login, "FACE")
        await until(lambda: logins.get(OWNER, login.id).state is not QrLoginState.WAITING)
        assert logins.get(OWNER, login.id).state is QrLoginState.FACE_CHECK
        await scan(shoal, login, "FACE_PASSED")
        assert (await ended(logins, login)).state is QrLoginState.DONE


async def test_a_face_check_that_leads_to_risk_control_is_told_with_its_page(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        page = "//passport.goofish.com/_____tmd_____/punish?x5secdata=1"
        await shoal.sandbox.do("fault", kind="answer", which="face_page", location=page, times=1)
        login = await begin(logins, "shop")
        await scan(shoal, login, "FACE")
        view = await ended(logins, login)
        assert (view.state, view.action_url) == (QrLoginState.NEEDS_OWNER, f"https:{page}")


async def test_a_token_that_the_site_does_not_take_is_told_with_its_reason(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", qr_token=True)
    async with qr_logins(shoal) as logins:
        body = {"ret": ["FAIL_SYS_USER_VALIDATE::x"]}
        await shoal.sandbox.do("fault", kind="answer", which="qr_token", body=body, times=1)
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        assert (await ended(logins, login)).state is QrLoginState.NEEDS_OWNER


async def test_a_restart_ends_a_login_and_its_code_is_worth_nothing_any_more(shoal: Shoal) -> None:
    async with qr_logins(shoal) as before:
        login = await begin(before, "shop")
        await scan(shoal, login, "SCANNED")
        await until(lambda: before.get(OWNER, login.id).state is QrLoginState.SCANNED)
    await shoal.close()
    await shoal.open()
    await scan(shoal, login, "CONFIRMED")
    async with qr_logins(shoal) as after:
        with pytest.raises(InvalidInput) as caught:
            after.get(OWNER, login.id)
        assert caught.value.code == "unknown_qr_login"
        assert (after.of(OWNER), dict(shoal.manager.accounts)) == ([], {})
        again = await begin(after, "shop")
        await scan(shoal, again, "CONFIRMED")
        await until(lambda: "shop" in shoal.manager.accounts)  # whether or not anybody still looks


@pytest.mark.parametrize("set_by_ms", [-3600_000, 3600_000])
async def test_a_clock_that_is_set_neither_ends_a_code_nor_keeps_it(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, set_by_ms: int
) -> None:
    machine = Machine(monkeypatch)
    async with qr_logins(shoal, lifetime_seconds=60.0) as logins:
        login = await begin(logins)
        machine.shown_ahead_ms = set_by_ms
        asked = shoal.sandbox.site.calls.last_seq
        await until(lambda: shoal.sandbox.site.calls.last_seq > asked + 2)
        assert logins.get(OWNER, login.id).state is QrLoginState.WAITING
        machine.passed_ms = 61_000
        assert (await ended(logins, login)).state is QrLoginState.EXPIRED


async def test_a_site_that_gives_no_code_leaves_nothing_behind(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="http_500", which="qr_generate", times=1)
        with pytest.raises(TemporaryFailure):
            await begin(logins)
        assert logins.of(OWNER) == []


async def test_a_caller_who_leaves_before_there_is_a_code_leaves_nothing_behind(shoal: Shoal) -> None:
    async with qr_logins(shoal) as logins:
        await shoal.sandbox.do("fault", kind="hold", which="qr_generate")
        asking = asyncio.create_task(begin(logins))
        await held(shoal, "qr_generate")
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        assert logins.of(OWNER) == []


async def test_a_database_that_fails_for_a_moment_costs_no_second_scan(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, tries = shoal.manager.add_cookie, 0

    async def failing(*arguments: Any, **values: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise NotApplied("the disk is full")
        return await add(*arguments, **values)

    monkeypatch.setattr(shoal.manager, "add_cookie", failing)
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        assert (await ended(logins, login)).state is QrLoginState.DONE
        tries = -99
        other = await begin(logins, "two")
        await scan(shoal, other, "CONFIRMED", number=1)
        view = await ended(logins, other)
    assert view.state is QrLoginState.FAILED
    assert view.error is not None
    assert view.error.code == "not_applied"


async def test_a_number_that_another_owner_takes_while_the_cookie_is_stored_costs_no_second_scan(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = shoal.manager.add_cookie
    eve = Caller(actor="user:eve", owner_id=OWNER + 1)

    async def overtaken(account_id: str, value: str, **values: Any) -> Any:
        if not shoal.manager.accounts:
            await add(account_id, value, **{**values, "owner_id": OWNER + 1, "caller": eve})
        return await add(account_id, value, **values)

    monkeypatch.setattr(shoal.manager, "add_cookie", overtaken)
    async with qr_logins(shoal) as logins:
        login = await begin(logins)
        unb = await scan(shoal, login, "CONFIRMED")
        view = await ended(logins, login)
    assert (view.state, view.account_id) == (QrLoginState.DONE, f"{unb}-2")
    owners = {name: account.owner_id for name, account in shoal.manager.accounts.items()}
    assert owners == {unb: OWNER + 1, f"{unb}-2": OWNER}


async def test_a_login_that_is_cancelled_while_its_cookie_is_stored_is_done(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, storing, go_on = shoal.manager.add_cookie, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any, **values: Any) -> Any:
        storing.set()
        await go_on.wait()
        return await add(*arguments, **values)

    monkeypatch.setattr(shoal.manager, "add_cookie", slow)
    async with qr_logins(shoal) as logins:
        login = await begin(logins, "shop")
        await scan(shoal, login, "CONFIRMED")
        await storing.wait()
        cancelling = asyncio.create_task(logins.cancel(OWNER, login.id))
        await asyncio.wait({cancelling}, timeout=0.05)  # it waits for what is stored
        go_on.set()
        assert (await cancelling).state is QrLoginState.DONE
        assert "shop" in shoal.manager.accounts


async def test_a_login_whose_proxy_fails_goes_nowhere_else(shoal: Shoal) -> None:
    async with tripwire() as wire, small_proxy("http") as proxy:
        proxy.failing = "refuses"
        shoal.settings = replace_site(shoal, wire.port)
        async with qr_logins(shoal) as logins:
            with pytest.raises(TemporaryFailure) as caught:
                await begin(logins, "shop", proxy=proxy.url)
            assert caught.value.code == "proxy_refused"
        assert (wire.touched, proxy.knocks) == (0, 1)


def replace_site(shoal: Shoal, port: int) -> Any:
    return shoal.settings.model_copy(update={"site_passport_url": f"http://127.0.0.1:{port}"})
