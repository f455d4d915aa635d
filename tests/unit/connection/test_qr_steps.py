"""A login by a code bears failures that may pass, and says when its time is over."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.connection.qr_steps import MOST_FAILURES, QrLoginState, confirmed
from shoal.errors import TemporaryFailure
from shoal.xianyu.qr_login import QrStatus


class Site:
    """Fails so often, then answers that the seller confirmed."""

    is_logged_in = False

    def __init__(self, failures: int) -> None:
        self.left = failures

    async def ask(self) -> QrStatus:
        if self.left:
            self.left -= 1
            raise TemporaryFailure("not now", code="unreachable")
        return QrStatus.CONFIRMED


def told_nothing(state: QrLoginState, **_: Any) -> None:
    raise AssertionError(state)


async def is_confirmed(failures: int, tell: Any = told_nothing, *, lifetime_seconds: float = 60.0) -> bool:
    site: Any = Site(failures)
    return await confirmed(site, tell, poll_seconds=0, lifetime_seconds=lifetime_seconds)


async def test_a_poll_may_fail_several_times_in_a_row_and_then_the_login_has_failed() -> None:
    assert await is_confirmed(MOST_FAILURES - 1)
    with pytest.raises(TemporaryFailure):
        await is_confirmed(MOST_FAILURES)


async def test_a_code_that_was_not_confirmed_in_its_time_is_told_as_expired() -> None:
    told: list[QrLoginState] = []
    assert not await is_confirmed(0, lambda state, **_: told.append(state), lifetime_seconds=0)
    assert told == [QrLoginState.EXPIRED]
