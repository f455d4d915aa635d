"""A model's text as the rails read it."""

from __future__ import annotations

import pytest

from shoal.assistant.plain_text import plain


@pytest.mark.parametrize(
    ("text", "read"), [("统一一百", "都 一百"), ("统一80元", "都 80元"), ("系统一百次", "系统一百次")]
)
def test_a_price_for_each_is_no_part_of_the_number_that_follows(text: str, read: str) -> None:
    assert plain(text) == read
