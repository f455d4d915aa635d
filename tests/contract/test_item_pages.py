"""Pages of items as rows, on both databases: what stays when a page cannot be read, and when its shop is gone."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, select

from shoal.accounts.account import Account
from shoal.items.item_page_rows import StoredPage, read_stored_page, store_page
from shoal.storage.assistant_tables import item_pages
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.xianyu.item_page import ItemPage, ItemStatus, SpecPrice
from support.databases.store_steps import an_account, committed, created, deletion

ITEM = "800000000001"
PAGE = ItemPage(
    title="会员",
    description="即时发货\n“引号”",
    price_fen=9_000_000_000,
    has_specs=True,
    specs=(SpecPrice("时长:月卡", 2500, 3), SpecPrice("时长:年卡", 20000, None)),
    quantity=7,
    status=ItemStatus.ON_SALE,
)


def stores(account: Account, page: ItemPage | None, why: str, at_ms: int) -> Callable[[Connection], None]:
    return lambda connection: store_page(connection, account, ITEM, page, why, now_ms=at_ms)


async def stored(database: Database, account: Account) -> StoredPage | None:
    return await database.read(lambda connection: read_stored_page(connection, account, ITEM))


async def test_what_was_read_stays_until_it_is_read_again(database: Database, manager: DBManager) -> None:
    (account,) = await created(manager, an_account(unb="2200000000002"))
    assert await stored(database, account) is None
    await database.write(stores(account, None, "bad_reply", 10))
    assert await stored(database, account) == StoredPage(item_id=ITEM, asked_at_ms=10, why="bad_reply")
    await database.write(stores(account, PAGE, "", 20))
    assert await stored(database, account) == StoredPage(item_id=ITEM, page=PAGE, read_at_ms=20, asked_at_ms=20)
    await database.write(stores(account, None, "timeout", 30))
    after = StoredPage(item_id=ITEM, page=PAGE, read_at_ms=20, asked_at_ms=30, why="timeout")
    assert await stored(database, account) == after
    gone = ItemPage(status=ItemStatus.GONE)
    await database.write(stores(account, gone, "", 40))
    assert await stored(database, account) == StoredPage(item_id=ITEM, page=gone, read_at_ms=40, asked_at_ms=40)


async def test_what_was_read_for_another_seller_is_nothing(database: Database, manager: DBManager) -> None:
    (account,) = await created(manager, an_account(unb="2200000000002"))
    await database.write(stores(account, PAGE, "", 20))
    other = account.evolve(unb="2200000000003")
    assert await stored(database, other) is None
    await database.write(stores(other, None, "timeout", 30))
    assert await stored(database, other) == StoredPage(item_id=ITEM, asked_at_ms=30, why="timeout")


async def test_nothing_is_stored_of_a_shop_that_is_gone(database: Database, manager: DBManager) -> None:
    (account,) = await created(manager, an_account())
    await database.write(stores(account, PAGE, "", 20))
    await committed(manager, deletion(account))
    await manager.purge(account.id)
    await database.write(stores(account, PAGE, "", 30))
    assert await database.read(lambda one: one.scalar(select(func.count()).select_from(item_pages))) == 0


def test_ages_of_a_clock_that_was_set_back_are_not_known() -> None:
    page = StoredPage(item_id=ITEM, read_at_ms=100)
    assert (page.age_ms(150), page.age_ms(50), StoredPage(item_id=ITEM).age_ms(1)) == (50, None, None)
    assert page.is_younger(51, 150)
    assert not page.is_younger(50, 150)
