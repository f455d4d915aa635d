"""Prints lines of code and files by room, and the longest files: ``make sizes``. It fails nothing.

A file is whole when its thought is. A long one may hold two; a short one may be half of a neighbour. Blank lines do not
count, nor what is generated.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONG = 400
"""From here on a file is listed, in the console from 300."""
LONG_IN_CONSOLE = 300
SHORT = 30
"""Below this a file of ``src`` is counted as short."""
GENERATED = {"schema.d.ts", "settings.ts", "settingTexts.ts", "components.d.ts"}
BUILT = {"static", "help_site", "__pycache__"}


def code_lines(path: Path) -> int:
    """Return how many lines of a file are not blank."""
    return sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def sources(folder: str, *suffixes: str) -> Iterator[tuple[Path, int]]:
    """Yield the files that people write below a folder, with their lines."""
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in suffixes and path.name not in GENERATED and not BUILT & {*path.parts}:
            yield path, code_lines(path)


def room_of(path: Path, folder: str) -> str:
    """Return the room of a file: the first folder below, or the file itself."""
    return path.relative_to(ROOT / folder).parts[0]


def report(folder: str, long: int, *suffixes: str) -> Iterator[str]:
    """Yield the lines that are printed about a folder."""
    found = list(sources(folder, *suffixes))
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for path, count in found:
        lines[room_of(path, folder)] += count
        files[room_of(path, folder)] += 1
    short = sum(count < SHORT for _, count in found)
    yield f"{folder}: {lines.total()} lines in {files.total()} files, {short} of less than {SHORT}"
    for room, count in lines.most_common():
        if files[room] > 1:
            yield f"  {room:20} {count:6} in {files[room]}"
    for path, count in sorted(found, key=lambda one: -one[1]):
        if count > long:
            yield f"  long: {path.relative_to(ROOT)} {count}"


def main() -> None:
    """Print the report."""
    lines = [*report("src/shoal", LONG, ".py"), *report("tests", LONG, ".py")]
    lines += report("web/src", LONG_IN_CONSOLE, ".ts", ".vue", ".css")
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
