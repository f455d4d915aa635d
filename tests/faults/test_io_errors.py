"""A disk that fails at one call of a change or a batch: old or new, never half, and what was told holds.

Here at each 25th or 47th call; at every one in ``prove_io``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faults.fiu_sweep import FIU_RUN, fiu_sweep
from faults.replay import SCENARIOS, recorded, sweep

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_error_of_the_disk_leaves_old_or_new_and_never_half(tmp_path: Path, scenario: str) -> None:
    recording = await recorded(tmp_path, scenario)
    for checkpoint in (1000, 1):
        figures = await sweep(recording, scenario, checkpoint=checkpoint, step=25)
        assert not figures.violations, "\n".join(figures.violations)
        assert figures.refused > 0
        assert figures.unknown > 0


@pytest.mark.skipif(FIU_RUN is None and not os.environ.get("CI"), reason="fiu-run is not installed (Debian: fiu-utils)")
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_error_of_a_system_call_leaves_what_was_told(tmp_path: Path, scenario: str) -> None:
    figures = await fiu_sweep(tmp_path, scenario, step=47)
    assert not figures.violations, "\n".join(figures.violations)
    assert figures.fault_points > 6
    assert set(figures.told) == {"acknowledged", "refused", "unknown"}
