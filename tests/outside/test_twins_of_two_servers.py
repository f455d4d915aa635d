"""The same request with one key at two servers, also when one of them is killed in the middle: it is made once."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import ServerProcess
from outside.node_pair import Pair, a_pair
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.long, pytest.mark.timeout(600)]

ROUNDS = 24
KILLED = 36


async def changed(server: ServerProcess, shop: str, key: str) -> dict[str, Any]:
    """Change a shop's remark under a key; again, as a client does, while the answer says that it may be tried again."""
    for _ in range(60):
        answer = await server.http.patch(
            f"/cookies/{shop}/settings", json={"remark": f"备注 {key}"}, headers={"Idempotency-Key": key}
        )
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.5)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def generations(pair: Pair) -> Counter[str]:
    """How often each shop has been changed."""
    shops = {name: await pair.one.ok("GET", f"/cookies/{name}") for name in pair.sellers}
    return Counter({name: int(shop["generation"]) for name, shop in shops.items()})


async def test_twins_at_two_servers_are_one_change_also_when_one_is_killed_in_the_middle(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres) as pair:
        await pair.one.start()
        for name, seller in pair.sellers.items():
            await pair.one.add(name, seller["cookie"])
        await pair.two.start()
        await pair.shared_out()
        before = await generations(pair)

        shops = itertools.cycle(pair.sellers)
        asked = [(next(shops), f"twin-{number}") for number in range(ROUNDS)]
        for shop, key in asked:
            here, there = await asyncio.gather(changed(pair.one, shop, key), changed(pair.two, shop, key))
            assert (here["op_id"], here["generation"]) == (there["op_id"], there["generation"])
        assert await generations(pair) - before == Counter(shop for shop, _ in asked)

        before = await generations(pair)
        asked = [(next(shops), f"killed-{number}") for number in range(KILLED)]
        lost = [asyncio.create_task(changed(pair.two, shop, key)) for shop, key in asked]
        await asyncio.wait(lost, return_when=asyncio.FIRST_COMPLETED)
        twins = [asyncio.create_task(changed(pair.one, shop, key)) for shop, key in asked]
        await pair.two.end(signal.SIGKILL)
        ended = await asyncio.gather(*lost, return_exceptions=True)
        assert any(isinstance(one, httpx.TransportError) for one in ended), "it was killed in the middle"
        answers = await asyncio.gather(*twins)
        assert await generations(pair) - before == Counter(shop for shop, _ in asked), "each once, and none lost"
        told = {(shop, answer["generation"]) for (shop, _), answer in zip(asked, answers, strict=True)}
        assert len(told) == KILLED
