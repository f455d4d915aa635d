"""Note what each test costs in seconds of a processor, its processes included, and print the heaviest.

`python -m pytest -n 2 -p scripts.test_costs` appends to the file `TEST_COSTS` (default `/tmp/test_costs.jsonl`);
`python scripts/test_costs.py [FILE]` prints the sums by directory, by fixture and by test. Not counted: a server that
outlives its starter, such as the PostgreSQL of all workers, and what a browser took that ends with the last test.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

NOTES = Path(os.environ.get("TEST_COSTS", "/tmp/test_costs.jsonl"))  # noqa: S108 - a note of the one who measures
TICKS = os.sysconf("SC_CLK_TCK")
HEAVIEST = 30

parts: Counter[str] = Counter()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            listed = children.read_text().split()
        except OSError:
            continue  # the thread has ended
        for child in listed:
            yield from _tree(int(child))


def spent() -> float:
    """Return the time of this process and of all its descendants, also of those that have ended."""
    ticks = 0
    warm = sys.modules.get("support.runs.warm_start")
    forked = warm.WARM.pid if warm else None
    for pid in (*_tree(os.getpid()), *(_tree(forked) if forked else ())):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Count the set-up of a fixture, with those that it asks for while it is set up."""
    before = spent()
    try:
        return (yield)
    finally:
        parts[fixturedef.argname] += spent() - before  # type: ignore[assignment]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Append what a test took, with its fixtures."""
    parts.clear()
    before = spent()
    try:
        return (yield)
    finally:
        note = {
            "test": item.nodeid,
            "took": max(0, round(spent() - before, 2)),
            "fixtures": {k: v for k, v in parts.items() if v},
        }
        with NOTES.open("a") as file:
            file.write(json.dumps(note) + "\n")


def _print_sums(title: str, sums: Counter[str], number: int) -> None:
    sys.stdout.write(f"\n{title}\n")
    for name, took in sums.most_common(number):
        sys.stdout.write(f"{took:8.1f}  {name}\n")


def main(file: Path) -> None:
    """Print the sums of a file of notes."""
    directories: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    fixtures: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        note = json.loads(line)
        module = note["test"].partition("::")[0]
        directories[module.split("/")[1]] += note["took"]
        modules[module] += note["took"]
        tests[note["test"]] += note["took"]
        for name, took in note["fixtures"].items():
            fixtures[name] += took
    sys.stdout.write(f"{sum(tests.values()):.1f} s of a processor in {len(tests)} tests\n")
    _print_sums("by directory", directories, HEAVIEST)
    _print_sums("by fixture, set-up alone", fixtures, HEAVIEST)
    _print_sums("by module", modules, 2 * HEAVIEST)
    _print_sums("by test", tests, 2 * HEAVIEST)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else NOTES)
