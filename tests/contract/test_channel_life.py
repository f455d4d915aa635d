"""What becomes of channels: with a new key, when their user is switched off or goes, and when a shop is removed."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Select, column, delete, func, select, table, update

from contract.test_key_rotation import names_of_files_with, rotation, settled
from shoal.errors import StaleGeneration, StoreError
from shoal.notices.channels import Channel, ChannelStore
from shoal.notices.subscriptions import Subscription
from shoal.notices.transport import Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject
from shoal.storage.notice_tables import channels, subscriptions
from shoal.storage.schema import accounts
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock, Place, an_account, created
from support.notices.notice_steps import Teller, a_channel
from support.orders.goods_steps import an_owner, changed
from support.site.standins import until_told

HOUR = 3_600
CANARY = "CANARY0channel0token"


@pytest.fixture
def teller(database: Database, clock: Clock) -> Teller:
    return Teller(database, clock)


@pytest.fixture
async def owner(database: Database, manager: DBManager) -> int:
    """The owner of the accounts ``shop`` and ``other``."""
    user_id = await an_owner(database)
    await created(manager, an_account(owner_id=user_id), an_account("other", owner_id=user_id, unb="9002"))
    return user_id


async def _parks(teller: Teller, account_id: str = "shop") -> None:
    kind, subject = IncidentKind.PARKED, account_subject(account_id)
    await teller.happens(Opening(subject=subject, kind=kind, at_ms=teller.clock(), account_id=account_id))


def _all(connection: Connection, query: Select[Any]) -> list[Any]:
    return list(connection.execute(query))


async def test_a_channel_opens_with_a_new_key_alone_and_for_its_user_alone(
    place: Place, database: Database, vault: Vault, owner: int
) -> None:
    store, key_file = ChannelStore(database, vault), place.data_dir / "secret.key"
    made = await store.create(owner, "dingtalk", {"token": CANARY}, {"name": "c"})
    async with rotation(database, vault, key_file) as living:
        await living.rotate()
        await settled(living)
        await living.forget()
    alone = ChannelStore(database, await open_vault(database, key_file))
    opened = await alone.opened(made.id)
    assert opened is not None
    assert opened[2] == {"token": CANARY}
    assert names_of_files_with(CANARY.encode(), place.data_dir) == []
    await changed(database, update(channels).values(user_id=await an_owner(database)))
    with pytest.raises(StoreError):
        await alone.opened(made.id)


async def test_the_channels_of_a_user_who_is_switched_off_stop_at_once_and_what_waited_is_never_told(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: Sent(outcome=Outcome.FAILED, answer="errcode 310000")
    await _parks(teller)
    await teller.now()
    assert len(teller.transport.messages) == 1, "it is to be sent again"
    await changed(database, update(users).where(users.c.id == owner).values(active=False))
    await teller.after(HOUR, every=HOUR / 4)
    assert len(teller.transport.messages) == 1
    await changed(database, update(users).where(users.c.id == owner).values(active=True))
    await teller.after(HOUR, every=HOUR / 4)
    assert len(teller.transport.messages) == 1, "what happened meanwhile stands in the console"
    await _parks(teller, "other")
    await teller.now()
    assert len(teller.transport.messages) == 2


async def test_a_user_who_is_leaving_is_told_nothing_more_and_takes_channels_along(
    database: Database, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    await changed(database, update(users).where(users.c.id == owner).values(leaving=True))
    await _parks(teller)
    await teller.after(HOUR)
    assert (teller.transport.messages, await teller.states()) == ([], [])
    await changed(database, delete(users).where(users.c.id == owner))
    for query in (select(channels), select(subscriptions)):
        rows = await database.read(partial(_all, query=query))
        assert rows == []


async def test_a_channel_for_one_shop_tells_of_no_other_when_that_shop_is_removed(
    database: Database, vault: Vault, manager: DBManager, teller: Teller, owner: int
) -> None:
    store = ChannelStore(database, vault)
    made = await store.create(owner, "dingtalk", {"token": CANARY}, {"name": "c"})
    await store.subscribe(owner, made.id, lambda _: Subscription(accounts=("shop",)))
    await changed(database, update(accounts).where(accounts.c.id == "shop").values(deleted=True))
    await manager.purge("shop")
    await _parks(teller, "other")
    await teller.after(HOUR)
    assert teller.transport.messages == []
    await store.subscribe(owner, made.id, lambda now: now.without_account("shop", ["other"]))
    assert (await store.subscription(made.id)).nothing, "none is left, which is not all"
    assert await store.subscriptions(owner) == {made.id: Subscription(nothing=True)}
    await teller.after(HOUR)
    assert teller.transport.messages == []


async def test_two_servers_that_change_a_channel_at_once_lose_neither_change(
    place: Place, database: Database, vault: Vault, owner: int
) -> None:
    if database.is_sqlite:
        pytest.skip("a file has one server")
    another, store = await place.open_again(data_dir=place.data_dir / "second"), ChannelStore(database, vault)
    made = await store.create(owner, "dingtalk", {"token": CANARY}, {"name": "c"})
    renamed = update(channels).where(channels.c.id == made.id).values(name="d", version=made.version + 1)
    changed_there, goes_on = threading.Event(), threading.Event()

    def there(connection: Connection) -> None:
        connection.execute(renamed)
        changed_there.set()
        goes_on.wait(60)

    def waiting(connection: Connection) -> int:
        """How many statements wait for a row of another transaction."""
        activity = table("pg_stat_activity", column("datname"), column("wait_event_type"))
        mine = activity.c.datname == func.current_database()
        query = select(func.count()).select_from(activity).where(mine, activity.c.wait_event_type == "Lock")
        return connection.scalar(query) or 0

    standing = asyncio.create_task(another.write(there))
    await asyncio.to_thread(changed_there.wait, 60)
    guarded = store.change(owner, made.id, {"language": "en"}, versions=frozenset({made.version}))
    blind = store.change(owner, made.id, {"buyer_words": True})
    racing = asyncio.gather(guarded, blind, return_exceptions=True)
    try:
        await until_told(lambda: database.read(waiting), 1)
    finally:
        goes_on.set()
    await standing
    assert [type(answer) for answer in await racing] == [StaleGeneration, Channel]
    now = await store.get(owner, made.id)
    assert (now.name, now.language, now.buyer_words, now.version) == ("d", "zh", True, made.version + 2)
