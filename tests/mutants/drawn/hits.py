"""Which tests run which lines: a copy of the sources whose functions mark what runs, also in other processes.

Each statement of a function has a byte in a file that all processes map into memory, so that what a killed server ran
is known too. The marks stand in compiled files; the text of the copy is that of the sources.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import json
import mmap
import os
import resource
import time
import zlib
from collections.abc import Generator, Iterator
from importlib._bootstrap_external import _code_to_hash_pyc  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

Line = tuple[str, int]
"""A file, named from the package's root, and the first line of a statement."""

_MARKER = """import mmap, os
with open(__file__.removesuffix("drawn_hits.py") + "hits", "r+b") as opened:
    hit = mmap.mmap(opened.fileno(), 0)
"""


def marked(directory: Path) -> list[Line]:
    """Compile the copy in that directory so that it marks what runs. Returns the lines in the order of the marks."""
    package = directory / "shoal"
    lines: list[Line] = []
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        tree = ast.parse(source)
        file = path.relative_to(package).as_posix()
        _Marks(file, lines).visit(tree)
        after = next((n for n, one in enumerate(tree.body) if not _comes_first(one)), len(tree.body))
        tree.body.insert(after, ast.parse("from drawn_hits import hit as _hit_").body[0])
        code = compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)
        compiled = Path(importlib.util.cache_from_source(str(path)))
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(_code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False))
    (directory / "drawn_hits.py").write_text(_MARKER, encoding="utf-8")
    (directory / "hits").write_bytes(bytes(len(lines)))
    (directory / "hits").chmod(0o666)
    return lines


def _comes_first(node: ast.stmt) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


class _Marks(ast.NodeTransformer):
    """Puts a mark before each statement that stands in a function."""

    def __init__(self, file: str, lines: list[Line]) -> None:
        self._file = file
        self._lines = lines
        self._depth = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        self._depth += is_function
        super().generic_visit(node)
        if self._depth:
            for field in ("body", "orelse", "finalbody"):
                body = getattr(node, field, None)
                if isinstance(body, list) and not isinstance(node, ast.ClassDef):
                    setattr(node, field, list(self._with_marks(body)))
        self._depth -= is_function
        return node

    def _with_marks(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for one in body:
            if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)) and not isinstance(
                one, ast.Global | ast.Nonlocal
            ):
                mark = ast.parse(f"_hit_[{len(self._lines)}] = 1").body[0]
                self._lines.append((self._file, one.lineno))
                yield ast.copy_location(mark, one)
            yield one


class Recorder:
    """A plugin of pytest that writes a line for each test: its outcome, its seconds, and what ran."""

    def __init__(self, directory: Path, kept: Path, header: dict[str, Any]) -> None:
        """``directory``: of the marked copy. ``kept``: where each file of tests has one of its own in the record."""
        with (directory / "hits").open("r+b") as opened:
            self._hits = mmap.mmap(opened.fileno(), 0)
        self._kept = kept
        self._header = header
        self._said: list[dict[str, Any]] = []
        self._passed = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Run the test between two looks at the marks."""
        self._passed = True
        self._hits[:] = bytes(len(self._hits))
        began, cpu = time.monotonic(), _cpu_seconds()
        try:
            return (yield)
        finally:
            self._said.append(
                {
                    "test": item.nodeid,
                    "passed": self._passed,
                    "seconds": round(time.monotonic() - began, 3),
                    "cpu": round(_cpu_seconds() - cpu, 3),
                    "hits": base64.b64encode(zlib.compress(bytes(self._hits))).decode(),
                }
            )
            if nextitem is None or nextitem.path != item.path:
                self._keep(item.path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember whether all of the test passed; what is skipped shows nothing."""
        self._passed = self._passed and report.passed

    def _keep(self, file: Path) -> None:
        said, self._said = [self._header | {"digest": digest(file)}, *self._said], []
        path = self._kept / recorded_name(file)
        path.with_suffix(".part").write_text("".join(json.dumps(one) + "\n" for one in said), encoding="utf-8")
        path.with_suffix(".part").rename(path)


def digest(file: Path) -> str:
    """What a file of tests is known by, so that one that changed is recorded anew."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def recorded_name(file: Path) -> str:
    """The name of the record of a file of tests."""
    return f"{'+'.join(file.relative_to(ROOT).parts)}.jsonl"


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = os.times()
    return times.user + times.system + children.ru_utime + children.ru_stime


def lines_of(said: str, lines: list[Line]) -> list[Line]:
    """The lines that a recorded test ran."""
    marks = zlib.decompress(base64.b64decode(said))
    return [line for line, mark in zip(lines, marks, strict=True) if mark]
