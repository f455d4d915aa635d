"""Providers on both databases: sealed, a user's own, found again after a rotation of the key, gone with their user."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from shoal.accounts.model_settings import ModelLack
from shoal.assistant.provider_standing import lack_of
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import MAX_PROVIDERS, UnknownProvider
from shoal.errors import Conflict, StaleGeneration, StoreError
from shoal.storage.assistant_tables import ai_provider_states, ai_providers
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import accounts
from shoal.storage.sealed_values import seal_anew, sealed_columns
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, created
from support.models.model_steps import KEY, settings_for

BASE = "https://api.example.com"


@pytest.fixture
async def store(database: Database, vault: Vault) -> ProviderStore:
    """Two users without providers."""
    rows = [{"username": name, "name_key": name, "password_hash": "-"} for name in ("mei", "bob")]
    await database.write(lambda connection: connection.execute(insert(users), rows).rowcount)
    return ProviderStore(database, vault, now_ms=lambda: 5_000)


async def test_a_provider_is_its_owners_alone(store: ProviderStore) -> None:
    made = await store.create(1, settings_for(BASE))
    assert (made.host, made.has_consent, made.consented_at_ms) == ("api.example.com", True, 5_000)
    assert await store.get(1, made.id) == made
    assert await store.list(1) == [made]
    assert await store.list(2) == []
    for call in (store.get(2, made.id), store.target(2, made.id), store.remove(2, made.id)):
        with pytest.raises(UnknownProvider):
            await call
    with pytest.raises(UnknownProvider):
        await store.change(2, made.id, {"name": "mine"})
    target = await store.target(1, made.id)
    assert (target.url, target.key) == (f"{BASE}/v1/chat/completions", KEY)


async def test_address_and_key_are_sealed_and_change_their_key(
    store: ProviderStore, database: Database, vault: Vault
) -> None:
    made = await store.create(1, settings_for(BASE))
    row = await database.read(lambda connection: repr(connection.execute(select(ai_providers)).one()))
    assert KEY not in row
    assert "/v1" not in row
    (place,) = [place for place in sealed_columns() if place.table is ai_providers]
    older = Vault([b"o" * 32])
    stored = await database.read(
        lambda connection: connection.execute(select(ai_providers.c.settings_sealed)).scalar_one()
    )
    text = vault.open(stored, column=place.label, user_id=1)
    sealed = older.seal(text, column=place.label, user_id=1)
    await database.write(
        lambda connection: connection.execute(ai_providers.update().values(settings_sealed=sealed)).rowcount
    )
    with pytest.raises(StoreError):
        await store.target(1, made.id)
    both = Vault([b"n" * 32, b"o" * 32])
    step = await database.write(lambda connection: seal_anew(connection, both, place, after=None, limit=9))
    assert step.renewed == 1
    newest = ProviderStore(database, Vault([b"n" * 32]))
    assert (await newest.target(1, made.id)).key == KEY


async def test_who_has_not_agreed_is_not_called(store: ProviderStore) -> None:
    made = await store.create(1, settings_for(BASE, agreed=False))
    with pytest.raises(Conflict) as refused:
        await store.target(1, made.id)
    assert (refused.value.code, refused.value.params["host"]) == ("no_consent", "api.example.com")
    agreed = await store.change(1, made.id, {"consented_host": "api.example.com"})
    assert (agreed.has_consent, agreed.consented_at_ms, agreed.version) == (True, 5_000, 2)
    moved = await store.change(1, made.id, {"base_url": "https://b.example/v1", "key": "other"})
    assert (moved.host, moved.has_consent, moved.consented_at_ms) == ("b.example", False, None)
    with pytest.raises(StaleGeneration):
        await store.change(1, made.id, {"name": "late"}, versions=frozenset({1}))


async def test_what_cannot_be_opened_any_more_can_be_entered_anew(store: ProviderStore, database: Database) -> None:
    made = await store.create(1, settings_for(BASE))
    await database.write(
        lambda connection: connection.execute(ai_providers.update().values(settings_sealed=b"broken" * 9)).rowcount
    )
    assert (await store.get(1, made.id)).host == "api.example.com"
    with pytest.raises(StoreError):
        await store.change(1, made.id, {"name": "x"})
    await store.change(1, made.id, {"base_url": f"{BASE}/v1", "key": "new"})
    assert (await store.target(1, made.id)).key == "new"


async def test_one_that_the_model_of_a_shop_is_on_with_is_not_removed(
    store: ProviderStore, database: Database, manager: DBManager
) -> None:
    one, other = await store.create(1, settings_for(BASE)), await store.create(1, settings_for(BASE, agreed=False))
    on: dict[str, Any] = {"ai_mode": "auto", "ai_provider_id": one.id}
    rest = [an_account("off", ai_provider_id=one.id), an_account("gone", **on), an_account("bobs", owner_id=2, **on)]
    await created(manager, an_account("b", **on), an_account("a", **{**on, "ai_mode": "draft"}), *rest)

    async def put(shop: str, **values: Any) -> None:
        mine = accounts.update().where(accounts.c.id == shop)
        await database.write(lambda connection: connection.execute(mine.values(**values)).rowcount)

    await put("gone", deleted=True)
    with pytest.raises(Conflict) as refused:
        await store.remove(1, one.id)
    assert (refused.value.code, refused.value.params["shops"]) == ("provider_in_use", ["a", "b"])
    assert await store.get(1, one.id) == one
    await put("b", ai_mode="off")
    await put("a", ai_provider_id=other.id)
    await store.remove(1, one.id)


@pytest.mark.parametrize(
    ("values", "lack"),
    [
        ({"ai_mode": "off", "ai_provider_id": 9}, None),
        ({"ai_provider_id": 1}, None),
        ({"ai_provider_id": 2}, ModelLack.NO_CONSENT),
        ({"ai_provider_id": 3}, ModelLack.NO_PROVIDER),
        ({"ai_provider_id": 9}, ModelLack.NO_PROVIDER),
        ({"ai_provider_id": 0}, ModelLack.NO_PROVIDER),
    ],
)
async def test_what_a_model_that_is_on_lacks_is_known(
    store: ProviderStore, database: Database, values: dict[str, Any], lack: ModelLack | None
) -> None:
    for owner, agreed in ((1, True), (1, False), (2, True)):
        await store.create(owner, settings_for(BASE, agreed=agreed))
    account = an_account("shop", **{"ai_mode": "auto", **values})
    assert await database.read(lambda connection: lack_of(connection, account)) is lack


async def test_a_user_has_at_most_so_many_and_takes_them_along(store: ProviderStore, database: Database) -> None:
    for number in range(MAX_PROVIDERS):
        await store.create(1, settings_for(BASE, name=f"m{number}"))
    with pytest.raises(Conflict) as refused:
        await store.create(1, settings_for(BASE))
    assert refused.value.code == "too_many_providers"
    await store.remove(1, (await store.list(1))[0].id)
    assert len(await store.list(1)) == MAX_PROVIDERS - 1
    await database.write(lambda connection: connection.execute(delete(users).where(users.c.id == 1)).rowcount)

    def left(connection: Any) -> list[int]:
        return [connection.scalar(select(func.count()).select_from(one)) for one in (ai_providers, ai_provider_states)]

    assert await database.read(left) == [0, 0]
