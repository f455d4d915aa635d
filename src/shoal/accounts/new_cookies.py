"""A cookie that arrives for an id: creates the account, or replaces its cookie."""

from __future__ import annotations

from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import AccountExists, StaleGeneration, UnknownAccount


async def add_or_renew(
    manager: CookieManager,
    account_id: str,
    cookie: str,
    *,
    owner_id: int,
    caller: Caller,
    proxy: str | None = None,
    browser: str | None = None,
) -> Outcome:
    """Add or renew, whichever fits once the lock is held: the account may be added or removed during the wait.

    Raises ``AccountBeingDeleted`` when it was removed in the meantime and its deletion is in progress,
    ``AccountExists`` (``account_exists/foreign``) when it belongs to another user, and like the manager's two calls.
    """
    for tries_left in (2, 1, 0):
        known = manager.accounts.get(account_id)
        if known is not None and known.owner_id != owner_id:
            raise AccountExists(f"{account_id} is somebody else's", code="account_exists/foreign")
        try:
            if known is not None:
                return await manager.update_cookie(account_id, cookie, caller=caller, proxy=proxy, browser=browser)
            if caller.if_match is not None:
                raise StaleGeneration(f"there is no {account_id}")
            return await manager.add_cookie(
                account_id, cookie, owner_id=owner_id, caller=caller, proxy=proxy, browser=browser
            )
        except (AccountExists, UnknownAccount):
            if not tries_left:
                raise
    raise AssertionError("the last try returns or raises")
