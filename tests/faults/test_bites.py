"""The proofs see what they are there for: each is shown a program that is broken in one place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from faults.fiu_sweep import FIU_RUN, fiu_sweep
from faults.kill_loop import kill_loop
from faults.replay import recorded, sweep

pytestmark = [pytest.mark.cold, pytest.mark.timeout(600)]
BROKEN = Path(__file__).with_name("broken")


async def test_a_database_that_does_not_sync_is_seen(tmp_path: Path) -> None:
    recording = await recorded(tmp_path, "atomic")
    figures = await sweep(recording, "atomic", checkpoint=1, step=9, synchronous="OFF")
    assert figures.violations, figures


async def test_a_change_in_more_than_one_transaction_is_seen(tmp_path: Path) -> None:
    recording = await recorded(tmp_path, "atomic")
    middle = len(recording.statements) // 2
    recording.statements[middle:middle] = ["COMMIT", "BEGIN IMMEDIATE"]
    figures = await sweep(recording, "atomic", checkpoint=1000, step=9)
    assert figures.violations, figures


@pytest.mark.skipif(FIU_RUN is None and not os.environ.get("CI"), reason="fiu-run is not installed (Debian: fiu-utils)")
async def test_a_writer_who_takes_a_failed_commit_for_a_refusal_is_seen(tmp_path: Path) -> None:
    child = BROKEN / "fiu_child_credulous.py"
    figures = await fiu_sweep(tmp_path, "change", last=6, modes=("once",), child=child)
    assert figures.violations, figures


@pytest.mark.skipif(not os.environ.get("SHOAL_PROVE"), reason="a minute; make prove runs it")
@pytest.mark.outside
async def test_a_writer_who_answers_before_the_commit_is_seen() -> None:
    figures = await kill_loop(6, seed=3, seconds=40, program=(str(BROKEN / "answers_too_early.py"),))
    assert figures.violations, figures
    shutil.rmtree(figures.kept)
