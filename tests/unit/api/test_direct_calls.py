"""What only FastAPI can call has no direct call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.routing import APIRoute

from shoal.api.http.direct_calls import direct_call


def on_a_thread() -> str:
    return "calls block there"


async def on_the_loop() -> str:
    return "ok"


async def plain() -> str:
    return "ok"


async def needs(part: Annotated[str, Depends(on_the_loop)]) -> str:
    return part


async def needs_a_thread(part: Annotated[str, Depends(on_a_thread)]) -> str:
    return part


async def needs_it_anew(part: Annotated[str, Depends(on_the_loop, use_cache=False)]) -> str:
    return part


@pytest.mark.parametrize(
    ("function", "is_direct"),
    [(plain, True), (needs, True), (on_a_thread, False), (needs_a_thread, False), (needs_it_anew, False)],
)
def test_a_function_for_a_thread_and_a_part_that_is_not_kept_are_left_to_fastapi(
    function: Callable[..., Any], is_direct: bool
) -> None:
    assert (direct_call(APIRoute("/here", function)) is not None) is is_direct
