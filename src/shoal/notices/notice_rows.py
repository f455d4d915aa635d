"""Notices as rows: which one a channel sends next, and how that ended. Each function is a part of one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Connection, and_, bindparam, case, func, insert, not_, or_, select, text, update

from shoal.accounts.observed_state import storable
from shoal.auth.users import Role
from shoal.messages.message_log import Direction
from shoal.notices.audience import quiet_of, users_concerned
from shoal.notices.plans import (
    DIGESTS_COUNT_MS,
    Due,
    NoticeState,
    Phase,
    Times,
    choose,
    next_try_ms,
    passes_quiet_hours,
)
from shoal.notices.transport import Outcome, Sent
from shoal.storage.history_tables import observed
from shoal.storage.incident_kinds import POLICIES, IncidentKind, Level
from shoal.storage.incident_rows import KNOWN
from shoal.storage.notice_tables import TO_SEND, channels, incidents, notices
from shoal.storage.schema import accounts, messages
from shoal.storage.user_tables import users

LONGEST_ERROR: Final = 300
_RECENT_ROWS: Final = 500
_DUE_ROWS: Final = 1_000
_STRANGE_MS: Final = 3_600_000
_UNSENT = notices.c.state.in_([NoticeState.WAITING.value, NoticeState.FAILED.value])
_IS_SENDING = notices.c.state == NoticeState.SENDING.value
_IS_DUE = and_(notices.c.digest_id.is_(None), notices.c.due_at_ms <= bindparam("now_ms", type_=BigInteger))
_WORK = select(notices.c.channel_id, _IS_SENDING).where(text(TO_SEND), or_(_IS_SENDING, _IS_DUE)).distinct()
_FREE = (text(TO_SEND), _UNSENT, notices.c.digest_id.is_(None))
_SUBJECT = [incidents.c[name] for name in ("kind", "account_id", "user_id")]


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticePart:
    """What a notice says of one incident. ``shop``: how the account's owner calls it."""

    kind: IncidentKind
    phase: Phase
    detail: str
    facts: dict[str, Any]
    account_id: str | None
    shop: str
    opened_at_ms: int
    closed_at_ms: int | None
    count: int


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is being sent; a digest has several ``parts``."""

    notice_id: int
    channel_id: int
    language: str
    dedupe_id: str
    maybe_again: bool
    tries: int
    begun_at_ms: int
    parts: tuple[NoticePart, ...]

    @property
    def level(self) -> Level:
        """The highest level of what it reports; that something is over is not pressing."""
        levels = (POLICIES[one.kind].level for one in self.parts if one.phase is not Phase.END)
        return max(levels, key=lambda level: level.rank, default=Level.INFO)


class Work(msgspec.Struct, frozen=True):
    """What the channels have to do: those with something to send now, and those with a notice marked as being sent."""

    due: frozenset[int]
    sending: frozenset[int]


def work_of_channels(connection: Connection, now_ms: int) -> Work:
    """Return what the channels have to do now."""
    rows = connection.execute(_WORK, {"now_ms": now_ms}).all()
    return Work(
        due=frozenset(channel_id for channel_id, sends in rows if not sends),
        sending=frozenset(channel_id for channel_id, sends in rows if sends),
    )


def settle_interrupted(connection: Connection, now_ms: int) -> int:
    """Settle the notices whose sending a death of the server cut off. Return how many there were.

    They may have arrived: each is sent once more, marked; one that was marked already is not sent a third time.
    """
    sending = notices.c.state == NoticeState.SENDING.value
    last = update(notices).where(text(TO_SEND), sending, notices.c.maybe_again)
    gone = connection.execute(last.values(state=NoticeState.UNCERTAIN.value, settled_at_ms=now_ms)).rowcount
    if gone:
        _let_members_follow(connection)
    again = update(notices).where(text(TO_SEND), sending)
    values = {"state": NoticeState.WAITING.value, "maybe_again": True, "due_at_ms": now_ms}
    return gone + connection.execute(again.values(values)).rowcount


def _let_members_follow(connection: Connection) -> None:
    digest = notices.alias("digest")
    state = select(digest.c.state).where(digest.c.id == notices.c.digest_id).scalar_subquery()
    settled = select(digest.c.settled_at_ms).where(digest.c.id == notices.c.digest_id).scalar_subquery()
    ended = select(digest.c.id).where(
        digest.c.phase == Phase.DIGEST.value, digest.c.state == NoticeState.UNCERTAIN.value
    )
    mine = (notices.c.digest_id.in_(ended), notices.c.state == NoticeState.WAITING.value)
    connection.execute(update(notices).where(*mine).values(state=state, settled_at_ms=settled))


def release_unsent(connection: Connection, busy: Collection[int]) -> int:
    """Let notices wait again that were marked as being sent although no channel of ``busy`` sends them.

    The mark was stored, but the caller learnt that this is not known; so nothing left.
    """
    idle = (text(TO_SEND), notices.c.state == NoticeState.SENDING.value, notices.c.channel_id.not_in(busy))
    values = {"state": NoticeState.WAITING.value, "tries": notices.c.tries - 1}
    return connection.execute(update(notices).where(*idle).values(values)).rowcount


def claim(connection: Connection, channel_id: int, now_ms: int) -> Claim | None:
    """Mark what the channel sends next as being sent, and return it. ``None``: nothing now.

    Whether its user may see it is asked again: a share that was taken back ends its notices.
    """
    query = select(channels, users.c.role).join(users, users.c.id == channels.c.user_id)
    present = (channels.c.active, users.c.active, not_(users.c.leaving))
    channel = connection.execute(query.where(channels.c.id == channel_id, *present)).mappings().first()
    due = _known(connection, _due(connection, channel_id, now_ms), now_ms)
    by_notice = _parts_by_notice(connection, due)
    if channel is None:
        _drop(connection, [*by_notice, *(part["id"] for parts in by_notice.values() for part in parts)], now_ms)
        return None
    by_notice = _seen(connection, channel, by_notice, now_ms)
    due = [row for row in due if row["id"] in by_notice]
    quiet = quiet_of(channel)
    if due and quiet is not None and quiet.hold(now_ms):
        held = [number for number, parts in by_notice.items() if not any(map(_passes, parts))]
        later = update(notices).where(notices.c.id.in_(held))
        connection.execute(later.values(due_at_ms=quiet.end_after(now_ms)))
        due = [row for row in due if row["id"] not in held]
    all_due = [_as_due(row, by_notice[row["id"]]) for row in due]
    choice = choose(all_due, *_recent(connection, channel_id, now_ms))
    for until_ms in set(choice.wait.values()):
        mine = [notice_id for notice_id, at_ms in choice.wait.items() if at_ms == until_ms]
        connection.execute(update(notices).where(notices.c.id.in_(mine)).values(due_at_ms=until_ms))
    if not choice.send:
        return None
    notice_id = _digest(connection, channel_id, choice.send, now_ms) if choice.is_digest else choice.send[0]
    return _begin(connection, notice_id, channel["language"], now_ms)


def _due(connection: Connection, channel_id: int, now_ms: int) -> list[Any]:
    query = (
        select(notices, *_SUBJECT)
        .outerjoin(incidents, incidents.c.id == notices.c.incident_id)
        .where(*_FREE, notices.c.channel_id == channel_id, notices.c.due_at_ms <= now_ms)
        .order_by(notices.c.id)
        .limit(_DUE_ROWS)
    )
    return list(connection.execute(query).mappings())


def _known(connection: Connection, due: list[Any], now_ms: int) -> list[Any]:
    """Return the notices that this version can report, and look at the others, which a later one stored, in a while."""
    strange = [row["id"] for row in due if row["kind"] not in {None, *IncidentKind}]
    if strange:
        later = update(notices).where(notices.c.id.in_(strange))
        connection.execute(later.values(due_at_ms=now_ms + _STRANGE_MS))
    return [row for row in due if row["id"] not in strange]


def _parts_by_notice(connection: Connection, due: Sequence[Any]) -> dict[int, list[Any]]:
    """Return what each notice reports: itself, or the parts of a digest."""
    by_notice = {row["id"]: [row] if row["incident_id"] is not None else [] for row in due}
    digests = [number for number, parts in by_notice.items() if not parts]
    if digests:
        parts = select(notices, *_SUBJECT).join(incidents, incidents.c.id == notices.c.incident_id)
        for part in connection.execute(parts.where(notices.c.digest_id.in_(digests), KNOWN)).mappings():
            by_notice[part["digest_id"]].append(part)
    return by_notice


def _seen(connection: Connection, channel: Any, by_notice: dict[int, list[Any]], now_ms: int) -> dict[int, list[Any]]:
    """Return what the user may see now, and drop the rest: a notice without any part, and the parts of a digest."""
    by_account: dict[str, bool] = {}

    def may_see(part: Any) -> bool:
        account_id, user_id = part["account_id"], channel["user_id"]
        if account_id is None:
            return bool(channel["role"] == Role.ADMIN if part["user_id"] is None else part["user_id"] == user_id)
        if account_id not in by_account:
            by_account[account_id] = user_id in users_concerned(connection, account_id, None)
        return by_account[account_id]

    seen = {number: list(filter(may_see, parts)) for number, parts in by_notice.items()}
    gone = [part["id"] for parts in by_notice.values() for part in parts if not may_see(part)]
    _drop(connection, [*gone, *(number for number, parts in seen.items() if not parts)], now_ms)
    return {number: parts for number, parts in seen.items() if parts}


def _drop(connection: Connection, ids: list[int], now_ms: int) -> None:
    if ids:
        values = {"state": NoticeState.DROPPED.value, "digest_id": None, "settled_at_ms": now_ms}
        connection.execute(update(notices).where(notices.c.id.in_(ids)).values(values))


def _passes(part: Any) -> bool:
    """Return whether what a notice reports is sent in quiet hours too."""
    return passes_quiet_hours(part["phase"], POLICIES[IncidentKind(part["kind"])].level)


def _as_due(row: Any, parts: Sequence[Any]) -> Due:
    is_digest = row["incident_id"] is None
    return Due(
        id=row["id"],
        kind=row["kind"] or "",
        phase=row["phase"],
        rank=max(POLICIES[IncidentKind(part["kind"])].level.rank for part in parts),
        created_at_ms=row["created_at_ms"],
        alone=is_digest or row["maybe_again"],
    )


def _recent(connection: Connection, channel_id: int, now_ms: int) -> tuple[Times, int, Times]:
    """Return when the channel sent what, the time now, and when it sent digests of one kind and phase alone."""
    query = (
        select(incidents.c.kind, notices.c.phase, notices.c.settled_at_ms, notices.c.digest_id)
        .join(incidents, incidents.c.id == notices.c.incident_id)
        .where(notices.c.channel_id == channel_id, notices.c.state == NoticeState.SENT.value)
        .order_by(notices.c.id.desc())
        .limit(_RECENT_ROWS)
    )
    sent: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    digests: defaultdict[tuple[int, int], set[tuple[str, str]]] = defaultdict(set)
    for kind, phase, settled_at_ms, digest_id in connection.execute(query):
        if settled_at_ms is not None and settled_at_ms > now_ms - DIGESTS_COUNT_MS:
            sent[kind, phase].append(settled_at_ms)
            if digest_id is not None:
                digests[digest_id, settled_at_ms].add((kind, phase))
    of_one = defaultdict[tuple[str, str], list[int]](list)
    for (_, at_ms), keys in digests.items():
        if len(keys) == 1:
            of_one[min(keys)].append(at_ms)
    return sent, now_ms, of_one


def _digest(connection: Connection, channel_id: int, ids: Sequence[int], now_ms: int) -> int:
    row = {
        "channel_id": channel_id,
        "phase": Phase.DIGEST.value,
        "due_at_ms": now_ms,
        "dedupe_id": f"d-{token_hex(12)}",
        "created_at_ms": now_ms,
    }
    made = connection.execute(insert(notices).values(row)).inserted_primary_key
    digest_id = int(made[0])  # type: ignore[index]  # an INSERT of one row has a key
    members = update(notices).where(notices.c.id.in_(ids))
    connection.execute(members.values(digest_id=digest_id, state=NoticeState.WAITING.value))
    return digest_id


def _begin(connection: Connection, notice_id: int, language: str, now_ms: int) -> Claim:
    values = {
        "state": NoticeState.SENDING.value,
        "tries": notices.c.tries + 1,
        "begun_at_ms": func.coalesce(notices.c.begun_at_ms, now_ms),
    }
    connection.execute(update(notices).where(notices.c.id == notice_id).values(values))
    row = connection.execute(select(notices).where(notices.c.id == notice_id)).mappings().one()
    return Claim(
        notice_id=notice_id,
        channel_id=row["channel_id"],
        language=language,
        dedupe_id=row["dedupe_id"],
        maybe_again=row["maybe_again"],
        tries=row["tries"],
        begun_at_ms=row["begun_at_ms"],
        parts=_parts(connection, notice_id),
    )


def _parts(connection: Connection, notice_id: int) -> tuple[NoticePart, ...]:
    name = case((accounts.c.name != "", accounts.c.name), else_=func.coalesce(observed.c.seller_name, ""))
    query = (
        select(notices.c.phase, incidents, name.label("shop"))
        .join(incidents, incidents.c.id == notices.c.incident_id)
        .outerjoin(accounts, accounts.c.id == incidents.c.account_id)
        .outerjoin(observed, observed.c.account_id == incidents.c.account_id)
        .where(or_(notices.c.id == notice_id, notices.c.digest_id == notice_id), KNOWN)
        .order_by(incidents.c.id)
    )
    return tuple(
        NoticePart(
            kind=IncidentKind(row["kind"]),
            phase=Phase(row["phase"]),
            detail=row["detail"],
            facts=json.loads(row["facts"] or "{}"),
            account_id=row["account_id"],
            shop=row["shop"] or row["account_id"] or "",
            opened_at_ms=row["opened_at_ms"],
            closed_at_ms=row["closed_at_ms"],
            count=row["count"],
        )
        for row in connection.execute(query).mappings()
    )


def settle(connection: Connection, one: Claim, sent: Sent, now_ms: int) -> NoticeState:
    """Store how a sending ended, for a digest and all that it reports. Return its state."""
    state, due_at_ms = _after(one, sent, now_ms)
    at_rest = due_at_ms is None
    result = Sent(outcome=sent.outcome) if state is NoticeState.SENT else sent
    values: dict[str, Any] = {"state": state.value, "last_error": storable(result.answer, LONGEST_ERROR)}
    values |= {"failure": result.failure or "", "failure_host": storable(result.host, LONGEST_ERROR)}
    values |= {"settled_at_ms": now_ms} if at_rest else {"due_at_ms": due_at_ms}
    values |= {"maybe_again": True} if sent.outcome is Outcome.UNCERTAIN else {}
    mine = (notices.c.id == one.notice_id, notices.c.state == NoticeState.SENDING.value)
    settled = connection.execute(update(notices).where(*mine).values(values)).rowcount
    if settled and at_rest:
        members = update(notices).where(notices.c.digest_id == one.notice_id)
        connection.execute(members.values(state=state.value, settled_at_ms=now_ms))
    if state is NoticeState.SENT:  # the service works again: what failed need not wait
        failed = (text(TO_SEND), notices.c.channel_id == one.channel_id, notices.c.state == NoticeState.FAILED.value)
        connection.execute(update(notices).where(*failed).values(due_at_ms=now_ms))
    return state


def _after(one: Claim, sent: Sent, now_ms: int) -> tuple[NoticeState, int | None]:
    """Return the state after a sending, and when it is sent again, if ever."""
    if sent.outcome is Outcome.SENT:
        return NoticeState.SENT, None
    if sent.outcome is Outcome.UNCERTAIN and one.maybe_again:
        return NoticeState.UNCERTAIN, None
    again = next_try_ms(now_ms, one.tries, one.begun_at_ms, sent.retry_after)
    if again is None:
        return NoticeState.GIVEN_UP if sent.outcome is Outcome.FAILED else NoticeState.UNCERTAIN, None
    return NoticeState.WAITING if sent.outcome is Outcome.UNCERTAIN else NoticeState.FAILED, again


LONGEST: Final = 200
"""How many characters of a buyer's message are quoted."""


def may_quote(parts: Sequence[NoticePart]) -> bool:
    """Return whether a notice reports one buyer who waits, and nothing else."""
    return len(parts) == 1 and parts[0].kind is IncidentKind.BUYER_WAITS and parts[0].phase is Phase.BEGIN


def words_of_buyer(connection: Connection, channel_id: int, part: NoticePart) -> str:
    """Return the newest text that the buyer wrote; empty when the channel does not quote buyers."""
    query = (
        select(messages.c.text)
        .join(channels, channels.c.id == channel_id)
        .where(
            channels.c.buyer_words,
            messages.c.account_id == part.account_id,
            messages.c.chat_id == str(part.facts.get("chat_id", "")),
            messages.c.direction == Direction.IN.value,
            messages.c.content_type == "text",
        )
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
        .limit(1)
    )
    words = " ".join((connection.scalar(query) or "").split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"
