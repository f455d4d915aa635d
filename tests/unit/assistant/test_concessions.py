"""What in a model's text gives something away."""

from __future__ import annotations

import pytest

from shoal.assistant.concessions import Kind, concessions_in


@pytest.mark.parametrize(
    ("text", "kinds"), [("80%左右，剩余的健康", []), ("原装，还有80%", []), ("80%给您", [Kind.SHARE])]
)
def test_a_share_of_what_is_no_price_is_no_concession(text: str, kinds: list[Kind]) -> None:
    assert [one.kind for one in concessions_in(text)] == kinds
