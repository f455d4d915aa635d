"""The token of a shop's line: asked for seldom, kept sealed, used again, and renewed without anybody noticing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.events import AccountStateChanged
from shoal.clock import reading
from shoal.storage.data_directory import DATABASE_FILE
from support.messages.chat_steps import pass_by
from support.site.sandboxed import Hours, Machine, Shoal
from support.site.standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)


@pytest.fixture
async def hours(shoal: Shoal) -> Hours:
    """Time that the test moves on; a shop whose clock ticks with every heartbeat, ten a second."""
    return Hours(shoal.sandbox)


async def begin(shoal: Shoal, unb_keywords: dict[str, str] | None = None) -> str:
    """Open again with the clock that now applies, and add a shop."""
    await shoal.close()
    await shoal.open(heartbeat_seconds=0.05, reply_debounce_seconds=0.0)
    return await shoal.add(keywords=unb_keywords)


async def token_calls(shoal: Shoal, unb: str) -> int:
    return len(await shoal.sandbox.calls("login.token", unb))


async def registered(shoal: Shoal, unb: str, times: int) -> None:
    """Wait until the account has registered so often."""
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["total"] < times:
            await asyncio.sleep(0.01)


async def test_b3_three_hours_cost_two_token_calls_and_one_device(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal)
        device = (await shoal.sandbox.sockets(unb))["devices"]
        for _ in range(18):
            await hours.pass_by(600)
            await shoal.beats()
        await registered(shoal, unb, 2)
        assert await token_calls(shoal, unb) == 2, "one at the start, one after 110 minutes"
        assert (await shoal.sandbox.sockets(unb))["devices"] == device
        assert shoal.manager.observation("shop").state is AccountState.RUNNING


async def test_b5_a_busy_shop_renews_its_token_all_the_same(shoal: Shoal, hours: Hours) -> None:
    await shoal.sandbox.do("policy", im_token_seconds=3600)
    with reading(hours.now_ms):
        unb = await begin(shoal, {"在吗": "hi"})
        for number in range(1, 31):
            await hours.pass_by(240)
            await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=f"在吗{number}")
            await shoal.sandbox.seen_soon(unb, "小鱼", number)
        await registered(shoal, unb, 3)
        assert await token_calls(shoal, unb) == 3, "at the start and every 55 minutes"
        assert (await shoal.sandbox.sockets(unb))["total"] == 3
        assert shoal.manager.observation("shop").state is AccountState.RUNNING


async def test_a_renewal_replaces_the_socket_and_nobody_sees_it(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal)
        with shoal.manager.events.subscribe() as events:
            await hours.pass_by(111 * 60)
            await registered(shoal, unb, 2)
            await shoal.beats(2)
            sockets = await shoal.sandbox.sockets(unb)
            assert (sockets["now"], sockets["max"], sockets["zombies"]) == (1, 1, 0)
            assert await token_calls(shoal, unb) == 2
            await shoal.manager.update_settings("shop", {"remark": "seen"}, caller=ANN)
            assert not [event for event in await events.take() if isinstance(event, AccountStateChanged)]


async def test_what_is_said_while_the_token_is_renewed_is_answered_once(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal, {"在吗": "hi"})
        await shoal.sandbox.do("fault", account=unb, kind="delay", which="token", seconds=0.15, times=1)
        await shoal.sandbox.do("fault", account=unb, kind="delay", which="send", seconds=0.15, times=1)
        await shoal.sandbox.do("fault", account=unb, kind="delay", which="reg", seconds=0.15, times=1)
        buyers = [f"buyer{number}" for number in range(12)]
        await hours.pass_by(111 * 60)
        for buyer in buyers:
            await shoal.sandbox.do("say", account=unb, buyer=buyer, text="在吗")
            await asyncio.sleep(0.04)  # so that some come before, some while and some after it is renewed
        for buyer in buyers:
            assert await shoal.sandbox.seen_soon(unb, buyer, 1) == ["hi"]
        await registered(shoal, unb, 2)
        await shoal.is_done()
        assert [await shoal.sandbox.seen(unb, buyer) for buyer in buyers] == [["hi"]] * len(buyers)
        assert {sending.outcome for sending in await shoal.log.outbox.list_sendings(["shop"])} == {"sent"}


async def test_a_renewal_that_fails_for_now_keeps_the_line_and_is_tried_again(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal, {"在吗": "hi"})
        await shoal.sandbox.do("fault", account=unb, kind="http_500", which="token", times=1)
        await hours.pass_by(111 * 60)
        async with asyncio.timeout(60):
            while await token_calls(shoal, unb) < 2:
                await asyncio.sleep(0.01)
        await shoal.beats(2)
        assert await token_calls(shoal, unb) == 2, "not before a minute has passed"
        assert shoal.manager.observation("shop").state is AccountState.RUNNING
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
        await hours.pass_by(61)
        await registered(shoal, unb, 2)
        assert await token_calls(shoal, unb) == 3


async def test_risk_control_at_a_renewal_parks_at_once(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal)
        await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="token")
        await hours.pass_by(111 * 60)
        await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
        assert shoal.manager.observation("shop").reason == "risk_control"
        await hours.pass_by(3600)
        await shoal.is_out()
        assert await token_calls(shoal, unb) == 2


async def test_a_kept_token_that_the_site_refuses_costs_one_call(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.sandbox.do("expire", account=unb, what="im_token")
    outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert outcome.observation.state is AccountState.RUNNING
    assert await token_calls(shoal, unb) == 2


async def test_new_tokens_that_are_refused_are_asked_for_ever_more_slowly(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(backoff=None)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="token_refused")
    await shoal.manager.resume("shop", caller=QUICK)
    await until(lambda: shoal.manager.observation("shop").reason == "token_refused")
    seen = shoal.manager.observation("shop")
    assert seen.next_attempt_at_ms is not None
    assert seen.next_attempt_at_ms - seen.since_ms >= 8000


async def test_no_token_stands_in_the_database_in_clear(shoal: Shoal) -> None:
    unb = await shoal.add()
    issued = [token.token for token in shoal.sandbox.world.tokens.values() if token.unb == unb]
    await shoal.close()
    raw = b"".join(path.read_bytes() for path in shoal.data_dir.iterdir() if path.is_file())
    assert issued
    assert not [token for token in issued if token.encode() in raw or token[9:40].encode() in raw]


# ── what the database will not take, what comes too late, what cannot be had ────────────────────────────────────────


async def dropped(shoal: Shoal, unb: str) -> None:
    """The site drops the line, and it comes back."""
    times = (await shoal.sandbox.sockets(unb))["total"]
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    await registered(shoal, unb, times + 1)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


@contextmanager
def no_token_is_taken(shoal: Shoal) -> Iterator[None]:
    """The database refuses whatever is written about tokens and rotated cookies."""
    no_room = "BEGIN SELECT RAISE(ABORT, 'no room'); END"
    with closing(sqlite3.connect(shoal.data_dir / DATABASE_FILE, isolation_level=None)) as database:
        database.execute(f"CREATE TRIGGER full BEFORE UPDATE ON tokens {no_room}")
        database.execute(f"CREATE TRIGGER full_too BEFORE INSERT ON cookie_jars {no_room}")
        yield
        database.execute("DROP TRIGGER full")
        database.execute("DROP TRIGGER full_too")


async def stored_token(shoal: Shoal) -> bool:
    return await shoal.credentials.token(shoal.manager.account("shop")) is not None


async def test_what_the_database_refuses_is_used_all_the_same_and_stored_when_it_can_be(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(heartbeat_seconds=0.05)
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", which="token", name="sgcookie", value="new")
    with no_token_is_taken(shoal):
        outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING
        await dropped(shoal, unb)
        await shoal.manager.update_cookie_status("shop", False, caller=ANN)
        await shoal.manager.update_cookie_status("shop", True, caller=ANN)
        assert await token_calls(shoal, unb) == 2
        assert not await stored_token(shoal)
        assert "sgcookie=new" in (await shoal.sandbox.sockets(unb))["cookie"]
    async with asyncio.timeout(60):
        while not (await stored_token(shoal) and await shoal.credentials.jar(shoal.manager.account("shop"))):
            await asyncio.sleep(0.02)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert await token_calls(shoal, unb) == 2
    assert "sgcookie=new" in (await shoal.sandbox.sockets(unb))["cookie"]


async def test_a_refused_token_that_the_database_will_not_forget_is_not_tried_again(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.sandbox.do("expire", account=unb, what="im_token")
    with no_token_is_taken(shoal):
        outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING
        await dropped(shoal, unb)
    sockets = await shoal.sandbox.sockets(unb)
    assert (await token_calls(shoal, unb), sockets["refused"]) == (2, 1)


async def test_a_token_that_comes_when_the_shop_was_switched_off_is_for_its_next_start(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    async with asyncio.timeout(60):
        while await token_calls(shoal, unb) < 2:
            await asyncio.sleep(0.01)
    await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    await shoal.sandbox.do("fault/release")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.STOPPED)
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
    await shoal.close()
    await shoal.open()
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert (await shoal.sandbox.sockets(unb))["total"] == 2
    assert await token_calls(shoal, unb) == 2


async def test_a_call_is_not_repeated_for_a_shop_that_was_switched_off(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="token_expired", which="token", times=1)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    async with asyncio.timeout(60):
        while await token_calls(shoal, unb) < 2:
            await asyncio.sleep(0.01)
    await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    await shoal.sandbox.do("fault/release")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.STOPPED)
    assert await token_calls(shoal, unb) == 2, "refused once, and not asked again"


async def test_while_no_new_token_can_be_had_the_old_one_is_used_on(shoal: Shoal, hours: Hours) -> None:
    with reading(hours.now_ms):
        unb = await begin(shoal)
        await shoal.sandbox.do("fault", account=unb, kind="http_500", which="token", times=99)
        await hours.pass_by(111 * 60)
        for _ in range(3):
            await dropped(shoal, unb)
        assert await token_calls(shoal, unb) == 2, "one that failed, whatever the connection does during it"
        await shoal.sandbox.do("faults/clear")
        await hours.pass_by(61)
        await registered(shoal, unb, 5)
        assert await token_calls(shoal, unb) == 3


DAY_MS = 24 * 3600_000


@pytest.mark.parametrize("set_by_ms", [-3 * DAY_MS, 3 * DAY_MS])
async def test_a_clock_that_is_set_makes_no_token_older_or_younger(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, set_by_ms: int
) -> None:
    machine = Machine(monkeypatch)
    unb = await begin(shoal)
    machine.shown_ahead_ms = set_by_ms
    await shoal.beats(2)
    await dropped(shoal, unb)
    await shoal.beats(2)
    assert await token_calls(shoal, unb) == 1, "nothing has become old"
    await pass_by(shoal, machine, 111 * 60)
    await registered(shoal, unb, 3)
    assert await token_calls(shoal, unb) == 2, "now it has"


async def test_after_a_restart_with_the_clock_put_back_a_token_is_used_but_not_for_days(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    unb = await begin(shoal)
    await shoal.close()
    machine.shown_ahead_ms = -3 * DAY_MS
    await shoal.open(heartbeat_seconds=0.05)
    await registered(shoal, unb, 2)
    await shoal.beats(2)
    assert await token_calls(shoal, unb) == 1
    await pass_by(shoal, machine, 111 * 60)
    await registered(shoal, unb, 3)
    assert await token_calls(shoal, unb) == 2
