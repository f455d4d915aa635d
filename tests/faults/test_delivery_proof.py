"""The proofs of delivery, in short: ``make prove`` runs them with 10,000 orders and 1,000 rehearsals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from faults.delivery_run import delivery_run
from faults.refund_ways import WAY_OF, WAYS
from faults.rehearsal_run import PLANTED, rehearsal_run

pytestmark = [
    pytest.mark.outside,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are Linux's"),
]


async def test_every_unit_that_was_ordered_arrives_once_whenever_the_server_dies_or_its_store_fails() -> None:
    figures = await delivery_run(12, 1, 1, seed=11, shops=2)
    assert not figures.violations, "\n".join([*figures.violations, figures.kept])
    counted = figures.counted
    assert (counted.complete, counted.not_served) == (12 - counted.undone, 0)
    assert counted.units_received >= 12
    assert (figures.kills, figures.store_failures, figures.looks) == (1, 1, 2)


@pytest.mark.slow
async def test_g2_a_storm_of_refunds_that_end_in_each_way_loses_and_doubles_nothing() -> None:
    figures = await delivery_run(2 * len(WAYS), 1, 0, seed=12, shops=2, refunds=1.0)
    assert not figures.violations, "\n".join([*figures.violations, figures.kept])
    counted = figures.counted
    assert figures.ways == dict.fromkeys(WAY_OF, 2)
    undone = 2 * sum(way.undoes for way in WAYS)
    assert (counted.complete, counted.undone, counted.not_served) == (counted.orders - undone, undone, 0)
    assert (figures.kills, figures.open_refused) == (1, 4)


async def test_planted_obstacles_are_named_and_what_is_rehearsed_is_what_arrives(tmp_path: Path) -> None:
    figures = await rehearsal_run(tmp_path, healthy=12, purchases=8, seed=3)
    assert figures.violations == []
    assert (figures.named, figures.false_alarms, figures.equal) == (len(PLANTED), 0, 8)
