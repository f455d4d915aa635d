"""What goes on beside a connection's heartbeat: a failure that may pass ends nothing, and is made up for later."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from shoal.clock import SiteClock
from shoal.connection import keepalive
from shoal.connection.keepalive import Keepalive
from shoal.errors import ShoalError, StoreError, TemporaryFailure
from shoal.messages.task_drain import TaskDrain
from shoal.storage.sync_cursors import Position
from support.site.standins import quick_settings, until

AWAY = Position(pts=1_750_000_000_000_000, known_at_ms=1_750_000_000_000, ahead_ms=0)


class History:
    """The history of chats, whose next pulls fail with these."""

    def __init__(self, *failures: ShoalError) -> None:
        self.failures = list(failures)
        self.pulls = 0

    async def pull(self, _: int) -> int:
        self.pulls += 1
        if self.failures:
            raise self.failures.pop(0)
        return 0


def keepalive_over(history: History, work: TaskDrain, position: Any) -> Keepalive:
    unused: Any = None
    account: Any = SimpleNamespace(id="shop")
    link: Any = SimpleNamespace(allows=lambda: True)
    pulled: Any = history
    return Keepalive(
        account, link, quick_settings(), socket=unused, work=work, position=position, history_sync=pulled, login=unused,
        tokens=unused, check_login=unused, away=None, site_clock=SiteClock(), rng=Random(1),
    )  # fmt: skip


@pytest.mark.parametrize(
    "failure", [StoreError("the disk is full", code="not_applied"), TemporaryFailure("no answer", code="unreachable")]
)
async def test_what_was_not_pulled_when_something_failed_is_pulled_at_the_next_look(
    failure: ShoalError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "AGAIN_SECONDS", 0.0)
    caught_up: list[bool] = []
    position = SimpleNamespace(caught_up=lambda: caught_up.append(True))
    history, work = History(failure), TaskDrain()
    alive = keepalive_over(history, work, position)
    with capture_logs() as told:
        alive.passed_over(AWAY)
        await until(lambda: len(told) == 1)
        assert (history.pulls, caught_up, told[0]["why"]) == (1, [], failure.code)
        await asyncio.sleep(0)
        alive.passed_over(AWAY)
        await until(lambda: bool(caught_up))
    assert not await work.finish(60), "no task failed, which would end the connection"
