"""No function above 60 lines. Functions of the console are counted by biome (``web/biome.json``).

How long a file is, is looked at and fails nothing (``scripts/file_sizes.py``): it is whole when its thought is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION = 60
PYTHON = ("src", "tests", "scripts", "benchmarks")


def _files() -> Iterator[tuple[str, str]]:
    for folder in PYTHON:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _statements(of: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements within another. No function is defined in an expression, and most nodes are in one."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(of, name, ()):
            yield node
            yield from _statements(node)


def test_no_function_is_longer_than_one_screen() -> None:
    too_long, seen = [], 0
    for name, text in _files():
        for node in _statements(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                seen += 1
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    too_long.append(f"{name}: {node.name} has {lines}")
    assert seen > 5_000
    assert too_long == []
