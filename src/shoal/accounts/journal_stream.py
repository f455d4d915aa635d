"""The journal as a stream on several nodes: the order in which all of them read it, and the port to it.

Several nodes take revs and commit in any order: a reader who remembers the largest rev would pass one that is committed
later. The stream is in the order of transaction id and rev, and ends before the oldest transaction that is still open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from shoal.accounts.account import Account
from shoal.accounts.journal import JournalEntry
from shoal.accounts.settled_ids import SeenIds


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
