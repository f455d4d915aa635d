"""The states of a unit, and every move between them that is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shoal.errors import Conflict


class UnitState(StrEnum):
    """Where a unit is."""

    FREE = "free"
    """An order can get it."""
    HELD = "held"
    """It is bound to an order, and it is not known that it left."""
    OUT = "out"
    """It left, or may have left: it is not sold again."""
    VOID = "void"
    """Its owner took it out of the stock."""
    RETURNED = "returned"
    """It came back from a buyer. It is not sold again."""
    DOUBTED = "doubted"
    """Somebody may have it already: an older backup brought it back, or a person says so."""
    FETCHING = "fetching"
    """A supplier is being asked for it."""


MOVES: Final[Mapping[UnitState, frozenset[UnitState]]] = {
    UnitState.FREE: frozenset({UnitState.HELD, UnitState.VOID, UnitState.DOUBTED}),
    UnitState.HELD: frozenset({UnitState.OUT, UnitState.FREE}),
    UnitState.OUT: frozenset({UnitState.RETURNED, UnitState.DOUBTED, UnitState.FREE}),
    UnitState.FETCHING: frozenset({UnitState.HELD, UnitState.DOUBTED}),
    UnitState.VOID: frozenset(),
    UnitState.RETURNED: frozenset(),
    UnitState.DOUBTED: frozenset(),
}
"""Every allowed move. A held unit becomes free only when it certainly never left; one that is out, only when a person
says that it never arrived, or when a reusable one may go out more often than before."""


def check_move(before: UnitState, after: UnitState) -> None:
    """Raise ``Conflict`` for a move that is not allowed.

    Its code is ``unit_not_free``, ``unit_not_out``, ``unit_not_doubted`` or ``unit_move``.
    """
    if after in MOVES[before]:
        return
    code = {
        UnitState.VOID: "unit_not_free",
        UnitState.RETURNED: "unit_not_out",
        UnitState.DOUBTED: "unit_not_doubted",
    }.get(after, "unit_move")
    raise Conflict(f"a unit that is {before} does not become {after}", code=code, state=before.value)
