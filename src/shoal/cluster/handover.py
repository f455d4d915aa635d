"""How shards pass to other servers: a few at a time, the next ones when those before are taken.

A server that joined and crashed counts as one that takes shards until its lease has run out, and one that crashes
again and again counts for ever. What is given up for it has no owner. So more is given up only once that has one, and
what no server takes is taken back, beyond the own share, and kept for the time of a lease.
"""

from __future__ import annotations

from typing import Final

from shoal.cluster.lease_watchdog import NodeTimes, boot_clock
from shoal.cluster.node_rows import Share

GIVEN_UP_AT_ONCE: Final = 32
"""How many shards are given up at a time, so that few accounts are away together."""


class Handover:
    """What one node gives up. ``note`` and ``surplus`` are called once for each look."""

    def __init__(self, times: NodeTimes) -> None:
        self._times = times
        self._free_since: float | None = None
        self._keeps_until = 0.0
        self.takes_back = False
        """Whether the next look takes free shards beyond the share."""

    def note(self, share: Share) -> None:
        """Take in what a look saw."""
        now = boot_clock()
        if self.takes_back:
            self._keeps_until = now + self._times.lease_seconds
        if not share.others_free:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = now
        self.takes_back = self._free_since is not None and now - self._free_since >= self._times.patience_seconds

    def surplus(self, share: Share, mine: set[int]) -> list[int]:
        """Return which shards are given up now."""
        if share.others_free or (share.quota and boot_clock() < self._keeps_until):
            return []
        return sorted(mine)[share.quota :][:GIVEN_UP_AT_ONCE]
