"""Two servers on one PostgreSQL: one is killed, one is frozen beyond its lease, and every buyer is answered once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from outside.node_pair import SHOPS, a_pair
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


async def test_the_shops_of_a_killed_and_of_a_frozen_server_go_on_at_the_other_and_answer_once(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres) as pair:
        await pair.one.start()
        for name, seller in pair.sellers.items():
            await pair.one.add(name, seller["cookie"])
            await pair.one.ok("POST", f"/keywords/{name}", {"keywords": {"在吗": "在的"}})
        await pair.all_at(pair.one)
        await pair.two.start()
        await pair.shared_out()

        await pair.one.end(signal.SIGKILL)
        await pair.all_at(pair.two)
        most = [(await pair.site.sockets(seller["unb"]))["max"] for seller in pair.sellers.values()]
        assert most == [1] * SHOPS, "no shop was ever connected twice"
        await pair.ask("在吗", ["在的"])

        await pair.one.start()
        await pair.shared_out()
        frozen = pair.two.child
        frozen.send_signal(signal.SIGSTOP)
        try:
            await pair.all_at(pair.one)
            await pair.ask("在吗?", ["在的", "在的"])
        finally:
            frozen.send_signal(signal.SIGCONT)
        await pair.shared_out()
        assert await pair.answers() == [["在的", "在的"]] * SHOPS, "who was frozen said nothing on waking"


async def test_a_killed_server_that_is_started_again_runs_its_shops_without_waiting_for_its_lease(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="300") as pair:
        await pair.one.start()
        for name, seller in pair.sellers.items():
            await pair.one.add(name, seller["cookie"])
        await pair.all_at(pair.one)
        await pair.one.end(signal.SIGKILL)
        await pair.one.start()  # no wait of these tests is as long as the lease
        await pair.all_at(pair.one)
        most = [(await pair.site.sockets(seller["unb"]))["max"] for seller in pair.sellers.values()]
        assert most == [1] * SHOPS, "no shop was ever connected twice"
