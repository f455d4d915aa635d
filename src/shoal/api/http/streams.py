"""Ends a stream when its session or token ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TypeVar

from shoal.api.http.caller import principal_of
from shoal.api.server import Server
from shoal.errors import StoreError

T = TypeVar("T")


async def is_over(server: Server, token: str) -> bool:
    """Return whether the token is no longer valid. ``False`` when the database does not answer."""
    with suppress(StoreError):
        return await principal_of(server, token, in_use=False) is None
    return False


@asynccontextmanager
async def until_over(server: Server, user_id: int, token: str) -> AsyncIterator[asyncio.Task[None]]:
    """Provide a task that is done as soon as this server ends the session.

    A session that expires is not noticed: the caller checks from time to time.
    """
    watching = asyncio.create_task(_watch(server, user_id, token), name=f"signed-in:{user_id}")
    try:
        yield watching
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(server: Server, user_id: int, token: str) -> None:
    with server.sessions.watching(user_id) as ended:
        while not await is_over(server, token):  # checked first: the session may have ended before the watch began
            await ended.wait()
            ended.clear()


async def while_signed_in(
    server: Server, user_id: int, token: str, feed: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """Yield the items of the feed until the feed or the session ends."""
    async with aclosing(feed), until_over(server, user_id, token) as over:
        while True:
            step = asyncio.ensure_future(anext(feed))
            try:
                await asyncio.wait({step, over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not step.done():
                    step.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await step
            if over.done() or step.cancelled():
                return
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            yield item
