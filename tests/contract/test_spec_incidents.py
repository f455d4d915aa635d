"""Rules that name specs which their items do not have, on both databases: one incident of the shop."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.items.item_page_rows import store_page
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.notice_tables import incident_events, incidents
from shoal.xianyu.item_page import ItemPage, ItemStatus, SpecPrice
from support.databases.store_steps import Clock, an_account, committed, created, edit

ITEM, OTHER = "800000000001", "800000000002"
SPECS = ("时长:月卡", "时长:年卡")


def page(*specs: str, **values: Any) -> ItemPage:
    priced = tuple(SpecPrice(name, 2_500) for name in specs)
    return ItemPage(**{"title": "会员", "has_specs": bool(specs), "specs": priced, **values})


def rules(*specs: str, item_id: str = ITEM) -> tuple[DeliveryRule, ...]:
    return tuple(DeliveryRule(item_id=item_id, spec=spec) for spec in specs)


class Shop:
    """A shop, its rules and what its items' pages say."""

    def __init__(self, database: Database, manager: DBManager, clock: Clock, account: Account) -> None:
        self.database, self.manager, self.clock, self.account = database, manager, clock, account

    async def sells_by(self, *deliveries: DeliveryRule) -> None:
        (entry,) = await committed(self.manager, edit(self.account, deliveries=deliveries))
        self.account = self.account.evolve(generation=entry.generation, rev=entry.rev, deliveries=deliveries)

    async def shows(self, read: ItemPage | None, item_id: str = ITEM) -> None:
        await self.database.write(
            lambda connection: store_page(connection, self.account, item_id, read, "", now_ms=self.clock())
        )

    async def told(self) -> list[dict[str, Any]]:
        """The facts of the open incidents."""
        found = select(incidents.c.facts).where(incidents.c.kind == "no_such_spec", incidents.c.closed_at_ms.is_(None))
        return [json.loads(facts) for facts in await self.database.read(lambda c: list(c.scalars(found)))]


@pytest.fixture
async def shop(database: Database, manager: DBManager, clock: Clock) -> Shop:
    clock.now = 2_000_000_000_000
    (account,) = await created(manager, an_account(unb="2200000000002"))
    return Shop(database, manager, clock, account)


async def test_g18_a_spec_that_the_item_lacks_is_one_incident_until_the_rule_or_the_item_changes(shop: Shop) -> None:
    await shop.sells_by(*rules("时长:季卡"))
    assert await shop.told() == [], "the item was not read yet"
    await shop.shows(None)
    assert await shop.told() == []
    await shop.shows(page(*SPECS))
    (facts,) = await shop.told()
    assert (facts["named"], facts["rules"], facts["specs"]) == (["时长:季卡"], 1, list(SPECS))
    assert facts["item"] == f"会员 · {ITEM}"
    shop.clock.now += 1_000
    await shop.shows(page(*SPECS))
    await shop.shows(page(), OTHER)
    assert len(await shop.told()) == 1
    events = select(incident_events.c.phase)
    assert await shop.database.read(lambda c: list(c.scalars(events))) == ["opened"], "it is told once"
    assert await shop.database.read(lambda c: c.scalar(select(incidents.c.count))) == 1
    await shop.shows(page(*SPECS, "时长:季卡"))
    assert await shop.told() == []
    await shop.shows(page(*SPECS))
    assert len(await shop.told()) == 1
    await shop.sells_by(*rules("时长:月卡"))
    assert await shop.told() == []
    await shop.sells_by(*rules("时长:季卡", "日卡"))
    (facts,) = await shop.told()
    assert facts["named"] == ["日卡", "时长:季卡"]
    await shop.sells_by()
    assert await shop.told() == []


@pytest.mark.parametrize(
    ("named", "read", "is_told"),
    [
        ("月卡", page(*SPECS), False),
        ("年卡;标准", page("版本:标准;时长:年卡", "版本:标准;时长:月卡"), False),
        ("月卡", page("时长:月卡", "版本:月卡"), True),
        ("月卡", page(), True),
        ("月卡", page(has_specs=True), False),  # its specs have an unknown form
        ("月卡", ItemPage(status=ItemStatus.GONE), False),
    ],
)
async def test_g18_what_a_page_does_not_show_is_no_incident(
    shop: Shop, named: str, read: ItemPage, is_told: bool
) -> None:
    await shop.sells_by(*rules(";".join(sorted(named.split(";")))))
    await shop.shows(read)
    assert bool(await shop.told()) is is_told


async def test_g18_rules_for_titles_and_other_sellers_pages_are_no_incident(shop: Shop) -> None:
    await shop.sells_by(DeliveryRule(title_contains="会员", spec="时长:季卡"), DeliveryRule(spec="时长:季卡"))
    await shop.shows(page(*SPECS))
    assert await shop.told() == []
    await shop.sells_by(*rules("时长:季卡"))
    assert len(await shop.told()) == 1
    (entry,) = await committed(shop.manager, edit(shop.account, unb="2200000000009"))
    shop.account = shop.account.evolve(generation=entry.generation, rev=entry.rev, unb="2200000000009")
    await shop.sells_by(*rules("时长:季卡", "时长:日卡"))
    assert await shop.told() == [], "the page was another seller's"
