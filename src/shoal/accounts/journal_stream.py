"""The journal as a stream on several nodes: the order in which all of them read it, and the port to it.

Several nodes take revs and commit in any order: a reader who remembers the largest rev would pass one that is committed
later. The stream is in the order of transaction id and rev, and ends before the oldest transaction that is still open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from shoal.accounts.account import Account
from shoal.accounts.journal import JournalEntry
from shoal.accounts.positions import Position

# A row's id is taken before its transaction is committed, so a smaller id may become visible after a larger one. Every
# writer has a transaction id before it takes a row's id (``storage/commit_outcome.py`` writes first). So the ids that
# one look saw are decided once no transaction is open that is older than one that began after the look: each of them
# is visible by then, or never will be. A reader who goes no further reads by id alone, and misses nothing.
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


class StreamPlace(NamedTuple):
    """A place in the stream: after the entry with this rev, which that transaction wrote."""

    xid: int = 0
    rev: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamPage:
    """The next entries of the stream, and their accounts as stored now, from one consistent read."""

    entries: tuple[JournalEntry, ...] = ()
    places: tuple[StreamPlace, ...] = ()
    """The place after each entry."""
    accounts: Mapping[str, Account] = field(default_factory=dict)
    """Those accounts of the entries that exist."""
    is_last: bool = True
    """Whether nothing more could be read at that moment."""
    waiting: int | None = None
    """The rev of the first entry that is committed and must wait, because an older transaction is open."""
    seen: SeenIds | None = None
    """The ids that were taken by then in the streams of events; only with the accounts."""


class JournalStream(Protocol):
    """Reads the stream. Raises ``StoreError``."""

    async def read(self, after: StreamPlace, *, limit: int) -> StreamPage:
        """Return the next entries, at most ``limit``, with their accounts and the ids that were taken."""

    async def entries(self, after: StreamPlace, *, limit: int) -> StreamPage:
        """Return the same without the accounts."""

    async def place_of(self, rev: int) -> StreamPlace | None:
        """Return the place after the entry with that rev. ``None``: there is none (any more). 0 is the beginning, while
        nothing was pruned."""

    async def lacks(self, generations: Mapping[str, tuple[int, int]], revs: Sequence[int]) -> bool:
        """Return whether something is not stored that was: the generation and rev of an account or a later one, or an
        entry with one of these revs that was not pruned."""

    async def has_more_than(self, after: StreamPlace, count: int) -> bool:
        """Return whether more than so many entries follow."""
