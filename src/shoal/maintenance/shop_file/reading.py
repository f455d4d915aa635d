"""Reads a file of shops whole: its shape, and each fault with its line. What has no fault is looked at all the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

_IN_LIST = 2
"""Where in a path below ``accounts`` the number of a row stands: after the shop and the section."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFile:
    """The shops of a file, without the values that have a fault of their shape. ``lines`` are those of its values.

    ``faults``: those of its shape. ``rows``: of each list that lost rows, by shop and section, which of them are left.
    """

    shops: Mapping[str, ShopPart]
    lines: Lines
    faults: Sequence[FileFault] = ()
    rows: Mapping[tuple[str, str], Sequence[int]] = field(default_factory=dict)

    def fault(self, error: InvalidInput, *path: str | int) -> FileFault:
        """Return the fault of a value below ``accounts``, at its place in the file."""
        steps = list(path)
        if len(path) > _IN_LIST and (left := self.rows.get((str(path[0]), str(path[1])))) is not None:
            steps[_IN_LIST] = left[int(path[_IN_LIST])]
        whole = ("accounts", *steps)
        return FileFault(self.lines.of(whole), ".".join(map(str, whole))[:200], error)


def read_file(text: str) -> ReadFile:
    """Read a file. Raises ``UnusableFile`` when its top is none of a file of shops, so that no shop can be named."""
    found = read_yaml(text.removeprefix("\ufeff"))
    try:
        file = ShopFile.model_validate(found.values)
    except ValidationError as error:
        faults = [*found.faults, *_shape_faults(error, found.lines)]
        values, rows = _without_faults(found.values, error)
        if values is None:
            raise UnusableFile(faults) from None
        file = ShopFile.model_validate(values)
        return ReadFile(shops=file.accounts, lines=found.lines, faults=faults, rows=rows)
    return ReadFile(shops=file.accounts, lines=found.lines, faults=found.faults)


def _without_faults(values: Any, error: ValidationError) -> tuple[Any, dict[tuple[str, str], list[int]]]:
    """Return the values without those at fault: the row of a list, the value of a name, a section or a shop.

    ``None``: the fault is at the top. Of each list that lost rows, also return which of them are left.
    """
    whole = copy.deepcopy(values)
    gone: dict[tuple[str, str], set[int]] = {}
    for row in error.errors(include_url=False, include_input=False, include_context=False):
        match [step for step in row["loc"] if step != "[key]"]:
            case ["accounts", shop]:
                whole["accounts"].pop(shop, None)
            case ["accounts", shop, section]:
                whole["accounts"].get(shop, {}).pop(section, None)
            case ["accounts", shop, section, int(number), *_]:
                gone.setdefault((str(shop), str(section)), set()).add(number)
            case ["accounts", shop, section, name, *_]:
                whole["accounts"].get(shop, {}).get(section, {}).pop(name, None)
            case _:
                return None, {}
    rows: dict[tuple[str, str], list[int]] = {}
    for (shop, section), numbers in gone.items():
        if isinstance(all_rows := whole["accounts"].get(shop, {}).get(section), list):
            rows[shop, section] = [number for number in range(len(all_rows)) if number not in numbers]
            whole["accounts"][shop][section] = [all_rows[number] for number in rows[shop, section]]
    return whole, rows


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
    here: Lines | int | None = lines
    for step in path:
        here = here.parts.get(step) if isinstance(here, Lines) else None
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
