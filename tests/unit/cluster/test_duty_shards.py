"""Which shard's owner does the work that is done once: servers of every version go by the same ones."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.cluster.duties import SHARD_OF

PAGE = Path(__file__).parents[3] / "docs" / "cluster.md"


def test_the_page_names_every_duty_with_its_shard() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| duty | shard |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", table, re.MULTILINE)
    assert {name: int(shard) for name, shard in rows} == {duty.value: shard for duty, shard in SHARD_OF.items()}
