"""A server that is killed while it posts to a webhook posts every event, in order, also after a day of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.posting import post_through_kills

pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]


async def test_every_event_is_posted_in_order_however_often_it_is_killed(tmp_path: Path) -> None:
    figures = await post_through_kills(tmp_path, kills=3, events=120, seed=15)
    assert figures.violations == [], figures
    assert figures.events == 120
    assert figures.calls >= 120
    assert figures.down >= 20, "a day of trying again"
