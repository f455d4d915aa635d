"""Defects of a language model's turns: one for each thing that keeps its words from being said wrongly, or twice."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_STORED = "tests/contract/test_model_turns.py::"
_TURNS = "tests/unit/messages/test_model_turns.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a model's answer is not held to the guard of a reply",
        "messages/model_turns.py",
        "            held = guard(connection)\n",
        "            held = None\n",
        f"{_TURNS}test_the_owner_who_speaks_while_the_model_thinks_is_not_spoken_over",
    ),
    one(
        "words typed with Shoal do not hold an answer back",
        "messages/send_guards.py",
        "select(or_(on_site, typed))",
        "select(on_site)",
        f"{_TURNS}test_after_the_owners_word_at_a_random_moment_the_model_says_nothing[0]",
    ),
    one(
        "what was asked for one mode is used in another",
        "messages/model_source.py",
        "return self.message_ids == tuple(message_ids) and self.mode == mode",
        "return self.message_ids == tuple(message_ids)",
        f"{_TURNS}test_what_is_switched_off_while_the_model_thinks_says_nothing[change2]",
    ),
    one(
        "an answer leaves although another connection ended its run",
        "messages/model_turns.py",
        "                return Decision.PENDING  # another",
        "                return held  # another",
        f"{_STORED}test_of_racing_ends_of_one_run_one_is_stored_and_one_answer_leaves[sqlite]",
    ),
    one(
        "a message whose answer another connection took is lost",
        "messages/outbox.py",
        "decide(connection, account_id, answers, decision if held is None else held, rule_id)",
        "decide(connection, account_id, answers, held or decision, rule_id)",
        f"{_STORED}test_the_end_of_a_connection_and_an_answer_exclude_each_other[sqlite]",
    ),
    one(
        "a draft stays open when the buyer writes again",
        "messages/conversations.py",
        "await self._models.supersede_drafts(chat_id, Superseded.BUYER_WROTE)",
        "pass",
        f"{_TURNS}test_a_draft_leaves_nothing_and_ends_when_the_buyer_writes_again",
    ),
    one(
        "the owner's word ends no draft",
        "messages/takeovers.py",
        "    supersede_drafts(connection, pause.account_id, pause.chat_id, pause.reason.value, now)\n",
        "    pass\n",
        f"{_TURNS}test_the_owners_word_and_a_takeover_end_the_drafts_of_their_chat",
    ),
    one(
        "runs of a connection that was cut off stay asked",
        "messages/conversations.py",
        "            await self._models.interrupted()\n",
        "            pass\n",
        f"{_TURNS}test_a_question_that_a_restart_cut_off_is_asked_again_and_its_reservation_stays_spent",
    ),
    one(
        "a chat has no end of the model's answers",
        "assistant/runs.py",
        "if answers >= account.ai_turns_per_chat:",
        "if False:",
        f"{_TURNS}test_without_leave_or_room_the_default_reply_answers_and_nothing_is_called[settings3]",
    ),
)
