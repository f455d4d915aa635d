"""What is slow for one shop holds up no other: everything that may take long waits off the loop."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

from shoal.sandbox import World
from support.site.sandboxed import Shoal
from support.site.standins import ANN

SHOPS = 20


async def _all_beat_again(shoal: Shoal) -> None:
    """Wait until every shop has beaten twice more from now on. A loop that stands still never comes so far."""
    after = (await shoal.sandbox.get("state"))["last_seq"]["frames"]
    beats = Counter[str]()
    async with asyncio.timeout(60):
        while sum(count >= 2 for count in beats.values()) < SHOPS:
            news = await shoal.sandbox.get("frames", after=str(after), wait="1")
            after = max([after, *(line["seq"] for line in news["items"])])
            beats.update(
                line["account"]
                for line in news["items"]
                if line["direction"] == "in" and line["frame"].get("lwp") == "/!"
            )


async def _open_shops(shoal: Shoal) -> list[str]:
    world: World = shoal.sandbox.world
    while len(world.sellers) < SHOPS:
        world.add_seller()
    return [await shoal.add(f"shop{number}", number=number, keywords={"在吗": "hi"}) for number in range(SHOPS)]


async def test_c15_a_call_that_hangs_for_one_shop_stops_no_heartbeat(shoal: Shoal) -> None:
    slow, *others = await _open_shops(shoal)
    await shoal.manager.update_settings("shop0", {"paid_message": "给您"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop0", True, caller=ANN)
    held = await shoal.sandbox.do("fault", account=slow, kind="hold", which="consign", times=1)
    await shoal.sandbox.do("pay", account=slow, buyer="小鱼", item=shoal.item_of(slow))
    async with asyncio.timeout(60):
        while not await shoal.sandbox.calls("consign.dummy", slow):
            await asyncio.sleep(0.02)
    await _all_beat_again(shoal)
    await shoal.sandbox.do("say", account=others[-1], buyer="小虾", text="在吗")
    assert await shoal.sandbox.seen_soon(others[-1], "小虾", 1) == ["hi"], "answered while the other's call hangs"
    await shoal.sandbox.do("fault/release", id=held["id"])


async def test_c15_a_database_that_stands_still_stops_no_heartbeat(shoal: Shoal) -> None:
    unbs = await _open_shops(shoal)
    for unb in unbs:  # so that there is something to store at the next beats, too
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="多少钱")
    async with asyncio.timeout(60):
        while len(await shoal.log.list_messages([f"shop{number}" for number in range(SHOPS)])) < SHOPS:
            await asyncio.sleep(0.02)
    go_on = threading.Event()
    stuck = asyncio.create_task(shoal.database.write(lambda _: go_on.wait(60)))
    readers = [asyncio.create_task(shoal.database.read(lambda _: go_on.wait(60))) for _ in range(4)]
    try:
        await _all_beat_again(shoal)
        assert not stuck.done()
    finally:
        go_on.set()
        await asyncio.gather(stuck, *readers)
