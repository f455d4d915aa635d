"""The judge of several servers sees what it is for: planted sockets and frames of stale owners."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from faults.cluster_judge import Judge
from shoal.sandbox.journal import Journal
from support.site.sandbox_driver import Box, sandbox


class Logs:
    """The logs of a sandbox in this process."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def get(self, what: str, **query: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._box.get(f"{what}?{urlencode(query)}")
        return found


async def told(judge: Judge) -> list[str]:
    """The violations since it was asked last."""
    await judge.look()
    found = list(judge.violations)
    judge.violations.clear()
    return found


async def test_it_tells_two_sockets_a_stale_frame_and_a_kick_and_nothing_of_one_connection_after_another() -> None:
    async with sandbox() as box:
        judge, shop = Judge(Logs(box)), box.shop()
        for _ in range(2):
            async with shop.online() as im:
                await im.ask("/!")
        assert await told(judge) == []
        assert judge.frames

        async with shop.online() as first, shop.online():
            assert [sentence.split(" ", 2)[2] for sentence in await told(judge)] == ["had 2 sockets at once"]
            await first.ask("/!")
            (stale,) = await told(judge)
            assert "/! came from a stale owner" in stale
            await box.get("state")
        assert await told(judge) == []

        token = await shop.token()
        async with shop.online(token), shop.online(token):
            assert any("with the same token" in sentence for sentence in await told(judge))


async def test_sockets_of_a_frozen_process_may_stay_open_and_must_stay_silent() -> None:
    async with sandbox() as box:
        shop = box.shop()
        judge = Judge(Logs(box), frozen=frozenset({shop.unb}))
        async with shop.online() as first, shop.online():
            assert await told(judge) == []
            await first.ask("/!")
            assert len(await told(judge)) == 1


async def test_it_says_when_the_log_was_too_short_for_it() -> None:
    async with sandbox() as box:
        box.site.frames = Journal(20)
        judge, shop = Judge(Logs(box)), box.shop()
        async with shop.online() as im:
            for _ in range(20):
                await im.ask("/!")
        assert any("the judge missed frames" in sentence for sentence in await told(judge))
