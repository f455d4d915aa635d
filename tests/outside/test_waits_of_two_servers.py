"""Two servers on one PostgreSQL: who waits at one for a shop of the other, which freezes and dies meanwhile."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from outside.node_pair import a_pair
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.long, pytest.mark.timeout(600)]


async def test_a_switch_at_one_server_outlasts_the_freezing_and_the_death_of_the_other(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="10") as pair:
        await pair.one.start()
        for name, seller in pair.sellers.items():
            await pair.one.add(name, seller["cookie"])
        await pair.two.start()
        await pair.shared_out()
        first, second, *_ = sorted(await pair.run_at(pair.one))
        off = await pair.two.ok("PUT", f"/cookies/{first}/status", {"enabled": False})
        assert off["state"] == "stopped"
        assert (await pair.site.sockets(pair.sellers[first]["unb"]))["now"] == 0, "it had ended before the answer"
        on = await pair.two.ok("PUT", f"/cookies/{first}/status", {"enabled": True})
        assert (on["state"], (await pair.run_at(pair.one)) >= {first}) == ("running", True)

        pair.one.child.send_signal(signal.SIGSTOP)
        try:
            told = await pair.two.ok("GET", f"/cookies/{second}/diagnosis")
            (finding,) = [check for check in told["checks"] if check["name"] == "owned_here"]
            shown = await pair.two.ok("GET", f"/cookies/{second}")
            if shown["node"] == "one":  # its lease has not run out yet
                assert (finding["ok"], "one" in finding["detail"]) == (False, True)
            assert shown["state"] == "running"
            asked = [
                pair.two.ok("PUT", f"/cookies/{first}/status?wait=60", {"enabled": False}),
                pair.two.ok("PUT", f"/cookies/{second}/status?wait=60", {"enabled": True}),
            ]
            stopped, again = await asyncio.gather(*asked)
        finally:
            await pair.one.end(signal.SIGKILL)
        assert (stopped["state"], again["changed"], again["state"]) == ("stopped", False, "running")
        assert second in await pair.run_at(pair.two)
        most = [(await pair.site.sockets(seller["unb"]))["max"] for seller in pair.sellers.values()]
        assert most == [1] * len(most), "no shop was ever connected twice"
