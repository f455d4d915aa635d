"""Whether a node may still commit what it began: once its lease is over, others say that it never was applied."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from shoal.accounts.ownership import Standing
from shoal.cluster.lease_watchdog import boot_clock
from shoal.cluster.node_times import NodeTimes

_LOOK_SECONDS: Final = 0.01


def lease_check(life: Callable[[], object], deadline: Callable[[], float], times: NodeTimes) -> Standing:
    """Return a check of the present life, to be asked on the writer's thread before a COMMIT.

    It waits while a renewal is late. A process that stands still after the check has its transaction ended by
    PostgreSQL before its lease has run out (``committing_seconds``). A life that is over stays so, also when the node
    joins again.
    """
    mine, last_moments = life(), times.acting_seconds - times.committing_seconds

    def stands() -> bool:
        # The deadline is read first: that of a later life is set after the life.
        while (now := boot_clock()) < (until := deadline()) and life() is mine:
            if now < until - last_moments:
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    return stands
