"""Up to which id everything is decided when several nodes add rows to the same tables.

A row's id is taken before its transaction is committed, so a smaller id may become visible after a larger one. Every
writer has a transaction id before it takes a row's id (``storage/commit_outcome.py`` writes first). So the ids that one
look saw are decided once no transaction is open that is older than one that began after the look: each of them is
visible by then, or never will be. A reader who goes no further reads by id alone, and misses nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from shoal.accounts.positions import Position

_MOST_OPEN: Final = 100


class SeenIds(NamedTuple):
    """What one look into the database shows."""

    horizon: int
    """The oldest transaction that was open before the ids were read."""
    ids: Position
    """The last ids that were taken."""
    xid: int
    """A transaction id that was taken after these ids were."""
    life: str = ""
    """Of the database: another one after a restart, a promotion or a restore."""


class SettledIds:
    """Learns from one look after the other. ``position`` never goes back while the database does not."""

    def __init__(self, position: Position) -> None:
        """``position``: what was visible before the first look."""
        self.position = position
        self.is_known = False
        """Whether a look has shown it; before, it is ``position`` as given."""
        self._open: deque[tuple[int, Position]] = deque()

    @property
    def waits(self) -> bool:
        """Whether another look may show more: ids were taken that are not decided."""
        return bool(self._open) or not self.is_known

    def note(self, seen: SeenIds) -> None:
        """Take in a look."""
        last = self._open[-1][1] if self._open else self.position if self.is_known else None
        if seen.ids != last:
            if len(self._open) >= _MOST_OPEN:  # the newest stands for the one before it too
                self._open.pop()
            self._open.append((seen.xid, seen.ids))
        while self._open and self._open[0][0] <= seen.horizon:
            self.position = self._open.popleft()[1]
            self.is_known = True
