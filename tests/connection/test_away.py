"""What arrives while a shop is away is not lost, comes once, and is known to have come."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.connection import history_sync
from shoal.orders.order_store import Action, ActionState
from shoal.storage.data_directory import DATABASE_FILE
from support.orders.order_steps import action_state
from support.site.sandboxed import Shoal, impatient
from support.site.standins import ANN, until

BUSY_CHATS = history_sync.QUICK_CHATS + 10
"""More than one pull reads without a pause."""

QUICK = Caller(actor="user:ann", wait_seconds=0)


async def handled_all(shoal: Shoal, count: int) -> None:
    """Wait until so many messages are stored and none waits for an answer."""
    async with asyncio.timeout(60):
        while True:
            logged = await shoal.log.list_messages(["shop"], limit=200)
            if len(logged) >= count and all(entry.message.handled for entry in logged):
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("replays", [True, False])
async def test_b15_what_buyers_say_while_the_shop_is_away_is_answered_once(shoal: Shoal, *, replays: bool) -> None:
    await shoal.sandbox.do("policy", replays_missed=replays)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="甲", text="在吗")
    await shoal.sandbox.seen_soon(unb, "甲", 1)
    await shoal.close()
    for buyer in ("甲", "乙"):
        await shoal.sandbox.do("say", account=unb, buyer=buyer, text="在吗?")
    await shoal.open()
    assert await shoal.sandbox.seen_soon(unb, "甲", 2) == ["hi", "hi"]
    assert await shoal.sandbox.seen_soon(unb, "乙", 1) == ["hi"]
    await shoal.is_done()
    assert len(await shoal.sandbox.seen(unb, "甲")) == 2
    assert len(await shoal.sandbox.seen(unb, "乙")) == 1


@pytest.mark.parametrize("replays", [True, False])
async def test_b15_an_order_that_is_paid_while_the_shop_is_away_is_served(shoal: Shoal, *, replays: bool) -> None:
    await shoal.sandbox.do("policy", replays_missed=replays)
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    await shoal.close()
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await shoal.open()
    async with asyncio.timeout(60):
        while await action_state(shoal.book, "shop", paid["order_id"], Action.CONFIRM) is not ActionState.DONE:
            await asyncio.sleep(0.02)
    assert [line for line in await shoal.sandbox.seen(unb, "小鱼") if line == "网盘链接"] == ["网盘链接"]


async def test_a_long_absence_is_pulled_page_by_page(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add()
    await shoal.runs()
    await shoal.close()
    for number in range(25):
        await shoal.sandbox.do("say", account=unb, buyer=f"buyer{number}", text="在吗")
    said = await shoal.sandbox.do("say", account=unb, buyer="话多", text="在吗", times=50)
    await shoal.open()
    await handled_all(shoal, 75)
    stored = {entry.message.message_id for entry in await shoal.log.list_messages(["shop"], limit=200)}
    assert set(said["message_ids"]) <= stored
    assert len(stored) == 75


async def test_every_chat_of_a_busy_absence_is_pulled(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_sync, "PAUSE_SECONDS", 0.001)
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add()
    await shoal.runs()
    await shoal.close()
    for number in range(BUSY_CHATS):
        await shoal.sandbox.do("say", account=unb, buyer=f"buyer{number}", text="在吗")
    await shoal.open()
    await handled_all(shoal, BUSY_CHATS)


async def test_the_owners_own_words_meanwhile_silence_the_chat(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="还有货吗")
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="有的")
    await shoal.open()
    await handled_all(shoal, 2)
    await shoal.is_done()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await handled_all(shoal, 3)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["有的"]


async def test_what_failed_to_be_pulled_is_pulled_at_the_next_look(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, "HistorySync")
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="conversations", times=1)
    await shoal.open(probe_seconds=0.2, heartbeat_seconds=0.1)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


async def test_a_shop_that_is_new_here_does_not_dig_in_the_past(shoal: Shoal) -> None:
    unb = next(iter(shoal.sandbox.world.sellers))
    await shoal.sandbox.do("policy", replays_missed=False)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.add(keywords={"在吗": "hi"})
    await shoal.is_done()
    assert not await shoal.log.list_messages(["shop"])
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    assert not [frame for frame in frames if "listNewestPagination" in str(frame["frame"])]


async def test_the_place_in_the_feed_is_told_and_kept_over_a_restart(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await handled_all(shoal, 1)
    await shoal.close()
    with closing(sqlite3.connect(shoal.data_dir / DATABASE_FILE)) as database:
        (position,) = database.execute("SELECT position FROM sync_positions WHERE account_id = 'shop'").fetchone()
    last = (await shoal.sandbox.get("frames", account=unb))["last_seq"]
    await shoal.open()
    await shoal.runs()
    frames = [line["frame"] for line in (await shoal.sandbox.get("frames", account=unb, after=str(last)))["items"]]
    (said,) = [frame["body"][0] for frame in frames if frame.get("lwp") == "/r/SyncStatus/ackDiff"]
    assert position == f'{{"pts":{said["pts"]}}}'


async def test_a_site_that_remembers_no_place_is_told_ours(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, "SyncCursor")
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.is_done()
    await shoal.close()
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="getstate")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    await shoal.open()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]


async def test_a_message_that_cannot_be_stored_is_not_acknowledged_and_comes_again(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    with closing(sqlite3.connect(shoal.data_dir / DATABASE_FILE, isolation_level=None)) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'no room'); END")
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await until(lambda: shoal.manager.observation("shop").state is not AccountState.RUNNING)
        assert (await shoal.sandbox.sockets(unb))["unacked"] == 1
        assert shoal.manager.observation("shop").reason in {"not_applied", ""}
        database.execute("DROP TRIGGER full")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await shoal.is_done()
    assert (await shoal.sandbox.sockets(unb))["unacked"] == 0


# ── when the site goes on from a place of its own ───────────────────────────────────────────────────────────────────


def kept_place(shoal: Shoal) -> str:
    with closing(sqlite3.connect(shoal.data_dir / DATABASE_FILE)) as database:
        row = database.execute("SELECT position FROM sync_positions WHERE account_id = 'shop'").fetchone()
    return str(row[0]) if row else ""


async def kept_place_moves_from(shoal: Shoal, before: str) -> str:
    async with asyncio.timeout(60):
        while (place := kept_place(shoal)) == before:
            await asyncio.sleep(0.02)
    return place


async def place_is_kept(shoal: Shoal, unb: str) -> str:
    """Wait until the place after all that was pushed is kept; returns it."""
    place = str(shoal.sandbox.site.feed(unb).last_pts)
    await until(lambda: place in kept_place(shoal))
    return kept_place(shoal)


async def test_what_the_site_passes_over_is_pulled_before_the_new_place_is_kept(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    await shoal.close()
    await shoal.open(heartbeat_seconds=0.05, site_timeout_seconds=30.0)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.is_done()
    before = await place_is_kept(shoal, unb)
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=99)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="conversations", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    await shoal.sandbox.do("push", account=unb, shape="resync", skipping=True)
    await shoal.sandbox.do("faults/clear", account=unb, kind="batch_push")
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小虾", 1)
    await shoal.beats(3)  # with each of them the place would be kept
    assert kept_place(shoal) == before, "a kill now must not skip what was passed over"
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1
    await shoal.sandbox.do("fault/release")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]
    await kept_place_moves_from(shoal, before)
    await shoal.is_done()
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
    assert [len(await shoal.sandbox.seen(unb, buyer)) for buyer in ("小鱼", "小虾")] == [2, 1]


async def test_what_the_site_passed_over_is_pulled_after_a_restart_if_it_could_not_be_before(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=99)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="conversations", times=1)
    await shoal.sandbox.do("push", account=unb, shape="resync", skipping=True)
    await shoal.sandbox.do("faults/clear", account=unb, kind="batch_push")
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小虾", 1)
    await shoal.close()
    await shoal.sandbox.do("faults/clear")
    await shoal.open()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    assert await shoal.sandbox.seen(unb, "小虾") == ["hi"]


async def test_a_site_that_asks_again_and_again_is_not_stormed(shoal: Shoal) -> None:
    unb = await shoal.add()
    for _ in range(20):
        await shoal.sandbox.do("push", account=unb, shape="resync")
        await shoal.has_taken_all()
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    asked = [frame for frame in frames if "listNewestPagination" in str(frame["frame"]) and frame["direction"] == "in"]
    assert 1 <= len(asked) <= 2
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
