"""Files of shops as JSON: what is sent, and what became of each shop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example
from shoal.language.choice import Language
from shoal.maintenance.shop_file.applying import Outcome
from shoal.maintenance.shop_file.differences import Difference, Kind, Section, sentence

MOST_DIFFERENCES = 500
"""How many differences of a shop an answer shows."""

_DIFFERENCE: dict[str, Any] = {
    "kind": "changed", "section": "settings", "name": "remark", "before": "", "after": "书",
    "text": "remark：“” → “书”",
}  # fmt: skip
_ROW: dict[str, Any] = {
    "id": "my-shop", "outcome": "changed", "code": "", "detail": "", "generation": 8, "rev": 121,
    "differences": [_DIFFERENCE], "more": 0, "op_id": "nightly:my-shop",
}  # fmt: skip


class ShopFileBody(BaseModel):
    """The text of a file of shops, in YAML or JSON."""

    model_config = body_example(file="version: 1\naccounts:\n  my-shop:\n    settings:\n      remark: 书\n")
    file: Text


class DifferenceShape(BaseModel):
    """One setting, rule or user that differs: what is here and what the file says, and the same in words."""

    kind: Kind
    section: Section
    name: str
    before: Any
    after: Any
    text: str


class FileRow(BaseModel):
    """What became of one shop. `absent`: there is no such shop; none is created. `more`: differences not shown.

    `rev`: of its change, for `Shoal-After`; null without one.
    """

    id: str
    outcome: Outcome
    code: str
    detail: str
    generation: int | None
    rev: int | None
    differences: list[DifferenceShape]
    more: int
    op_id: str


class FileApplied(BaseModel):
    """One result for each shop of the file, in its order. `dry_run`: nothing was changed."""

    model_config = example(dry_run=False, accounts=[_ROW])
    dry_run: bool
    accounts: list[FileRow]


def difference_shapes(found: Sequence[Difference], language: Language) -> list[DifferenceShape]:
    """Return the first differences as JSON."""
    return [filled(DifferenceShape, one, text=sentence(one, language)) for one in found[:MOST_DIFFERENCES]]
