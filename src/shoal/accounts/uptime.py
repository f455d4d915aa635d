"""How long an account was in each state, and its uptime: the share of the time in which it ran while enabled.

Time in ``running`` is up. ``stopped`` is not counted, because the account was disabled; unless the server stopped: then
the account was enabled and did not run. ``elsewhere`` is not counted either: the other machine knows whether it ran.
Every other state (waiting, starting, retrying, parked, stopping) is enabled and not up, and so is the time in which the
server was down. Before the first move nothing is known, and nothing counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from shoal.accounts.account import AccountState, StateMove, StopReason


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A period of time in one state; the last one ends now."""

    state: AccountState
    reason: str
    from_ms: int
    to_ms: int

    @property
    def wanted(self) -> bool:
        """Whether the account was enabled."""
        if self.state is AccountState.STOPPED:
            return self.reason in set(StopReason)
        return self.state is not AccountState.ELSEWHERE

    def since(self, moment_ms: int) -> int:
        """Return how many milliseconds of it lie after that time."""
        return max(0, self.to_ms - max(self.from_ms, moment_ms))


def intervals(moves: Iterable[StateMove], now_ms: int) -> list[Interval]:
    """Return the periods between an account's moves, in order, up to ``now_ms``.

    Where a clock was set back a period has length zero, not a negative length.
    """
    steps = list(moves)
    ends = [after.at_ms for _, after in pairwise(steps)] + [now_ms]
    return [
        Interval(state=move.state, reason=move.reason, from_ms=move.at_ms, to_ms=max(move.at_ms, end))
        for move, end in zip(steps, ends, strict=False)
    ]


def uptime(moves: Iterable[StateMove], *, since_ms: int, now_ms: int) -> float | None:
    """Return the share (0 to 1) of the enabled time since ``since_ms`` in which the account was running.

    ``moves`` are those of ``AccountStore.timeline(since_ms=…)``. ``None`` when it was never enabled.
    """
    wanted = [interval for interval in intervals(moves, now_ms) if interval.wanted]
    total = sum(interval.since(since_ms) for interval in wanted)
    running = sum(interval.since(since_ms) for interval in wanted if interval.state is AccountState.RUNNING)
    return running / total if total else None
