"""Two servers on one PostgreSQL database, each with half of the shops; the link of one to the database goes dead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from shoal.api.server import Server
from shoal.errors import ConfigError
from shoal.server.reply_server import build_app
from support.databases.database_link import DatabaseLink
from support.servers.doors import living
from support.site.standins import ANN, FakeSite, cookie_of, quick_settings, until, until_told

SHOPS = [f"shop{number}" for number in range(8)]
KEY = "5a" * 32


@asynccontextmanager
async def serving(data_dir: Path, site: FakeSite, url: str, **settings: Any) -> AsyncIterator[Server]:
    """One of the servers; both see the same site, which counts the connections of each shop."""
    app = build_app(
        quick_settings(data_dir=data_dir, database_url=url, node=data_dir.name, secret_key=KEY, **settings),
        connect=site.connect,
    )
    async with living(app):
        yield app.state.server


def running(server: Server) -> set[str]:
    """The shops that run here."""
    manager = server.manager
    mine = [name for name in manager.accounts if manager.runs_here(name)]
    return {name for name in mine if manager.observation(name).state is AccountState.RUNNING}


async def shown(server: Server, names: set[str]) -> set[tuple[AccountState, str | None]]:
    """The states of shops, and where they run, as that server shows them."""
    await server.manager.look(names)
    return {(server.manager.observation(name).state, server.manager.node_of(name)) for name in names}


async def test_the_shops_of_a_server_whose_database_is_out_of_reach_run_on_the_other_and_never_on_both(
    tmp_path: Path, url: str
) -> None:
    site = FakeSite()
    async with DatabaseLink(url).open() as link:
        async with serving(tmp_path / "one", site, link.url, node_lease_seconds=4.0) as one:
            for number, name in enumerate(SHOPS):
                await one.manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
            await until(lambda: running(one) == set(SHOPS))
            async with serving(tmp_path / "two", site, url, node_lease_seconds=60.0) as two:
                await until(lambda: running(one) | running(two) == set(SHOPS) and bool(running(two)))
                elsewhere = running(two)
                await until_told(partial(shown, one, elsewhere), {(AccountState.RUNNING, "two")})
                here = next(iter(running(one)))
                await two.manager.update_cookie_status(here, False, caller=ANN)  # whoever is asked, its owner follows
                await until(lambda: running(one) | running(two) == set(SHOPS) - {here})
                await two.manager.update_cookie_status(here, True, caller=ANN)
                await until(lambda: running(one) | running(two) == set(SHOPS))
                link.die()
                await until(lambda: running(two) == set(SHOPS))
                assert running(one) == set()
                link.live()
                await until(lambda: bool(running(one)) and running(one) | running(two) == set(SHOPS))
            await until(lambda: running(one) == set(SHOPS))
        assert site.most_at_once == dict.fromkeys(SHOPS, 1), "no shop was ever connected twice"


async def test_a_server_whose_connections_are_never_answered_again_joins_again_over_new_ones(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer of each connection takes all that is sent, so that no time-out of TCP ends it."""
    monkeypatch.setattr("shoal.storage.database_engines.SILENCE_SECONDS", 6.0)
    site = FakeSite()
    async with (
        DatabaseLink(url).open() as link,
        serving(tmp_path / "one", site, link.url, node_lease_seconds=4.0) as one,
    ):
        for number, name in enumerate(SHOPS):
            await one.manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
        await until(lambda: running(one) == set(SHOPS))
        async with serving(tmp_path / "two", site, url, node_lease_seconds=60.0) as two:
            await until(lambda: running(one) | running(two) == set(SHOPS) and bool(running(two)))
            link.lose()
            await until(lambda: running(two) == set(SHOPS) and not running(one))
            link.live()
            await until(lambda: bool(running(one)) and running(one) | running(two) == set(SHOPS))
            name = next(iter(running(one)))
            await one.manager.update_cookie_status(name, False, caller=ANN)  # its writer has a new connection too
            await until(lambda: running(one) | running(two) == set(SHOPS) - {name})
    assert site.most_at_once == dict.fromkeys(SHOPS, 1), "no shop was ever connected twice"


async def test_a_node_needs_postgresql(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several servers share one PostgreSQL database"):
        async with serving(tmp_path / "one", FakeSite(), ""):
            pass
