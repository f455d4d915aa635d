"""Two real servers behind one outgoing address ask the site for tokens at the pace of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.processes import soon
from outside.node_pair import a_pair
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.long, pytest.mark.timeout(600)]

SHOPS = 60
PER_SECOND = 10
TOKEN = "mtop.taobao.idlemessage.pc.login.token"


async def test_sixty_shops_that_start_at_two_servers_ask_for_tokens_at_the_pace_of_one(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="60", shops=SHOPS) as pair:
        for server in (pair.one, pair.two):
            server.environment["SHOAL_TOKEN_CALLS_PER_SECOND"] = str(PER_SECOND)
        await pair.one.start()
        await pair.two.start()
        for name, seller in pair.sellers.items():
            await pair.one.add(name, seller["cookie"], wait=0)

        async def all_run() -> bool:
            calls = (await pair.site.get("calls", limit="1000"))["items"]
            return len({call["account"] for call in calls if call["api"] == TOKEN}) == SHOPS

        await soon(all_run)
        await pair.shared_out()
        times = sorted(
            call["wall_ms"] for call in (await pair.site.get("calls", limit="1000"))["items"] if call["api"] == TOKEN
        )
        assert len(times) >= SHOPS
        assert times[-1] - times[0] >= 0.8 * (SHOPS - 1) * 1000 / PER_SECOND
