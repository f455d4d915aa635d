"""How long the writer's transactions take, and how much each holds."""

from __future__ import annotations

import time

from shoal.measures import Histogram


class CommitFigures:
    """The figures of one writer since its start. Its thread writes them, any other may read them."""

    def __init__(self) -> None:
        self.seconds = Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
        """From the beginning of a transaction until it was committed."""
        self.sizes = Histogram(1, 2, 5, 10, 20, 50, 100, 200, 500)
        """How many units of work were committed together."""
        self.refused = 0
        """How many groups the database refused as a whole."""

    def add(self, began: float, works: int) -> float:
        """Note a commit of work that ``began`` then. Return the time, by ``time.monotonic``."""
        now = time.monotonic()
        self.seconds.add(now - began)
        self.sizes.add(works)
        return now
