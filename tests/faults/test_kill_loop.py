"""``kill -9`` in the middle: nothing that was acknowledged is lost, nothing that was refused is found."""

from __future__ import annotations

import pytest

from faults.kill_loop import kill_loop

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


async def test_nothing_acknowledged_is_lost_and_nothing_refused_is_found_whenever_it_is_killed() -> None:
    ways = ("storm", "start", "first breath")
    figures = await kill_loop(4, seed=20, ways=ways, longest_storm=35, converge_seconds=60)  # a busy machine's
    assert not figures.violations, "\n".join([*figures.violations, figures.kept])
    assert figures.kills == {"birth": 1, **dict.fromkeys(ways, 1)}
    assert figures.acknowledged > 0
    assert figures.reads_checked > 0
    assert figures.stream_changes_checked > 0
