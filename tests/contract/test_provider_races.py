"""A provider that is removed while a model is switched on with it, on two servers: refused, or told at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from shoal.accounts.model_settings import ModelLack
from shoal.accounts.store import Committed
from shoal.assistant.provider_standing import lack_of
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import Provider
from shoal.errors import Conflict, StoreError
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import add_user, an_account, created, edit, living, submitted
from support.models.model_steps import settings_for

ANN = 1


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as made:
        add_user(made, ANN)
        yield made


@asynccontextmanager
async def server(
    url: str, fault_point: Callable[[str], None] = lambda _: None
) -> AsyncIterator[tuple[DBManager, ProviderStore, Database]]:
    async with Database(url=url, fault_point=fault_point) as database:
        vault = Vault([b"k" * 32])
        yield DBManager(database, vault, several_nodes=True), ProviderStore(database, vault), database


class Stand:
    """Stops a transaction at its commit, once it is armed."""

    def __init__(self) -> None:
        self.armed, self.reached, self.passes = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, at: str) -> None:
        if at == "commit" and self.armed.is_set():
            self.reached.set()
            assert self.passes.wait(60)


async def removed(providers: ProviderStore, provider: Provider) -> str:
    """What becomes of the removal; who waited for too long asks again."""
    for _ in range(60):
        try:
            await providers.remove(ANN, provider.id)
        except StoreError:
            continue
        except Conflict as conflict:
            return conflict.code
        return "removed"
    return "never"


async def test_a_provider_stays_for_a_shop_that_is_being_switched_on(url: str) -> None:
    stand = Stand()
    async with server(url, stand) as (store, _, _), server(url) as (_, providers, _):
        provider = await providers.create(ANN, settings_for("https://a.example"))
        (shop,) = await created(store, an_account("shop"))
        stand.armed.set()
        coming = submitted(store, edit(shop, ai_mode="auto", ai_provider_id=provider.id))
        assert await asyncio.to_thread(stand.reached.wait, 60)
        going = asyncio.create_task(removed(providers, provider))
        await asyncio.sleep(0.3)
        waits = not going.done()
        stand.passes.set()
        assert isinstance(await coming, Committed)
        assert (waits, await going) == (True, "provider_in_use")


async def test_a_shop_that_is_switched_on_after_the_removal_reads_at_once_what_it_lacks(url: str) -> None:
    stand = Stand()
    async with server(url) as (store, _, database), server(url, stand) as (_, providers, _):
        provider = await providers.create(ANN, settings_for("https://a.example"))
        (shop,) = await created(store, an_account("shop"))
        stand.armed.set()
        going = asyncio.create_task(removed(providers, provider))
        assert await asyncio.to_thread(stand.reached.wait, 60)
        coming = submitted(store, edit(shop, ai_mode="auto", ai_provider_id=provider.id))
        await asyncio.sleep(0.3)
        waits = not coming.done()
        stand.passes.set()
        assert isinstance(await coming, Committed)
        now = await living(store, "shop")
        assert await database.read(lambda connection: lack_of(connection, now)) is ModelLack.NO_PROVIDER
        assert (waits, await going) == (True, "removed")
