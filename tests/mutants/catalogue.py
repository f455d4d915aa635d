"""The list of small defects. Each is a set of replacements in ``src/shoal`` and the tests that must fail with it."""

from __future__ import annotations

from dataclasses import dataclass

from state.mutants.mutations import Edit, Mutation


@dataclass(frozen=True, slots=True)
class Noticed:
    """A defect and the tests that notice it, in pytest's form ``file::name``."""

    mutation: Mutation
    tests: tuple[str, ...]


def one(name: str, file: str, old: str, new: str, *tests: str) -> Noticed:
    """Make a defect of one replacement."""
    return Noticed(Mutation(name, (Edit(file, old, new),)), tests)
