"""How long an account was in which state, and which share of the time in which it was wanted it ran.

What counts: time in ``running`` is up. ``stopped`` is not counted, for nobody wanted more; unless it was the server
that stopped: then the account was wanted and did not run. Nor is ``elsewhere``: whether it ran is for the other machine
to say. Every other state (waiting, starting, retrying, parked, stopping) is wanted and not up, and so is the time in
which the server was down. Before the first move nothing is known, and nothing counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from shoal.accounts.account import AccountState, StateMove, StopReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """One stretch of time in one state; the last one ends now."""

    state: AccountState
    reason: str
    from_ms: int
    to_ms: int

    @property
    def wanted(self) -> bool:
        """Whether the owner wanted the account to run."""
        if self.state is AccountState.STOPPED:
            return self.reason in set(StopReason)
        return self.state is not AccountState.ELSEWHERE

    def since(self, moment_ms: int) -> int:
        """How many milliseconds of it lie after that moment."""
        return max(0, self.to_ms - max(self.from_ms, moment_ms))


def intervals(moves: Iterable[StateMove], now_ms: int) -> list[Interval]:
    """The stretches between an account's moves, in their order, up to ``now_ms``.

    Where a clock was put back a stretch has no length rather than a negative one.
    """
    steps = list(moves)
    ends = [after.at_ms for _, after in pairwise(steps)] + [now_ms]
    return [
        Interval(state=move.state, reason=move.reason, from_ms=move.at_ms, to_ms=max(move.at_ms, end))
        for move, end in zip(steps, ends, strict=False)
    ]


def uptime(moves: Iterable[StateMove], *, since_ms: int, now_ms: int) -> float | None:
    """The share (0 to 1) of the time since ``since_ms`` in which the account was wanted that it was running.

    ``moves`` are those of ``AccountStore.timeline(since_ms=…)``. ``None`` when it was never wanted.
    """
    wanted = [interval for interval in intervals(moves, now_ms) if interval.wanted]
    total = sum(interval.since(since_ms) for interval in wanted)
    running = sum(interval.since(since_ms) for interval in wanted if interval.state is AccountState.RUNNING)
    return running / total if total else None
