"""An order of a supplier's goods that ends while its units are bought: they become stock, and no order holds them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, select

from contract.order_book_steps import paid
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.goods import supplier_units as supplier_units_module
from shoal.goods.bindings import units_of_order
from shoal.goods.fetching import Reserved, reserve_unit
from shoal.goods.goods import Goods
from shoal.messages.task_drain import TaskDrain
from shoal.orders.explain_order import Explained
from shoal.orders.order_rows import OrderRow
from shoal.orders.order_store import OrderStore, OrderUpdate
from shoal.orders.supplied_units import SuppliedUnits
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import accounts
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, created
from support.orders.goods_steps import an_owner, states_of, unit_texts
from support.orders.suppliers import served_supplier, settings_for, supplied_goods, supplier_units


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_what_was_bought_for_an_order_that_ended_meanwhile_is_stock(
    database: Database, vault: Vault, manager: DBManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(manager, an_account("shop"))
    unb = await database.read(lambda connection: str(connection.scalar(select(accounts.c.unb))))
    book = OrderStore(database, texts=await unit_texts(database, vault))
    order = await paid(book)

    def reserved(connection: Connection, goods: Goods, **place: Any) -> Reserved:
        """The order is cancelled between the last look at it and the intent to buy."""
        ended = OrderUpdate(order_id="o1", status="cancelled", source="card")
        OrderRow(connection, "shop", "o1", 1).receive(ended)
        return reserve_unit(connection, goods, **place)

    monkeypatch.setattr(supplier_units_module, "reserve_unit", reserved)
    async with served_supplier() as (url, counter):
        goods = await supplied_goods(database, vault, await an_owner(database), settings_for(url))
        fetcher, work = await supplier_units(database, vault), TaskDrain()
        supplied = SuppliedUnits(fetcher, book, work, account_id="shop")
        rule = DeliveryRule(goods_id=goods.id)
        for _ in range(2):  # while a unit is being fetched none is fetched for the order again
            assert not supplied.are_there(order, Explained(rule=rule, wanted=1, supplied=True), unb, lambda: True)
        assert len(work._tasks) == 1
        await work.finish(60)
        assert len(counter.sales) == 1
        looked, off = asyncio.Event(), TaskDrain()
        other = SuppliedUnits(fetcher, book, off, account_id="shop")
        with book.serving("shop", looked.set):
            open_order = await paid(book, order_id="o2")
            assert not other.are_there(open_order, Explained(rule=rule, wanted=1, supplied=True), unb, lambda: False)
            await asyncio.wait_for(looked.wait(), 60)
        await off.finish(60)
        await fetcher.close()
        assert len(counter.sales) == 1, "the switch was off, so nothing was bought"
    assert await states_of(database, goods.id) == {"free": 1}
    assert await database.read(lambda connection: units_of_order(connection, unb, "o1")) == ()
