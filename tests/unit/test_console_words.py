"""The console has words in both languages for every reason that the server names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shoal.account import ParkReason, StopReason
from shoal.api.retry_reasons import RETRY_REASONS

TEXTS = Path(__file__).parents[2] / "web" / "src" / "i18n"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_reason_has_words(language: str) -> None:
    group = re.search(r"\n  reason: \{\n(.*?)\n  \},\n", (TEXTS / f"{language}.ts").read_text(), re.DOTALL)
    assert group is not None
    known = set(re.findall(r"^    (\w+):", group[1], re.MULTILINE))
    assert {*ParkReason, *StopReason, *RETRY_REASONS} - known == set()
