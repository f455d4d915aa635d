"""The times of a node's lease."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MARGIN: Final = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTimes:
    """How long a lease is valid, how often it is renewed, and how often a node looks for shards without an owner."""

    lease_seconds: float = 15.0
    renew_seconds: float = 5.0
    look_seconds: float = 1.0

    @property
    def acting_seconds(self) -> float:
        """Return how long a node acts after it asked for a renewal: less than the lease, for clocks that differ."""
        return self.lease_seconds * (1 - _MARGIN)

    @property
    def idle_seconds(self) -> float:
        """Return how long PostgreSQL keeps a transaction of a node that stands still."""
        return self.lease_seconds / 3

    @property
    def patience_seconds(self) -> float:
        """Return how long shards that were given up may be free before a node takes them back."""
        return self.lease_seconds / 3

    @property
    def committing_seconds(self) -> float:
        """Return how long after it asked for a renewal a node may begin to commit a change.

        If it stands still then, the transaction has ended before the lease has.
        """
        return self.lease_seconds - self.idle_seconds

    @classmethod
    def of_lease(cls, lease_seconds: float) -> NodeTimes:
        """Return times that fit a lease."""
        return cls(
            lease_seconds=lease_seconds, renew_seconds=lease_seconds / 3, look_seconds=min(1.0, lease_seconds / 5)
        )
