"""The file of shops: what is exported is read as the same, and one shop's file makes another alike."""

from __future__ import annotations

import pytest
from hypothesis import given

from shoal.accounts.account import Account
from shoal.maintenance.shop_file.differences import differences
from shoal.maintenance.shop_file.export import shop_row
from shop_file_steps import GOODS, accounts, applied, exported


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
