"""Reads JSON as its standard has it: without the numbers that Python's own reader takes beside it."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import msgspec


def read_json(text: str | bytes) -> Any:
    """Return the value of a JSON text. A text in it may hold half of a surrogate pair, which its reader refuses.

    Raises ``json.JSONDecodeError``, also for ``NaN``, ``Infinity`` and a number beyond all floats, and
    ``RecursionError``.
    """
    try:
        return msgspec.json.decode(text)
    except ValueError:  # Python's reader says where, and reads halves of surrogate pairs
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(number: str) -> NoReturn:
    raise json.JSONDecodeError(f"{number[:20]} is no number of JSON", "", 0)


def _finite(number: str) -> float:
    found = float(number)
    if not math.isfinite(found):
        _refuse(number)
    return found
