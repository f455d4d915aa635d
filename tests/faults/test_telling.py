"""A server that is killed while it tells about incidents tells each of them, and none three times."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.telling import CHANNELS, tell_through_kills

pytestmark = [pytest.mark.outside, pytest.mark.timeout(300)]


async def test_every_incident_is_told_and_none_three_times_however_often_it_is_killed(tmp_path: Path) -> None:
    figures = await tell_through_kills(tmp_path, kills=4, incidents=24, seed=15)
    assert figures.violations == [], figures
    assert figures.told.total() >= 24 * CHANNELS
    assert figures.told[1] > CHANNELS
    assert figures.ends
