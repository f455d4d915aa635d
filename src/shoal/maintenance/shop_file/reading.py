"""Reads a file of shops whole: its shape, and each fault with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from shoal.errors import InvalidInput
from shoal.maintenance.shop_file.shapes import VERSION, ShopFile, ShopPart
from shoal.maintenance.shop_file.yaml_values import FileFault, Lines, UnusableFile, read_yaml

KINDS = {
    "string_type": "text", "bool_type": "flag", "bool_parsing": "flag", "int_type": "whole", "int_parsing": "whole",
    "int_from_float": "whole", "int_parsing_size": "whole", "float_type": "number", "float_parsing": "number",
    "finite_number": "number", "list_type": "list", "dict_type": "mapping", "model_type": "mapping",
    "model_attributes_type": "mapping",
}  # fmt: skip
"""What is expected, by the type of pydantic's error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFile:
    """A file whose shape is right. ``lines`` are those of its values."""

    shops: Mapping[str, ShopPart]
    lines: Lines

    def line_of(self, *path: str | int) -> int:
        """Return the line of a value below ``accounts``."""
        return self.lines.of(("accounts", *path))


def read_file(text: str) -> ReadFile:
    """Read a file. Raises ``UnusableFile`` with all faults of its shape."""
    found = read_yaml(text.removeprefix("\ufeff"))
    faults = list(found.faults)
    try:
        file = ShopFile.model_validate(found.values)
    except ValidationError as error:
        faults += _shape_faults(error, found.lines)
    if faults:
        raise UnusableFile(faults)
    return ReadFile(shops=file.accounts, lines=found.lines)


def _shape_faults(error: ValidationError, lines: Lines) -> list[FileFault]:
    faults: dict[tuple[str, int], FileFault] = {}
    for row in error.errors(include_url=False, include_input=False):
        path = [step for step in row["loc"] if step != "[key]"]
        refusal = _refusal(row["type"], path, row.get("ctx", {}))
        known = _known_path(path, lines)
        line = lines.of(path)
        place = ".".join(map(str, known))
        faults.setdefault((place, line), FileFault(line, place[:200], refusal))  # a union has a row for each choice
    return list(faults.values())


def _known_path(path: Sequence[str | int], lines: Lines) -> list[str | int]:
    """Return the part of a path that stands in the file: pydantic also names the choice of a union."""
    found: list[str | int] = []
    here: Lines | None = lines
    for step in path:
        here = here.parts.get(step) if here is not None else None
        if here is None:
            break
        found.append(step)
    return found


def _refusal(kind: str, path: Sequence[str | int], context: Mapping[str, Any]) -> InvalidInput:
    if path and path[0] == "version" and kind != "extra_forbidden":
        return InvalidInput("an unknown version", code="shop_file_version", version=VERSION)
    params: dict[str, Any] = {"kind": KINDS.get(kind, "text")}
    code = "shop_file_kind"
    match kind:
        case "extra_forbidden" | "missing":
            code = "shop_file_missing" if kind == "missing" else "shop_file_unknown_name"
            params = {"name": str(path[-1])[:100]}
        case "string_too_long":
            code, params = "text_too_long", {"limit": context["max_length"]}
        case "too_long" | "too_short":
            code, params = "shop_file_length", {"limit": context.get("max_length", context.get("min_length"))}
        case "literal_error":
            code, params = "shop_file_choice", {"choices": str(context["expected"])}
    return InvalidInput(f"{kind} in a file", code=code, **params)
