"""Cancels work when its client disconnects: file checks, searches, rule trials."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request

from shoal.api.http.idempotency import leave_open
from shoal.errors import InvalidInput

T = TypeVar("T")


async def while_here(request: Request, work: Coroutine[Any, Any, T], *, lasting: bool = True) -> T:
    """Await the work and return its result. Cancel the work when the client disconnects first.

    The body must have been read before.

    Args:
        lasting: whether the work takes long enough to watch the connection.

    Raise ``InvalidInput`` (``client_left``) after a disconnect; no client receives it.
    """
    if not lasting:
        return await work
    doing = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_left(request), name="leaving")
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            leave_open(request)  # who lost the answer sends the same request with the same key again
            raise InvalidInput("the client left", code="client_left")
        return doing.result()
    finally:
        for task in (doing, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
