"""The sandbox's levers and logs, its clock, its script, and how it begins and ends."""

from __future__ import annotations

import ast
import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path
from random import Random
from types import SimpleNamespace

import aiohttp
import pytest

import shoal.sandbox as sandbox_package
from shoal.sandbox import Clock, Script, World, build_sandbox, serve_sandbox
from shoal.sandbox import faults as faults_module
from shoal.sandbox.faults import KINDS, Faults
from shoal.sandbox.journal import Journal
from support.site.sandbox_driver import START_MS, Box, sandbox
from support.site.standins import until

BUYER = "豆豆妈"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("say", {"account": "2200000000002", "buyer": BUYER}),
        ("say", {"account": "2200000000002", "buyer": BUYER, "text": 1}),
        ("say", {"account": "abc", "buyer": BUYER, "text": "在吗"}),
        ("say", {"account": "2200000000002", "buyer": BUYER, "text": "在吗", "extra": 1}),
        ("pay", {"account": "2200000000002", "buyer": BUYER, "card": "nothing"}),
        ("fault", {"kind": "nothing"}),
        ("fault", {"kind": "delay", "seconds": 1.0}),
        ("fault", {"kind": "delay", "which": "nothing"}),
        ("clock", {}),
        ("clock", {"set": 1, "advance": 1.0}),
        ("qr", {"ck": "x", "status": "CONFIRMED"}),
    ],
)
async def test_a_wrong_body_is_refused_with_the_field_that_is_wrong(path: str, body: dict[str, object]) -> None:
    async with sandbox() as box:
        reply = await box.post(path, expect=422, **body)
        assert reply["code"] == "invalid"
        assert reply["detail"]
        assert {"field", "message"} == set(reply["errors"][0])


async def test_an_unknown_account_is_told() -> None:
    async with sandbox() as box:
        reply = await box.post("say", expect=404, account="1", buyer=BUYER, text="在吗")
        assert reply["code"] == "unknown"
        await box.get("chats/1/2", expect=404)
        await box.get("frames?after=x", expect=422)
        await box.post("fault", expect=404, account="1", kind="close")


async def test_sellers_are_listed_and_added() -> None:
    async with sandbox() as box:
        added = await box.post("sellers", nick="新店", items=1)
        assert f"unb={added['unb']}; " in added["cookie"]
        assert len(added["items"]) == 1
        listed = (await box.get("sellers"))["items"]
        assert [seller["nick"] for seller in listed][-1] == "新店"
        again = await box.post("sellers", unb=added["unb"])
        assert again["cookie"] != added["cookie"]
        assert (await box.post("sellers", unb="2299999999999"))["unb"] == "2299999999999"


async def test_the_clock_is_set_moved_and_let_go() -> None:
    async with sandbox() as box:
        assert (await box.post("clock", advance=1.5))["now_ms"] == START_MS + 1500
        assert (await box.post("clock", set=5))["now_ms"] == 5
        real = await box.post("clock", real=True)
        assert not real["frozen"]
        assert abs(real["now_ms"] - time.time() * 1000) < 60_000


async def test_a_sleeper_wakes_when_the_clock_is_moved() -> None:
    clock = Clock(0)
    sleeping = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0.01)
    clock.advance(9)
    await asyncio.sleep(0.01)
    assert not sleeping.done()
    clock.advance(1)
    await asyncio.wait_for(sleeping, 60)
    await asyncio.wait_for(Clock().sleep(0.01), 60)


async def test_events_are_awaited() -> None:
    async with sandbox() as box:
        waiting = asyncio.create_task(box.get("events?after=0&wait=60"))
        await asyncio.sleep(0.05)
        await box.post("say", account=box.shop().unb, buyer=BUYER, text="在吗")
        (line,) = (await waiting)["items"]
        assert (line["kind"], line["buyer"], line["text"], line["at"]) == ("said", BUYER, "在吗", START_MS)
        assert (await box.get("events?after=1&wait=0.05"))["items"] == []


async def test_two_sandboxes_know_nothing_of_each_other() -> None:
    async with sandbox(seed=1) as one, sandbox(seed=2) as two:
        await one.post("say", account=one.shop().unb, buyer=BUYER, text="在吗")
        assert (await two.get("events"))["items"] == []
        assert one.shop().cookie != two.shop().cookie


async def test_it_stops_with_sockets_open_and_readers_waiting() -> None:
    app = build_sandbox(World(shops=2, clock=Clock(START_MS)))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_sandbox(app=app, ready=ready))
    async with aiohttp.ClientSession() as http, (box := Box(await ready, app.state.site, http)).shop().online():
        await box.fault("hold", which="token")
        held = asyncio.create_task(box.shop(1).token())
        waiting = asyncio.create_task(box.get("events?after=99&wait=60"))
        await until(lambda: bool(box.site.events._waiting) and box.site.faults.all()[0].view()["held"])
        serving.cancel()
        async with asyncio.timeout(50):  # not until the reader has waited
            await asyncio.gather(serving, return_exceptions=True)
        await asyncio.gather(held, waiting, return_exceptions=True)


def test_it_shares_no_code_with_the_client() -> None:
    for path in Path(sandbox_package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [module]
            for name in names:
                assert not name.startswith("shoal") or name.startswith("shoal.sandbox"), path


async def test_a_port_that_another_listens_on_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await serve_sandbox("127.0.0.1", taken.getsockname()[1])


async def test_only_the_loopback_is_served() -> None:
    with pytest.raises(ValueError, match="loopback"):
        await serve_sandbox("192.0.2.1")


async def test_scripted_buyers_talk_to_who_is_connected() -> None:
    async with sandbox(clock=Clock(), script=Script(interval_seconds=0.01)) as box, box.shop().online() as im:
        async with asyncio.timeout(60):
            while "paid" not in {line["kind"] for line in (await box.get("events"))["items"]}:
                await asyncio.sleep(0.05)
        assert {line["account"] for line in (await box.get("events"))["items"]} == {im.shop.unb}
        assert await im.payload()


async def test_scripted_buyers_ask_for_all_that_a_shop_has() -> None:
    async with sandbox() as box:
        seller, empty = box.world.sellers.values()
        empty.items.clear()
        assert len(seller.items) > 1
        for number in range(20):
            for shop in (seller, empty):
                Script().step(box.site, Random(number), box.world.buyer(f"{shop.unb} {number}"), [shop], {})
        asked = {chat.item_id for chat in box.world.chats_of(seller.unb)}
        assert asked == set(seller.items)
        titles = {item.title for item in seller.items.values()}
        said = [line.text for chat in box.world.chats_of(seller.unb) for line in chat.lines]
        assert any(title in text for title in titles for text in said)
        assert len(box.world.chats_of(empty.unb)) == 20


async def test_the_command_prints_its_address_and_ends_on_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shoal.sandbox", "--shops", "1", "--buyers", "2", "--quiet"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    async with asyncio.timeout(60):
        line = (await process.stdout.readline()).decode()
        assert line.startswith("SANDBOX ")
        url = json.loads(line.removeprefix("SANDBOX "))["url"]
        async with aiohttp.ClientSession() as http, http.get(f"{url}/_sandbox/state") as reply:
            assert (await reply.json())["sellers"] == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert await process.stderr.read() == b""


def test_a_journal_forgets_the_oldest_and_never_skips() -> None:
    journal = Journal(3)
    for number in range(5):
        journal.add(account=str(number % 2))
    assert [line["seq"] for line in journal.after(0)] == [3, 4, 5]
    assert [line["seq"] for line in journal.after(4)] == [5]
    assert [line["seq"] for line in journal.after(0, account="0")] == [3, 5]
    assert [line["seq"] for line in journal.after(0, limit=1)] == [3]
    assert journal.after(9) == []


def test_faults_count_down_narrow_and_run_out() -> None:
    clock = Clock(0)
    faults = Faults(clock)
    faults.lay("http_500", "1", times=2, which="token")
    assert faults.take("http_500", "2", "token") is None
    assert faults.take("http_500", "1", "items") is None
    assert faults.take("http_500", "1", "token")
    assert faults.take("http_500", "1", "token")
    assert faults.take("http_500", "1", "token") is None
    faults.lay("connect_limit", until_ms=1000)
    assert faults.take("connect_limit", "9")
    clock.advance(1)
    assert faults.take("connect_limit", "9") is None
    assert faults.all() == []
    with pytest.raises(ValueError, match="unknown kind"):
        faults.lay("nothing")
    for kind in KINDS:
        faults.lay(kind)
    assert len(faults.clear()) == len(KINDS)


async def test_a_delay_lasts_as_long_as_it_says_and_otherwise_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    faults = Faults(Clock(0))
    monkeypatch.setattr(faults_module, "asyncio", SimpleNamespace(sleep=sleep))
    faults.lay("delay", times=1)
    await faults.detain("1", "token")
    faults.lay("delay", times=1, seconds=2.5)
    await faults.detain("1", "token")
    await faults.detain("1", "token")
    assert slept == [1.0, 2.5]
