"""No input makes a decoder raise anything but ``UndecodableFrame``, or hang (the time limit of each test ends it)."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz import doors
from fuzz.corpus import corpus
from fuzz.mutations import PACKED, exchanged, garbled, odd_entries, odd_values, packed_again, places, unpacked

EXAMPLES = 2_000 if os.environ.get("SHOAL_PROVE") else 250
CORPUS = corpus()

many = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.timeout(900 if os.environ.get("SHOAL_PROVE") else 120)


def test_every_door_reads_what_the_site_sends() -> None:
    assert all(doors.entry(seed) for seed in CORPUS["entry"] if seed != b"/////w==")
    assert sum(doors.frame(seed) for seed in CORPUS["frame"]) >= len(CORPUS["entry"])
    assert [doors.history(seed) for seed in CORPUS["history"]] == [1, 1]
    assert all(doors.answer(seed) for seed in CORPUS["answer"])


@many
@given(garbled("entry"))
@example(base64.b64encode(b"\xdf\xff\xff\xff\xff"))
@example(base64.b64encode(b"\xdd\xff\xff\xff\xff"))
@example(base64.b64encode(b"\x91" * 5000))
@example(base64.b64encode(b"\x81\x01" * 5000))
@example(base64.b64encode(b'{"1":' * 5000))
def test_a_garbled_entry_is_refused_and_nothing_else(data: bytes) -> None:
    doors.entry(data)


def test_any_one_value_of_an_entry_may_be_of_any_type() -> None:
    for seed in PACKED:
        value = unpacked(seed)
        for place in places(value):
            for odd in (None, True, 0, 2**64 - 1, 1.5, "", "x", [], [1], {}, {"1": 1}):
                doors.entry(packed_again(exchanged(value, place, odd)))


@many
@given(odd_entries())
def test_an_entry_with_values_of_other_types_is_read_or_refused(data: bytes) -> None:
    doors.entry(data)


@many
@given(garbled("frame"))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"lwp":' * 2_000)
@example(b'{"lwp":"/s/sync","body":{"syncPushPackage":{"data":[{"data":null},{"data":[]},1,{}]}}}')
@example(b'{"lwp":"/s/sync","headers":{"mid":1e999}}')
def test_a_garbled_frame_is_dropped_and_nothing_else(data: bytes) -> None:
    doors.frame(data)


@many
@given(odd_values("frame"))
def test_a_frame_with_values_of_other_types_is_read_or_dropped(data: bytes) -> None:
    doors.frame(data)


@many
@given(st.one_of(garbled("history"), odd_values("history")))
def test_a_broken_piece_of_the_past_is_read_or_refused(data: bytes) -> None:
    doors.history(data)


@many
@given(st.one_of(garbled("answer"), odd_values("answer")))
@example(b'{"ret":[' + b'"a::b",' * 50_000 + b'""]}')
def test_a_broken_answer_is_judged_or_refused(data: bytes) -> None:
    doors.answer(data)
