"""Defects of hours, hand-offs and the output filter: one for each way out, and one for each promise."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_APART = "tests/unit/messages/test_answers_apart.py::"
_STORED = "tests/contract/test_answers_apart.py::"
_API = "tests/api/test_answer_settings.py::"
_WAY = f"{_APART}test_made_up_texts_leave_by_no_way"

NOTICED: tuple[Noticed, ...] = (
    one(
        "the filter refuses the floor price itself",
        "rules/output_filter.py",
        "if fen < self._floor_fen",
        "if fen <= self._floor_fen",
        "tests/unit/rules/test_output_filter.py::"
        "test_g17_the_lowest_price_itself_may_be_said_and_a_fen_less_may_not[2000-20]",
    ),
    one(
        "rules, item replies and default texts are not filtered",
        "messages/replies.py",
        "return filtered(account, Choice(asked, answer, decision, answer.rule_id or answer.source.value))",
        "return Choice(asked, answer, decision, answer.rule_id or answer.source.value)",
        *(f"{_WAY}[{way}]" for way in ("item_rule", "general_rule", "item_reply", "default_reply")),
    ),
    one(
        "away words and hand-off sentences are not filtered",
        "messages/replies.py",
        "        return filtered(account, apart)\n",
        "        return apart\n",
        *(f"{_WAY}[{way}]" for way in ("handoff", "away_reply")),
    ),
    one(
        "only the first message of an answer is filtered",
        "messages/replies.py",
        "words_in(part.text for part in parts)",
        "words_in(part.text for part in parts[:1])",
        f"{_WAY}[general_rule]",
    ),
    one(
        "what is written by hand is not filtered",
        "messages/manual_sending.py",
        "words = () if anyway else",
        "words = () if True else",
        f"{_APART}test_made_up_texts_are_not_sent_by_hand_either",
        f"{_APART}test_what_is_written_by_hand_is_refused_unless_its_writer_insists",
    ),
    one(
        "a script gets what the filter holds back as a reply without words",
        "api/reply_words.py",
        "if choice.decision is Decision.FILTERED:",
        "if False:",
        f"{_API}test_a_script_gets_no_filtered_text_and_what_is_said_once_only_once",
    ),
    one(
        "an away word is said for each message",
        "messages/send_guards.py",
        "        held = intended.once_held\n",
        "        held = None\n",
        f"{_STORED}test_an_away_word_is_due_once_in_a_chat_and_closed_period[sqlite]",
        f"{_APART}test_a_closed_shop_says_its_away_word_once_in_each_chat_also_after_a_restart",
    ),
    one(
        "a hand-off does not pause the chat",
        "messages/send_guards.py",
        '        hand_off(connection, account_id, chat_id, now_ms, detail=BY_MODEL if intended.by_model else "")\n',
        "        pass\n",
        f"{_STORED}test_a_hand_off_pauses_the_chat_in_the_transaction_that_stores_its_sentence[sqlite]",
        f"{_APART}test_a_buyer_who_asks_for_a_person_is_left_to_the_owner_once",
    ),
    one(
        "the owner's word does not end a hand-off",
        "messages/takeovers.py",
        "if before is not None and before.reason is TakeoverReason.WANTS_PERSON and",
        "if False and before is not None and",
        f"{_APART}test_the_owners_word_ends_the_hand_off[0]",
    ),
)
