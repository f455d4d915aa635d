"""Defects of replies, of what is sent, and of orders."""

from __future__ import annotations

from mutants.catalogue import Noticed, one
from state.mutants.mutations import Edit, Mutation

_BURSTS = "tests/connection/test_bursts.py::"
_CRASHES = "tests/connection/test_order_crashes.py::"
_TRADE_CARDS = "tests/unit/xianyu/test_trade_cards.py::"
_SHAPES = "tests/unit/orders/test_order_shapes.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a burst has no longest time",
        "messages/conversations.py",
        "quiet * LONGEST_BURST_FACTOR",
        "quiet * 10_000",
        f"{_BURSTS}test_f4_a_buyer_who_never_pauses_is_answered_all_the_same",
    ),
    one(
        "the item of a burst is that of its last message only",
        "messages/bursts.py",
        "item_id=next((message.item_id for message in reversed(messages) if message.item_id), None)",
        "item_id=last.item_id",
        f"{_BURSTS}test_f4_a_burst_is_about_the_last_item_that_was_named_in_it",
    ),
    one(
        "a chat overtakes another at the shop's limit",
        "messages/conversations.py",
        "if self._room.locked() and burst.place is not Place.FIRST:",
        "if False:",
        f"{_BURSTS}test_f4_who_waits_for_room_in_the_shops_minute_is_overtaken_by_nobody",
        "tests/unit/messages/test_conversations.py::test_a_burst_without_room_is_overtaken_by_no_later_one",
    ),
    one(
        "a once-only default also stops rules",
        "messages/conversations.py",
        "once=source is AnswerSource.DEFAULT_REPLY and account.default_reply_once",
        "once=account.default_reply_once",
        f"{_BURSTS}test_f4_a_default_reply_that_is_given_once_stops_no_rule",
    ),
    one(
        "an item's reply comes before a general rule",
        "messages/replies.py",
        "return answer_of(rule, asked) if rule is not None else _answer_without_rule(account, asked)\n",
        "item = account.item(asked.item_id)\n"
        "    rule = None if rule and not rule.item_ids and item and item.reply else rule\n"
        "    return answer_of(rule, asked) if rule is not None else _answer_without_rule(account, asked)\n",
        "tests/unit/messages/test_replies.py::test_f4_a_general_rule_comes_before_the_items_reply_and_that_before_the_default",
    ),
    one(
        "a refused resend counts as refused although the first may have arrived",
        "messages/sender.py",
        "Sent(SendOutcome.UNCERTAIN if again else SendOutcome.REFUSED, refusal.reason, row_id)",
        "Sent(SendOutcome.REFUSED, refusal.reason, row_id)",
        "tests/connection/test_replies.py::test_f4_a_refusal_of_what_was_sent_again_leaves_it_uncertain",
    ),
    one(
        "the owner between two parts is spoken over",
        "messages/sender.py",
        "before = await self._send_part(sending, self._not_taken_over(sending))",
        "before = await self._send_part(sending, lambda _: None)",
        f"{_BURSTS}test_f4_the_owner_who_speaks_between_two_parts_has_the_last_word",
    ),
    one(
        "an uncertain paid message is sent again at the next start",
        "messages/sender.py",
        "sending.outcome is SendOutcome.UNCERTAIN and sending.row.kind is not OutboxKind.PAID",
        "sending.outcome is SendOutcome.UNCERTAIN",
        f"{_CRASHES}test_f4_an_uncertain_paid_message_is_never_sent_again_by_a_later_connection",
        "tests/unit/orders/test_orders.py::test_an_uncertain_message_is_not_sent_again_by_the_next_connection",
    ),
    one(
        "auto-confirm off between intent and call confirms all the same",
        "orders/orders.py",
        "if not self._link.allows() or not still_wanted():",
        "if not self._link.allows():",
        f"{_CRASHES}test_f4_switching_the_confirmation_off_between_its_announcement_and_the_call_confirms_nothing",
    ),
    one(
        "the page overwrites a known buyer",
        "orders/order_pages.py",
        'buyer_id="" if order.buyer_id else seen.buyer_id',
        "buyer_id=seen.buyer_id",
        "tests/connection/test_doubtful_cards.py::test_f4_the_page_names_no_other_buyer_than_the_card_did",
    ),
    one(
        "our own act's card without a role counts as a sale",
        "xianyu/trade_cards.py",
        'return tasks[-1] == "卖家" if tasks else sender_id != me',
        'return tasks[-1] == "卖家" if tasks else True',
        f"{_TRADE_CARDS}test_f4_a_card_that_an_act_of_our_own_caused_is_no_sale",
    ),
    one(
        "a purchase of the account counts as a sale",
        "xianyu/trade_cards.py",
        'return "buyer" not in roles',
        "return True",
        "tests/wire/test_frames.py::test_a_pushed_frame_becomes_what_it_must",
    ),
    one(
        "a notice under a buyer's id is a buyer's question",
        "xianyu/speakers.py",
        "if is_card or content_types & CARD_TYPES or mark == _CARD_MARK or source_id.startswith(_SITE_SOURCE):",
        "if mark == _CARD_MARK:",
        "tests/wire/test_frames.py::test_a_pushed_frame_becomes_what_it_must",
    ),
    one(
        "an update tells a group price by a name that the buyer chose",
        "xianyu/trade_cards.py",
        "is_card and is_group_price_text(reminder),",
        'is_card and is_group_price_text(reminder + text_of(around.extension.get("reminderTitle"))),',
        f"{_TRADE_CARDS}test_f4_an_update_tells_a_group_price_by_its_words_and_not_by_a_name",
    ),
    one(
        "a title that is out of date outweighs the reminder",
        "xianyu/trade_texts.py",
        "return reminder if status_named(reminder) else title",
        "return title or reminder",
        "tests/wire/test_frames.py::test_a_pushed_frame_becomes_what_it_must",
        f"{_SHAPES}test_a_refund_whose_title_still_says_paid_serves_nothing",
    ),
    one(
        "a parcel is confirmed as none",
        "orders/orders.py",
        "if order.parcel != NO_PARCEL and order_action.detail != Why.ASKED:",
        "if False:",
        f"{_SHAPES}test_a_parcel_or_an_order_of_unknown_kind_is_never_confirmed_by_itself",
    ),
    one(
        "a completed group price is served before it is ready",
        "orders/order_rows.py",
        "            self.seed(Action.CONFIRM)\n        elif",
        "            self.seed(Action.CONFIRM)\n        elif action is Action.FREE_SHIPPING:\n"
        "            self.seed(Action.PAID_MESSAGE)\n        elif",
        f"{_SHAPES}test_a_completed_group_price_gets_nothing_before_its_ready_card",
    ),
    one(
        "a completed group price is served because a mark said that it is paid",
        "orders/order_rows.py",
        "order_update.status == status == OrderStatus.PENDING_SHIP",
        "status == OrderStatus.PENDING_SHIP",
        f"{_SHAPES}test_only_a_page_that_says_paid_makes_a_completed_group_price_ready",
    ),
    one(
        "a payment that names no order is that of any order of its chat",
        "orders/order_updates.py",
        "if len(found) == 1:",
        "if found:",
        f"{_SHAPES}test_a_payment_whose_order_nothing_tells_is_told_to_the_owner",
    ),
    one(
        "a line that hears what it cannot read is taken for deaf",
        "connection/keepalive.py",
        "        if has_unreadable:  # not deaf",
        "        if False:  # not deaf",
        "tests/connection/test_deaf.py::test_a_line_that_hears_only_what_it_cannot_read_asks_the_history_and_stays",
    ),
    one(
        "a message is acknowledged before it is stored",
        "connection/xianyu_live.py",
        "        received = await incoming.store(events)\n        await socket.ack(push)\n",
        "        await socket.ack(push)\n        received = await incoming.store(events)\n",
        "tests/connection/test_line.py::test_c18_a_message_is_acknowledged_only_once_it_is_stored",
        "tests/unit/connection/test_xianyu_live.py::test_a_push_is_acknowledged_only_once_it_is_stored",
    ),
    Noticed(
        Mutation(
            "an old reply writes over the owner's new cookie",
            (
                Edit(
                    "storage/credentials.py",
                    "            if not _still_based_on(connection, account_id, based_on):\n"
                    "                return False\n"
                    "            connection.execute(\n                insert_or_renew(connection, cookie_jars",
                    "            connection.execute(\n                insert_or_renew(connection, cookie_jars",
                ),
                Edit(
                    "storage/credentials.py",
                    "cookie_jars.c.account_id == account.id, cookie_jars.c.based_on == account.cookie_version",
                    "cookie_jars.c.account_id == account.id",
                ),
            ),
        ),
        ("tests/connection/test_login.py::test_a7_an_old_reply_cannot_write_over_the_owners_new_cookie",),
    ),
    one(
        "what is taken back keeps its hit",
        "messages/outbox.py",
        "                    take_hit_back(connection, account_id, row.rule_id)\n",
        "                    pass\n",
        "tests/unit/messages/test_outbox.py::test_taking_back_takes_back_all_that_the_answer_wrote",
    ),
    one(
        "a chat's messages do not wait for each other",
        "messages/sender.py",
        "        return self._turns.setdefault(chat_id, asyncio.Lock())",
        "        return asyncio.Lock()",
        "tests/unit/messages/test_sender.py::test_the_next_message_of_a_chat_waits_for_the_answer_to_the_one_before",
    ),
    one(
        "an unpaid order's page holds nothing back",
        "orders/deliveries.py",
        "            if self._pages.is_unpaid(order.order_id) and action.detail != Why.ASKED:\n                why_not",
        "            if False:\n                why_not",
        "tests/unit/orders/test_orders.py::test_an_order_whose_page_says_that_nobody_paid_gets_nothing",
    ),
)
