"""Defects are drawn fairly and by their seed alone, and what is said of them fits the sources."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shoal
from mutants.drawn.covering import innermost, ordered
from mutants.drawn.drawing import defect, draw, found_again
from mutants.drawn.hits import marked
from mutants.drawn.places import compiles, places
from mutants.drawn.recording import KnownTest
from mutants.drawn.reporting import EQUIVALENT, SURVIVED, equivalents, share, table
from mutants.drawn.swapping import differences, loaded_functions, swap

SOURCE = Path(shoal.__file__).parent

SAMPLE = '''"""A docstring."""
LIMIT = 3


def allowed(count: int, names: list[str]) -> bool:
    """Another."""
    if not names or count > LIMIT:
        log.info("too many", count=count)
        raise ValueError("a text for people")
    names.append("seen")
    return count not in range(2)
'''


def test_a_defect_is_found_again_where_its_line_has_moved_and_at_another_indent() -> None:
    source = "def f(x):\n    if x > 1:\n        return\n    g(x)\n"
    later = "import g\n\n\ndef f(x):\n    while True:\n        if x > 1:\n            return\n"
    moved = {("return", "pass"): 7, ("if x > 1:", "if x >= 1:"): 6, ("if x > 1:", "if x > 2:"): 6, ("g(x)", "pass"): 0}
    drawn = {(one.before, one.after): one for one in (defect("a.py", source, place) for place in places(source))}
    for (before, after), line in moved.items():
        again = found_again(drawn[before, after], later)
        assert (again.place.line if again else 0) == line
        if again:
            assert again.place.applied(later).split("\n")[line - 1].strip() == after


def test_a_line_has_the_defects_of_its_operators_constants_and_calls_and_none_of_its_prose() -> None:
    found = {(one.line, one.applied(SAMPLE).split("\n")[one.line - 1].strip()) for one in places(SAMPLE)}
    assert found == {
        (2, "LIMIT = 4"),
        (2, "LIMIT = 2"),
        (7, "if names or count > LIMIT:"),
        (7, "if not names and count > LIMIT:"),
        (7, "if not names or count >= LIMIT:"),
        (7, "if not names or count <= LIMIT:"),
        (9, "pass"),
        (10, "pass"),
        (10, 'names.append("seenx")'),
        (11, "return not (count not in range(2))"),
        (11, "return count in range(2)"),
        (11, "return count not in range(3)"),
        (11, "return count not in range(1)"),
    }
    assert all(compiles(one, SAMPLE) for one in places(SAMPLE))


def test_what_only_examples_are_made_of_has_no_defects() -> None:
    source = """_COUNTS = {"free": 95}
_GOODS: Any = {"id": 7, "units": _COUNTS}
_LIMITS = {"most": 3}


class Goods(BaseModel):
    model_config = example(**_GOODS, next=4, limits=_LIMITS)
    page: int = Field(_LIMITS["most"], examples=[_COUNTS])
"""
    assert {one.line for one in places(source)} == {3, 8}


def package(directory: Path) -> Path:
    for name, text in {"one/first.py": SAMPLE * 3, "one/second.py": SAMPLE, "two/third.py": SAMPLE}.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def test_a_draw_depends_on_its_seed_alone_and_a_room_has_its_share_of_lines(tmp_path: Path) -> None:
    drawn = draw(package(tmp_path), 10, 7)
    assert drawn == draw(tmp_path, 10, 7) != draw(tmp_path, 10, 8)
    assert [one.room for one in drawn].count("one") == 8
    assert len({(one.file, one.place.line) for one in drawn}) == 10
    for one in drawn:
        assert one == defect(one.file, (tmp_path / one.file).read_text(encoding="utf-8"), one.place)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return number + 1", "return number + 2"),
        ("return [one for one in (number, 1)][-1] + number", "return [one for one in (number, 2)][-1] + number"),
        ("return (lambda: number + 1)()", "return (lambda: number + 2)()"),
    ],
)
def test_a_loaded_function_gets_the_defect(before: str, after: str) -> None:
    old, new = (f"def plus(number):\n    {line}\n" for line in (before, after))
    space: dict[str, object] = {}
    exec(compile(old, "/a/file.py", "exec"), space)  # noqa: S102
    found = differences(compile(old, "/a/file.py", "exec"), compile(new, "/a/file.py", "exec"))
    assert found
    swap(loaded_functions(), found)
    assert callable(space["plus"])
    assert space["plus"](5) == 7


def test_a_defect_in_what_runs_at_import_is_not_put_into_loaded_functions() -> None:
    for old, new in [("A = 1\n", "A = 2\n"), ("class A:\n    b = 1\n", "class A:\n    b = 2\n"),
                     ("def a(b=1): return b\n", "def a(b=2): return b\n")]:  # fmt: skip
        assert differences(compile(old, "f", "exec"), compile(new, "f", "exec")) is None


def test_a_marked_copy_says_what_ran_also_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "shoal").mkdir()
    text = '"""A."""\nfrom __future__ import annotations\n\n\ndef f(a):\n    if a:\n        return 1\n    return 2\n'
    (tmp_path / "shoal" / "__init__.py").write_text(text, encoding="utf-8")
    lines = marked(tmp_path)
    assert sorted(lines) == [("__init__.py", 6), ("__init__.py", 7), ("__init__.py", 8)]
    program = "import shoal, os; shoal.f(0); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False)
    ran = (tmp_path / "hits").read_bytes()
    assert sorted(line for (_, line), mark in zip(lines, ran, strict=True) if mark) == [6, 8]


def test_the_smallest_statement_around_a_line_is_found_with_its_function() -> None:
    tree = ast.parse(SAMPLE)
    for line, first, name in [(2, 2, None), (5, 5, None), (7, 7, "allowed"), (10, 10, "allowed")]:
        statement, function = innermost(tree, line)
        assert (statement.lineno, function and function.name) == (first, name)


def test_the_modules_own_tests_come_first_then_those_that_name_the_line_then_the_cheap() -> None:
    names = [
        ("a/test_own.py::test_late", 9.0),
        ("a/test_y.py::test_a_recovery_code_opens_once", 8.0),
        ("a/test_x.py::test_one", 1.0),
        ("a/test_x.py::test_three", 2.0),
        ("a/test_y.py::test_two", 3.0),
    ]
    tests = {KnownTest(name, cpu, cpu) for name, cpu in names}
    said = "await note_recovery_code(server, user)"
    assert [test.name for test in ordered(tests, "own", said)] == [name for name, _ in names]
    says = {"a/test_y.py::test_two": 'assert code == "name_taken"'}
    first, second, *_ = ordered(tests, "own", 'Problem("name_taken", 409)', lambda test: says.get(test.name, ""))
    assert (first.file, second.name) == ("a/test_own.py", "a/test_y.py::test_two")


def test_the_table_counts_by_room_and_names_what_survived() -> None:
    said = [
        {"room": "one", "outcome": "caught", "name": "a"},
        {"room": "one", "outcome": SURVIVED, "name": "b.py:3: x → y"},
        {"room": "two", "outcome": EQUIVALENT, "name": "c"},
    ]
    assert share(said) == pytest.approx(2 / 3)
    assert "| one | 2 | 1 | 0 | 0 | 1 | 0 |" in table(said)
    assert "survived: b.py:3: x → y" in table(said)


def test_what_is_said_to_change_nothing_stands_in_the_sources_once_and_has_a_reason() -> None:
    known = equivalents()
    assert len({(one.file, one.before, one.after) for one in known}) == len(known)
    for one in known:
        lines = [line.strip() for line in (SOURCE / one.file).read_text(encoding="utf-8").split("\n")]
        assert one.before in lines, one
        assert one.before != one.after
        assert one.reason
