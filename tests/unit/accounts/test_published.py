"""Published snapshots reach every listener, and are found by id and by owner."""

from __future__ import annotations

import pytest

from shoal.accounts.account import Account
from shoal.accounts.events import EventBus, MessageEvent
from shoal.accounts.journal import JournalEntry
from shoal.accounts.published import PublishedAccounts
from support.databases.store_steps import an_account


class BrokenSubscriptionError(Exception):
    """What a listener with a defect raises."""


def _entry(account: Account) -> JournalEntry:
    return JournalEntry(
        account_id=account.id, owner_id=account.owner_id, generation=1, rev=1, changes={}, actor="user:ann", op_id="op",
        at_ms=1,
    )  # fmt: skip


def _broken(*_: object) -> None:
    raise BrokenSubscriptionError


def test_a_listener_that_fails_keeps_no_other_from_hearing() -> None:
    published = PublishedAccounts(EventBus())
    told: list[tuple[str, Account | None]] = []
    published.subscribe(_broken)
    published.subscribe(lambda account_id, account: told.append((account_id, account)))
    account = an_account()
    with published.events.subscribe() as events:
        published.publish(account.id, account, [_entry(account)])
        assert len(events._waiting) == 1
    assert told == [(account.id, account)]


def test_an_event_that_cannot_be_handed_out_keeps_no_listener_from_hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    published = PublishedAccounts(EventBus())
    told: list[str] = []
    published.subscribe(lambda account_id, _: told.append(account_id))
    monkeypatch.setattr(published.events, "publish", _broken)
    account = an_account()
    published.publish(account.id, account, [_entry(account)])
    assert told == [account.id]
    assert published.newest_rev == 1


def ids(accounts: PublishedAccounts, owner_id: int) -> list[str]:
    return [account.id for account in accounts.of_owner(owner_id)]


def test_the_accounts_of_an_owner_follow_each_snapshot() -> None:
    published = PublishedAccounts(EventBus())
    first, second = an_account("a", owner_id=1), an_account("b", owner_id=1)
    for account in (first, second):
        published.put(account.id, account)
    newer = first.evolve(remark="new")
    published.put("a", newer)
    assert list(published.of_owner(1)) == [newer, second]
    published.put("a", newer.evolve(owner_id=2))
    assert (ids(published, 1), ids(published, 2)) == (["b"], ["a"])
    for account_id in ("a", "b", "b"):
        published.put(account_id, None)
    assert [*published.of_owner(1), *published.of_owner(2), *published.of_owner(3)] == []


def test_owners_without_accounts_are_not_kept() -> None:
    published = PublishedAccounts(EventBus())
    account: Account | None = None
    for owner_id in range(5):
        account = an_account("shop", owner_id=owner_id)
        published.put("shop", account)
    published.put("shop", None)
    assert not published._of_owner


def test_f4_an_older_snapshot_never_replaces_a_newer_one() -> None:
    published = PublishedAccounts(EventBus(), several_nodes=True)
    old = an_account().evolve(generation=7, rev=7)
    new = old.evolve(generation=8, rev=8)
    published.follow("shop", new, 8)
    published.follow("shop", old, 7)
    assert published.accounts["shop"] is new
    published.follow("shop", None, 9)
    published.follow("shop", new, 8)
    assert "shop" not in published.accounts, "a deleted account does not come back"
    again = old.evolve(generation=10, rev=10)
    published.follow("shop", again, 10)
    published.follow("shop", None, 9)
    assert published.accounts["shop"] is again, "a later life of the id is not deleted"


def test_events_of_two_shops_never_replace_each_other_and_newer_ones_of_a_chat_do() -> None:
    bus = EventBus()
    with bus.subscribe() as events:
        for at_ms, account_id in ((1, "a"), (2, "b"), (3, "a")):
            bus.publish(MessageEvent(account_id=account_id, kind="chat", key="c1", facts={}, at_ms=at_ms))
        waiting = [(one.account_id, one.at_ms) for one in events._waiting.values() if isinstance(one, MessageEvent)]
    assert waiting == [("b", 2), ("a", 3)]
