"""The owners' page about replies names every variable, match mode and decision, and the site's own phrases."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.messages.decisions import Decision
from shoal.rules.rule import VARIABLES, MatchMode
from shoal.xianyu.trade_texts import SYSTEM_TEXTS

PAGE = (Path(__file__).parents[2] / "docs" / "replies.md").read_text(encoding="utf-8")
HELD_BACK = set(Decision) - {Decision.PENDING, Decision.ANSWERED, Decision.ECHO, Decision.HUMAN}


@pytest.mark.parametrize(
    "names",
    [
        {f"{{{name}}}" for name in VARIABLES}, {mode.value for mode in MatchMode}, {one.value for one in HELD_BACK},
        SYSTEM_TEXTS,
    ],
    ids=["variables", "modes", "verdicts", "the site's words"],
)  # fmt: skip
def test_the_page_names_each(names: set[str]) -> None:
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []
