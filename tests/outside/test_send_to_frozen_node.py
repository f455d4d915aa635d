"""A message is sent by hand while the server that runs the shop stands still: its next server sends it, once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from benchmarks.processes import soon
from outside.node_pair import SELDOM, a_pair
from outside.test_asked_nodes import ready, send
from support.databases.postgres_server import Postgres

NOTHING_DONE = {"not_applied", "owner_changing", "lock_timeout"}
"""Said when a busy machine gives a server so little time that its lease runs out: the same may be asked again."""
pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


async def test_a_message_by_hand_to_a_frozen_server_has_a_certain_answer_and_leaves_once(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, shops=2) as pair:
        await ready(pair)
        while not (there := await pair.run_at(pair.two)):
            await asyncio.sleep(0.05)
        shop = min(there)
        frozen = pair.two.child
        frozen.send_signal(signal.SIGSTOP)
        try:
            status, answer = await send(pair.one, shop, "有人吗", "by-hand")
            while answer.get("code") in NOTHING_DONE:
                await asyncio.sleep(0.5)
                status, answer = await send(pair.one, shop, "有人吗", "by-hand")
            assert (status, answer.get("outcome", answer.get("code"))) in {(200, "sent"), (409, "not_connected")}
            was_sent = status == 200
            await pair.all_at(pair.one)
        finally:
            frozen.send_signal(signal.SIGCONT)
        await pair.shared_out()

        async def is_said() -> bool:
            return await pair.site.seen(pair.sellers[shop]["unb"], "小鱼") == ["在的"] + ["有人吗"] * was_sent

        await soon(is_said, every_seconds=SELDOM)
