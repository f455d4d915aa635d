"""Defects of the state plane, of sign-in and of permissions."""

from __future__ import annotations

from mutants.catalogue import Noticed, one
from state.mutants.mutations import Edit, Mutation

_ACCESS = "tests/api/test_sharing.py::"
_ACCOUNT_TASK = "tests/unit/accounts/test_account_task.py::"
_TOTP = "tests/api/test_totp.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a second-factor code several steps old or new is taken",
        "auth/totp.py",
        "STEPS_ASIDE: Final = 1\n",
        "STEPS_ASIDE: Final = 3\n",
        f"{_TOTP}test_f4_a_code_counts_one_step_before_and_after_its_own_and_no_further",
    ),
    one(
        "a used step is forgotten when the factor is taken away",
        "auth/totp.py",
        "values(totp_sealed=None, new_totp_sealed=None)",
        "values(totp_sealed=None, new_totp_sealed=None, totp_step=0)",
        f"{_TOTP}test_f4_a_used_code_counts_for_no_later_factor_either",
    ),
    one(
        "a keyed answer is given again although the right was taken since",
        "api/http/idempotency.py",
        "        if _is_refused_now(server, who, request):\n",
        "        if False:\n",
        f"{_ACCESS}test_f4_a_keyed_answer_is_not_given_again_to_who_lost_the_right",
    ),
    one(
        "a list under a secret name is logged as it is",
        "logs/redaction.py",
        "        return [_hidden_part(part) for part in value]\n",
        "        return [_cleaned(part, 1) for part in value]\n",
        "tests/unit/logs/test_redaction.py::test_f4_a_list_under_a_secret_name_shows_marks_only",
    ),
    one(
        "entries of an earlier account of the same id are seen by colleagues of the new one",
        "auth/authorization.py",
        "(at_ms is not None and at_ms < account.created_at_ms)",
        "(at_ms is not None and at_ms < 0)",
        f"{_ACCESS}test_f4_colleagues_see_nothing_of_an_earlier_account_of_the_same_id",
    ),
    one(
        "a slow reader of the stream is told of a shop that it lost",
        "api/routes/events.py",
        "        if may_read(server, who, event):\n",
        "        if event:\n",
        f"{_ACCESS}test_f4_a_slow_reader_of_the_stream_is_told_nothing_of_a_shop_that_it_lost",
    ),
    one(
        "changes are told twice after a resume",
        "api/http/event_feed.py",
        "return event.rev in self._rows or event.place in self._rows",
        "return event.place in self._rows",
        "tests/api/test_event_cursors.py::test_f4_a_change_that_the_resumed_reader_was_told_from_the_journal_is_not_told_again",
    ),
    one(
        "a new cookie sits out the back-off of the old one",
        "accounts/account_task.py",
        "        if self._failed_for is not None and self._failed_for != account.run_key:\n",
        "        if False:\n",
        f"{_ACCOUNT_TASK}test_f4_a_new_cookie_does_not_sit_out_the_back_off_of_the_old_one",
    ),
    one(
        "saying enabled again does not skip the back-off",
        "accounts/task_manager.py",
        "self.wake(account_id, skip_backoff=True)",
        "self.wake(account_id)",
        f"{_ACCOUNT_TASK}test_a2_a3_saying_enabled_again_revives_an_ended_connection",
    ),
    one(
        "every change skips the back-off",
        "accounts/account_task.py",
        "        if skip_backoff:\n",
        "        if True:\n",
        f"{_ACCOUNT_TASK}test_f4_a_change_that_has_nothing_to_do_with_the_connection_leaves_the_back_off_alone",
    ),
    one(
        "an ended connection counts as running",
        "accounts/account_task.py",
        "        self._connection = self._link = None\n        error =",
        "        self._link = None\n        error =",
        f"{_ACCOUNT_TASK}test_a2_a3_saying_enabled_again_revives_an_ended_connection",
        f"{_ACCOUNT_TASK}test_a2_switching_off_and_on_an_ended_connection_starts_a_live_one",
    ),
    one(
        "only the first account of an atomic batch is read again after a stale write",
        "accounts/change_path.py",
        "            for change in changes:\n                await self.drift.refresh(change.account_id)\n",
        "            for change in changes[:1]:\n                await self.drift.refresh(change.account_id)\n",
        "tests/unit/accounts/test_status_batch.py::test_f4_after_a_stale_write_every_account_of_an_atomic_batch_is_read_again",
    ),
    one(
        "what another writer did is told in another order",
        "accounts/published.py",
        "        for entry in entries:\n",
        "        for entry in reversed(entries):\n",
        "tests/unit/accounts/test_other_writers.py::test_f4_what_another_writer_did_is_told_in_the_order_in_which_it_was_done",
    ),
    Noticed(
        Mutation(
            "work that waits while the store degrades is left waiting",
            (
                Edit(
                    "storage/group_writer.py",
                    "            waiting = self._waiting.drop_all_but_marks()\n",
                    "            waiting: list[Work] = []\n",
                ),
            ),
        ),
        (
            "tests/unit/storage/test_unknown_commits.py::test_f4_work_that_waits_when_the_store_degrades_is_refused_at_once",
        ),
    ),
    one(
        "the writer takes nothing while a turn of the loop brings more",
        "storage/group_writer.py",
        "            self._gathers, self._ready = False, True\n",
        "            self._gathers, self._ready = False, not self._waiting\n",
        "tests/unit/storage/test_group_writer.py::test_work_is_written_although_the_next_turn_of_the_loop_brings_more",
    ),
    one(
        "a task that moved no state stores its observation",
        "accounts/observed_state.py",
        "if self._reported is None or _reported_facts(self._reported) != _reported_facts(self.now):",
        "if True:",
        "tests/unit/accounts/test_task_manager.py::test_a_change_that_moves_no_state_stores_nothing_of_its_task",
    ),
    one(
        "a rotation stops after one round",
        "storage/key_rotation.py",
        "            if not renewed:\n                return",
        "            if True:\n                return",
        "tests/contract/test_key_rotation.py::test_f4_a_value_written_under_the_old_key_behind_the_round_is_found_by_the_next",
    ),
    one(
        "a shop is shared with a 101st colleague",
        "auth/grant_rows.py",
        "if staff.get(name, 0) >= MOST_STAFF:",
        "if staff.get(name, 0) > MOST_STAFF:",
        "tests/contract/test_grants.py::test_f4_a_shop_is_shared_with_a_hundred_and_no_more",
    ),
    one(
        "a page that only looks keeps a session alive",
        "api/http/streams.py",
        "principal_of(server, token, in_use=False)",
        "principal_of(server, token, in_use=True)",
        "tests/api/test_events.py::test_f4_a_page_that_only_looks_does_not_keep_its_session_alive",
    ),
)
