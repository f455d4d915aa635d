"""Whether a node may still commit: while its lease is certainly valid long enough, in the life in which it began."""

from __future__ import annotations

import threading

from shoal.cluster.lease_watchdog import NodeTimes, boot_clock, lease_check

TIMES = NodeTimes.of_lease(3600.0)


class Life:
    """What a node knows of its life."""

    def __init__(self) -> None:
        self.rows: object = object()
        self.deadline = boot_clock() + TIMES.acting_seconds
        self.stands = lease_check(lambda: self.rows, lambda: self.deadline, TIMES)


def test_it_stands_until_the_lease_is_over_and_never_again() -> None:
    life = Life()
    assert life.stands()
    deadline, life.deadline = life.deadline, boot_clock()
    assert not life.stands()
    life.rows, life.deadline = object(), deadline
    assert not life.stands(), "another life of the node"


def test_it_waits_for_a_renewal_that_is_late() -> None:
    """So late that PostgreSQL would not have ended its transaction before the lease is over."""
    life = Life()
    renewed, life.deadline = life.deadline, boot_clock() + TIMES.acting_seconds - TIMES.committing_seconds - 1.0
    found: list[bool] = []
    asking = threading.Thread(target=lambda: found.append(life.stands()))
    asking.start()
    asking.join(0.05)
    assert found == []
    life.deadline = renewed
    asking.join(60.0)
    assert found == [True]


def test_a_transaction_that_begins_to_commit_and_stands_still_ends_before_the_lease() -> None:
    assert TIMES.committing_seconds + TIMES.idle_seconds <= TIMES.lease_seconds
    assert TIMES.committing_seconds < TIMES.acting_seconds
