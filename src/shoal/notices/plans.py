"""When incidents are reported, how notices are grouped, and when a failed one is tried again. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from shoal.storage.incident_kinds import Level, Policy

GROUP_MS: Final = 60_000
MOST_SINGLE: Final = 5
"""How many notices of one kind and phase are sent each by itself within ``GROUP_MS``; more of them are one digest."""
FIRST_DIGEST_MS: Final = 3_000
"""How long after the last single one a digest of something urgent leaves, unless one left shortly before."""
LONGEST_PAUSE_MS: Final = 600_000
"""How long the pause after a digest is at most; it is ``GROUP_MS`` after the first and doubles with each other one."""
DIGESTS_COUNT_MS: Final = 3_600_000
"""For how long a digest counts."""
FIRST_TRY_AGAIN_MS: Final = 5_000
LONGEST_TRY_AGAIN_MS: Final = 3_600_000
GIVE_UP_MS: Final = 24 * 3_600_000
"""After which time a notice is tried no more."""
LEAST_TRIES: Final = 6
"""How often a notice is tried at least, unless its service asks for a pause: the machine may have slept for a day."""
_LEVELS: Final = tuple(Level)
MOST_DOUBLINGS: Final = 8
"""How often the hold of a kind that heals is doubled at most, when it keeps coming back."""


class Phase(StrEnum):
    """What of an incident a notice reports."""

    BEGIN = "begin"
    REMINDER = "reminder"
    END = "end"
    DIGEST = "digest"
    """Several notices as one."""


def passes_quiet_hours(phase: str, level: Level) -> bool:
    """Return whether a notice is sent in quiet hours too: the beginning of something urgent."""
    return phase == Phase.BEGIN and level is Level.URGENT


class NoticeState(StrEnum):
    """How far a notice is."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    """The last try failed; it is tried again."""
    UNCERTAIN = "uncertain"
    """It was sent twice at most, and nothing says whether it arrived."""
    GIVEN_UP = "given_up"
    DROPPED = "dropped"
    """Its channel is off, or its user may no longer see what it is about."""


def notified_from_ms(policy: Policy, opened_at_ms: int, times_before: int) -> int:
    """Return from when on an incident is reported. ``times_before``: how often it was within the last day."""
    doublings = min(times_before, MOST_DOUBLINGS) if policy.heals else 0
    return opened_at_ms + policy.hold_ms * (1 << doublings)


def next_try_ms(now_ms: int, tries: int, first_try_ms: int, retry_after: float | None) -> int | None:
    """Return when a notice that failed ``tries`` times is tried again; ``None``: no more."""
    if now_ms - first_try_ms >= GIVE_UP_MS and (tries >= LEAST_TRIES or retry_after is not None):
        return None
    wait_ms = min(FIRST_TRY_AGAIN_MS * (1 << min(tries - 1, 20)), LONGEST_TRY_AGAIN_MS)
    asked_ms = 0 if retry_after is None else round(min(max(retry_after, 0.0), 86_400.0) * 1000)
    return now_ms + max(wait_ms, asked_ms)


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A notice of one channel that should be sent now. ``alone``: it must not become a part of a digest."""

    id: int
    kind: str
    phase: str
    rank: int
    created_at_ms: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What is sent next: one notice, or some as a digest; and the notices that wait, each until when."""

    send: tuple[int, ...] = ()
    wait: Mapping[int, int] = field(default_factory=dict)
    is_digest: bool = False


Times = Mapping[tuple[str, str], Sequence[int]]
"""Times by kind and phase."""


def choose(due: Sequence[Due], recent: Times, now_ms: int, digests: Times = MappingProxyType({})) -> Choice:
    """Choose what one channel sends next.

    ``recent``: when notices were sent within ``GROUP_MS``; ``digests``: when digests of that kind and phase alone were
    sent within ``DIGESTS_COUNT_MS``. What has piled up for longer than ``GROUP_MS`` (in quiet hours, or while the
    service failed) is one digest, whatever it is, with what came since of the same kinds. Beyond that kinds do not
    wait for each other, and the most pressing come first.
    """
    alone = min((one for one in due if one.alone), key=_urgency, default=None)
    if alone is not None:
        return Choice((alone.id,))
    piled = [(one.kind, one.phase) for one in due if now_ms - one.created_at_ms >= GROUP_MS]
    if len(piled) > MOST_SINGLE:
        keys = set(piled)
        return Choice(tuple(sorted(one.id for one in due if (one.kind, one.phase) in keys)), is_digest=True)
    groups: defaultdict[tuple[str, str], list[Due]] = defaultdict(list)
    for one in sorted(due, key=_urgency):
        groups[one.kind, one.phase].append(one)
    wait: dict[int, int] = {}
    for key, group in groups.items():
        sent = [at_ms for at_ms in recent.get(key, ()) if 0 <= now_ms - at_ms < GROUP_MS]
        before = [at_ms for at_ms in digests.get(key, ()) if 0 <= now_ms - at_ms < DIGESTS_COUNT_MS]
        leaves_ms = max(before) + _pause_ms(len(before)) if before else 0
        if now_ms >= leaves_ms and len(group) + len(sent) <= MOST_SINGLE:
            return Choice((group[0].id,), wait)
        leaves_ms = max(leaves_ms, _digest_leaves_ms(group, sent, now_ms))
        if now_ms >= leaves_ms:
            return Choice(tuple(one.id for one in group), wait, is_digest=True)
        wait |= {one.id: leaves_ms for one in group}
    return Choice((), wait)


def _pause_ms(digests: int) -> int:
    """Return how long nothing of a kind is sent after so many digests of it."""
    return min(GROUP_MS << min(digests - 1, 20), LONGEST_PAUSE_MS)


def _digest_leaves_ms(group: Sequence[Due], sent: Sequence[int], now_ms: int) -> int:
    """Return when a group of one kind leaves as a digest, after ``sent``."""
    first = group[0]
    if sent and passes_quiet_hours(first.phase, _LEVELS[first.rank]):
        return max(sent) + FIRST_DIGEST_MS
    if not sent or now_ms - min(one.created_at_ms for one in group) >= GROUP_MS:  # others came one by one since
        return 0
    return min(sent) + GROUP_MS


def _urgency(one: Due) -> tuple[int, int]:
    return (-one.rank, one.id)
