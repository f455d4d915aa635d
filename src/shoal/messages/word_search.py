"""Finds messages by their words: by the index of grams, and by reading what is not indexed.

What the index finds is compared with the text, so an answer is the same with and without the index. Each function of a
connection reads one snapshot, on a thread of searches.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, literal, or_, select

from shoal.storage.among import among, kept_of
from shoal.storage.grams import SEGMENT_BITS, coded_places, grams_wanted, places_in_all, slot_of
from shoal.storage.message_segments import Indexed, ids_of, indexed, packed_lists, segments_with_messages
from shoal.storage.newest_rows import newest_since
from shoal.storage.schema import messages

FEW_MESSAGES = 1 << SEGMENT_BITS
"""So many messages of the asked accounts are read one by one, by the index of their times."""
_FEW_ACCOUNTS = 8
_MOST_AT_ONCE = 32
"""How many segments are asked at once; a search that begins asks one, then twice as many each time."""
_MOST_GRAMS = 8
"""How many grams of a long query are looked up; the text is compared as a whole."""


def contains(query: str) -> ColumnElement[bool]:
    """Return whether a message's text or its sender's name contains the query, literally, ignoring case."""
    return or_(
        messages.c.text.icontains(query, autoescape=True), messages.c.sender_name.icontains(query, autoescape=True)
    )


def are_few(connection: Connection, account_ids: Collection[str]) -> bool:
    """Return whether these are few accounts with few messages together."""
    if len(account_ids) > _FEW_ACCOUNTS:
        return False
    left = FEW_MESSAGES
    for account_id in account_ids:  # one by one: of several, PostgreSQL reads all entries of the index
        some = select(literal(1)).select_from(messages).where(messages.c.account_id == account_id).limit(left + 1)
        left -= connection.scalar(select(func.count()).select_from(some.subquery())) or 0
        if left < 0:
            return False
    return True


def newest(
    connection: Connection,
    wanted: Select[Any],
    account_ids: Collection[str],
    *,
    before_ms: float,
    limit: int,
    dense: bool,
) -> list[RowMapping]:
    """Return the newest wanted messages of accounts, newest first, by the index of their times.

    ``dense``: every message before that time is wanted, so older ones than a page has are not read.
    """
    if dense:
        before = None if before_ms == math.inf else int(before_ms)
        account, written = messages.c.account_id, messages.c.created_at_ms
        since_ms = newest_since(connection, account, written, account_ids, before_ms=before, rows=limit)
        wanted = wanted if since_ms is None else wanted.where(written >= since_ms)
    wanted = wanted.where(among(messages.c.account_id, account_ids))
    wanted = wanted.order_by(messages.c.created_at_ms.desc(), messages.c.id.desc()).limit(limit)
    return list(connection.execute(wanted).mappings())


@dataclass(frozen=True, slots=True)
class _Part:
    """Messages of which some may match: which, and when the newest of them was written, at the latest."""

    ids: ColumnElement[bool]
    newest_ms: float
    count: int = 0


def newest_matches(
    connection: Connection,
    wanted: Select[Any],
    query: str,
    account_ids: Collection[str],
    *,
    times_ms: tuple[float, float] = (-math.inf, math.inf),
    limit: int,
) -> list[RowMapping]:
    """Return the newest messages of accounts that contain the query and are wanted, newest first.

    ``wanted`` selects from ``messages``; none that it lets through was written outside ``times_ms``. It ends as soon as
    no older segment can have a newer message.
    """
    wanted = wanted.where(kept_of(messages.c.account_id, account_ids), contains(query))
    wanted = wanted.order_by(messages.c.created_at_ms.desc(), messages.c.id.desc()).limit(limit)
    found: list[RowMapping] = []
    for part in _parts(connection, query, times_ms):
        if len(found) == limit and part.newest_ms < found[-1]["created_at_ms"]:
            break
        rows = connection.execute(wanted.where(part.ids)).mappings()
        found = sorted([*found, *rows], key=_place, reverse=True)[:limit]
    return found


def newest_by_chat(
    connection: Connection, query: str, account_ids: Collection[str], most: int
) -> dict[tuple[str, str], str] | None:
    """Return the newest matching text of each chat, by account and chat; ``None`` when more than ``most`` may match."""
    if not grams_wanted(query):
        return None
    parts, count = [], 0
    for part in _parts(connection, query, (-math.inf, math.inf)):
        parts.append(part)
        count += part.count
        if count > most:
            return None
    columns = (messages.c[name] for name in ("account_id", "chat_id", "created_at_ms", "id", "text"))
    wanted = select(*columns).where(kept_of(messages.c.account_id, account_ids), contains(query)).limit(most + 1)
    found: list[RowMapping] = []
    for part in parts:
        found += connection.execute(wanted.where(part.ids)).mappings()
        if len(found) > most:
            return None
    return {(row["account_id"], row["chat_id"]): row["text"] for row in sorted(found, key=_place)}


def _place(row: RowMapping) -> tuple[int, int]:
    return (row["created_at_ms"], row["id"])


def _parts(connection: Connection, query: str, times_ms: tuple[float, float]) -> Iterator[_Part]:
    """Yield what must be looked at: first what is not indexed, then segments, the newest first."""
    oldest_ms, newest_ms = times_ms
    segments = indexed(connection)
    for first, last in _gaps(segments_with_messages(connection), {one.segment for one in segments}):
        yield _Part(messages.c.id.between(ids_of(first)[0], ids_of(last)[1]), math.inf)
    asked = [one for one in segments if one.newest_ms >= oldest_ms and one.oldest_ms <= newest_ms]
    asked.sort(key=lambda one: one.newest_ms, reverse=True)
    grams = grams_wanted(query)
    if not grams:
        for one in asked:
            yield _Part(messages.c.id.between(*ids_of(one.segment)), one.newest_ms)
        return
    step = max(1, len(grams) // _MOST_GRAMS)
    grams, begin, many = grams[::step][:_MOST_GRAMS], 0, 1
    while begin < len(asked):
        batch = asked[begin : begin + many]
        ids = list(_candidates(connection, batch, grams))
        if ids:
            yield _Part(among(messages.c.id, ids), batch[0].newest_ms, len(ids))
        begin, many = begin + many, min(2 * many, _MOST_AT_ONCE)


def _candidates(connection: Connection, batch: Collection[Indexed], grams: Collection[int]) -> Iterator[int]:
    """Yield the ids of a batch's messages that have all these grams."""
    slots = {slot_of(gram) for gram in grams}
    for segment, packed in packed_lists(connection, [one.segment for one in batch], slots).items():
        if len(packed) < len(slots):
            continue
        lists = [coded_places(packed[slot_of(gram)], gram) for gram in grams]
        if all(lists):
            first, _ = ids_of(segment)
            yield from (first + place for place in places_in_all(lists))


def _gaps(held: Iterable[int], indexed_ones: Collection[int]) -> Iterator[tuple[int, int]]:
    """Return the first and the last of each run of segments that are not indexed, the newest first."""
    missing = [segment for segment in held if segment not in indexed_ones]
    runs = [[segment for _, segment in run] for _, run in groupby(enumerate(missing), lambda pair: pair[1] - pair[0])]
    yield from ((run[0], run[-1]) for run in reversed(runs))
