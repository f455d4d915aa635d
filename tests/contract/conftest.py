"""The three stores that must behave alike, and the databases beneath them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, insert, select, text

from shoal.accounts.events import MessageEvent
from shoal.accounts.store import AccountStore
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.takeovers import Takeovers
from shoal.orders.order_store import OrderStore
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from support.databases.memory_store import MemoryStore
from support.databases.postgres_fixture import postgres  # noqa: F401  (a fixture)
from support.databases.postgres_server import Postgres
from support.databases.spread_database import SpreadDatabase
from support.databases.store_steps import Clock, Place, an_account, created
from support.runs.quick_start import blank_database


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a PostgreSQL, so that the quick checks can leave it out. Two servers have no other database."""
    for item in items:
        if isinstance(item, pytest.Function):
            values = item.callspec.params.values() if hasattr(item, "callspec") else ()
            if "postgres" in item.fixturenames or "postgresql" in values:
                item.add_marker("postgresql")
    if config.getoption("two_servers"):
        items[:] = [item for item in items if not _kinds(item) & {"sqlite", "memory"}]


def _kinds(item: pytest.Item) -> set[object]:
    """Return the databases that a test asks for."""
    values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return {values.get("place"), values.get("store")}


@pytest.fixture
def spread(request: pytest.FixtureRequest) -> str | None:
    """By which seed two servers use a database; ``None``: there is only one."""
    seed: str | None = request.config.getoption("two_servers")
    return seed and f"{seed} {request.node.nodeid}"


@pytest.fixture
def migrated() -> bool:
    """Whether a test finds its database migrated; otherwise it finds none."""
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, migrated: bool, spread: str | None
) -> AsyncIterator[Place]:
    """A place for a database; whatever a test opens there is closed afterwards."""
    async with AsyncExitStack() as stack:
        directory = tmp_path / "data"
        url = await _new_database(request, stack, directory, migrated=migrated)

        async def open_again(**options: Any) -> Database:
            at = options.pop("data_dir", directory)
            if spread and not options and migrated:  # options are of one server
                database: Database = SpreadDatabase(at, url=url, seed=spread)
            else:
                database = Database(at, url=url, **options)
            await database.open()
            stack.push_async_callback(database.close)
            return database

        yield Place(data_dir=directory, url=url, open_again=open_again)


@pytest.fixture
async def database(place: Place) -> Database:
    """An open database, empty."""
    return await place.open_again()


@pytest.fixture
async def vault(database: Database, place: Place) -> Vault:
    """The vault of the open database."""
    return await open_vault(database, place.data_dir / "secret.key")


@pytest.fixture
async def manager(database: Database, vault: Vault, place: Place, spread: str | None) -> DBManager:
    """A ``DBManager`` on the open database."""
    if spread:
        _add_users(place.url)
    return DBManager(database, vault, several_nodes=bool(spread))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, spread: str | None) -> AsyncIterator[AccountStore]:
    """Each store in turn, empty."""
    if request.param == "memory":
        yield MemoryStore()
        return
    async with AsyncExitStack() as stack:
        url = await _new_database(request, stack, tmp_path / "data")
        data_dir = tmp_path / "data"
        if spread:
            _add_users(url)
        made = SpreadDatabase(data_dir, url=url, seed=spread) if spread else Database(data_dir, url=url)
        database = await stack.enter_async_context(made)
        vault = await open_vault(database, tmp_path / "secret.key")
        yield DBManager(database, vault, several_nodes=bool(spread))


def _add_users(url: str) -> None:
    """Add the owners of the tests' shops that are not there: several servers add no shop for a user who is not."""
    engine = create_engine(url)
    with engine.begin() as connection:
        there = connection.scalar(select(func.count()).select_from(users))
        for number in () if there else (1, 2, 3):
            row = {"id": number, "username": f"user{number}", "name_key": f"user{number}", "password_hash": ""}
            connection.execute(insert(users).values(row | {"created_at_ms": 0, "updated_at_ms": 0}))
        connection.execute(text("SELECT setval(pg_get_serial_sequence('users', 'id'), 1000)"))
    engine.dispose()


async def _new_database(
    request: pytest.FixtureRequest, stack: AsyncExitStack, directory: Path, *, migrated: bool = True
) -> str:
    """Make a database of the kind that the parameter names. Returns its URL; none for a file in ``directory``."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return stack.enter_context(server.database(migrated=migrated))
    if migrated:
        await blank_database(directory)
    return ""


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:  # noqa: F811  (the fixture)
    """A migrated PostgreSQL database."""
    with postgres.database(migrated=True) as fresh:
        yield fresh


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[MessageEvent]:
    return []


@pytest.fixture
async def log(database: Database, manager: DBManager, clock: Clock, told: list[MessageEvent]) -> MessageLog:
    await created(manager, an_account("shop"), an_account("other"))
    return MessageLog(database, now_ms=clock, publish=told.append)


@pytest.fixture
def sendings(log: MessageLog) -> Outbox:
    return log.outbox


@pytest.fixture
def pauses(database: Database, log: MessageLog, clock: Clock, told: list[MessageEvent]) -> Takeovers:
    return Takeovers(database, now_ms=clock, publish=told.append)


@pytest.fixture
async def book(database: Database, manager: DBManager, clock: Clock) -> OrderStore:
    await created(manager, an_account("shop"), an_account("other"))
    return OrderStore(database, now_ms=clock)
