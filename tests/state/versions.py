"""Every committed value of every account, folded from the journal as it grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shoal.accounts.journal import Baseline, JournalEntry, advance, projection_at


class Versions:
    """Each entry is folded once: to fold them all again at each rest takes time with the square of their number."""

    def __init__(self) -> None:
        self._rev = 0
        self._ends: dict[str, Baseline] = {}
        self._values: dict[tuple[str, int], dict[str, Any]] = {}

    def learn(self, journal: Iterable[JournalEntry]) -> None:
        """Fold what is newer than the last entry learnt."""
        for entry in journal:
            if entry.rev > self._rev:
                name = entry.account_id
                before = [self._ends[name]] if name in self._ends else []
                end = self._ends[name] = advance(before, [entry])[name]
                if (living := projection_at(end)) is not None:
                    self._values[name, entry.generation] = {**living, "rev": entry.rev}
                self._rev = entry.rev

    def at(self, account_id: str, generation: int) -> dict[str, Any] | None:
        """Return the projection of the account as it was committed at that generation."""
        return self._values.get((account_id, generation))
