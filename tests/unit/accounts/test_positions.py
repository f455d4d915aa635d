"""Positions in the streams of events: written, read, moved on."""

from __future__ import annotations

import pytest

from shoal.accounts.positions import EventId, Position, Stream


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("120", Position(120)),
        ("0.s0.m0.o0.i0", Position(0, 0, 0, 0, 0)),
        ("120.s88.m4051.o17.i5", Position(120, 88, 4051, 17, 5)),
        ("7.m3", Position(7, None, 3)),
    ],
)
def test_a_position_is_written_as_it_is_read(text: str, position: Position) -> None:
    assert Position.of(text) == position
    assert str(position) == text


@pytest.mark.parametrize("text", ["", "x", "-1", "1.m", "1.m2.s3", "1.x2", "²", "1 ", "9" * 40, "c1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="position"):
        Position.of(text)


def test_a_position_moves_on_and_never_back() -> None:
    start = Position(5, None, 3)
    assert start.reached(Stream.MESSAGES, 7) == Position(5, None, 7)
    assert start.reached(Stream.MESSAGES, 3) is start
    assert start.reached(Stream.STATES, 0) == Position(5, 0, 3)
    assert start.last(Stream.MESSAGES) == 3


def test_an_event_has_a_name() -> None:
    assert EventId.of("m4051") == (Stream.MESSAGES, 4051)
    assert str(EventId(Stream.CHANGES, 3)) == "c3"
    for text in ("", "m", "4051", "x1", "m-1"):
        with pytest.raises(ValueError, match="event"):
            EventId.of(text)
