"""The JSON of an account is made once for each of its states, and is what the model says."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from shoal.accounts.account import Account, AccountState, Observation
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.published import Listener
from shoal.api.schemas import kept_accounts
from shoal.api.schemas.kept_accounts import KeptAccounts, joined, with_accounts
from shoal.api.schemas.responses import account_body, detail_row
from shoal.auth.permission import Permission
from shoal.xianyu.browser import chrome
from support.databases.store_steps import an_account

OWN, READ = Permission.OWN, Permission.READ


class SmallManager:
    """What the JSON of an account is made of."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = {account.id: account for account in accounts}
        self.seen = dict.fromkeys(self.accounts, Observation())
        self.stale: set[str] = set()
        self.nodes: dict[str, str] = {}
        self.default_browser = chrome(151)

    def observation(self, account_id: str) -> Observation:
        return self.seen[account_id]

    def node_of(self, account_id: str) -> str | None:
        return self.nodes.get(account_id)

    def is_stale(self, account_id: str) -> bool:
        return account_id in self.stale


def kept_of(manager: SmallManager) -> KeptAccounts:
    return KeptAccounts(cast("CookieManager", manager), lambda _: None)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that were made into JSON, in order."""
    ids: list[str] = []

    def noted(model: Any) -> bytes:
        ids.append(model.id)
        text: str = model.model_dump_json()
        return text.encode()

    monkeypatch.setattr(kept_accounts, "_json", noted)
    return ids


def test_the_kept_json_is_that_of_the_models() -> None:
    account = an_account("店铺", remark='“"quoted"” \u2028 line')
    manager = SmallManager(account)
    kept = kept_of(manager)
    for permission in Permission:
        body = account_body(cast("CookieManager", manager), account, permission)
        assert json.loads(kept.body(account, permission)) == body.model_dump(mode="json")
        row = detail_row(account, Observation(), permission, None)
        assert json.loads(kept.rows([(account, permission)])[0]) == row.model_dump(mode="json")


def test_an_account_is_made_into_json_again_only_after_something_differs(made: list[str]) -> None:
    account = an_account("shop")
    manager = SmallManager(account)
    kept = kept_of(manager)
    assert kept.body(account, OWN) is kept.body(account, OWN)
    assert made == ["shop"]
    assert json.loads(kept.body(account, READ))["permission"] == "read"
    assert json.loads(kept.body(account, OWN))["permission"] == "own"
    assert len(made) == 2
    manager.seen["shop"] = Observation(state=AccountState.RUNNING)
    assert json.loads(kept.body(account, OWN))["state"] == "running"
    manager.stale.add("shop")
    assert json.loads(kept.body(account, OWN))["stale"] is True
    newer = account.evolve(remark="new", generation=2)
    manager.accounts["shop"] = newer
    assert json.loads(kept.body(newer, OWN))["remark"] == "new"
    assert json.loads(kept.body(account, OWN))["remark"] == "", "a reader may still hold the snapshot of before"
    kept.body(newer, OWN)
    assert len(made) == 6, "what is kept is of the newest"


def test_nothing_is_kept_of_a_deleted_account() -> None:
    account, stays = an_account("gone"), an_account("stays")
    listeners: list[Listener] = []
    kept = KeptAccounts(cast("CookieManager", SmallManager(account, stays)), listeners.append)
    kept.rows([(account, OWN), (stays, OWN)])
    for told in (("stays", stays), ("gone", None)):
        listeners[0](*told)
    assert list(kept._kept) == ["stays"]


def test_rows_are_joined_as_they_are() -> None:
    rows = [b'{"id":"a"}', b'{"id":"b"}']
    assert json.loads(joined(rows)) == [{"id": "a"}, {"id": "b"}]
    assert json.loads(joined([])) == []
    assert json.loads(with_accounts({"type": "snapshot", "rev": 3}, rows))["accounts"] == [{"id": "a"}, {"id": "b"}]
    assert json.loads(with_accounts({}, [])) == {"accounts": []}
