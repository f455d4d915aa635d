"""A change of delivery rules writes and journals what differs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, delete, event, func, select

from shoal.accounts.delivery_rule import DeliveryRule, in_order
from shoal.accounts.item_setting import ItemSetting
from shoal.errors import StaleGeneration, StoreError
from shoal.rules.rule import Part
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import delivery_rules, item_settings
from shoal.storage.vault import Vault
from support.databases.store_steps import (
    an_account,
    assert_fold_equals_rows,
    committed,
    created,
    deletion,
    edit,
    living,
)

MONTH = DeliveryRule(
    item_id="1", spec="时长:月卡", goods_id=7, count=2, delay_seconds=5, confirm=3,
    parts=(Part(text="卡密：{codes}"), Part(image_url="/a.png", width=3, height=4)),
)  # fmt: skip
YEAR = replace(MONTH, spec="时长:年卡", goods_id=8, confirm="no")
TITLE = DeliveryRule(title_contains="会员", parts=(Part(text="x"),), confirm="yes")
PLAIN = DeliveryRule(item_id="2", parts=(Part(text="货"),))


@pytest.fixture
def store(database: Database, vault: Vault) -> DBManager:
    """The store on a database; the one in memory writes no rows."""
    return DBManager(database, vault)


async def test_rules_are_stored_with_every_field_and_read_back(store: DBManager) -> None:
    (shop,) = await created(store, an_account().evolve(deliveries=(MONTH, YEAR, TITLE, PLAIN)))
    assert shop.deliveries == in_order([MONTH, YEAR, TITLE, PLAIN])
    assert shop.items == (ItemSetting(item_id="2", paid_message="货"),)
    assert shop == (await store.load()).accounts["shop"]
    await assert_fold_equals_rows(store)


async def test_only_rows_that_differ_are_written(store: DBManager, database: Database) -> None:
    many = tuple(replace(PLAIN, item_id=f"9{number}", confirm="yes") for number in range(50))
    (shop,) = await created(store, an_account().evolve(deliveries=(*many, MONTH)))
    engine, rows = database.group_writer._engine, list[Any]()

    def count(_connection: object, _cursor: object, statement: str, parameters: Any, _: object, many: bool) -> None:
        if "delivery_rules" in statement and not statement.startswith("SELECT"):
            rows.extend(parameters if many else [parameters])

    event.listen(engine, "before_cursor_execute", count)
    changed = (*many[1:], replace(MONTH, count=3), TITLE)
    (entry,) = await committed(store, edit(shop, deliveries=changed))
    event.remove(engine, "before_cursor_execute", count)
    assert len(rows) == 3
    assert {kind: len(rules) for kind, rules in entry.changes["deliveries"].items()} == {
        "added": 1, "removed": 1, "edited": 1,
    }  # fmt: skip
    assert set((await living(store, "shop")).deliveries) == set(changed)
    await assert_fold_equals_rows(store)


async def test_a_simple_rule_is_journaled_as_the_setting_that_shows_it(store: DBManager, database: Database) -> None:
    (shop,) = await created(store, an_account(items=(ItemSetting(item_id="2", reply="在"),)))
    (entry,) = await committed(store, edit(shop, deliveries=(PLAIN, DeliveryRule(parts=(Part(text="店"),)))))
    assert entry.changes["paid_message"] == ["", "店"]
    assert set(entry.changes) == {"paid_message", "items"}
    now = await living(store, "shop")
    assert now.items == (ItemSetting(item_id="2", reply="在", paid_message="货"),)
    await committed(store, edit(now, items=(ItemSetting(item_id="2", paid_message="货"),)))
    assert not await database.read(lambda one: one.scalar(select(func.count()).select_from(item_settings)))
    assert (await living(store, "shop")).items == (ItemSetting(item_id="2", paid_message="货"),)
    await assert_fold_equals_rows(store)


async def test_a_row_that_another_program_took_away_refuses_the_change(store: DBManager, database: Database) -> None:
    (shop,) = await created(store, an_account().evolve(deliveries=(MONTH, YEAR)))
    await database.write(lambda one: one.execute(delete(delivery_rules).where(delivery_rules.c.goods_id == 7)))
    for values in ((YEAR,), (replace(MONTH, count=9), YEAR)):
        with pytest.raises(StaleGeneration):
            await committed(store, edit(shop, deliveries=values))
    assert (await living(store, "shop")).deliveries == (YEAR,)


async def test_a_row_that_cannot_be_read_names_its_account(store: DBManager, database: Database) -> None:
    await created(store, an_account().evolve(deliveries=(MONTH,)))
    for values in ({"confirm": "maybe"}, {"parts": "[{}]"}, {"parts": "{"}):
        damage = delivery_rules.update().values(**values)
        await database.write(partial(Connection.execute, statement=damage))
        with pytest.raises(StoreError, match="account shop") as refused:
            await store.load()
        assert refused.value.code == "unreadable_account"


async def test_rules_go_with_their_account(store: DBManager, database: Database) -> None:
    (shop,) = await created(store, an_account().evolve(deliveries=(MONTH, PLAIN)))
    await committed(store, deletion(shop))
    await store.purge("shop")
    assert not await database.read(lambda one: one.scalar(select(func.count()).select_from(delivery_rules)))
