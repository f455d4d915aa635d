"""Defects of suppliers: what is bought, how often, and who gets it."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_SUPPLIERS = "tests/contract/test_suppliers.py::"
_PURE = "tests/unit/goods/test_suppliers.py::"
_ORDERS = "tests/connection/test_supplied_orders.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a supplier that refuses for now has certainly sold nothing",
        "goods/suppliers.py",
        "if 400 <= status < 500 and status not in _UNSURE_REFUSALS:",
        "if 400 <= status < 600:",
        f"{_PURE}test_only_a_refusal_of_the_call_itself_has_certainly_bought_nothing",
    ),
    one(
        "an interrupted call is made again",
        "goods/supplier_units.py",
        "        elif there.place is Place.INTERRUPTED:\n            return INTERRUPTED\n",
        "",
        f"{_SUPPLIERS}test_a_death_between_the_intent_and_its_answer[sqlite-False-False]",
    ),
    one(
        "a doubted unit is asked for again by itself",
        "goods/fetching.py",
        'return Reserved(Place.DOUBTED, there["unit_id"])',
        'return Reserved(Place.INTERRUPTED, there["unit_id"], asked_before=True)',
        f"{_SUPPLIERS}test_a_query_that_fails_leaves_a_doubt_which_a_later_one_settles[sqlite]",
    ),
    one(
        "a query that knows of no order once is enough",
        "goods/supplier_units.py",
        "unknown == 2",
        "unknown == 1",
        f"{_SUPPLIERS}test_a_query_route_tells_what_became_of_an_order[fault3-asked3-sqlite]",
    ),
    one(
        "each call has a key of its own",
        "goods/unit_texts.py",
        'return self._keyed(f"call:{unb}:{order_id}:{unit_no}".encode())',
        "import os\n\n        return self._keyed(os.urandom(8))",
        f"{_SUPPLIERS}test_what_may_have_been_bought_is_doubted_and_asked_for_again_by_a_person_only"
        "[fault4-1-no_answer-sqlite]",
    ),
    one(
        "a code that was sold before is sold again",
        "goods/fetching.py",
        "if not connection.scalar(select(exists().where(units.c.goods_id == goods.id, units.c.digest == digest))):",
        'digest += "x"\n        if True:',
        f"{_SUPPLIERS}test_a_code_that_was_sold_before_goes_to_nobody_again[sqlite]",
    ),
    one(
        "a unit that came after a refund stays with its order",
        "goods/fetching.py",
        "after = UnitState.FREE if bound is None else UnitState.HELD",
        "after = UnitState.HELD",
        f"{_SUPPLIERS}test_a_unit_whose_order_was_refunded_meanwhile_goes_to_the_next_one[sqlite]",
    ),
    one(
        "a supplier may be inside",
        "goods/supplier_calls.py",
        "GuardedConnector(self._outbound, force_close=True, limit=0)",
        "aiohttp.TCPConnector(force_close=True, limit=0)",
        f"{_SUPPLIERS}test_the_guard_lets_no_call_to_a_private_address_out[sqlite]",
    ),
    one(
        "an order is begun before its units are there",
        "orders/supplied_units.py",
        "        return False\n\n    async def _fetch",
        "        return True\n\n    async def _fetch",
        f"{_ORDERS}test_each_piece_is_bought_and_sent_and_other_orders_need_not_wait",
    ),
    one(
        "people see the values of a supplier's settings",
        "goods/suppliers.py",
        'HIDDEN if part else ""',
        'part if part else ""',
        f"{_PURE}test_people_see_names_and_variables_and_no_value",
    ),
)
