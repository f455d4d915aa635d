"""Ends a stream when its session or token ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from shoal.api.http.caller import principal_of
from shoal.api.server import Server
from shoal.errors import StoreError

ASKED_EVERY_SECONDS: Final = 2.0
"""How often each stream asks whether another server has ended its session or token. A single server never asks."""


async def is_over(server: Server, token: str) -> bool:
    """Return whether the token is no longer valid. ``False`` when the database does not answer."""
    with suppress(StoreError):
        return await principal_of(server, token, in_use=False) is None
    return False


@asynccontextmanager
async def until_over(server: Server, user_id: int, token: str) -> AsyncIterator[asyncio.Task[None]]:
    """Provide a task that is done as soon as this server ends the session, and soon after another server does.

    A single server does not notice a session that expires: the caller checks from time to time.
    """
    watching = asyncio.create_task(_watch(server, user_id, token), name=f"signed-in:{user_id}")
    try:
        yield watching
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(server: Server, user_id: int, token: str) -> None:
    seconds = None if server.node_calls is None else ASKED_EVERY_SECONDS
    with server.sessions.watching(user_id) as ended:
        while not await is_over(server, token):  # checked first: the session may have ended before the watch began
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()
            ended.clear()


@asynccontextmanager
async def while_signed_in(server: Server, user_id: int, token: str) -> AsyncIterator[None]:
    """Run the block until it is done or until ``until_over`` notices that the session has ended; it is then cancelled.

    Where the block waits does not matter, and each of its steps costs nothing more.
    """
    is_open, ended = True, False
    task = cast("asyncio.Task[None]", asyncio.current_task())
    cancelled_before = task.cancelling()

    def end(_: asyncio.Task[None]) -> None:
        nonlocal ended
        if is_open:
            ended = True
            task.cancel()

    async with until_over(server, user_id, token) as over:
        over.add_done_callback(end)
        try:
            yield
        except asyncio.CancelledError:
            if not ended or task.uncancel() > cancelled_before:  # cancelled by another, too
                raise
        finally:
            is_open = False
