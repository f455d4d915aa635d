"""Work whose caller leaves ends, and its answer is final for no key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import Request

from shoal.api.http.disconnects import while_here
from shoal.errors import InvalidInput


async def test_g6_who_leaves_ends_the_work_and_may_send_the_same_request_again() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": [], "state": {}}, receive)
    task = asyncio.ensure_future(work())
    with pytest.raises(InvalidInput) as left:
        await while_here(request, _awaited(task))
    assert (left.value.code, begun.is_set(), task.cancelled()) == ("client_left", True, True)
    assert request.state.is_final is False


async def _awaited(task: asyncio.Future[None]) -> None:
    await task
