"""The figures of two servers on one PostgreSQL: what the database knows is counted once, in alerts too."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shoal.api.metrics import stored_figures
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, goods_subject, open_incidents, order_subject
from support.databases.postgres_server import Postgres
from support.figures.gauge_queries import NAME, Vector, answered, scraped
from support.figures.monitoring_files import queries
from support.servers.doors import Door, open_door
from support.site.standins import until, until_told

TOKEN = "a token of the operator's monitoring"
NODES: dict[str, Any] = {"secret_key": "5a" * 32, "metrics_token": TOKEN, "node_lease_seconds": 300.0}
OVER_TIME = re.compile(r"\[\d+[mh]\]")
SHOPS = 3


@asynccontextmanager
async def two_servers(tmp_path: Path, url: str) -> AsyncIterator[tuple[Door, Door, AsyncExitStack]]:
    """Both, and what ends the first one. All shops, and all that is done once, are the first one's until it ends."""
    async with AsyncExitStack() as stack, AsyncExitStack() as life:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
        patch.setattr(stored_figures, "FRESH_SECONDS", 0.0)
        opened: list[Door] = []
        for name, closing in (("one", life), ("two", stack)):
            address = f"http://127.0.0.1:{9 + len(opened)}"  # nobody answers there, and nobody is asked
            door = open_door(tmp_path / name, node=name, node_address=address, database_url=url, **NODES)
            opened.append(await closing.enter_async_context(door))
        yield opened[0], opened[1], life


async def texts(*doors: Door) -> dict[str, str]:
    """The pages of these servers, by the instances that Prometheus calls them."""
    found = {}
    for number, door in enumerate(doors):
        answer = await door.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        found[f"server{number}:8080"] = answer.text
    return found


async def pages(*doors: Door) -> Vector:
    """What a Prometheus that scrapes these servers has."""
    return scraped(await texts(*doors))


async def _things(door: Door) -> None:
    """Ten units, an order and goods in need, a webhook, three shops."""
    for number in range(1, SHOPS + 1):
        await door.add(f"shop{number}", number)
    goods = await door.call("POST", "/goods", json={"name": "goods", "kind": "stock"})
    await door.call("POST", f"/goods/{goods['id']}/units", json={"lines": [f"unit-{number}" for number in range(10)]})
    hook = {"url": "https://hooks.shop.example/x", "kinds": ["order"]}
    await door.call("POST", "/webhooks", json=hook)
    orders = order_subject("shop1", "7")
    openings = [
        Opening(subject=orders, kind=IncidentKind.ORDER_PROBLEM, at_ms=1, account_id="shop1", detail="no_rule"),
        Opening(subject=goods_subject(goods["id"]), kind=IncidentKind.OUT_OF_STOCK, at_ms=1, user_id=1),
    ]
    await door.server.database.write(lambda connection: open_incidents(connection, openings))


def one_value(query: str, samples: Vector) -> float:
    """The value of a query that has one answer."""
    (value,) = answered(query, samples).values()
    return value


async def test_g10_what_the_database_knows_is_counted_once_however_many_servers_there_are(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(migrated=True) as url:
        async with two_servers(tmp_path, url) as (one, two, life):
            await _things(one)
            await until(lambda: len(two.server.manager.accounts) == SHOPS)
            by_server = await texts(one, two)  # one scrape: the database grows between two
            both, alone = scraped(by_server), scraped(dict([next(iter(by_server.items()))]))
            wanted = {
                'sum(shoal_units_free{kind="stock"})': 10,
                "sum(shoal_order_problems)": 1,
                "sum(shoal_incidents_open)": 2,
                "sum(shoal_webhooks)": 1,
                "sum(shoal_accounts)": SHOPS,
                'sum(shoal_accounts{enabled="on",state="running"})': SHOPS,
            }
            assert {query: one_value(query, both) for query in wanted} == wanted
            asked = {title: query for title, query in queries().items() if not OVER_TIME.search(query)}
            stored = {name for name in _names(alone) - _names(await pages(two)) if name.startswith("shoal_")}
            assert {"shoal_units_free", "shoal_order_problems", "shoal_outbox", "shoal_messages_waiting"} <= stored
            of_stored = {title: query for title, query in asked.items() if _names_in(query) & stored}
            assert len(of_stored) >= 15
            for title, query in of_stored.items():
                board = query.replace("$job", "shoal")
                assert answered(board, both) == answered(board, alone), title
            free = answered(asked["ShoalDiskNearlyFull"].replace("1e9", "1e18"), both)
            assert len(free) == 2, "the disk of each server"

            await life.aclose()

            async def left() -> list[float]:
                return list(answered("sum(shoal_units_free)", await pages(two)).values())

            await until_told(left, [10.0])


def _names(samples: Vector) -> set[str]:
    return {dict(labels)[NAME] for labels in samples}


def _names_in(query: str) -> set[str]:
    return set(re.findall(r"\bshoal_[a-z_]+", query))
