"""A login that ended is renewed once for all calls that met its end, and no more."""

from __future__ import annotations

import asyncio

import pytest

from shoal.connection.silent_renewal import SilentRenewal
from shoal.errors import TemporaryFailure


async def test_calls_that_meet_the_same_end_share_one_renewal() -> None:
    asked, answer = 0, asyncio.Event()

    async def renew() -> bool:
        nonlocal asked
        asked += 1
        await answer.wait()
        return True

    renewal = SilentRenewal("shop", renew)
    before = renewal.count
    calls = [asyncio.create_task(renewal.renewed(before)) for _ in range(5)]
    while not asked:
        await asyncio.sleep(0)
    answer.set()
    assert await asyncio.gather(*calls) == [True] * 5
    assert await renewal.renewed(before), "a call that began before it was renewed"
    assert asked == 1
    assert await renewal.renewed(renewal.count)
    assert asked == 2, "another end of the login"


async def test_a_renewal_in_vain_is_not_repeated_by_calls_that_began_before() -> None:
    asked = 0

    async def renew() -> bool:
        nonlocal asked
        asked += 1
        return False

    renewal = SilentRenewal("shop", renew)
    assert [await renewal.renewed(0) for _ in range(3)] == [False] * 3
    assert asked == 1


async def test_a_failure_reaches_all_who_wait_and_a_caller_who_leaves_ends_nothing() -> None:
    answer = asyncio.Event()

    async def renew() -> bool:
        await answer.wait()
        raise TemporaryFailure("no answer", code="login_check_failed")

    renewal = SilentRenewal("shop", renew)
    leaves, stays = (asyncio.create_task(renewal.renewed(0)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.wait({leaves})
    answer.set()
    with pytest.raises(TemporaryFailure):
        await stays
    assert renewal.count == 1
