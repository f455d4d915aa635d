"""A login by a code bears failures that may pass, and says when its time is over."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.connection import qr_steps
from shoal.connection.qr_steps import MOST_FAILURES, QrLoginState, confirmed
from shoal.errors import TemporaryFailure
from shoal.xianyu.qr_login import QrStatus


class Site:
    """Fails so often, then answers that the seller confirmed, or what else."""

    is_logged_in = False
    site = face_url = ""

    def __init__(self, failures: int, status: QrStatus = QrStatus.CONFIRMED) -> None:
        self.left = failures
        self.status = status

    async def ask(self) -> QrStatus:
        if self.left:
            self.left -= 1
            raise TemporaryFailure("not now", code="unreachable")
        return self.status


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


class Check:
    """A check of the face that is never passed."""

    def __init__(self, *_: object) -> None:
        pass

    async def code(self) -> str:
        return "the second code"

    async def is_passed(self) -> bool:
        return False


async def test_a_check_that_was_not_passed_in_its_time_is_told_as_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr_steps, "FaceCheck", Check)
    monkeypatch.setattr(qr_steps, "FACE_SECONDS", 0.01)
    told: list[QrLoginState] = []
    site: Any = Site(0, QrStatus.FACE)

    def tell(state: QrLoginState, **_: Any) -> None:
        told.append(state)

    assert not await confirmed(site, tell, poll_seconds=0, lifetime_seconds=60)
    assert told == [QrLoginState.FACE_CHECK, QrLoginState.EXPIRED]


async def test_a_check_whose_questions_fail_too_often_in_a_row_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def failing(_: Check) -> bool:
        nonlocal asked
        asked += 1
        assert asked <= MOST_FAILURES
        raise TemporaryFailure("not now", code="unreachable")

    monkeypatch.setattr(Check, "is_passed", failing)
    monkeypatch.setattr(qr_steps, "FaceCheck", Check)
    site: Any = Site(0, QrStatus.FACE)
    with pytest.raises(TemporaryFailure):
        await confirmed(site, lambda *_, **__: None, poll_seconds=0, lifetime_seconds=60)
    assert asked == MOST_FAILURES
