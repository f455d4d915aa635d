"""Modules of the tests that benchmarks use too: throw-away PostgreSQL servers, and several servers that are struck."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

_TESTS = str(Path(__file__).parents[1] / "tests")


def of_tests(name: str) -> Any:
    """Return a module of the tests by its name there."""
    if _TESTS not in sys.path:
        sys.path.append(_TESTS)
    return importlib.import_module(name)
