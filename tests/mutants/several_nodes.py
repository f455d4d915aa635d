"""Defects of the stream that several nodes follow."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_PUBLISHED = "tests/unit/accounts/test_published.py::"
_NODES = "tests/contract/test_nodes.py::"
_CALLS = "tests/unit/cluster/test_call_signing.py::"
_LINKS = "tests/contract/test_event_links.py::"
_ROWS = "tests/contract/test_settled_rows.py::"
_STREAM = "tests/contract/test_journal_stream.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a reader of the stream goes on after the largest rev",
        "storage/stream_rows.py",
        '_AFTER = "(xid8, rev) > (CAST(:xid AS xid8), :rev)"',
        '_AFTER = "(CAST(:xid AS xid8) IS NOT NULL AND rev > :rev)"',
        f"{_STREAM}test_a_cursor_is_a_rev_and_its_place_is_looked_up",
    ),
    one(
        "the stream shows what may still get a predecessor",
        "storage/stream_rows.py",
        "        xid8 < pg_snapshot_xmin(pg_current_snapshot()) AS in_place",
        "        xid8 IS NOT NULL AS in_place",
        f"{_STREAM}test_an_entry_waits_for_an_older_transaction_and_says_so",
    ),
    one(
        "rows are read up to ids that may still get predecessors",
        "accounts/journal_stream.py",
        "        while self._open and self._open[0][0] <= seen.horizon:",
        "        while self._open:",
        f"{_ROWS}test_of_eight_writers_that_hold_transactions_open_no_row_is_lost",
    ),
    one(
        "the ids that a look saw are compared with a transaction of before the look",
        "accounts/journal_stream.py",
        "            self._open.append((seen.xid, seen.ids))",
        "            self._open.append((seen.horizon, seen.ids))",
        "tests/unit/accounts/test_settled_ids.py::test_no_id_that_is_settled_is_still_open_and_in_the_end_all_are",
    ),
    one(
        "webhooks go as far as they see",
        "webhooks/webhook_loop.py",
        "        self._until = settled\n",
        "        self._until = lambda: None\n",
        f"{_ROWS}test_a_webhook_posts_a_row_that_became_visible_after_a_larger_one",
    ),
    one(
        "a cursor passes rows that are not visible yet",
        "accounts/events.py",
        "        if self.on_newer is None or stream is Stream.CHANGES:",
        "        if True:",
        "tests/contract/test_stream_of_a_server.py::test_a_cursor_does_not_pass_a_message_that_becomes_visible_later",
    ),
    one(
        "what another server told is told back to it",
        "streams/event_links.py",
        "        self._bus.relay(event)\n",
        "        self._bus.publish(event)\n",
        f"{_LINKS}test_what_happens_at_one_server_is_told_at_both_once_and_in_one_order",
    ),
    one(
        "nobody hears that the link to another server broke",
        "streams/event_links.py",
        "                link.position = None\n                self._bus.lose()\n",
        "                link.position = None\n",
        f"{_LINKS}test_a_link_that_breaks_and_one_that_begins_are_a_reset",
    ),
    one(
        "a position passes what a server that is not heard has told",
        "streams/event_links.py",
        "        return known if len(known) == len(found) else None",
        "        return known",
        f"{_LINKS}test_a_server_that_cannot_be_reached_keeps_nobody_waiting",
    ),
    one(
        "a reader begins without what another server published before it was heard",
        "streams/event_links.py",
        "        self._bus.note_newest(found.newest)\n",
        "",
        f"{_LINKS}test_a_reader_goes_on_at_another_server_and_misses_nothing",
    ),
    one(
        "a segment of messages is indexed while another server may add one to it",
        "storage/message_segments.py",
        "if until is None or ids_of(segment)[1] <= until)",
        "if True)",
        "tests/contract/test_word_search.py::test_a_segment_is_indexed_once_no_server_can_add_a_message_to_it",
    ),
    one(
        "the shell does not name what it has changed",
        "cli/api_client.py",
        "return signed_in if self._changes is None else",
        "return signed_in if True else",
        "tests/contract/test_alternating_servers.py::test_no_page_of_a_walk_shows_what_was_before_a_change",
    ),
    one(
        "pruning takes what may still get a predecessor",
        "storage/db_manager.py",
        "        if self._several_nodes:\n            return lambda",
        "        if False:\n            return lambda",
        f"{_STREAM}test_pruning_leaves_what_may_still_get_a_predecessor",
    ),
    one(
        "news that was overtaken is published over newer news",
        "accounts/published.py",
        "        if generation <= last:\n",
        "        if False:\n",
        f"{_PUBLISHED}test_f4_an_older_snapshot_never_replaces_a_newer_one",
    ),
    one(
        "a link that answers nothing is waited for without end",
        "storage/silence_limit.py",
        "            elif time.monotonic() > until:",
        "            elif False:",
        "tests/contract/test_silence_limit.py::test_a_silent_connection_ends_and_the_next_is_a_new_one",
    ),
    one(
        "what an owner writes has no fence",
        "storage/group_work.py",
        "    if connection.scalar(_HELD, values) != len(asked):",
        "    if False:",
        f"{_NODES}test_a_stale_owner_writes_nothing_and_holds_up_nobody_in_its_group",
    ),
    one(
        "a shop is added for a user who leaves at another node",
        "storage/account_rows.py",
        "                _hold_owners(connection, asked)\n",
        "",
        "tests/contract/test_leaving_users.py::test_no_shop_is_added_for_a_user_who_leaves_or_left_at_another_node",
    ),
    one(
        "a deleted shop is purged by a node that does not run it",
        "accounts/task_manager.py",
        "        while not self._deps.owns(account_id):",
        "        while False:",
        "tests/state/test_task_side.py::test_a_deleted_account_is_purged_only_by_the_machine_that_may_run_it",
    ),
    one(
        "a shop that comes back finds its old token in memory",
        "accounts/shard_tasks.py",
        "            self._forget(name)\n",
        "            pass\n",
        "tests/state/test_shard_tasks.py::test_a_node_that_gets_an_account_back_has_forgotten_its_token_and_cookies",
    ),
    one(
        "a call between servers is believed twice",
        "cluster/call_signing.py",
        "        if number in self._used or len",
        "        if len",
        f"{_CALLS}test_a_call_is_believed_once_and_not_when_it_comes_late",
    ),
    one(
        "a call for an earlier life of a server is believed",
        "cluster/call_signing.py",
        "(to, to_inc) != (me, my_inc)",
        "to != me",
        f"{_CALLS}test_nothing_else_is_believed",
    ),
    one(
        "a server that is started again ends a life that is not the last of its directory",
        "cluster/node_rows.py",
        "WHERE name = :name AND inc = :inc AND started_at_ms = :started_at_ms AND NOT dead",
        "WHERE name = :name AND :inc > 0 AND :started_at_ms > 0 AND NOT dead",
        "tests/contract/test_last_lives.py::test_exactly_that_life_is_ended",
    ),
    one(
        "a data directory that was copied ends the life of the one it was copied from",
        "cluster/last_life.py",
        '            if found["place"] != self.place:',
        '            if not found["place"]:',
        "tests/contract/test_last_lives.py::test_a_life_is_read_again_in_its_own_directory_on_its_own_boot_only",
    ),
    one(
        "the last server that takes shops is drained",
        "cluster/nodes.py",
        "            if draining and not connection.scalar",
        "            if False and not connection.scalar",
        "tests/contract/test_drained_nodes.py::test_of_two_that_are_drained_at_the_same_time_one_stays",
    ),
    one(
        "a server goes on although its last commit is not stored any more",
        "storage/commit_outcome.py",
        "            if found != self._committed:",
        "            if found is False:",
        "tests/contract/test_lost_commits.py::test_a_server_ends_when_what_it_committed_is_not_stored_any_more",
    ),
    one(
        "shards are claimed at once from a PostgreSQL that may lack the last claims",
        "cluster/node_rows.py",
        "            if waits:",
        "            if waits is None:",
        "tests/contract/test_lost_commits.py::test_nothing_is_claimed_for_a_while_from_a_database_that_may_lack_the_last_claims",
    ),
    one(
        "goods that a frozen server took are made after another server made them",
        "storage/group_work.py",
        "        if isinstance(outcome, Committed | Done) and not (",
        "        if isinstance(outcome, Committed) and not (",
        "tests/contract/test_frozen_changes.py"
        "::test_goods_that_a_frozen_server_took_are_not_made_once_another_server_may_make_them",
    ),
)
