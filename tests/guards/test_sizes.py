"""No file above 400 lines, in the console 300, and no function above 60: who reads one, reads one concept.

Functions of the console are counted by biome (``web/biome.json``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
LONGEST_OF_CONSOLE = 300
LONGEST_FUNCTION = 60
PYTHON = ("src", "tests", "scripts", "benchmarks")
CONSOLE = ("web/src", "web/public")
GENERATED = {
    "web/src/common/schema.d.ts",
    "web/src/common/settings.ts",
    "web/src/common/settingTexts.ts",
    "web/src/components.d.ts",
}
BUILT = ("static", "help_site")
"""Folders of ``src/shoal/console`` that are built, not written."""


def _files(folders: tuple[str, ...], *suffixes: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in suffixes and name not in GENERATED and not {*BUILT} & {*path.parts}:
                yield name, path.read_text(encoding="utf-8")


def _lines(text: str) -> int:
    return len(text.splitlines())


def test_no_file_is_longer_than_one_concept() -> None:
    python = list(_files(PYTHON, ".py"))
    console = list(_files(CONSOLE, ".ts", ".vue", ".js", ".css"))
    assert len(python) > 700
    assert len(console) > 150
    assert [f"{name}: {_lines(text)}" for name, text in python if _lines(text) > LONGEST_FILE] == []
    assert [f"{name}: {_lines(text)}" for name, text in console if _lines(text) > LONGEST_OF_CONSOLE] == []


def _statements(of: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements within another. No function is defined in an expression, and most nodes are in one."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(of, name, ()):
            yield node
            yield from _statements(node)


def test_no_function_is_longer_than_one_screen() -> None:
    too_long, seen = [], 0
    for name, text in _files(PYTHON, ".py"):
        for node in _statements(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                seen += 1
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    too_long.append(f"{name}: {node.name} has {lines}")
    assert seen > 5_000
    assert too_long == []
