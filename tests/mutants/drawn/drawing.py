"""Draw defects by a seed over the sources, over each room in proportion to its lines."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mutants.drawn.places import Place, compiles, places


@dataclass(frozen=True, slots=True)
class Drawn:
    """A defect and its file, which is named from the package's root."""

    file: str
    place: Place
    before: str
    after: str

    @property
    def room(self) -> str:
        """The room of its file."""
        return room_of(self.file)

    @property
    def name(self) -> str:
        """What a person reads: where it is, and the line before and after."""
        return f"{self.file}:{self.place.line}: {self.before} → {self.after}"

    def as_json(self) -> dict[str, Any]:
        """For a file, read by ``drawn_from``."""
        return asdict(self)


def drawn_from(said: dict[str, Any]) -> Drawn:
    """What ``as_json`` wrote."""
    return Drawn(said["file"], Place(**said["place"]), said["before"], said["after"])


def defect(file: str, source: str, place: Place) -> Drawn:
    """The defect with the line before and after."""
    before = source.split("\n")[place.line - 1].strip()
    return Drawn(file, place, before, place.applied(source).split("\n")[place.line - 1].strip())


def found_again(drawn: Drawn, source: str) -> Drawn | None:
    """The defect in a later text of its file: in the nearest line that says the same, at any indent.

    ``None``: no line says it, or the defect there is not Python.
    """
    place, before = drawn.place, drawn.before.encode()
    width, text = place.end - place.start, place.text.encode()
    lines = source.encode().split(b"\n")
    for number in sorted(range(1, len(lines) + 1), key=lambda number: abs(number - place.line)):
        line = lines[number - 1]
        if line.strip() != before:
            continue
        indent = len(line) - len(line.lstrip())
        for at in range(len(before) - width + 1):
            if (before[:at] + text + before[at + width :]).strip() == drawn.after.encode():
                start = indent + at
                moved = Place(number, start, start + width, place.text, place.kind)
                return replace(drawn, place=moved) if compiles(moved, source) else None
    return None


def draw(package: Path, number: int, seed: int) -> list[Drawn]:
    """Draw that many defects of different lines, in an order in which every beginning is a fair sample.

    A text is changed only where a line has nothing else.
    """
    chance = random.Random(seed)
    sources = {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    lines: dict[str, int] = defaultdict(int)
    found: dict[str, dict[tuple[str, int], list[Place]]] = defaultdict(lambda: defaultdict(list))
    for file, source in sorted(sources.items()):
        room = room_of(file)
        lines[room] += source.count("\n")
        for place in places(source):
            found[room][file, place.line].append(place)
    chosen: list[Drawn] = []
    for room, share in _shares({room: lines[room] for room in found}, number).items():
        by_line = sorted(found[room].items())
        chance.shuffle(by_line)
        in_room: list[Drawn] = []
        for (file, _), of_line in by_line:
            if len(in_room) == share:
                break
            place = chance.choice([one for one in of_line if one.kind != "another text"] or of_line)
            if compiles(place, sources[file]):
                in_room.append(defect(file, sources[file], place))
        chosen += in_room
    chance.shuffle(chosen)
    return chosen


def room_of(file: str) -> str:
    """The directory right below the package; for a module there, its name."""
    return file.partition("/")[0].removesuffix(".py")


def _shares(lines: dict[str, int], number: int) -> dict[str, int]:
    """Divide the number in proportion to the lines; the largest remainders get what is left."""
    total = sum(lines.values())
    exact = {room: number * count / total for room, count in sorted(lines.items())}
    shares = {room: int(share) for room, share in exact.items()}
    for room in sorted(exact, key=lambda room: shares[room] - exact[room])[: number - sum(shares.values())]:
        shares[room] += 1
    return shares
