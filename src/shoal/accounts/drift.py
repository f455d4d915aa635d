"""Drift: what of an account is otherwise in its row than it is published here, and how that is taken over.

What another server wrote is told by the journal and needs no word of ours. What the journal does not tell was written
by another program: taking it over adds the entry that is missing, so that the journal folds to the row again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shoal.accounts.account import Account
from shoal.accounts.journal import Baseline, Changes, changes_between, changes_from, projection, told_of
from shoal.accounts.store import Change, Found, Glimpse, Op
from shoal.errors import ShoalError

OUTSIDE: Final = "outside"
"""The actor of what another program wrote into the database."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What was otherwise in the row of an account than it was published: ``{field: [published, stored]}``.

    ``outside``: the journal did not tell of it. ``error``: why it could not be taken over.
    """

    account_id: str
    owner_id: int
    changes: Changes
    outside: bool = False
    error: ShoalError | None = None


def is_same(published: Account | None, stored: Account | None) -> bool:
    """Whether both say the same in every field, secrets among them, and stand at the same position."""
    if published is None or stored is None:
        return published is stored
    return _in_order(published) == _in_order(stored)


def differing(published: Mapping[str, Account], stored: Mapping[str, Account]) -> list[str]:
    """The ids of the accounts that are otherwise stored than published."""
    return [
        account_id
        for account_id in sorted({*published, *stored})
        if not is_same(published.get(account_id), stored.get(account_id))
    ]


def difference(account_id: str, published: Account | None, glimpse: Glimpse) -> Difference:
    """What differs, field by field; a position that differs alone too."""
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
    """Whether the journal does not fold to the row, so that another program wrote it."""
    stored, told = glimpse.account, glimpse.told
    if stored is None:
        return _told_projection(told) is not None
    if told is None or (told.generation, told.rev) != (stored.generation, stored.rev):
        return True
    if _told_projection(told) != projection(stored):
        return True
    # A password of the same proxy is not in the journal: only memory tells it apart.
    same_place = published is not None and (published.generation, published.rev) == (stored.generation, stored.rev)
    return same_place and not is_same(published, stored)


def taken_over(published: Account | None, glimpse: Glimpse, op: Op) -> Change:
    """The change that brings the journal up to the row: its next entry, and the row's position."""
    stored, told = glimpse.account, glimpse.told
    generation = told.generation if told is not None else 0
    if stored is None:
        return Change(old=published, new=None, op=op, found=Found(generation, {"deleted": [False, True]}))
    new = stored.evolve(generation=generation + 1, cookie_version=_cookie_version(published, stored))
    changes = changes_from(_told_projection(told), new)
    if published is not None and published.proxy != stored.proxy:
        changes.setdefault("proxy", changes_between(published, stored)["proxy"])
    return Change(old=stored, new=new, op=op, found=Found(generation, changes))


def _cookie_version(published: Account | None, stored: Account) -> int:
    """A cookie that is not the one in use counts as a newer one: connections and rotated cookies go by its version."""
    if published is None or published.cookie == stored.cookie:
        return stored.cookie_version
    return max(stored.cookie_version, published.cookie_version + 1)


def _told_projection(told: Baseline | None) -> dict[str, Any] | None:
    return None if told is None else told_of(told)


def _in_order(account: Account) -> Account:
    return replace(account, items=tuple(sorted(account.items, key=lambda item: item.item_id)))
