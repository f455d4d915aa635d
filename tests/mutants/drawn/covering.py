"""Choose the tests that a defect is tried against: those that run its line, the likeliest and cheapest first."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from mutants.drawn.drawing import Drawn
from mutants.drawn.hits import ROOT
from mutants.drawn.recording import KnownTest, Record

_MOST_NAMES = 30
_DEAR_SECONDS = 2.0
"""A test that shares no words and takes more of a core comes last."""
_NO_WORDS = {"self", "return", "await", "async", "none", "true", "false", "from", "with", "test", "unit", "contract"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Covering:
    """The tests of each line of a package."""

    def __init__(self, package: Path, record: Record) -> None:
        self._sources = {
            path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in package.rglob("*.py")
        }
        self._record = record

    def tests_of(self, drawn: Drawn, budget: float) -> list[KnownTest]:
        """The tests of the defect's line, in order, that together took at most ``budget`` seconds of a core."""
        left = budget
        chosen = []
        tree = ast.parse(self._sources[drawn.file])
        _, function = innermost(tree, drawn.place.line)
        said = f"{drawn.before} {function.name if function else ''} {drawn.file}"
        for test in ordered(self._all_tests_of(drawn), Path(drawn.file).stem, said, text_of):
            if test.cpu <= left:
                left -= test.cpu
                chosen.append(test)
        return chosen

    def _all_tests_of(self, drawn: Drawn) -> set[KnownTest]:
        source = self._sources[drawn.file]
        tree = ast.parse(source)
        statement, function = innermost(tree, drawn.place.line)
        if function is not None and statement is not function:
            return self._record.tests_of(drawn.file, source, {statement.lineno})
        tests: set[KnownTest] = set()
        if isinstance(statement, _Function):  # a default or a decorator
            tests = self._record.tests_of(drawn.file, source, set(_lines_within(statement)))
        for name in self._names_made_of(set(_names_bound(statement))):
            for file, text in self._sources.items():
                if name in text:
                    tests |= self._record.tests_of(file, text, _uses(text, name)[0])
        tests = tests or self._record.tests_of(drawn.file, source, set(_lines_within(tree)))
        return tests | self._importing(drawn.file) | self._record.of_sources  # which read the sources

    def _importing(self, file: str) -> set[KnownTest]:
        """The tests of files that import a module: they may use what is made in it without running a line of it."""
        module = re.compile(rf"\bshoal\.{file.removesuffix('.py').replace('/', '.')}\b")
        naming = (tests for name, tests in self._record.of_file.items() if module.search(_text(name)))
        return set().union(*naming)

    def _names_made_of(self, names: set[str]) -> set[str]:
        """These names, and those of what is made of them while the sources are imported."""
        found: set[str] = set()
        while names and len(found) < _MOST_NAMES:
            name = names.pop()
            found.add(name)
            for text in self._sources.values():
                if name in text:
                    names |= _uses(text, name)[1] - found
        return found


def text_of(test: KnownTest) -> str:
    """The text of a test, with its parameters."""
    name = test.name.partition("[")[0].rpartition("::")[2]
    return next((one for one in _text(test.file).split("\n\n\n") if f"def {name}(" in one), "")


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def ordered(
    tests: set[KnownTest], module: str, said: str, text: Callable[[KnownTest], str] = lambda _: ""
) -> list[KnownTest]:
    """Those of the module's own file first; then those that share rare words with what is said of the line.

    These are words of their names, and whole texts in quotes that stand in them.
    The dearer a test, the more it must share. Among tests that share as little, the cheapest of each file come first,
    then the next of each file, …; dear ones are last.
    """
    of_file: dict[str, list[KnownTest]] = defaultdict(list)
    for test in sorted(tests, key=lambda test: (test.cpu, test.name)):
        of_file[test.file].append(test)
    quoted = set(re.findall(r'"([^"\\\s]{4,})"', said))
    words = {test.name: _words(test.name) | {one for one in quoted if one in text(test)} for test in tests}
    common = Counter(word for of_test in words.values() for word in of_test)
    asked = _words(said) | quoted
    ranked = []
    for in_file in of_file.values():
        for turn, test in enumerate(in_file):
            shared = sum(1 / common[word] for word in words[test.name] & asked)
            is_own, likeness = _is_own(test, module), round(shared / (1 + test.cpu), 2)
            is_late = not is_own and not likeness and test.cpu > _DEAR_SECONDS
            ranked.append((is_late, not is_own, -likeness, turn, test.cpu, test.name, test))
    return [test for *_, test in sorted(ranked, key=lambda one: one[:6])]


def _is_own(test: KnownTest, module: str) -> bool:
    """Whether it is a test of the module.

    Of a step of the database it is one that opens what the step made; of tables, one that compares them with the steps.
    """
    if module[:4].isdigit():
        return test.name.endswith(f"[{module[:4]}]")
    of_tables = module == "schema" or module.endswith("_tables")
    return test.file.endswith("/test_migrations.py" if of_tables else f"/test_{module.strip('_')}.py")


def _words(text: str) -> set[str]:
    """The words of names and sentences, without their endings."""
    return {word.removesuffix("s").removesuffix("ed") for word in re.findall(r"[a-z]{4,}", text.lower())} - _NO_WORDS


def innermost(tree: ast.Module, line: int) -> tuple[ast.stmt, _Function | None]:
    """The smallest statement that the line is in, and the function around it."""
    found: ast.stmt = tree.body[0]
    function: _Function | None = None

    def look(node: ast.AST, around: _Function | None) -> None:
        nonlocal found, function
        for child in ast.iter_child_nodes(node):
            inside = around
            if isinstance(child, ast.stmt):
                first = min([child.lineno, *(one.lineno for one in getattr(child, "decorator_list", ()))])
                if not first <= line <= (child.end_lineno or first):
                    continue
                inside = child if isinstance(child, _Function) and line >= child.body[0].lineno else around
                found, function = child, inside
            elif isinstance(child, ast.ExceptHandler) and child.lineno <= line < child.body[0].lineno:
                found = child.body[0]  # tests in which nothing is caught say nothing of it
            look(child, inside)

    look(tree, None)
    return found, function


def _names_bound(statement: ast.stmt) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in targets:
        for node in ast.walk(target) if target is not None else ():
            if isinstance(node, ast.Name | ast.Attribute):
                yield node.id if isinstance(node, ast.Name) else node.attr


def _lines_within(node: ast.AST) -> Iterator[int]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.stmt) and inner is not node:
            yield inner.lineno


@cache
def _uses(source: str, name: str) -> tuple[set[int], set[str]]:
    """The first lines of the statements that name it, the smallest around each, and what is bound at import by them."""
    lines: set[int] = set()
    bound: set[str] = set()

    def look(node: ast.AST, statement: ast.stmt | None, *, inside: bool) -> None:
        here = node if isinstance(node, ast.stmt) else statement
        if here and name in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)):
            lines.add(here.lineno)
            if not inside:
                bound.update(_names_bound(here))
        for child in ast.iter_child_nodes(node):
            look(child, here, inside=inside or isinstance(node, _Function))

    look(ast.parse(source), None, inside=False)
    return lines, bound
