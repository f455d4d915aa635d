"""Defects of what is done once for several servers, of their keys, clocks and migrations."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_DUTIES = "tests/contract/test_duties.py::"
_KEYS = "tests/contract/test_shared_key_rotation.py::"
_UPGRADES = "tests/contract/test_rolling_upgrades.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "every one of several servers makes the daily backup",
        "server/open_housekeeping.py",
        'turn = None if storage.node is None else Turn(database, storage.node, "backup")',
        "turn = None",
        "tests/contract/test_turns.py::"
        "test_a_server_among_others_asks_whose_turn_the_backup_is_and_a_single_one_does_not",
    ),
    one(
        "a duty writes without the fence of its shard",
        "cluster/duties.py",
        "        carry_fence(fence)\n",
        "",
        f"{_DUTIES}test_a_server_that_stands_still_in_the_middle_writes_nothing_once_another_does_its_duty",
    ),
    one(
        "a shard is given up while its duty is under way",
        "cluster/duties.py",
        "        self._given_up.update(shards)\n        await asyncio.gather",
        "        self._given_up.update(shards)\n        asyncio.gather",
        f"{_DUTIES}test_a_duty_is_done_by_one_server_and_taken_up_by_the_next_when_that_one_gives_it_up",
    ),
    one(
        "what a disabled shop had under way is settled behind no fence",
        "orders/claimed_work.py",
        "with carrying([fence] if fence is not None else []):",
        "with carrying([]):",
        f"{_DUTIES}test_what_a_disabled_shop_had_under_way_is_settled_by_the_server_that_claims_it",
    ),
    one(
        "a new key seals while a server lacks it",
        "cluster/shared_key_rotation.py",
        "or any(change.id not in keys.ids for keys in nodes.values()):",
        "or not nodes:",
        f"{_KEYS}test_the_next_owner_goes_on_with_a_change_whose_server_dies_and_one_that_was_away_takes_it_up",
    ),
    one(
        "a server joins with a key that another lacks",
        "cluster/node_keys.py",
        "        if mine.ids[0] not in other.ids:",
        "        if not mine.ids:",
        f"{_KEYS}test_a_server_joins_only_with_keys_that_all_can_read_with",
    ),
    one(
        "a closing step runs beside an older server",
        "storage/migrations/revisions.py",
        "        if kind_of(revision) != CLOSING:",
        "        if revision:",
        f"{_UPGRADES}test_a_closing_step_waits_for_the_last_older_server",
    ),
    one(
        "a step that says nothing of older servers runs beside them",
        "storage/migrations/revisions.py",
        "    if any(kind_of(revision) != ADDITIVE for revision in needed):",
        "    if any(kind_of(revision) == CLOSING for revision in needed):",
        f"{_UPGRADES}test_a_step_that_would_disturb_an_older_server_is_refused_and_nothing_is_done",
    ),
    one(
        "two servers make the backup of one day",
        "cluster/turns.py",
        "        AND NOT nodes.dead AND nodes.expires_at_ms >= {NOW}\n    ) OR",
        "        AND nodes.dead\n    ) OR",
        "tests/contract/test_turns.py::test_a_turn_is_taken_by_one_and_free_again_after_the_block_and_after_a_death",
    ),
    one(
        "a server takes shops whatever its clock says",
        "cluster/node_rows.py",
        "        return -(-SHARDS // right_ones) if is_right else 0",
        "        return -(-SHARDS // takers)",
        "tests/contract/test_clock_offsets.py::"
        "test_a_server_whose_clock_is_set_wrong_gives_up_its_shops_unless_all_clocks_are_wrong",
    ),
    one(
        "what changed while its shard was claimed is left alone",
        "accounts/shard_tasks.py",
        "        published = {name for name in self._published.accounts if shard_of(name) in shards}",
        "        published = contents.revs.keys()",
        "tests/state/test_shard_tasks.py::"
        "test_what_is_added_and_removed_while_its_shard_is_claimed_is_started_and_purged",
    ),
)
