"""The index of words: messages by segments of ids, made when a segment is full, and dropped before it would hold more.

Each function of a connection is the work of one transaction. A segment is indexed as a whole, or read as a whole by
searches. When one of its messages is deleted, its rows are deleted in the same transaction or before: no word of a
deleted message stays. It is then indexed again from what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, not_, select

from shoal.storage.among import among
from shoal.storage.grams import SEGMENT, SEGMENT_BITS, SLOT_BITS, SLOTS, Packed, grams_of, pack
from shoal.storage.schema import accounts, grams, indexed_segments, messages

_IS_LIVING = select(accounts.c.id).where(accounts.c.id == messages.c.account_id, not_(accounts.c.deleted)).exists()


class Indexed(msgspec.Struct, frozen=True):
    """A segment in the index, with the times at which its oldest and newest message were written."""

    segment: int
    oldest_ms: int
    newest_ms: int


class MessageWords(NamedTuple):
    """What of a message is indexed, and when it was written."""

    id: int
    created_at_ms: int
    text: str
    sender_name: str


class SegmentDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's rows, made from so many messages."""

    segment: int
    count: int
    oldest_ms: int
    newest_ms: int
    packed: Packed


def ids_of(segment: int) -> tuple[int, int]:
    """Return the first and the last id of a segment."""
    return segment << SEGMENT_BITS, (segment + 1 << SEGMENT_BITS) - 1


def indexed(connection: Connection) -> list[Indexed]:
    """Return the segments in the index."""
    columns = (indexed_segments.c.segment, indexed_segments.c.oldest_ms, indexed_segments.c.newest_ms)
    return [Indexed(*row) for row in connection.execute(select(*columns))]


def segments_with_messages(connection: Connection) -> range:
    """Return the segments from the first to the last message; the last may still grow, all others are full."""
    first = connection.scalar(select(func.min(messages.c.id)))  # each by itself: together they are a scan
    last = connection.scalar(select(func.max(messages.c.id)))
    return range(0) if first is None or last is None else range(first >> SEGMENT_BITS, (last >> SEGMENT_BITS) + 1)


def next_to_index(connection: Connection, until: int | None = None) -> int | None:
    """Return the newest full segment that is not indexed; with ``until`` of those up to that id."""
    done = {one.segment for one in indexed(connection)}
    full = reversed(segments_with_messages(connection)[:-1])
    allowed = (segment for segment in full if until is None or ids_of(segment)[1] <= until)
    return next((segment for segment in allowed if segment not in done), None)


def _living(query: Select[Any], segment: int) -> Select[Any]:
    """Limit a query to the segment's messages of accounts that are not deleted: their words are not indexed again."""
    return query.where(messages.c.id.between(*ids_of(segment)), _IS_LIVING)


def read_segment(connection: Connection, segment: int) -> Sequence[MessageWords]:
    """Return the words of a segment's messages."""
    columns = (messages.c.id, messages.c.created_at_ms, messages.c.text, messages.c.sender_name)
    return [
        MessageWords(*row) for row in connection.execute(_living(select(*columns), segment).order_by(messages.c.id))
    ]


def draft_segment(segment: int, rows: Sequence[MessageWords]) -> SegmentDraft:
    """Make the rows of a segment. It takes a tenth of a second, on any thread."""
    times = [row.created_at_ms for row in rows] or [0]
    first, _ = ids_of(segment)
    return SegmentDraft(
        segment=segment,
        count=len(rows),
        oldest_ms=min(times),
        newest_ms=max(times),
        packed=pack((row.id - first, grams_of(row.text, row.sender_name)) for row in rows),
    )


def store_segment(connection: Connection, draft: SegmentDraft) -> bool:
    """Add a segment to the index, unless one of its messages was deleted since it was read. Return whether it was.

    Ids are not used again, so the same number of messages means the same messages.
    """
    if connection.scalar(_living(select(func.count()).select_from(messages), draft.segment)) != draft.count:
        return False
    drop_segments(connection, [draft.segment])
    stamp = {"segment": draft.segment, "oldest_ms": draft.oldest_ms, "newest_ms": draft.newest_ms}
    connection.execute(insert(indexed_segments), [stamp])
    base = draft.segment << SLOT_BITS
    rows = [{"place": base + slot, "packed": packed} for slot, packed in sorted(draft.packed.items())]
    if rows:
        connection.execute(insert(grams), rows)
    return True


def drop_segments(connection: Connection, segments: Iterable[int]) -> None:
    """Delete segments from the index."""
    for first, last in _runs(segments):
        connection.execute(delete(indexed_segments).where(indexed_segments.c.segment.between(first, last)))
        places = grams.c.place.between(first << SLOT_BITS, (last + 1 << SLOT_BITS) - 1)
        connection.execute(delete(grams).where(places))


def drop_empty(connection: Connection) -> None:
    """Delete segments from the index that lie before the first message."""
    held = segments_with_messages(connection)
    first = held.start if held else 1 << 40
    drop_segments(connection, [one.segment for one in indexed(connection) if one.segment < first])


def drop_segments_of(connection: Connection, message_ids: Collection[int]) -> None:
    """Delete the segments of these messages from the index."""
    drop_segments(connection, {id_ >> SEGMENT_BITS for id_ in message_ids})


def segments_of_account(connection: Connection, account_id: str) -> list[int]:
    """Return the indexed segments with messages of an account."""
    segment = messages.c.id // SEGMENT
    mine = set(connection.scalars(select(segment).where(messages.c.account_id == account_id).distinct()))
    return sorted(mine.intersection(one.segment for one in indexed(connection)))


def packed_lists(connection: Connection, segments: Collection[int], slots: Collection[int]) -> dict[int, Packed]:
    """Return rows of segments: by segment, then by slot."""
    places = [segment << SLOT_BITS | slot for segment in segments for slot in slots]
    found: dict[int, Packed] = {}
    for place, packed in connection.execute(select(grams.c.place, grams.c.packed).where(among(grams.c.place, places))):
        found.setdefault(place >> SLOT_BITS, {})[place & SLOTS - 1] = bytes(packed)
    return found


def _runs(segments: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Return the first and the last of each run of numbers that follow one another."""
    for _, run in groupby(enumerate(sorted(set(segments))), lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1]
