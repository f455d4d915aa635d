"""An invariant that does not hold ends the run with its sentence."""

from __future__ import annotations


class Violation(AssertionError):
    """An invariant of the contract does not hold."""


def demand(condition: object, sentence: str) -> None:
    """Hold the contract to its word."""
    if not condition:
        raise Violation(sentence)
