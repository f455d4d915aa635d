"""Defects of goods and deliveries: what an order gets, which units, and what becomes of them."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_BINDINGS = "tests/contract/test_bindings.py::"
_GIVING_BACK = "tests/contract/test_unit_returns.py::"
_IMPORTS = "tests/contract/test_imports.py::"
_EXPLAINED = "tests/unit/orders/test_explain_order.py::"
_LYING = "tests/unit/items/test_lying_pages.py::"
_WAYS = "tests/unit/orders/test_delivery_ways.py::"
_BEGUN = "tests/contract/test_deliveries.py::"
_AGAIN = "tests/unit/orders/test_asked_again.py::"

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
        "missing = sorted(set(range(1, count + 1)) - {one.unit_no for one in ordered})",
        "missing = sorted(range(1, count + 1))",
        f"{_BINDINGS}test_an_order_gets_the_oldest_free_units_and_the_same_ones_again[sqlite]",
    ),
    one(
        "units that may have arrived are given back without an explicit word",
        "orders/unit_returns.py",
        "if doubtful and not never_arrived:",
        "if never_arrived and not doubtful:",
        f"{_GIVING_BACK}test_what_may_have_arrived_needs_an_explicit_word_and_is_doubted_when_it_arrived_after_all[sqlite]",
    ),
    one(
        "a unit that its buyer has is given back",
        "orders/unit_returns.py",
        "and not known.has_arrived(one)]",
        "and known.order_id]",
        f"{_GIVING_BACK}test_what_is_being_sent_or_has_arrived_stays_with_its_order[sqlite]",
    ),
    one(
        "a unit that was given back and arrived goes to another order",
        "orders/order_rows.py",
        "if delivery.why == GIVEN_BACK:",
        "if delivery.why == self.account_id:",
        f"{_GIVING_BACK}test_what_may_have_arrived_needs_an_explicit_word_and_is_doubted_when_it_arrived_after_all[sqlite]",
    ),
    one(
        "a unit that left is given back",
        "goods/bindings.py",
        "held = [one for one in units_of_order(connection, unb, order_id) if one.state == HELD]",
        "held = list(units_of_order(connection, unb, order_id))",
        f"{_BINDINGS}test_units_that_went_out_stay_with_their_order_and_held_ones_may_come_back[sqlite]",
    ),
    one(
        "a unit that a person revealed is given back",
        "goods/bindings.py",
        "moved = [one for one in held if one.unit_id not in revealed]",
        "moved = held",
        f"{_BINDINGS}test_a_unit_that_a_person_revealed_while_an_order_had_it_is_not_given_back[sqlite]",
    ),
    one(
        "a unit that left is still held",
        "goods/bindings.py",
        "connection.execute(update(units).where(*mine, ~is_held).values(values))",
        "pass",
        f"{_BINDINGS}test_units_that_went_out_stay_with_their_order_and_held_ones_may_come_back[sqlite]",
    ),
    one(
        "a reusable unit goes out without end",
        "goods/bindings.py",
        "_moved_if(units.c.uses + uses >= limit, UnitState.HELD, by)",
        "_moved_if(units.c.uses + uses > limit, UnitState.HELD, by)",
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
    one(
        "units are bound before the transaction that begins",
        "orders/delivery_store.py",
        "        try:\n            return await self._database.announce(job)",
        "        early = By(actor=AUTO)\n"
        "        await self._database.announce(lambda connection: len(self._bound(connection, delivery, early)))\n"
        "        try:\n            return await self._database.announce(job)",
        f"{_BEGUN}test_a_begin_that_fails_leaves_everything_as_it_was[sqlite]",
    ),
    one(
        "an order that ends between two messages gets the rest",
        "orders/deliveries.py",
        "is_begun = await self._sender.serve(messages, begin, guard)",
        "is_begun = await self._sender.serve(messages, begin, lambda _: guard and None)",
        f"{_WAYS}test_a_refund_between_two_messages_drops_the_rest_whose_units_stay_the_orders",
    ),
    one(
        "what arrived in part counts as whole",
        "orders/order_rows.py",
        "    if progress.is_whole:\n",
        "    if progress.arrived:\n",
        f"{_WAYS}test_a_refusal_part_way_goes_on_with_the_same_units_when_the_owner_asks",
    ),
    one(
        "units of which one left are free again when the order ends",
        "orders/delivery_rows.py",
        "    elif delivery.wanted and not have_left:\n",
        "    if delivery.wanted:\n",
        f"{_BEGUN}test_an_order_that_ends_after_a_unit_left_keeps_all_and_says_so[sqlite-cancelled]",
    ),
    one(
        "units that may have left stay held",
        "orders/delivery_rows.py",
        "progress.arrived + int(state is ActionState.UNCERTAIN)",
        "progress.arrived",
        f"{_BEGUN}test_what_was_on_its_way_is_uncertain_and_its_units_go_to_nobody_else[sqlite]",
    ),
    one(
        "an echo is looked for by the text without its units",
        "orders/delivery_store.py",
        "digest=self._opening.digest_of_message(text))",
        "digest=self._opening.digest_of_message(row.text))",
        f"{_BEGUN}test_an_echo_is_stored_masked_even_where_the_site_wrote_blanks_anew[sqlite]",
    ),
    one(
        "units stand in clear in the outbox",
        "orders/delivery_store.py",
        "row = replace(row, units=message.units_of(ids),",
        "row = replace(row, text=text, units=message.units_of(ids),",
        f"{_WAYS}test_units_stand_in_clear_nowhere_but_in_the_frames",
    ),
    one(
        "messages have the units of one another",
        "orders/delivery_store.py",
        "ids = [one.unit_id for one in bound]",
        "ids = [one.unit_id for one in bound][::-1]",
        "tests/unit/orders/test_deliveries.py::test_an_order_gets_as_many_codes_as_were_bought_and_is_confirmed",
    ),
    one(
        "what goes on begins at the first message again",
        "orders/deliveries.py",
        "if part >= delivery.arrived",
        "if part >= 0",
        f"{_WAYS}test_a_refusal_part_way_goes_on_with_the_same_units_when_the_owner_asks",
    ),
    one(
        "what goes on has the texts of now",
        "orders/deliveries.py",
        "if delivery is None or not delivery.state.goes_on:",
        "if delivery is None or delivery.state.goes_on:",
        f"{_WAYS}test_a_death_between_two_messages_goes_on_with_the_same_texts_and_units",
    ),
    one(
        "an uncertain message is asked for again with a new uuid",
        "orders/delivery_store.py",
        "                if before.outcome is SendOutcome.UNCERTAIN:\n"
        "                    return Begun(insert_rows(connection, filled, row.now_ms, again=before))\n",
        "                if before.outcome is SendOutcome.UNCERTAIN:\n"
        "                    filled = self._with_units(delivery, rows, bound)\n"
        "                    break\n",
        f"{_AGAIN}test_an_uncertain_message_that_is_asked_for_goes_out_with_its_uuid",
    ),
    one(
        "a refused repeat of an uncertain message counts as not sent",
        "messages/sender.py",
        "sent = await self._deliver(first, again=first.outcome is SendOutcome.UNCERTAIN)",
        "sent = await self._deliver(first)",
        f"{_AGAIN}test_a_repeat_that_is_refused_stays_uncertain",
    ),
    one(
        "an uncertain message is sent again before its chat is read",
        "orders/deliveries.py",
        "if is_asked and not await self._uncertain_messages.looked_up(order):",
        "if not is_asked and not await self._uncertain_messages.looked_up(order):",
        f"{_AGAIN}test_what_the_chat_on_the_site_shows_is_not_sent_again",
    ),
    one(
        "a chat that cannot be read counts as one without the message",
        "orders/uncertain_messages.py",
        "            await self._wait(order, failure.code)\n            return False\n",
        "            log.warning(failure.code)\n            return True\n",
        f"{_AGAIN}test_a_chat_that_cannot_be_read_holds_the_order_back_until_it_can",
    ),
    one(
        "what arrived after the owner asked is sent again",
        "orders/delivery_rows.py",
        "for outcome in (SendOutcome.SENT, SendOutcome.UNCERTAIN):",
        "for outcome in (SendOutcome.UNCERTAIN,):",
        f"{_AGAIN}test_an_echo_that_comes_after_the_owner_asked_counts",
    ),
    one(
        "the page of another buyer's order is believed",
        "orders/order_pages.py",
        "seen.buyer_id not in {order.buyer_id, unb}:",
        "seen.buyer_id not in {order.buyer_id, unb, seen.buyer_id}:",
        f"{_LYING}test_a_page_that_lies_binds_nothing_and_the_true_one_serves_the_order[another buyer's]",
    ),
    one(
        "a page without a quantity says that one piece was bought",
        "orders/explain_order.py",
        "int(order.quantity) > 0 else None",
        "int(order.quantity) > 0 else 1",
        f"{_LYING}test_a_page_that_lies_binds_nothing_and_the_true_one_serves_the_order[without quantity]",
    ),
)
