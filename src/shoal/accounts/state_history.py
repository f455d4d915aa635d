"""The state history, as one server writes it: a move for each new state, queued here until it is stored."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec
import structlog

from shoal.accounts.account import Account, AccountState, Observation, StateMove, StopReason
from shoal.measures import Tally

log = structlog.get_logger("shoal.tasks")

MOST_WAITING_EACH = 20
"""How many moves of one account wait while the store does not answer; beyond it its oldest are lost.

The limit is each account's own: a start of many makes two moves of each at once, and all of these are stored.
"""
_TIE_MS = 1_000


class StateHistory:
    """The last move of each account, and the moves that wait to be stored."""

    def __init__(self) -> None:
        self._last: dict[str, StateMove] = {}
        self._waiting: defaultdict[str, deque[StateMove]] = defaultdict(deque)
        self._overflowed = False
        self.moves = Tally()
        """How often an account came into a state, by the reason."""

    def begin(self, seen: Mapping[str, Observation], wanted: Mapping[str, bool]) -> None:
        """Continue from the last stored moves. Accounts that were not at rest stopped with the server, without a move.

        Their last sign of life is as old as the observation: at most one resync, in a healthy server.
        """
        for account_id, observation in seen.items():
            if not observation.since_ms:
                continue  # never observed
            state, reason = observation.state, observation.reason
            self._last[account_id] = StateMove(
                account_id=account_id, state=state, reason=reason, at_ms=_last_sign_ms(observation)
            )
            if not state.at_rest:
                self._stopped(account_id, StopReason.SERVER_DOWN, wanted[account_id], _last_sign_ms(observation))

    def saw(self, account_id: str, observation: Observation, at_ms: int) -> None:
        """Add a move, if the state or its reason changed."""
        last = self._last.get(account_id)
        if last is None or (last.state, last.reason) != (observation.state, observation.reason):
            self._add(account_id, observation.state, observation.reason, at_ms)

    def end(self, account: Account, at_ms: int) -> StateMove | None:
        """Add the account's last move at the end of the server, if it was not at rest."""
        last = self._last.get(account.id)
        if last is None or last.state.at_rest:
            return None
        return self._stopped(account.id, StopReason.SERVER_STOPPED, account.enabled, at_ms)

    def forget(self, account_id: str) -> None:
        """Forget a deleted account."""
        self._last.pop(account_id, None)
        self._waiting.pop(account_id, None)

    def take(self) -> dict[str, list[StateMove]]:
        """Return the waiting moves of each account, in order, to be stored now."""
        moves = {account_id: list(waiting) for account_id, waiting in self._waiting.items()}
        self._waiting.clear()
        return moves

    def put_back(self, moves: Sequence[StateMove]) -> None:
        """Put moves that could not be stored back, before later ones."""
        for move in reversed(moves):
            self._waiting[move.account_id].appendleft(move)
        for account_id in {move.account_id for move in moves}:
            self._drop_surplus(account_id)

    def stored(self) -> None:
        """Record that moves were stored: the next loss is logged again."""
        self._overflowed = False

    def _stopped(self, account_id: str, reason: StopReason, wanted: bool, at_ms: int) -> StateMove:
        return self._add(account_id, AccountState.STOPPED, reason if wanted else "", at_ms)

    def _add(self, account_id: str, state: AccountState, reason: str, at_ms: int) -> StateMove:
        last = self._last.get(account_id)
        if last is not None and 0 <= last.at_ms - at_ms < _TIE_MS:
            at_ms = last.at_ms + 1  # moves of the same time keep their order; a clock that was set back is accepted
        move = self._last[account_id] = StateMove(account_id=account_id, state=state, reason=reason, at_ms=at_ms)
        self._waiting[account_id].append(move)
        self.moves.add(state.value, reason)
        self._drop_surplus(account_id)
        return move

    def _drop_surplus(self, account_id: str) -> None:
        waiting = self._waiting[account_id]
        surplus = len(waiting) - MOST_WAITING_EACH
        for _ in range(surplus):
            waiting.popleft()
        if surplus > 0 and not self._overflowed:
            self._overflowed = True
            log.warning("moves of states are lost: the store takes none", account=account_id, kept=MOST_WAITING_EACH)


def _last_sign_ms(observation: Observation) -> int:
    """Return the latest time at which the account was known to be as observed."""
    signs = (observation.since_ms, observation.last_heartbeat_at_ms, observation.last_message_at_ms)
    return max(sign or 0 for sign in signs)


# Time in ``running`` is up. ``stopped`` is not counted, because the account was disabled; unless the server stopped:
# then the account was enabled and did not run. ``elsewhere`` is not counted either: the other machine knows whether it
# ran. Every other state (waiting, starting, retrying, parked, stopping) is enabled and not up, and so is the time in
# which the server was down. Before the first move nothing is known, and nothing counted.
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
