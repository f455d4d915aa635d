"""Sellers' numbers at two servers on one PostgreSQL: freed at one, they start who waits at the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from support.databases.postgres_server import Postgres
from support.servers.doors import another_person
from support.servers.two_doors import open_two_doors
from support.site.standins import cookie_of, unb_of, until


async def _let_in(_: Account, link: Link) -> None:
    await link.hold_number()
    link.running()
    await asyncio.Event().wait()


async def test_f8_a_number_that_is_freed_at_one_server_starts_the_shop_that_waits_at_the_other(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(migrated=True) as url:
        async with open_two_doors(tmp_path, url) as (one, two), another_person(one) as bob:
            one.site.behave = _let_in
            await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
            await one.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
            seen = one.server.manager.observation
            await until(lambda: (seen("theirs").state, seen("mine").reason) == ("running", "number_taken"))
            await until(lambda: {"theirs", "mine"} <= set(two.server.manager.accounts))
            freed = await two.call("DELETE", f"/seller-numbers/{unb_of(7)}")
            assert freed["was"] == "theirs"
            await until(lambda: (seen("theirs").state, seen("mine").state) == ("stopped", "running"))
            assert one.site.live["mine"] == 1
