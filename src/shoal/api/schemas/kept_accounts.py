"""``KeptAccounts``: the JSON of accounts, made once for each state of an account and joined for every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from typing import Any, Final

import msgspec

from shoal.accounts.account import Account, Observation
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.published import Listener
from shoal.api.schemas.responses import account_body, detail_row
from shoal.auth.authorization import Authorization, Principal
from shoal.auth.permission import Permission

_SLICE: Final = 250
"""How many rows are made in one turn of the loop, in up to 3 ms."""
_MOST_LISTS: Final = 16
_LONGEST_LIST: Final = 1024 * 1024
"""At most 16 MiB of lists are kept."""


class _Kept:
    """The JSON of one account in one state, by the reader's permission."""

    __slots__ = ("account", "bodies", "node", "rows", "seen", "stale")

    def __init__(self, account: Account, seen: Observation, node: str | None, stale: bool) -> None:
        self.account = account
        self.seen = seen
        self.node = node
        self.stale = stale
        self.bodies: dict[Permission, bytes] = {}
        self.rows: dict[Permission, bytes] = {}


class KeptAccounts:
    """Makes the JSON of an account when the account, its observed state or its staleness differs from the last time.

    Nothing is kept of a deleted account.
    """

    def __init__(self, manager: CookieManager, subscribe: Callable[[Listener], None]) -> None:
        """``subscribe``: to the published snapshots."""
        self._manager = manager
        self._kept: dict[str, _Kept] = {}
        self._lists: dict[Hashable, tuple[Hashable, bytes]] = {}
        subscribe(self._follow)

    def _follow(self, account_id: str, account: Account | None) -> None:
        if account is None:
            self._kept.pop(account_id, None)
            self._lists.clear()

    def body(self, account: Account, permission: Permission) -> bytes:
        """Return an ``AccountBody`` as JSON."""
        bodies = self._kept_of(account).bodies
        body = bodies.get(permission)
        if body is None:
            body = bodies[permission] = _json(account_body(self._manager, account, permission))
        return body

    def rows(self, accounts: Iterable[tuple[Account, Permission]]) -> list[bytes]:
        """Return a ``DetailRow`` of each account as JSON."""
        found = []
        for account, permission in accounts:
            kept = self._kept_of(account)
            if permission not in kept.rows:
                kept.rows[permission] = _json(detail_row(account, kept.seen, permission, kept.node))
            found.append(kept.rows[permission])
        return found

    async def ids(self, authorization: Authorization, who: Principal) -> bytes:
        """Return the id of each account that the caller may see, as a JSON list (see ``details``)."""

        async def made() -> bytes:
            return msgspec.json.encode([account.id for account in authorization.accounts_of(who)])

        return await self._list("ids", authorization, who, made)

    async def details(self, authorization: Authorization, who: Principal) -> bytes:
        """Return a ``DetailRow`` of each account that the caller may see, as a JSON list.

        The list is the same until an account, its state or a grant changes: then what was made is returned. A long one
        is made in slices; the loop has a turn in between.
        """

        async def made() -> bytes:
            shown = authorization.permissions_of(who)
            rows = self.rows(shown[:_SLICE])
            for start in range(_SLICE, len(shown), _SLICE):
                await asyncio.sleep(0)
                rows += self.rows(shown[start : start + _SLICE])
            return joined(rows)

        return await self._list("details", authorization, who, made)

    async def _list(
        self, kind: str, authorization: Authorization, who: Principal, make: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        version, place = (self._manager.version, authorization.version), (kind, who.sight)
        kept = self._lists.pop(place, None)
        if kept is None or kept[0] != version:
            kept = version, await make()
        is_new = version == (self._manager.version, authorization.version)
        if is_new and len(kept[1]) <= _LONGEST_LIST:
            self._lists[place] = kept  # as the newest
            if len(self._lists) > _MOST_LISTS:
                del self._lists[next(iter(self._lists))]
        return kept[1]

    def _kept_of(self, account: Account) -> _Kept:
        manager = self._manager
        kept = self._kept.get(account.id)
        seen, node, stale = manager.observation(account.id), manager.node_of(account.id), manager.is_stale(account.id)
        is_same = kept is not None and kept.account is account and kept.seen is seen and kept.node == node
        if kept is None or not is_same or kept.stale is not stale:
            kept = _Kept(account, seen, node, stale)
            if manager.accounts.get(account.id) is account:  # else a reader still has the snapshot of before
                self._kept[account.id] = kept
        return kept


def joined(rows: Collection[bytes]) -> bytes:
    """Return a JSON list of rows that are JSON."""
    return b"[" + b",".join(rows) + b"]"


def with_accounts(body: dict[str, Any], rows: Collection[bytes]) -> bytes:
    """Return a JSON object with ``accounts`` beside the other fields of ``body``."""
    text = msgspec.json.encode(body)
    return text[:-1] + (b"," if body else b"") + b'"accounts":' + joined(rows) + b"}"


def _json(model: Any) -> bytes:
    text: str = model.model_dump_json()
    return text.encode()
