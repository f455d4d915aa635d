"""The proof of backups, in short: ``make prove`` makes fifty."""

from __future__ import annotations

import sys

import pytest

from faults.backup_run import backup_run

pytestmark = [
    pytest.mark.outside,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are Linux's"),
]


async def test_each_backup_under_a_storm_is_a_prefix_and_a_restore_sends_nothing_twice() -> None:
    figures, changes = await backup_run(9, 2, seed=12, shops=2)
    assert not figures.violations, "\n".join([*figures.violations, figures.kept])
    assert (figures.counted.complete + figures.counted.undone, figures.counted.not_served) == (9, 0)
    assert changes > 0
