"""Update the table of settings in ``docs/operating.md``: ``python scripts/settings_table.py``."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from pathlib import Path

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shoal.config import PREFIX, Settings

PAGE = Path(__file__).parent.parent / "docs" / "operating.md"
BEGIN, END = "<!-- settings: made by scripts/settings_table.py -->", "<!-- end of settings -->"


def table() -> str:
    """Return the table, one row per setting, in the order of declaration."""
    rows = ["| environment | `shoal.toml` | default | bounds | what it is |", "|---|---|---|---|---|"]
    descriptions = _descriptions()
    for name, field in Settings.model_fields.items():
        rows.append(
            f"| `{PREFIX}{name.upper()}` | `{name}` | {_default(field)} | {_bounds(field)} | {descriptions[name]} |"
        )
    return "\n".join(rows)


def _descriptions() -> dict[str, str]:
    """Return the docstring below each setting, which Python does not keep at run time."""
    settings = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(settings, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(settings.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "the system's place for application data"
    return "unset" if field.default is None else f"`{field.default}`"


def _bounds(field: FieldInfo) -> str:
    signs = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}
    words = []
    for rule in field.metadata:
        for kind, (sign, attribute) in signs.items():
            if isinstance(rule, kind):
                words.append(f"{sign} {getattr(rule, attribute):g}")
        if isinstance(rule, MinLen):
            words.append(f"≥ {rule.min_length} characters")
        if isinstance(rule, MaxLen):
            words.append(f"≤ {rule.max_length} characters")
    return ", ".join(words) or "–"


def page_with_table(page: str) -> str:
    """Return the page with a new table."""
    head, rest = page.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE.name}\n")
