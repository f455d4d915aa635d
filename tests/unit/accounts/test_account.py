"""Ids of accounts: which are taken, and which are refused; and what a traceback may show of one."""

from __future__ import annotations

import pytest

from shoal.accounts.account import check_account_id
from shoal.errors import (
    InvalidInput,
)
from support.databases.store_steps import an_account
from support.site.standins import ANN, FakeSite, cookie_of, managing

UNSEEN = [
    "a\u200bb",
    "a\u202eb",
    "a\u2066b",
    "\ufeffa",
    "a\u00adb",
    "a\ufe0f",
    "a\u3164",
    "a\u00a0b",
    "a\u2028b",
    "a\U000e0041",
]


@pytest.mark.parametrize("account_id", ["小店 1", "小店\u3000二", "café", "🐟", "ａ", "a.b", "-", "x" * 64])
def test_ids_are_in_any_writing(account_id: str) -> None:
    assert check_account_id(account_id) == account_id


@pytest.mark.parametrize("account_id", UNSEEN)
def test_an_id_has_nothing_that_cannot_be_seen(account_id: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_account_id(account_id)
    assert caught.value.code == "bad_account_id"


@pytest.mark.parametrize("account_id", ["", "a/b", "a?b", "a#b", "a%b", "details", "a\nb", "x" * 65, " a", ".."])
async def test_bad_ids_are_refused_before_anything_is_touched(account_id: str) -> None:
    async with managing(FakeSite()) as manager:
        with pytest.raises(InvalidInput):
            await manager.add_cookie(account_id, cookie_of(1), owner_id=1, caller=ANN)
        assert not manager.accounts


def test_neither_form_of_an_account_for_readers_of_code_holds_a_secret() -> None:
    account = an_account("shop", cookie="unb=1; cookie2=canary", proxy="socks5://u:canary@proxy.example.com:1080")
    for shown in (repr(account), repr(account.__rich_repr__())):
        assert "shop" in shown
        assert "canary" not in shown
