"""The rooms of the web console: an import points to a lower row, and a room never imports one of its own row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "web" / "src"
ROWS = (
    {"app"},
    {"overview", "chats", "orders", "history", "users", "settings", "login", "moving"},
    {"rules", "deliveries", "stock", "notices", "assistant", "servers"},
    {"accounts"},
    {"common"},
    {"i18n"},
)
"""From top to bottom. A room imports itself and rooms of lower rows."""
GENERATED = {"components.d.ts", "common/schema.d.ts"}
CATALOGUES = {"i18n/zh.ts", "i18n/en.ts"}
"""They collect the texts of all rooms, and import nothing else."""
TEXTS = re.compile(r"\w+/(\w+T|t)exts\.ts")
IMPORT = re.compile(r"(?:\bfrom|\bimport|\bimport\()\s*'(\.[^']*)'")


def _files() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*")):
        name = path.relative_to(SOURCES).as_posix()
        if path.suffix in {".js", ".ts", ".vue", ".css"} and name not in GENERATED:
            yield name, path.read_text(encoding="utf-8")


def _imports(name: str, text: str) -> Iterator[str]:
    """Yield our own files that a file imports, as paths below ``web/src``."""
    for found in IMPORT.findall(text):
        if found.endswith("/schema"):  # made by `make`
            yield "common/schema.d.ts"
            continue
        stem = (SOURCES / name).parent / found
        candidates = [stem, stem.with_name(f"{stem.name}.ts"), stem.with_name(f"{stem.name}.d.ts"), stem / "index.ts"]
        path = next((path for path in candidates if path.is_file()), None)
        assert path is not None, (name, found)
        yield path.resolve().relative_to(SOURCES.resolve()).as_posix()


def _row(room: str) -> int:
    return next(row for row, rooms in enumerate(ROWS) if room in rooms)


def test_every_file_lies_in_a_room_and_every_room_in_a_row() -> None:
    rooms = {name.partition("/")[0] for name, _ in _files()}
    assert rooms == set[str]().union(*ROWS)


def test_imports_point_down() -> None:
    upward = []
    seen = 0
    for name, text in _files():
        room = name.partition("/")[0]
        for target in _imports(name, text):
            seen += 1
            other = target.partition("/")[0]
            if other != room and _row(other) <= _row(room) and not (name in CATALOGUES and TEXTS.fullmatch(target)):
                upward.append(f"{name} imports {target}")
    assert upward == []
    assert seen > 500


def test_texts_import_only_the_type_of_texts() -> None:
    for name, text in _files():
        if TEXTS.fullmatch(name):
            assert set(_imports(name, text)) <= {"i18n/messages.ts"}, name
