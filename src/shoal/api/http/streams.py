"""A stream must not outlive the sign-in, or the token, by which it was opened."""

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
    """Whether nobody is signed in by that token any more. A database that does not answer signs nobody out."""
    with suppress(StoreError):
        return await principal_of(server, token, in_use=False) is None
    return False


@asynccontextmanager
async def until_over(server: Server, user_id: int, token: str) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done as soon as the sign-in is ended here. One that runs out is found by looking now and then."""
    watching = asyncio.create_task(_watch(server, user_id, token), name=f"signed-in:{user_id}")
    try:
        yield watching
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(server: Server, user_id: int, token: str) -> None:
    with server.sessions.watching(user_id) as ended:
        while not await is_over(server, token):  # asked first: it may have ended before we watched
            await ended.wait()
            ended.clear()


async def while_signed_in(
    server: Server, user_id: int, token: str, feed: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    """What the feed yields, until it ends or the sign-in does."""
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
                told = step.result()
            except StopAsyncIteration:
                return
            yield told
