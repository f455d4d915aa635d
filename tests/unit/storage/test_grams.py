"""Grams: what is packed is found again, and a text with a query in it has the query's grams."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.storage.grams import SEGMENT, coded_places, grams_of, grams_wanted, pack, places_in_all, slot_of

TEXTS = st.text(st.sampled_from("在吗包邮aAbBß0１ŒİΣς😀é\u0301 %_\ud800"), max_size=12)
PLACES = st.sets(st.integers(0, SEGMENT - 1), min_size=1, max_size=40)


@given(before=TEXTS, query=TEXTS, after=TEXTS)
def test_a_text_has_the_grams_of_every_query_in_it(before: str, query: str, after: str) -> None:
    text = before + query + after
    assert set(grams_wanted(query)) <= grams_of(text)
    assert set(grams_wanted(query.swapcase() if query.isascii() else query)) <= grams_of(text)
    assert set(grams_wanted(query)) <= grams_of("name", text)


@settings(max_examples=20, deadline=None)
@given(st.lists(PLACES, min_size=1, max_size=4))
def test_what_is_packed_is_found_again(lists: list[set[int]]) -> None:
    grams = [0x120000 + number for number in range(len(lists))]  # of one slot
    by_place = [
        (place, [gram for gram, places in zip(grams, lists, strict=True) if place in places])
        for place in range(SEGMENT)
    ]
    packed = pack(by_place)
    coded = [coded_places(packed[slot_of(gram)], gram) for gram in grams]
    assert [places_in_all([one]) for one in coded] == lists
    assert places_in_all(coded) == set.intersection(*lists)
    assert coded_places(packed[slot_of(grams[0])], 0x12FFFF) == b""


def test_a_list_never_grows_beyond_a_bitmap() -> None:
    packed = pack((place, [5]) for place in range(SEGMENT))
    assert len(coded_places(packed[0], 5)) == SEGMENT // 8
    assert places_in_all([coded_places(packed[0], 5)]) == set(range(SEGMENT))


def test_single_letters_are_grams_only_where_they_are_words() -> None:
    assert len(grams_wanted("钱")) == 1
    assert grams_wanted("a") == grams_wanted("7") == grams_wanted("") == []
    assert grams_wanted("Ok") == grams_wanted("oK")


def test_a_letter_whose_small_form_differs_between_databases_is_found_by_each_of_them() -> None:
    for small in ("istanbul", "i\u0307stanbul", "İSTANBUL"):
        assert set(grams_wanted(small)) <= grams_of("İstanbul")
    assert grams_wanted("\u0307") == []
