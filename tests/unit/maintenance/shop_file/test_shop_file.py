"""The file of shops: what is exported is read as the same, and one shop's file makes another alike."""

from __future__ import annotations

import pytest
from hypothesis import given

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.maintenance.shop_file.differences import differences
from shoal.maintenance.shop_file.export import delivery_row, rule_row, shop_row
from shoal.maintenance.shop_file.shapes import RulePart
from shoal.rules.rule import Rule
from support.moving.shop_file_steps import GOODS, accounts, applied, exported


@given(accounts)
def test_applying_its_own_export_changes_nothing(account: Account) -> None:
    assert applied(account, exported(account), prune=True) is account


@given(accounts, accounts)
@pytest.mark.slow
def test_the_file_of_one_shop_makes_another_alike(one: Account, other: Account) -> None:
    after = applied(other, exported(one), prune=True)
    assert shop_row(after, GOODS, None) == shop_row(one, GOODS, None)
    assert applied(after, exported(one), prune=True) is after
    found = differences(other, after, GOODS)
    assert bool(found) is (after is not other)


def test_goods_of_a_delivery_rule_are_named_when_their_name_is_known() -> None:
    rule = DeliveryRule(goods_id=7)
    assert delivery_row(rule, {7: "月卡"}) == {"goods_id": 7, "goods": "月卡"}
    assert delivery_row(rule, {8: "年卡"}) == {"goods_id": 7}


def test_a_rule_is_exported_with_its_id_and_all_that_a_new_one_has_not() -> None:
    rule = Rule(id="r", words=("价格",), item_ids=("7",), priority=3, cooldown_seconds=60, active=False)
    assert rule_row(rule) == {
        "id": "r", "words": ("价格",), "item_ids": ("7",), "priority": 3, "cooldown_seconds": 60, "active": False,
    }  # fmt: skip
    assert RulePart(words=["价格"]).id == "", "a rule without an id is a new one"
