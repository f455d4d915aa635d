"""What a connection hears is counted by kind, and told at most once an hour."""

from __future__ import annotations

import structlog

from shoal.connection.push_counts import HOUR_MS, MOST_FORMS, PushCounts, PushKind, push_kind
from shoal.xianyu.push_events import UnknownEvent
from shoal.xianyu.speakers import Speaker
from wire.frames import all_events


def test_every_shape_of_the_site_counts_as_something_and_none_as_unreadable() -> None:
    kinds = {push_kind(event) for event in all_events()}
    assert kinds == set(PushKind) - {PushKind.UNREADABLE}
    assert {speaker.value for speaker in Speaker} <= {kind.value for kind in PushKind}


def test_unreadable_events_are_counted_by_form_and_told_once_an_hour() -> None:
    now_ms = 5_000_000_000
    counts = PushCounts(now_ms=lambda: now_ms)
    events = [UnknownEvent(f"keys {number}") for number in range(MOST_FORMS + 2)]
    with structlog.testing.capture_logs() as told:
        assert counts.note("shop", [*events, UnknownEvent("keys 0")])
        now_ms += HOUR_MS - 1
        assert counts.note("shop", events)
        now_ms += 1
        assert counts.note("shop", events)
    assert [line["times"] for line in told] == [1, 2 * len(events) + 2]
    heard = counts.of("shop")
    assert heard.counts[PushKind.UNREADABLE].times == 3 * len(events) + 1
    assert list(heard.forms) == [event.raw_kind for event in events[-MOST_FORMS:]], "those heard last are named"
    assert heard.unreadable_since(now_ms) == heard.counts[PushKind.UNREADABLE].times
    assert heard.unreadable_since(now_ms + 1) == 0


def test_a_push_has_an_unreadable_event_wherever_in_it_that_stands() -> None:
    strange, known = UnknownEvent("keys 0"), UnknownEvent("keys bizType", is_expected=True)
    for events in ([strange, known], [known, strange], [known, strange, known]):
        assert PushCounts().note("shop", events)


def test_what_is_known_is_no_alarm() -> None:
    counts = PushCounts()
    assert not counts.note("shop", [UnknownEvent("keys bizType", is_expected=True)])
    assert counts.of("shop").unreadable_since(0) == 0
    assert counts.of("another").counts == {}
