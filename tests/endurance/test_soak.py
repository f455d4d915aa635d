"""The short form of ``make soak``: it counts what is right as right, and what is planted as what it is."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from endurance import gauges, soak_plot, soak_summary
from endurance.judge import LOST, PHANTOM, SILENT, TWICE, grouped
from endurance.ledger import KEEP_SECONDS, Ledger
from endurance.soak import Plan, Soak
from endurance.starved_machine import hold_write_lock
from endurance.story import Purchase, Question
from shoal.storage.data_directory import DATABASE_FILE
from support.runs.warm_start import _forked  # noqa: F401  (a fixture)

SHOPS = 2
_LONG = 3600.0


@pytest.fixture
async def soak(tmp_path: Path) -> AsyncIterator[Soak]:
    plan = Plan(directory=tmp_path, hours=1, shops=SHOPS, calm=True, plain=True)
    ledger = Ledger(tmp_path / "soak.sqlite")
    async with Soak(plan, ledger).opened() as opened:
        yield opened
    ledger.close()


async def _settled(soak: Soak) -> None:
    async with asyncio.timeout(60):
        while soak.ledger.open_number():
            await soak.judge.look(time.time())
            await asyncio.sleep(0.2)


def _groups(soak: Soak, what: str) -> dict[str, int]:
    return {name: n for name, n in grouped(what, soak.ledger.outcomes(what)).items() if n}


async def test_f1_a_soak_counts_what_is_right_as_right_and_sees_what_is_planted(soak: Soak) -> None:
    shop, unb = next(iter(soak.story.shops.items()))
    question = await soak.story.ask(shop, unb, "买家一", "wanted")  # what needs no answer stays open for minutes
    order_id = await soak.story.buy(shop, unb, "买家二")
    await _settled(soak)
    assert _groups(soak, "order") == {"served once": 1}
    assert not set(_groups(soak, "line")) & {TWICE, PHANTOM, LOST}
    told = soak_summary.summary(soak.ledger, 1)
    assert told["broken"] == 0, told
    told_to_all = {"memory", "python", "sqlite", "tasks", "threads", "database"}
    assert told_to_all | ({"handles"} if os.geteuid() == 0 else set()) <= set(
        await gauges.measured(soak.server, soak.plan.memory_file)
    )

    # the same answer once more, and the same goods: by hand, but the buyer cannot know
    chat = {"to_user_id": (await _buyer(soak, "买家一")), "chat_id": question.cid, "text": f"答 {question.token}"}
    await soak.server.ok("POST", f"/cookies/{shop}/send", chat)
    sold = {"to_user_id": (await _buyer(soak, "买家二")), "chat_id": "", "text": f"货 {order_id}"}
    sold["chat_id"] = (await soak.sandbox.get(f"chats/{unb}/买家二"))["cid"]
    await soak.server.ok("POST", f"/cookies/{shop}/send", sold)

    # a line called answered whose row is never sent, one that was never stored, and an order not shown to its owner
    phantom, lost, silent, late = (number + 1000 for number in range(4))
    _plant(soak, shop, unb, phantom, lost, silent, late)
    await soak.judge.look(time.time())
    await soak.judge.look(time.time() + _LONG / 2)
    lines, orders = _groups(soak, "line"), _groups(soak, "order")
    assert (lines[TWICE], lines[PHANTOM], lines[LOST]) == (1, 1, 1), soak.ledger.complaints()
    assert (orders[TWICE], orders[SILENT]) == (1, 1), soak.ledger.complaints()
    await soak.judge.look(time.time() + 2 * _LONG)  # a step that was made due late has its time, and no more than that
    assert _groups(soak, "order")[SILENT] == 2, soak.ledger.complaints()
    await soak.judge.look_after(time.time() + _LONG)
    told = soak_summary.write(soak.ledger, soak.plan.directory / "summary.json", 1)
    assert told["left_sending"] == 1
    assert told["broken"] == 6 + len(told["complaints"])
    assert json.loads((soak.plan.directory / "summary.json").read_text(encoding="utf-8")) == told
    assert "| 1 | 1 | 1 |" in soak_summary.table(told)


async def _buyer(soak: Soak, nick: str) -> str:
    buyers = (await soak.sandbox.get("state"))["buyers"]
    return str(next(buyer["id"] for buyer in buyers if buyer["nick"] == nick))


def _plant(soak: Soak, shop: str, unb: str, phantom: int, lost: int, *orders: int) -> None:
    silent, late = orders
    now = round(time.time() * 1000)
    due_late = round(now + (_LONG / 2 - 60) * 1000)
    for number in (phantom, lost):
        soak.ledger.asked(Question(f"#{number}#", shop, unb, "买家三", f"{number}.PNM", "1", now, "wanted"))
    for number in (silent, late):
        soak.ledger.bought(Purchase(shop, unb, "买家三", str(number)), now)
    with closing(sqlite3.connect(soak.plan.directory / "data" / DATABASE_FILE)) as rows:
        told = "INSERT INTO messages (account_id, message_id, chat_id, verdict, handled, received_at_ms) VALUES "
        rows.execute(told + "(?,?,'1','answered',1,?)", (shop, f"{phantom}.PNM", now))
        told = "INSERT INTO outbox (account_id, message_id, chat_id, uuid, text, outcome, created_at_ms) VALUES "
        rows.execute(told + "(?,?,'1','u',?,'sending',?)", (shop, f"{phantom}.PNM", f"答 #{phantom}#", now))
        told = "INSERT INTO orders (account_id, order_id, status) VALUES (?,?,'pending_ship')"
        rows.executemany(told, [(shop, silent), (shop, late)])
        told = "INSERT INTO intents (account_id, order_id, action, state) VALUES (?,?,'paid_message','intended')"
        rows.execute(told, (shop, str(silent)))
        told = "INSERT INTO intents (account_id, order_id, action, state, created_at_ms) VALUES (?,?,?,?,?)"
        rows.execute(told, (shop, str(late), "paid_message", "pending", due_late))
        rows.commit()


def test_f1_what_a_soak_knew_outlives_a_kill_and_an_hour_leaves_only_counts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "soak.sqlite")
    for number in (1, 2, 3):
        ledger.asked(Question(f"#{number}#", "shop0", "1", "买家", f"{number}.PNM", "1", number, "wanted"))
    ledger.seen("答 问#1# 问#2#")
    for line in ledger.open_lines(limit=2, before_ms=9):
        ledger.settle_line(line, "answered once")
    ledger.seen("答 问#2#")
    assert [(line.question.token, line.seen) for line in ledger.open_lines(limit=9, before_ms=9)] == [
        ("#2#", 2),
        ("#3#", 0),
    ]
    ledger.spoke("shop0", "1", 5.0)
    ledger.commit()

    again = Ledger(tmp_path / "soak.sqlite")  # the first was killed
    assert again.next_number == 4
    assert again.spoken_since(4.0) == [("shop0", "1", 5.0)]
    assert again.outcomes("line") == {"answered once": 1, "the run was cut off": 2}
    again.seen("答 问#3#")
    assert again.open_number() == 0  # what a new site says of an old line tells nothing
    again.drop(KEEP_SECONDS)
    again.seen("答 问#1#")
    assert grouped("line", again.outcomes("line"))[TWICE] == 1
    assert (again.next_number, again.outcomes("line").total()) == (4, 4)


def test_f1_a_slope_is_that_of_the_lives_in_common_without_their_warm_up() -> None:
    minutes = range(60)
    grows = [(60.0 * m, life, 60.0 * (m % 30), {"memory": 100 * life + m * 0.5}) for m in minutes for life in [m // 30]]
    warm = [
        (lived, life, age, {"memory": 7000} if age < gauges.WARM_UP_SECONDS else figures)
        for lived, life, age, figures in grows
    ]
    assert gauges.slope_per_hour(warm, "memory") == pytest.approx(30)
    assert gauges.slope_per_hour(warm[:12], "memory") is None
    drawn = ET.fromstring(soak_plot.plot(warm, "two lives"))  # noqa: S314  (our own)
    assert [len(line.attrib["points"].split()) for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")] == [
        30,
        30,
    ]


def test_f1_another_program_holds_the_write_lock_for_as_long_as_it_says(tmp_path: Path) -> None:
    file, held = tmp_path / "shoal.db", threading.Event()
    with closing(sqlite3.connect(file, timeout=0)) as rows:
        rows.execute("CREATE TABLE t (a)")
        thread = threading.Thread(target=hold_write_lock, args=(file, 0.3), kwargs={"held": held.set})
        thread.start()
        assert held.wait(30)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            rows.execute("INSERT INTO t VALUES (1)")
        thread.join()
        rows.execute("INSERT INTO t VALUES (1)")
