"""Removes a user: blocks sign-in, deletes their accounts and goods, deletes the user. Resumes after a restart.

The user is marked first; the next start resumes with every marked user. Of several servers one removes all of them
(a duty); the one who was asked waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, delete, not_, select, update

from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.auth.sessions import Sessions
from shoal.auth.users import User, Users
from shoal.cluster.duties import Duties, Duty
from shoal.errors import StoreError, UnknownAccount
from shoal.storage.database import Database
from shoal.storage.goods_tables import deliveries, goods, units
from shoal.storage.incident_rows import forget_incidents_of
from shoal.storage.schema import accounts

log = structlog.get_logger("shoal.user_removal")

AT_ONCE: Final = 50
"""How many accounts of a user are stopped at a time."""
AGAIN_SECONDS: Final = (1.0, 60.0)
"""First and longest wait, in seconds, after the database refused."""
LOOK_SECONDS: Final = 1.0
"""How often the server whose duty it is looks for users who were marked on another one."""
ASK_SECONDS: Final = 0.2
"""How often it is asked whether another server has finished."""
ITSELF: Final = "server"


class UserRemoval:
    """Removes users. Owns one task per user under removal, until ``close``."""

    def __init__(
        self,
        database: Database,
        users: Users,
        manager: CookieManager,
        sessions: Sessions,
        duties: Duties | None = None,
    ) -> None:
        """``duties``: of one of several servers."""
        self._duties = duties
        self._database = database
        self._users = users
        self._manager = manager
        self._sessions = sessions
        self._leaving: dict[int, asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """Resume the removals that were under way when the server ended."""
        for user in await self._users.list_users():
            if user.leaving:
                self._go_on(user.id, Caller(actor=ITSELF))

    async def remove_marked(self) -> None:
        """Remove every marked user, no matter where the mark was made, until this is cancelled."""
        try:
            while True:
                await self.resume()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self.close()
            self._leaving.clear()

    async def close(self) -> None:
        """Cancel the tasks; the next start, or the next server whose duty it is, resumes them."""
        tasks = list(self._leaving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def shops_of(self, user_id: int) -> list[str]:
        """Return the ids of the accounts that would be removed with the user."""
        return sorted(account.id for account in self._manager.accounts.values() if account.owner_id == user_id)

    async def begin(self, user_id: int, caller: Caller) -> tuple[User, list[str]]:
        """Block a user's sign-in and start the removal; return the user and the ids of their accounts.

        From here on the removal completes, also when the caller is cancelled. Raises ``UnknownUser`` and ``Conflict``
        (``last_admin``).
        """
        user = await self._users.begin_leaving(user_id)
        shops = self.shops_of(user_id)
        self._sessions.look_again(user_id)
        if self._duties is None or self._duties.owns(Duty.USER_REMOVAL):
            self._go_on(user_id, caller)
        return user, shops

    async def gone(self, user_id: int, *, within_seconds: float) -> bool:
        """Wait for the end of a removal; return whether it ended in time."""
        until = time.monotonic() + within_seconds
        task = self._leaving.get(user_id)
        if task is not None:
            await asyncio.wait({task}, timeout=within_seconds)
        if self._duties is None:
            return user_id not in self._leaving
        while is_here := await self._users.get(user_id) is not None:  # another server may remove the user
            if time.monotonic() >= until:
                break
            await asyncio.sleep(ASK_SECONDS)
        return not is_here

    def _go_on(self, user_id: int, caller: Caller) -> None:
        if user_id not in self._leaving:
            self._manager.close_to(user_id)
            self._leaving[user_id] = asyncio.create_task(self._see_off(user_id, caller), name=f"leaving:{user_id}")

    async def _see_off(self, user_id: int, caller: Caller) -> None:
        wait, longest = AGAIN_SECONDS
        while True:
            try:
                await self._remove_shops(user_id, caller)
                await self._purged(user_id)
                await delete_units_of(self._database, user_id)
                await self._database.write(partial(forget_incidents_of, user_id=user_id))
                await self._users.remove(user_id)
                break
            except StoreError as error:
                log.warning(
                    "a user cannot be removed yet, trying again", user=user_id, why=error.code, wait_seconds=wait
                )
                await asyncio.sleep(wait)
                wait = min(longest, wait * 2)
        self._leaving.pop(user_id, None)
        log.info("user removed", user=user_id)

    async def _purged(self, user_id: int) -> None:
        """Wait for the shops that other servers run: each ends and purges its own."""
        if self._duties is None:
            return
        left = accounts.c.owner_id == user_id, accounts.c.deleted, not_(accounts.c.purged)

        def is_left(connection: Connection) -> bool:
            return connection.execute(select(accounts.c.id).where(*left).limit(1)).first() is not None

        while await self._database.read(is_left):  # noqa: ASYNC110  no event reports it
            await asyncio.sleep(ASK_SECONDS)

    async def _remove_shops(self, user_id: int, caller: Caller) -> None:
        """Remove every account and wait until its connection ends.

        The next round finds accounts that were being added.
        """
        removed: set[str] = set()
        while shops := [name for name in self._shops_to_come(user_id) if name not in removed]:
            room = asyncio.Semaphore(AT_ONCE)
            removed.update(await _all_or_first_error(self._remove(name, user_id, caller, room) for name in shops))
        for name in removed:
            await self._manager.wait_until_purged(name)

    def _shops_to_come(self, user_id: int) -> list[str]:
        """Return the published accounts, and those whose creation is under way in the database."""
        coming = (account for account in self._manager.pending.values() if account is not None)
        known = (*self._manager.accounts.values(), *coming)
        return sorted({account.id for account in known if account.owner_id == user_id})

    async def _remove(self, account_id: str, user_id: int, caller: Caller, room: asyncio.Semaphore) -> str:
        mine = Caller(actor=caller.actor, origin=caller.origin, owner_id=user_id)
        async with room:
            try:
                await self._manager.remove_cookie(account_id, caller=mine)
            except UnknownAccount:  # the owner removed it first, or its creation was refused
                log.debug("a shop was gone already", account=account_id)
        return account_id


async def _all_or_first_error(works: Iterable[Coroutine[Any, Any, str]]) -> list[str]:
    """Wait for all before an error is raised, so that none still runs when the caller tries again."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    names: list[str] = []
    for result in ended:
        if isinstance(result, BaseException):
            raise result
        names.append(result)
    return names


ROWS: Final = 2_000


async def delete_units_of(database: Database, owner_id: int) -> int:
    """Delete the units of an owner and the texts of their deliveries; return how many units there were.

    The goods, batches and history are deleted with the user. Bindings stay: they name an order and no text, and keep
    it from being served again. Raises ``StoreError``.
    """
    mine = select(goods.c.id).where(goods.c.owner_id == owner_id)
    deleted = 0
    for goods_id in await database.read(lambda connection: list(connection.scalars(mine))):
        last = ROWS
        while last == ROWS:
            last = await database.write(partial(_delete_some, goods_id=goods_id))
            deleted += last
    emptied = update(deliveries).where(deliveries.c.owner_id == owner_id).values(parts="")
    await database.write(lambda connection: connection.execute(emptied).rowcount)
    return deleted


def _delete_some(connection: Connection, goods_id: int) -> int:
    some = select(units.c.id).where(units.c.goods_id == goods_id).limit(ROWS)
    return int(connection.execute(delete(units).where(units.c.id.in_(some))).rowcount)
