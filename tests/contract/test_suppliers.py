"""Units from a supplier, over real HTTP: each bought at most once under every answer, also after a death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from shoal.errors import Conflict, StoreError
from shoal.goods.bindings import HELD, BoundUnit, bind_units, release_units, units_of_order, units_went_out
from shoal.goods.fetching import Reserved, let_go_of_doubted, reserve_unit
from shoal.goods.goods import Goods
from shoal.goods.goods_store import GoodsStore
from shoal.goods.supplier_units import Fetched, SupplierUnits, UnitsOfOrder, Waits
from shoal.sandbox.supplier import Counter
from shoal.storage.database import Database
from shoal.storage.goods_tables import units
from shoal.storage.vault import Vault
from support.orders.goods_steps import an_owner, by, states_of, unit_texts
from support.orders.suppliers import CANARY, SHORT, served_supplier, settings_for, supplied_goods, supplier_units

UNB = "2200000000001"
ONE_DATABASE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what depends on the supplier, not on the database."""


class Shop:
    """Goods of a supplier, and what asks it."""

    def __init__(
        self, database: Database, vault: Vault, goods: Goods, fetcher: SupplierUnits, counter: Counter
    ) -> None:
        self.database, self.vault, self.goods, self.fetcher, self.counter = database, vault, goods, fetcher, counter

    async def fetch(self, order_id: str = "1", count: int = 1, **more: Any) -> Fetched:
        order = UnitsOfOrder(goods=self.goods, unb=UNB, order_id=order_id, count=count)
        return await self.fetcher.fetch(order, by(), **more)

    async def asked_again(self, order_id: str = "1") -> Fetched:
        """A person asks for the order once more."""
        await self.database.write(lambda connection: let_go_of_doubted(connection, unb=UNB, order_id=order_id, by=by()))
        return await self.fetch(order_id)

    async def reserved(self, order_id: str = "1") -> Reserved:
        """The intent to fetch the first unit of an order is stored, and no more."""
        goods = self.goods
        return await self.database.write(
            lambda connection: reserve_unit(connection, goods, unb=UNB, order_id=order_id, unit_no=1, by=by())
        )

    async def bound(self, order_id: str = "1") -> tuple[BoundUnit, ...]:
        return await self.database.read(lambda connection: units_of_order(connection, UNB, order_id))

    async def states(self) -> dict[str, int]:
        return await states_of(self.database, self.goods.id)

    @property
    def asked(self) -> list[str]:
        return [line["what"] for line in self.counter.calls.after(0)]

    @property
    def sold(self) -> int:
        return len(self.counter.sales)

    async def history(self) -> list[tuple[str, str]]:
        found = await GoodsStore(self.database).history(self.goods.id)
        return [(entry.what.value, entry.reason) for entry in reversed(found)][1:]

    async def dies(self) -> None:
        """The program ends and another begins: nothing in memory is left."""
        await self.fetcher.close()
        self.fetcher = await supplier_units(self.database, self.vault)


@pytest.fixture
async def supplier() -> AsyncIterator[tuple[str, Counter]]:
    async with served_supplier() as found:
        yield found


@asynccontextmanager
async def a_shop(database: Database, vault: Vault, supplier: tuple[str, Counter], **values: Any) -> AsyncIterator[Shop]:
    url, counter = supplier
    goods = await supplied_goods(database, vault, await an_owner(database), settings_for(url, **values))
    shop = Shop(database, vault, goods, await supplier_units(database, vault), counter)
    try:
        yield shop
    finally:
        await shop.fetcher.close()


async def test_an_order_gets_its_units_sealed_and_bound(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        found = await asyncio.gather(*(shop.fetch(count=3) for _ in range(3)))
        assert (set(found), shop.sold, shop.asked) == ({Fetched.READY}, 3, ["order"] * 3)
        assert await shop.fetch(count=3) is Fetched.READY
        bound = await database.write(
            lambda connection: bind_units(connection, shop.goods, unb=UNB, order_id="1", count=3, by=by())
        )
        assert [(one.unit_no, one.state) for one in bound] == [(1, HELD), (2, HELD), (3, HELD)]
        seals = await unit_texts(database, vault)
        texts = [seals.open(one.sealed or b"", shop.goods.owner_id) for one in bound]
        assert texts == [sale.code for sale in shop.counter.sales.values()]
        await database.write(lambda connection: units_went_out(connection, UNB, "1", by()))
        assert await shop.states() == {"out": 3}
        call = shop.counter.calls.after(0)[0]
        assert set(call["headers"]) == {
            "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host",
            "idempotency-key", "user-agent",
        }  # fmt: skip
        assert call["body"] == f'{{"order": "1", "token": "{CANARY}"}}'
        assert len({line["key"] for line in shop.counter.calls.after(0)}) == 3
        assert [what for what, _ in await shop.history()] == ["fetching", "fetched"] * 3 + ["out"] * 3
        with pytest.raises(Conflict, match="other units"):
            await database.write(
                lambda connection: bind_units(connection, shop.goods, unb=UNB, order_id="1", count=2, by=by())
            )


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fault", "sold", "why"),
    [
        ({"fault": "429"}, 0, "status 429"),
        ({"fault": "500"}, 0, "status 500"),
        ({"fault": "500", "sells": True}, 1, "status 500"),
        ({"fault": "201"}, 1, "no_code 201"),
        ({"fault": "closed"}, 1, "no_answer"),
        ({"fault": "no_code"}, 0, "no_code 200"),
        ({"fault": "redirect"}, 0, "redirect"),
        ({"fault": "large"}, 0, "no_code 200"),
        ({"fault": "slow", "seconds": 1.2}, None, "timeout"),
    ],
)
async def test_what_may_have_been_bought_is_doubted_and_asked_for_again_by_a_person_only(
    database: Database, vault: Vault, supplier: tuple[str, Counter], fault: dict[str, Any], sold: int | None, why: str
) -> None:
    async with a_shop(database, vault, supplier, timeout_seconds=1) as shop:
        shop.counter.lay(**{"times": 1, "seconds": 0.0, "sells": False, "query": True, **fault})
        assert await shop.fetch() is Fetched.DOUBTED
        assert (shop.asked, await shop.states()) == (["order"], {"doubted": 1})
        assert sold is None or shop.sold == sold
        assert await shop.fetch() is Fetched.DOUBTED
        await shop.dies()
        assert await shop.fetch() is Fetched.DOUBTED
        assert shop.asked == ["order"]
        assert await shop.history() == [("fetching", ""), ("doubted", why)]
        with pytest.raises(Conflict, match="not there"):
            await database.write(
                lambda connection: bind_units(connection, shop.goods, unb=UNB, order_id="1", count=1, by=by())
            )
        assert await shop.asked_again() is Fetched.READY
        assert (shop.asked, await shop.states(), shop.sold) == (["order"] * 2, {"doubted": 1, "held": 1}, 1)
        assert len({line["key"] for line in shop.counter.calls.after(0)}) == 1


async def test_a_refusal_is_certain_and_leaves_nothing(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        shop.counter.lay("refused", times=1, seconds=0, sells=False, query=True)
        assert await shop.fetch(count=2) is Fetched.REFUSED
        assert (await shop.states(), await shop.bound(), shop.asked) == ({}, (), ["order"])
        assert await shop.history() == [("fetching", ""), ("not_fetched", "refused 404")]
        assert (await shop.fetch(count=2), shop.sold) == (Fetched.READY, 2)


@ONE_DATABASE
async def test_a_supplier_that_is_not_reached_is_called_again(database: Database, vault: Vault) -> None:
    async with served_supplier() as (url, counter):
        pass  # its port is closed from here on
    async with a_shop(database, vault, (url, counter)) as shop:
        assert await shop.fetch() is Fetched.UNREACHABLE
        assert (await shop.states(), counter.sales) == ({}, {})
        assert await shop.history() == [("fetching", ""), ("not_fetched", "no_connection")]
        await shop.fetcher.close()
        shop.fetcher = await supplier_units(database, vault, allowed="")  # as a server is set up: no private address
        assert await shop.fetch() is Fetched.UNREACHABLE
        inside = await supplied_goods(
            database, vault, shop.goods.owner_id, settings_for("http://metadata.invalid", timeout_seconds=5)
        )
        shop.goods = inside
        assert await shop.fetch("2") is Fetched.UNREACHABLE
        assert (await shop.history())[-1] == ("not_fetched", "unknown_host")


@ONE_DATABASE
async def test_the_guard_lets_no_call_to_a_private_address_out(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        await shop.fetcher.close()
        shop.fetcher = await supplier_units(database, vault, allowed="")
        assert (await shop.fetch(), shop.asked) == (Fetched.UNREACHABLE, [])


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ({"fault": "closed"}, ["order", "query"]),
        ({"fault": "201"}, ["order", "query"]),
        ({"fault": "500", "sells": True}, ["order", "query"]),
        ({"fault": "429"}, ["order", "query", "query", "order"]),
        ({"fault": "no_code", "times": 2}, ["order", "query", "query", "order", "query", "query"]),
    ],
)
async def test_a_query_route_tells_what_became_of_an_order(
    database: Database, vault: Vault, supplier: tuple[str, Counter], fault: dict[str, Any], asked: list[str]
) -> None:
    async with a_shop(database, vault, supplier, query=True) as shop:
        shop.counter.lay(**{"times": 1, "seconds": 0.0, "sells": False, "query": True, **fault})
        twice = fault.get("times") == 2
        assert await shop.fetch() is (Fetched.DOUBTED if twice else Fetched.READY)
        assert (shop.asked, shop.sold) == (asked, 0 if twice else 1)
        assert all(sale.times == 1 for sale in shop.counter.sales.values())


@ONE_DATABASE
async def test_a_query_that_fails_leaves_a_doubt_which_a_later_one_settles(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier, query=True, wait_seconds=0) as shop:
        shop.counter.lay("closed", times=1, seconds=0, sells=False, query=False)
        assert await shop.fetch() is Fetched.DOUBTED
        shop.counter.query = True
        assert await shop.fetch() is Fetched.DOUBTED
        assert await shop.asked_again() is Fetched.READY
        assert (shop.asked, shop.sold) == (["order", "query", "query"], 1)
        assert await shop.states() == {"doubted": 1, "held": 1}


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize("sold", [False, True])
async def test_a_death_between_the_intent_and_its_answer(
    database: Database, vault: Vault, supplier: tuple[str, Counter], *, query: bool, sold: bool
) -> None:
    async with a_shop(database, vault, supplier, query=query) as shop:
        reserved = await shop.reserved()
        assert reserved.unit_id
        assert await shop.states() == {"fetching": 1}
        if sold:
            shop.counter.sell(shop.fetcher._texts.call_key(UNB, "1", 1), "1")
        await shop.dies()
        found = await shop.fetch()
        assert found is (Fetched.READY if query else Fetched.DOUBTED)
        assert shop.asked == ([] if not query else ["query"] if sold else ["query", "query", "order"])
        assert shop.sold == int(sold or query)
        if not query:
            assert (await shop.history())[-1] == ("doubted", "interrupted")


@pytest.mark.parametrize("query", [False, True])
async def test_a_start_doubts_what_no_order_will_look_up(
    database: Database, vault: Vault, supplier: tuple[str, Counter], *, query: bool
) -> None:
    async with a_shop(database, vault, supplier, query=query) as shop:
        await asyncio.gather(shop.reserved("1"), shop.reserved("2"))
        await database.write(lambda connection: release_units(connection, UNB, "2", by(), reason="refunded"))
        await shop.dies()
        assert await shop.fetcher.settle_interrupted() == (1 if query else 2)
        assert await shop.states() == ({"fetching": 1, "doubted": 1} if query else {"doubted": 2})
        assert await shop.fetcher.settle_interrupted() == 0
        assert await shop.fetch() is (Fetched.READY if query else Fetched.DOUBTED)


@ONE_DATABASE
async def test_a_caller_that_leaves_loses_no_unit(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        shop.counter.lay("slow", times=1, seconds=0.3, sells=False, query=True)
        leaving = asyncio.create_task(shop.fetch())
        await asyncio.wait_for(shop.counter.calls.wait(0, 60), 60)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert (await shop.fetch(), shop.asked) == (Fetched.READY, ["order"])


async def test_a_unit_whose_order_was_refunded_meanwhile_goes_to_the_next_one(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        shop.counter.lay("slow", times=1, seconds=0.3, sells=False, query=True)
        fetching = asyncio.create_task(shop.fetch())
        await asyncio.wait_for(shop.counter.calls.wait(0, 60), 60)
        await database.write(lambda connection: release_units(connection, UNB, "1", by(), reason="refunded"))
        await fetching
        assert await shop.states() == {"free": 1}
        assert await shop.fetch("2", count=2) is Fetched.READY
        assert (shop.sold, await shop.states()) == (2, {"held": 2})

        async def never() -> bool:
            return False

        assert (await shop.fetch("3", is_still_due=never), shop.sold) == (Fetched.STOPPED, 2)


async def test_a_unit_whose_order_its_owner_settled_meanwhile_goes_to_nobody_else(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        shop.counter.lay("slow", times=1, seconds=60, sells=False, query=True)
        fetching = asyncio.create_task(shop.fetch())
        await asyncio.wait_for(shop.counter.calls.wait(0, 60), 60)
        await database.write(lambda connection: units_went_out(connection, UNB, "1", by()))
        shop.counter.close()
        await fetching
        assert await shop.states() == {"out": 1}


async def test_a_code_that_was_sold_before_goes_to_nobody_again(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        assert await shop.fetch("1") is Fetched.READY
        shop.counter.lay("same_code", times=1, seconds=0, sells=False, query=True)
        assert await shop.fetch("2") is Fetched.DOUBTED
        assert (await shop.history())[-1] == ("doubted", "sold_before 200")


@ONE_DATABASE
async def test_an_answer_that_cannot_be_stored_is_written_again(
    database: Database, vault: Vault, supplier: tuple[str, Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        write, failures = database.write, [StoreError("disk full"), StoreError("disk full")]

        async def failing(job: Any, *rest: Any) -> Any:
            if shop.counter.sales and failures:
                raise failures.pop()
            return await write(job, *rest)

        monkeypatch.setattr(shop.fetcher, "_waits", Waits(SHORT.calls, SHORT.queries, (0.01,) * 3))
        monkeypatch.setattr(database, "write", failing)
        assert (await shop.fetch(), failures, shop.sold) == (Fetched.READY, [], 1)


async def test_a_test_call_buys_one_unit_that_the_next_order_gets(
    database: Database, vault: Vault, supplier: tuple[str, Counter]
) -> None:
    async with a_shop(database, vault, supplier) as shop:
        wanted = shop.fetcher.test_order(spec="时长:月卡")
        answer = await shop.fetcher.try_call(shop.goods, wanted, by())
        assert (answer.status, await shop.states()) == (200, {"free": 1})
        assert (await shop.fetch(), shop.sold, await shop.states()) == (Fetched.READY, 1, {"held": 1})
        rows = await database.read(lambda connection: connection.execute(select(units.c.uses)).scalars().all())
        assert rows == [1]
