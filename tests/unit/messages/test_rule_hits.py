"""Hits of rules are counted at once, written together a moment later, and stored once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from shoal.errors import CommitUnknown, NotApplied
from shoal.messages import rule_hits
from shoal.messages.rule_hits import RuleHits
from shoal.storage.database import Database
from support.site.standins import until
from support.site.without_sockets import OneShop


class NotedWrites:
    """The shop's database, and what became of each write of hits. ``error`` is raised by the next one."""

    def __init__(self, shop: OneShop) -> None:
        self._database = shop.database
        self.read = shop.database.read
        self.outcomes: list[str] = []
        self.error: Exception | None = None

    async def write(self, job: Any) -> Any:
        """Write, or not, or both write and fail."""
        error, self.error = self.error, None
        result = None if isinstance(error, NotApplied) else await self._database.write(job)
        self.outcomes.append("written" if error is None else "failed")
        if error is not None:
            raise error
        return result


@pytest.fixture
async def noted(shop: OneShop, monkeypatch: pytest.MonkeyPatch) -> NotedWrites:
    """The database of a shop that is off; nothing is written before a reader asks."""
    monkeypatch.setattr(rule_hits, "GATHER_SECONDS", 3600)
    await shop.add()
    await shop.stop()
    return NotedWrites(shop)


@pytest.fixture
async def counted(noted: NotedWrites) -> AsyncIterator[RuleHits]:
    hits = RuleHits(cast("Database", noted))
    yield hits
    await hits.close()


async def shown(hits: RuleHits) -> dict[str, tuple[int, int]]:
    return {rule_id: (one.count, one.last_ms) for rule_id, one in (await hits.of("shop")).items()}


async def test_many_hits_are_one_write_and_shown_at_once(counted: RuleHits, noted: NotedWrites) -> None:
    for number in range(100):
        counted.count("shop", f"r{number % 2}", number)
    assert await shown(counted) == {"r0": (50, 98), "r1": (50, 99)}
    assert noted.outcomes == ["written"]
    await counted.of("shop")
    assert noted.outcomes == ["written"], "nothing new is nothing to write"
    counted.count("shop", "r0", 7)
    assert (await shown(counted))["r0"] == (51, 98)


async def test_what_was_not_stored_is_stored_later_and_once(counted: RuleHits, noted: NotedWrites) -> None:
    counted.count("shop", "r", 1)
    noted.error = NotApplied("the disk is full")
    assert await shown(counted) == {}
    counted.count("shop", "r", 2)
    assert await shown(counted) == {"r": (2, 2)}
    assert noted.outcomes == ["failed", "written"]


async def test_a_write_of_unknown_outcome_is_not_repeated(counted: RuleHits, noted: NotedWrites) -> None:
    counted.count("shop", "r", 1)
    noted.error = CommitUnknown("who knows")
    assert await shown(counted) == {"r": (1, 1)}
    assert await shown(counted) == {"r": (1, 1)}
    assert noted.outcomes == ["failed"]


async def test_hits_of_an_account_that_is_gone_keep_no_others_from_being_stored(counted: RuleHits) -> None:
    counted.count("gone", "r", 1)
    counted.count("shop", "r", 1)
    assert await shown(counted) == {"r": (1, 1)}


async def test_hits_are_written_by_themselves_also_after_a_refusal(
    noted: NotedWrites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_hits, "GATHER_SECONDS", 0.01)
    hits = RuleHits(cast("Database", noted))
    noted.error = NotApplied("the disk is full")
    hits.count("shop", "r", 1)
    await until(lambda: noted.outcomes == ["failed", "written"])
    assert await shown(hits) == {"r": (1, 1)}
    await hits.close()


async def test_hits_that_go_on_are_gathered_no_longer_than_the_first_ones(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a refusal makes the next write wait longer."""
    await shop.add()
    waits: list[float] = []
    full = NotApplied("the disk is full")
    failures = [None, None, full, full, None, None]

    class Busy(NotedWrites):
        """One more hit comes during each write but the last."""

        async def write(self, job: Any) -> Any:
            if len(waits) < len(failures):
                hits.count("shop", "r", 1)
            return await super().write(job)

    async def passed(seconds: float) -> None:
        waits.append(seconds)
        busy.error = failures[len(waits) - 1]

    busy = Busy(shop)
    monkeypatch.setattr(rule_hits, "GATHER_SECONDS", 1.0)
    hits = RuleHits(cast("Database", busy), sleep=passed)
    hits.count("shop", "r", 1)
    await until(lambda: len(busy.outcomes) == len(failures))
    assert waits == [1.0, 1.0, 1.0, 2.0, 4.0, 1.0]
    assert await shown(hits) == {"r": (6, 1)}


async def test_what_is_counted_is_written_at_the_close(shop: OneShop) -> None:
    await shop.add()
    await shop.stop()
    hits = RuleHits(shop.database)
    hits.count("shop", "r", 5)
    with capture_logs() as logs:
        await hits.close()
    assert logs == [], "nothing was lost"
    assert await shown(RuleHits(shop.database)) == {"r": (1, 5)}
