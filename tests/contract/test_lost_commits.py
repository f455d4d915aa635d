"""PostgreSQL goes back to an earlier copy under running servers, as when a standby that lacks commits is promoted.

Such a server ends, and shows and does nothing that is not stored. One that has lost nothing goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from shoal.accounts.account import Account
from shoal.accounts.ownership import SHARDS
from shoal.cluster.node_rows import join
from shoal.errors import StoreError
from shoal.server.reply_server import Application, build_app
from shoal.storage.commit_outcome import CommitOutcome
from shoal.storage.stream_rows import StoredStream
from support.databases.earlier_copies import earlier_copy, standby
from support.databases.postgres_server import Postgres
from support.site.standins import ANN, FakeSite, cookie_of, quick_settings, until, until_told

KEY = "5a" * 32
FACTS = {"host": "here", "address": "", "version": "1", "schema": "0001"}


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as fresh:
        yield fresh


@asynccontextmanager
async def serving(data_dir: Path, site: FakeSite, url: str, **settings: Any) -> AsyncIterator[Application]:
    """A server in this process."""
    app = build_app(
        quick_settings(data_dir=data_dir, database_url=url, secret_key=KEY, **settings), connect=site.connect
    )
    async with app.router.lifespan_context(app):
        yield app


async def committed(app: Application, remark: str) -> int:
    """Change the shop once the database answers again. Return its generation."""

    async def change() -> bool:
        with suppress(StoreError):
            await app.state.server.manager.update_settings("shop", {"remark": remark}, caller=ANN)
        return shop_of(app).remark == remark

    await until_told(change, wanted=True)
    return shop_of(app).generation


def shop_of(app: Application) -> Account:
    """The shop as that server shows it."""
    account: Account = app.state.server.manager.accounts["shop"]
    return account


async def test_a_server_ends_when_what_it_committed_is_not_stored_any_more(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, FakeSite(), url) as app:
        await app.state.server.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with earlier_copy(postgres, url) as go_back:  # until then its connections end, and nothing is lost
            assert await committed(app, "kept") == 2
            assert not app.state.ends[-1].done()
            go_back()
            async with asyncio.timeout(60):
                while not app.state.ends[-1].done():
                    with pytest.raises(StoreError):
                        await app.state.server.manager.update_settings("shop", {"remark": "later"}, caller=ANN)
    with pytest.raises(StoreError, match="does not have the last changes") as caught:
        app.state.ends[-1].result()
    assert caught.value.code == "commits_lost"


async def test_servers_that_follow_end_when_what_they_show_is_not_stored_any_more(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    site, several = FakeSite(), {"node_lease_seconds": 300.0}
    async with serving(tmp_path / "one", site, url, node="one", **several) as one:
        await one.state.server.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        async with serving(tmp_path / "two", site, url, node="two", **several) as two:
            with earlier_copy(postgres, url) as go_back:
                await committed(one, "lost")
                await until(lambda: shop_of(two).remark == "lost")
                assert not two.state.ends[-1].done()
                go_back()
                await until(lambda: one.state.ends[-1].done() and two.state.ends[-1].done())
    assert [app.state.ends[-1].exception().code for app in (one, two)] == ["commits_lost", "commits_lost"]


async def test_a_standby_that_answers_before_it_has_applied_everything_ends_no_server(
    postgres: Postgres, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, several, lacks = FakeSite(), {"node_lease_seconds": 300.0}, StoredStream.lacks
    answered, looked = set[StoredStream](), set[Connection]()
    look = CommitOutcome._look_for_last

    async def asked(stream: StoredStream, *values: Any) -> bool:
        try:
            return await lacks(stream, *values)
        except StoreError as error:
            answered.update([stream] if error.code == "standby" else [])
            raise

    def asked_for_last(outcome: CommitOutcome, connection: Connection) -> None:
        look(outcome, connection)
        looked.add(connection)

    monkeypatch.setattr(StoredStream, "lacks", asked)
    monkeypatch.setattr(CommitOutcome, "_look_for_last", asked_for_last)
    async with serving(tmp_path / "one", site, url, node="one", **several) as one:
        await one.state.server.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        async with serving(tmp_path / "two", site, url, node="two", **several) as two:
            with standby(postgres, url) as turn:
                await committed(one, "not applied")
                await until(lambda: shop_of(two).remark == "not applied")
                turn()
                await until(lambda: len(answered) == 2)
                looked.clear()
                async with asyncio.timeout(60):
                    while not looked:
                        with pytest.raises(StoreError):
                            await one.state.server.manager.update_settings("shop", {"remark": "no"}, caller=ANN)
                turn()
                await committed(one, "goes on")
                await until(lambda: shop_of(two).remark == "goes on")
            assert not any(app.state.ends[-1].done() for app in (one, two))


def test_nothing_is_claimed_for_a_while_from_a_database_that_may_lack_the_last_claims(url: str) -> None:
    engine = create_engine(url)
    another = text("UPDATE store_meta SET value = 'another' WHERE key = 'database_life'")
    over = text("UPDATE store_meta SET counter = 1 WHERE key = 'database_life'")
    with engine.begin() as connection:
        first, second = (join(connection, name, 3_600_000, FACTS) for name in ("a", "b"))
        assert first is not None
        assert second is not None
        assert len(first.claim(connection, wait_ms=3_600_000).held) == SHARDS // 2, "no other was known before"
        connection.execute(another)
        for one in (second, first, second):
            share = one.claim(connection, wait_ms=3_600_000)
            assert (share.waits, len(share.held)) == (True, SHARDS // 2 if one is first else 0)
        connection.execute(over)
        share = second.claim(connection, wait_ms=3_600_000)
        assert (share.waits, len(share.held)) == (False, SHARDS // 2)
        connection.execute(another)
        connection.execute(text("UPDATE nodes SET expires_at_ms = 1 WHERE name = 'b'"))
        assert first.claim(connection, wait_ms=3_600_000).waits, "the lease of the other may have been renewed"
        second.leave(connection)
        connection.execute(another)
        assert not first.claim(connection, wait_ms=3_600_000).waits, "no other node could hold anything"
    engine.dispose()
