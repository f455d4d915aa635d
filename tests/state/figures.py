"""Counts of what a proof explored."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What was explored."""

    groups: int = 0
    calls: int = 0
    callbacks: int = 0
    choices: int = 0
    rests: int = 0
    reads: int = 0
    schedules: int = 0
    cancellations: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in self.__slots__ if name != "answers"}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) + f"; answers {self.answers}"
