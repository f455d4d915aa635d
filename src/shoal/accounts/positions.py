"""A place in what happened: the last event of each stream. A reader resumes after it.

Each stream is a table whose rows get growing ids, so that nothing is stored for an event beside its row. One writer
fills all of them, one transaction after another: whatever has a smaller id than a row that can be read can be read too,
or will never exist. With several nodes that is so up to the ids that are settled (``settled_ids.py``).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple, Self


class Stream(StrEnum):
    """What has ids of its own. The value is the letter before an id: ``m4051`` is a message."""

    CHANGES = "c"
    STATES = "s"
    MESSAGES = "m"
    ORDERS = "o"
    INCIDENTS = "i"


STREAMS: Final = tuple(Stream)
_NUMBER: Final = r"(\d{1,18})"
_FORM: Final = re.compile(_NUMBER + "".join(rf"(?:\.{one}{_NUMBER})?" for one in STREAMS[1:]), re.ASCII)
_EVENT: Final = re.compile(rf"([{''.join(STREAMS)}]){_NUMBER}", re.ASCII)
FORM: Final = f"^{_FORM.pattern}$"
"""The form of a position, for the API's description."""


class EventId(NamedTuple):
    """One event: ``m4051``."""

    stream: Stream
    id: int

    def __str__(self) -> str:
        return f"{self.stream}{self.id}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the event of that name. Raises ``ValueError``."""
        found = _EVENT.fullmatch(text)
        if found is None:
            raise ValueError("this is no id of an event")
        return cls(Stream(found[1]), int(found[2]))


class Position(NamedTuple):
    """The last event of each stream. ``None``: nothing of that stream's past is asked for."""

    changes: int = 0
    states: int | None = None
    messages: int | None = None
    orders: int | None = None
    incidents: int | None = None

    def __str__(self) -> str:
        """Return it as readers get it: the rev, then the other streams with their letters."""
        others = zip(STREAMS[1:], self[1:], strict=True)
        return f"{self.changes}{''.join(f'.{stream}{last}' for stream, last in others if last is not None)}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the position that was written so; a rev alone is one. Raises ``ValueError``."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError("this is no position")
        return cls._make(None if last is None else int(last) for last in found.groups())

    def last(self, stream: Stream) -> int | None:
        """Return the last event of a stream."""
        return self[STREAMS.index(stream)]

    def lacks(self, event: EventId) -> bool:
        """Return whether that event comes after this position."""
        return event.id > (self.last(event.stream) or 0)

    def reached(self, stream: Stream, event_id: int) -> Self:
        """Return the position after that event too."""
        place = STREAMS.index(stream)
        if event_id <= (self[place] or 0) and self[place] is not None:
            return self
        return type(self)._make((*self[:place], event_id, *self[place + 1 :]))


LOST: Final = Position(2**62)
"""A position that no database has: a reader that resumes there starts again."""
