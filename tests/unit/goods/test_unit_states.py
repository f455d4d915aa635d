"""The moves of a unit are those of the design, and "out" to "free" by an explicit word of a person; no others."""

from __future__ import annotations

import itertools

import pytest

from shoal.errors import Conflict
from shoal.goods.unit_states import UnitState, check_move

ALLOWED = {
    "free→held", "held→out", "held→free", "out→returned", "out→doubted", "out→free", "free→doubted", "free→void",
    "fetching→held", "fetching→doubted",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(itertools.product(UnitState, UnitState)))
def test_only_the_moves_of_the_design_are_allowed(before: UnitState, after: UnitState) -> None:
    if f"{before}→{after}" in ALLOWED:
        check_move(before, after)
        return
    with pytest.raises(Conflict) as refused:
        check_move(before, after)
    codes = {
        UnitState.VOID: "unit_not_free", UnitState.RETURNED: "unit_not_out", UnitState.DOUBTED: "unit_not_doubted",
    }  # fmt: skip
    expected = codes.get(after, "unit_move")
    assert (refused.value.code, refused.value.params["state"]) == (expected, before.value)
