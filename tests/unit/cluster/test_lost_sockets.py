"""Sockets of lost shards close at once; those of shards that are given up end in order."""

from __future__ import annotations

from shoal.server.open_accounts import LostSockets


async def test_only_a_loss_cuts() -> None:
    cuts: list[str] = []
    listener = LostSockets(lambda: cuts.append("cut"))
    await listener.claimed([1])
    await listener.losing([1])
    assert cuts == []
    listener.lapsed()
    await listener.lost([1])
    assert cuts == ["cut", "cut"]
