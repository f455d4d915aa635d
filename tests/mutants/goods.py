"""Defects of goods: what an order gets, which units, and what becomes of them."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_BINDINGS = "tests/contract/test_bindings.py::"
_IMPORTS = "tests/contract/test_imports.py::"
_EXPLAINED = "tests/unit/orders/test_explain_order.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "units that are not free are picked",
        "goods/bindings.py",
        "where(units.c.goods_id == goods.id, text(UNIT_FREE))\n    each",
        "where(units.c.goods_id == goods.id)\n    each",
        f"{_BINDINGS}test_an_order_gets_the_oldest_free_units_and_the_same_ones_again[sqlite]",
    ),
    one(
        "the newest units go out first",
        "goods/bindings.py",
        "query.order_by(units.c.id).limit(count)",
        "query.order_by(units.c.id.desc()).limit(count)",
        f"{_BINDINGS}test_an_order_gets_the_oldest_free_units_and_the_same_ones_again[sqlite]",
    ),
    one(
        "too few units are bound all the same",
        "goods/bindings.py",
        "if len(picked) < count:",
        "if not picked:",
        f"{_BINDINGS}test_too_few_units_bind_nothing[sqlite]",
    ),
    one(
        "an order that has its units gets others",
        "goods/bindings.py",
        "    if there:\n",
        "    if not there:\n",
        f"{_BINDINGS}test_an_order_gets_the_oldest_free_units_and_the_same_ones_again[sqlite]",
    ),
    one(
        "a unit that left is given back",
        "goods/bindings.py",
        "moved = [one for one in units_of_order(connection, unb, order_id) if one.state == HELD]",
        "moved = list(units_of_order(connection, unb, order_id))",
        f"{_BINDINGS}test_units_that_went_out_stay_with_their_order_and_held_ones_may_come_back[sqlite]",
    ),
    one(
        "a unit that left is still held",
        "goods/bindings.py",
        "_move(connection, one.unit_id, UnitState.HELD, UnitState.OUT, by)",
        "pass",
        f"{_BINDINGS}test_units_that_went_out_stay_with_their_order_and_held_ones_may_come_back[sqlite]",
    ),
    one(
        "a reusable unit goes out without end",
        "goods/bindings.py",
        "full = (*free, units.c.uses >= limit)",
        "full = (*free, units.c.uses > limit)",
        f"{_BINDINGS}test_a_reusable_unit_goes_out_as_often_as_its_owner_says[sqlite]",
    ),
    one(
        "what was replaced is replaced again",
        "goods/bindings.py",
        "if any(one.replaces == replaces for one in there):",
        "if False:",
        f"{_BINDINGS}test_a_person_sends_another_unit_in_place_of_one_that_went_out[sqlite]",
    ),
    one(
        "a double is taken as a unit",
        "goods/imports.py",
        "fresh = [row for digest, row in rows.items() if digest not in found]",
        "fresh = list(rows.values())",
        f"{_IMPORTS}test_two_imports_of_one_file_at_once_share_its_units[sqlite]",
    ),
    one(
        "a batch counts no unit it took in",
        "goods/batches.py",
        "values(taken=batches.c.taken + taken, **counts)",
        "values(**counts)",
        f"{_IMPORTS}test_an_import_that_a_fault_ends_keeps_what_it_took_and_the_same_file_adds_the_rest[sqlite]",
    ),
    one(
        "a batch is taken back whose units are with orders",
        "goods/batches.py",
        "gone = 0 if used else connection.execute(delete(units).where(*unused)).rowcount\n    if used or gone != free:",
        "gone = connection.execute(delete(units).where(*unused)).rowcount\n    if gone != free:",
        f"{_IMPORTS}test_a_batch_is_taken_back_only_while_its_units_are_free[sqlite]",
    ),
    one(
        "the spec of an order is ignored",
        "orders/explain_order.py",
        "exact = [rule for rule in rules if rule.spec == spec]",
        "exact = list(rules)[:1]",
        f"{_EXPLAINED}test_no_order_gets_what_is_for_another_item_or_spec",
    ),
    one(
        "what is for every spec goes to an unknown one",
        "orders/explain_order.py",
        "if not exact and any(rule.spec for rule in rules):",
        "if not exact and all(rule.spec for rule in rules):",
        f"{_EXPLAINED}test_the_rule_of_an_order_is_chosen_and_never_guessed",
    ),
    one(
        "the first of two rules that fit is taken",
        "orders/explain_order.py",
        "return fitting[0] if len(fitting) == 1 else Obstacle.AMBIGUOUS_RULE",
        "return fitting[0]",
        f"{_EXPLAINED}test_the_rule_of_an_order_is_chosen_and_never_guessed",
    ),
    one(
        "an unknown quantity is one piece",
        "orders/explain_order.py",
        "(purchase.quantity is None, Obstacle.QUANTITY_UNKNOWN),",
        "",
        f"{_EXPLAINED}test_the_first_thing_in_the_way_is_named",
    ),
    one(
        "units go to an order with a parcel",
        "orders/explain_order.py",
        "(purchase.parcel != NO_PARCEL, Obstacle.NEEDS_PARCEL),",
        "",
        f"{_EXPLAINED}test_the_first_thing_in_the_way_is_named",
    ),
)
