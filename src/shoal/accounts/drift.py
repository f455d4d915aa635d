"""Drift: differences between an account's row and its published snapshot, and how the row is adopted.

The journal has the changes of other servers, so these need no new entry. What the journal does not have was written by
another program: adopting it adds the missing entry, so that the journal folds to the row again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shoal.accounts.account import Account
from shoal.accounts.account_locks import AccountLocks, Hold
from shoal.accounts.journal import (
    Baseline,
    Changes,
    JournalEntry,
    changes_between,
    changes_from,
    projection,
    projection_at,
)
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.store import AccountStore, Change, Found, Glimpse, Op
from shoal.clock import now_ms
from shoal.errors import ShoalError, StaleGeneration, StoreError

OUTSIDE: Final = "outside"
"""The actor of changes that another program wrote into the database."""


COMPARED_AT_ONCE = 50
"""How many accounts are compared with their rows at a time."""
STALE_RETRIES = 3
"""How often a change is built again when another machine changed the row in the meantime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The differences between an account's row and its snapshot: ``{field: [published, stored]}``.

    ``outside``: the journal has no entry for it. ``error``: why it could not be adopted.
    """

    account_id: str
    owner_id: int
    changes: Changes
    outside: bool = False
    error: ShoalError | None = None


def is_same(published: Account | None, stored: Account | None) -> bool:
    """Whether both have the same values in every field, including secrets, and the same position."""
    if published is None or stored is None:
        return published is stored
    return _in_order(published) == _in_order(stored)


def differing(published: Mapping[str, Account], stored: Mapping[str, Account]) -> list[str]:
    """Return the ids of the accounts whose row differs from the snapshot."""
    return [
        account_id
        for account_id in sorted({*published, *stored})
        if not is_same(published.get(account_id), stored.get(account_id))
    ]


def difference(account_id: str, published: Account | None, glimpse: Glimpse) -> Difference:
    """Return the differences by field; also a position that differs alone."""
    stored = glimpse.account
    subject = stored or published
    changes: Changes = changes_between(published, stored) if subject is not None else {}
    if published is not None and stored is not None:
        for name in ("generation", "rev"):
            before, after = getattr(published, name), getattr(stored, name)
            if before != after:
                changes[name] = [before, after]
    return Difference(
        account_id=account_id,
        owner_id=subject.owner_id if subject is not None else 0,
        changes=changes,
        outside=is_outside(published, glimpse),
    )


def is_outside(published: Account | None, glimpse: Glimpse) -> bool:
    """Return whether the journal does not fold to the row, so that another program wrote it."""
    stored, folded = glimpse.account, glimpse.folded
    if stored is None:
        return _folded_projection(folded) is not None
    if folded is None or (folded.generation, folded.rev) != (stored.generation, stored.rev):
        return True
    if _folded_projection(folded) != projection(stored):
        return True
    # The journal has no proxy passwords: only memory shows that one changed.
    same_place = published is not None and (published.generation, published.rev) == (stored.generation, stored.rev)
    return same_place and not is_same(published, stored)


def taken_over(published: Account | None, glimpse: Glimpse, op: Op) -> Change:
    """Return the change that brings the journal up to the row: the next entry, and the row's position."""
    stored, folded = glimpse.account, glimpse.folded
    generation = folded.generation if folded is not None else 0
    if stored is None:
        return Change(old=published, new=None, op=op, found=Found(generation, {"deleted": [False, True]}))
    new = stored.evolve(generation=generation + 1, cookie_version=_cookie_version(published, stored))
    changes = changes_from(_folded_projection(folded), new)
    if published is not None and published.proxy != stored.proxy:
        changes.setdefault("proxy", changes_between(published, stored)["proxy"])
    return Change(old=stored, new=new, op=op, found=Found(generation, changes))


def _cookie_version(published: Account | None, stored: Account) -> int:
    """Return a newer cookie version if the row has another cookie or browser: connections and cookie jars depend on
    it."""
    if published is None or (published.cookie, published.browser) == (stored.cookie, stored.browser):
        return stored.cookie_version
    return max(stored.cookie_version, published.cookie_version + 1)


def _folded_projection(folded: Baseline | None) -> dict[str, Any] | None:
    return None if folded is None else projection_at(folded)


def _in_order(account: Account) -> Account:
    return account.evolve(items=tuple(sorted(account.items, key=lambda item: item.item_id)))


Commit = Callable[[Sequence[Change], Sequence[Hold], Sequence[JournalEntry]], Awaitable[Mapping[str, JournalEntry]]]
"""Commits changes under their locks, and publishes missed entries before theirs."""


class Drift:
    """Compares stored rows with the published snapshots, and publishes the rows on request."""

    def __init__(self, store: AccountStore, locks: AccountLocks, published: PublishedAccounts, commit: Commit) -> None:
        self._store = store
        self._locks = locks
        self._published = published
        self._commit = commit

    async def compare(self, *, take_over: bool) -> list[Difference]:
        """Read the whole store again and return what differs from the snapshots; with ``take_over`` publish it.

        Accounts are independent: one that cannot be adopted reports the reason and does not affect the others.
        """
        contents = await self._store.load()
        names = await asyncio.to_thread(differing, dict(self._published.accounts), contents.accounts)
        room = asyncio.Semaphore(COMPARED_AT_ONCE)
        found = await asyncio.gather(*(self._compared(name, room, take_over=take_over) for name in names))
        return [one for one in found if one is not None]

    async def refresh(self, account_id: str) -> None:
        """Publish the row of one account, with the events that were missed. Takes the account's lock."""
        found = await self._compare(account_id, take_over=True)
        if found is not None and found.error is not None:
            raise found.error

    async def _compared(self, account_id: str, room: asyncio.Semaphore, *, take_over: bool) -> Difference | None:
        async with room:
            try:
                return await self._compare(account_id, take_over=take_over)
            except ShoalError as error:
                account = self._published.accounts.get(account_id)
                owner_id = 0 if account is None else account.owner_id
                return Difference(account_id=account_id, owner_id=owner_id, changes={}, error=error)

    async def _compare(self, account_id: str, *, take_over: bool) -> Difference | None:
        """Return the differences of one account; with ``take_over`` publish its row, with a new entry if the journal
        has none."""
        for _ in range(STALE_RETRIES):
            hold = await self._locks.acquire(account_id, "reload_from_db")
            try:
                old = self._published.accounts.get(account_id)
                glimpse = await self._store.glimpse(account_id, after_rev=self._published.published_up_to(account_id))
                found = None if is_same(old, glimpse.account) else difference(account_id, old, glimpse)
                if found is not None and take_over and not found.outside:
                    self._published.publish(account_id, glimpse.account, glimpse.entries)
                change = taken_over(old, glimpse, _outside_op()) if found and found.outside else None
            except BaseException:
                hold.release()
                raise
            if change is None or not take_over:
                hold.release()
                return found
            try:
                await self._commit([change], [hold], glimpse.entries)
            except StaleGeneration:  # changed in the meantime: compare again
                continue
            except StoreError as error:
                return found and replace(found, error=error)
            return found
        raise StaleGeneration(f"{account_id} keeps changing", id=account_id)


def _outside_op() -> Op:
    return Op(op_id=uuid.uuid4().hex, actor=OUTSIDE, at_ms=now_ms())
