"""Defects of model providers: who is asked without consent, what is spent, and who rests."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_BUDGET = "tests/contract/test_model_budget.py::"
_CALLS = "tests/unit/assistant/test_model_calls.py::"
_PURE = "tests/unit/assistant/test_providers.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a provider is asked before its owner agreed",
        "assistant/model_calls.py",
        "        target.provider.require_consent()\n",
        "",
        f"{_CALLS}test_no_packet_goes_to_a_provider_without_consent",
    ),
    one(
        "a new host keeps the agreement and the key",
        "assistant/providers.py",
        'moved = before is not None and host != before["host"]',
        "moved = False",
        f"{_PURE}test_a_new_host_ends_the_agreement_and_takes_no_stored_key_along",
    ),
    one(
        "an agreement that was withdrawn counts while the caller remembers it",
        "assistant/budget.py",
        'if state is None or not state["consented_host"] or state["consented_host"] != state["host"]:\n'
        "        raise NoRoom(NoRoomWhy.CONSENT)\n    if state",
        "if state is None:\n        raise NoRoom(NoRoomWhy.CONSENT)\n    if state",
        f"{_BUDGET}test_who_does_not_agree_any_more_or_is_gone_is_not_asked[sqlite]",
    ),
    one(
        "two servers spend the same rest of a day",
        "assistant/budget.py",
        "query.with_for_update(of=ai_provider_states)",
        "query",
        f"{_BUDGET}test_callers_at_once_never_spend_more_than_the_day_has[postgresql-1]",
    ),
    one(
        "a provider goes while another server switches a shop on with it",
        "assistant/provider_store.py",
        "            _hold_shops(connection, owner_id)\n",
        "",
        "tests/contract/test_provider_races.py::test_a_provider_stays_for_a_shop_that_is_being_switched_on",
    ),
    one(
        "what checks cost is no money of the day",
        "assistant/budget.py",
        'return int(state["checks_cost_microfen"]) if state["checks_day"] == day else 0',
        "return 0",
        f"{_BUDGET}test_what_a_check_cost_is_in_the_money_of_the_day_and_in_no_shops[sqlite]",
    ),
    one(
        "a limit of 0 fen is no limit",
        "assistant/budget.py",
        "    if fen_per_day is None:\n        return None\n",
        "    if not fen_per_day:\n        return None\n",
        f"{_BUDGET}test_the_money_of_a_day_is_that_of_all_shops_together[sqlite]",
    ),
    one(
        "the money of a day is that of each shop",
        "assistant/budget.py",
        "cost = func.sum(case((its, ai_usage.c.cost_microfen), else_=0))",
        "cost = func.sum(case((its & mine, ai_usage.c.cost_microfen), else_=0))",
        f"{_BUDGET}test_the_money_of_a_day_is_that_of_all_shops_together[sqlite]",
    ),
    one(
        "what was reserved is given back whatever happened",
        "assistant/budget.py",
        "    if not failure.spent_nothing:\n",
        "    if False:\n",
        f"{_BUDGET}test_what_certainly_cost_nothing_is_given_back[sqlite]",
    ),
    one(
        "all try a provider that rested at once",
        "assistant/budget.py",
        "    if made.is_try:\n        values[",
        "    if False:\n        values[",
        f"{_BUDGET}test_five_failures_in_ten_minutes_rest_then_one_tries[sqlite]",
    ),
    one(
        "one that was asked before a rest makes it longer",
        "assistant/breaker.py",
        'if state is None or (state["rests"] and not is_try):',
        "if state is None:",
        f"{_BUDGET}test_five_failures_in_ten_minutes_rest_then_one_tries[sqlite]",
    ),
    one(
        "a failure of yesterday counts",
        "assistant/breaker.py",
        "is_new = began is None or not 0 <= now_ms - began < WINDOW_MS",
        "is_new = began is None",
        f"{_BUDGET}test_failures_that_are_far_apart_never_rest[sqlite]",
    ),
    one(
        "figures of tokens that cannot be are believed",
        "assistant/model_calls.py",
        "reckoned <= count * _FEWEST and count <= most",
        "True",
        f"{_CALLS}test_figures_that_cannot_be_are_replaced_by_what_was_reckoned_with[wrong_usage]",
    ),
    one(
        "tokens far below those of the text are believed",
        "assistant/model_calls.py",
        "reckoned <= count * _FEWEST and count <= most",
        "0 < count <= most",
        f"{_CALLS}test_figures_that_cannot_be_are_replaced_by_what_was_reckoned_with[low_usage]",
    ),
)
