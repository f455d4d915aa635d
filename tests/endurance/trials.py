"""What chance seldom brings about, tried when all else is mended: each at a shop that nothing else happens to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from endurance.story import Site, Story

BUYER: Final = "最后的买家"
STANDS_SECONDS: Final = 20.0


async def tried(story: Story, writer_stands: Callable[[float], None]) -> None:
    """Try all of it. ``writer_stands`` lets the writer stand still for so many seconds."""
    first, second, *_, last = story.shops.items()
    await confirmation_cut_off(story, *last)
    await asyncio.sleep(60)  # what a connection pulls when it begins does not show whether it hears
    await story.site.do("fault", kind="silent_zombie", account=first[1], times=1)
    await story.site.do("faults/clear")
    await cut_while_the_writer_stands(story, *second, writer_stands)


async def confirmation_cut_off(story: Story, account_id: str, unb: str) -> None:
    """The line breaks while the site confirms; its card was not pushed, and its page and lists cannot be read."""
    site = story.site
    await story.owner.auto_confirm(account_id, True)
    await site.do("policy", replays_missed=False)
    sending = await site.do("fault", kind="hold", account=unb, which="send", times=1)
    await story.buy(account_id, unb, BUYER)
    await _held(site, sending["id"])
    await site.do("fault", kind="silent_zombie", account=unb, times=1)
    confirming = await site.do("fault", kind="hold", account=unb, which="consign", times=1)
    await site.do("fault/release", id=sending["id"])
    await _held(site, confirming["id"])
    await site.do("fault", kind="http_500", account=unb, which="order", times=3)
    await site.do("fault", kind="hold", account=unb, which="conversations", times=1)
    await site.do("fault", kind="close", account=unb, code=1006, when="now", times=1)
    await asyncio.sleep(60)
    await site.do("faults/clear")
    await site.do("policy", replays_missed=True)
    # what it did not push again it never will: it goes on from here, and what lies between is pulled
    await site.do("push", account=unb, buyer=BUYER, shape="resync", skipping=True)


async def cut_while_the_writer_stands(
    story: Story, account_id: str, unb: str, writer_stands: Callable[[float], None]
) -> None:
    """The line breaks while answers and an act wait for the writer, which stands still for longer than the farewell.

    The history sync is held back: what a connection then stores at its end waits for the writer too.
    """
    site = story.site
    await site.do("fault", kind="hold", account=unb, which="conversations")
    for stands in (False, True):
        if stands:
            for buyer in ("甲", "乙", "丙"):
                story.sure.add((await story.ask(account_id, unb, buyer)).token)
            await story.buy(account_id, unb, "丁")
            await asyncio.sleep(0.15)
            writer_stands(STANDS_SECONDS)
            await asyncio.sleep(STANDS_SECONDS / 4)  # bursts end, and their answers wait
        await site.do("fault", kind="close", account=unb, code=1006, when="now", times=1)
        await asyncio.sleep(STANDS_SECONDS * 2)
    await site.do("faults/clear")


async def _held(site: Site, fault_id: int) -> None:
    """Wait until the site holds an answer back, at most a minute."""
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while not [
                fault for fault in (await site.get("state"))["faults"] if fault["id"] == fault_id and fault["held"]
            ]:
                await asyncio.sleep(0.2)
