"""Shops that were stored and loaded again: their own export changes nothing in them, on either database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from shoal.accounts.account import Account
from shoal.storage.db_manager import DBManager
from support.databases.store_steps import created, living
from support.moving.shop_file_steps import accounts, applied_to, exported


@pytest.fixture(scope="module")
def drawn() -> list[Account]:
    """The same shops each time."""
    found: list[Account] = []

    @settings(max_examples=25, derandomize=True, database=None)
    @given(accounts)
    def draw(account: Account) -> None:
        number = len(found)
        unb = str(2200000000001 + number)
        found.append(account.evolve(id=f"s{number}", unb=unb, cookie=f"unb={unb}; cookie2=s"))

    draw()
    return found


@pytest.mark.slow
async def test_a_stored_shop_is_as_its_own_export_says(manager: DBManager, drawn: list[Account]) -> None:
    await created(manager, *drawn)
    for one in drawn:
        account = await living(manager, one.id)
        assert exported(account) == exported(one)
        assert await applied_to(account, exported(account), prune=True) is account
