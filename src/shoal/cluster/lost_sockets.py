"""Closes the sockets of lost shards before anything else of them ends."""

from __future__ import annotations

from collections.abc import Callable, Collection


class LostSockets:
    """A ``ShardListener``. What is given up in order ends in order; what is lost already ends at once."""

    def __init__(self, cut: Callable[[], None]) -> None:
        """``cut`` closes the sockets of all accounts that this node does not own now."""
        self._cut = cut

    async def claimed(self, shards: Collection[int]) -> None:
        """Do nothing."""

    async def losing(self, shards: Collection[int]) -> None:
        """Do nothing: the lease is valid."""

    async def lost(self, shards: Collection[int]) -> None:  # noqa: ARG002  the port's signature
        """Close the sockets of accounts that others may own."""
        self._cut()

    def lapsed(self) -> None:
        """Close the sockets of accounts whose lease has run out."""
        self._cut()
