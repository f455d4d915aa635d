"""What the proofs found once, each as the shortest scenario that shows it."""

from __future__ import annotations

import asyncio

from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import ActionRequired
from state.figures import Figures
from state.model import Call
from state.sites import NUMBERS
from state.virtual_loop import VirtualLoop
from state.world import World, settings
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, cookie_of


def test_an_account_that_is_added_while_it_is_being_deleted_loses_no_task() -> None:
    """The creation waited for the turn of the deletion, and the purge then took the new account's task away."""
    world = World(Figures())
    add = Call(kind="add", account="ann", number=NUMBERS["ann"])
    world.run(world.group([add]))
    off = Call(kind="status", account="ann", flag=False)
    world.run(world.group([off, Call(kind="remove", account="ann"), add]))
    world.run(world.rest())
    world.close()


def test_what_only_an_owner_can_mend_is_remembered_though_the_connection_was_told_to_stop() -> None:
    """A login that expired while the connection was being stopped was forgotten, and tried again by a batch."""
    connections = 0

    async def connect(account: Account, link: Link) -> None:
        nonlocal connections
        connections += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ActionRequired("login_expired") from None

    async def scenario() -> None:
        manager = CookieManager(MemoryStore(), connect, settings())
        await manager.open()
        at_once = Caller(actor="user:ann", wait_seconds=0)
        await manager.add_cookie("ann", cookie_of(1), owner_id=1, caller=at_once)
        await asyncio.sleep(1.0)
        for enabled in (False, True):
            await manager.batch_update_cookie_status({"ann": enabled}, caller=ANN)
            await asyncio.sleep(1.0)
        assert manager.observation("ann").state is AccountState.PARKED
        assert connections == 1
        await manager.close()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(scenario())
    finally:
        loop.finish()
