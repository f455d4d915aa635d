"""Defects of notices and channels: who is told, how often, over which way, and what is shown of secrets."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_TOLD = "tests/contract/test_notices.py::"
_STORM = "tests/contract/test_notice_storms.py::"
_TROUBLE = "tests/contract/test_notices_in_trouble.py::"
_LIFE = "tests/contract/test_channel_life.py::"
_ASKED = "tests/contract/test_notices_asked_for.py::"
_SENDER = "tests/unit/notices/test_service_sender.py::"
_ANSWERS = "tests/unit/notices/test_service_answers.py::"
_OLD = "tests/unit/notices/test_old_channels.py::"
_ROUTES = "tests/api/test_compat_notifications.py::"
_BEAT = "tests/unit/server/test_heartbeat_calls.py::"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a channel of a user who was switched off goes on",
        "notices/notice_rows.py",
        "present = (channels.c.active, users.c.active, not_(users.c.leaving))",
        "present = (channels.c.active, not_(users.c.leaving))",
        f"{_LIFE}test_the_channels_of_a_user_who_is_switched_off_stop_at_once_and_what_waited_is_never_told[sqlite]",
    ),
    one(
        "a user who is leaving is told on",
        "notices/audience.py",
        "_PRESENT = and_(users.c.active, not_(users.c.leaving))",
        "_PRESENT = users.c.active",
        f"{_LIFE}test_a_user_who_is_leaving_is_told_nothing_more_and_takes_channels_along[sqlite]",
    ),
    one(
        "a share that was taken back is told of on",
        "notices/notice_rows.py",
        "user_id in users_concerned(connection, account_id, None)",
        "True",
        f"{_TOLD}test_a_share_that_is_taken_back_ends_its_notices[sqlite]",
    ),
    one(
        "without its last shop a channel tells about all",
        "notices/subscriptions.py",
        "nothing=self.nothing or not left",
        "nothing=self.nothing",
        f"{_LIFE}test_a_channel_for_one_shop_tells_of_no_other_when_that_shop_is_removed[sqlite]",
        f"{_ROUTES}test_a_channel_tells_of_the_accounts_that_are_named_and_of_no_other",
    ),
    one(
        "a channel of the older system tells about all before a shop is named",
        "older_system/notification_channels.py",
        "subscription=nothing",
        "subscription=Subscription()",
        f"{_ROUTES}test_a_channel_tells_of_the_accounts_that_are_named_and_of_no_other",
    ),
    one(
        "a configuration shows its secrets",
        "notices/old_channels.py",
        "HIDDEN if field.secret else fields[field.name]",
        "fields[field.name]",
        f"{_OLD}test_a_configuration_becomes_fields_and_is_shown_back_without_secrets",
        f"{_ROUTES}test_channels_are_added_read_changed_and_removed_as_the_older_system_did",
    ),
    one(
        "a hidden secret is stored as three stars",
        "notices/old_channels.py",
        'values[field.name] = kept.get(field.name, "") if value == HIDDEN else value',
        "values[field.name] = value",
        f"{_ROUTES}test_channels_are_added_read_changed_and_removed_as_the_older_system_did",
    ),
    one(
        "every channel quotes buyers",
        "notices/notice_rows.py",
        "            channels.c.buyer_words,\n",
        "",
        f"{_ASKED}test_only_a_channel_that_was_asked_to_quotes_the_buyer[sqlite]",
    ),
    one(
        "what failed for the only reader counts as taken",
        "notices/service_answers.py",
        "_judged(part, self.inside)",
        "_judged(part, {})",
        f"{_ANSWERS}test_one_wrong_key_is_enough",
    ),
    one(
        "an error with HTTP 200 counts as taken",
        "notices/service_answers.py",
        "return bool(checks) and all(checks)",
        "return bool(checks)",
        f"{_ANSWERS}test_success_and_a_failure_with_http_200_are_told_apart",
        f"{_SENDER}test_each_service_gets_the_notice_and_a_refusal_with_http_200_is_one",
    ),
    one(
        "a trouble of a second is told",
        "notices/planner.py",
        'row["closed_at_ms"] < max(from_ms, row["opened_at_ms"] + SHORTEST_MS)',
        'row["closed_at_ms"] < from_ms',
        f"{_STORM}test_g17_a_trouble_of_a_second_is_not_told_and_one_of_seconds_is[parked-sqlite]",
    ),
    one(
        "the sixth of a minute waits for the minute to end",
        "notices/plans.py",
        "return max(sent) + FIRST_DIGEST_MS",
        "return min(sent) + GROUP_MS",
        "tests/unit/notices/test_plans.py::test_g11_the_sixth_shop_that_parks_within_a_minute_is_told_at_once",
    ),
    one(
        "a digest of one is sent as a single notice",
        "notices/notice_rows.py",
        "if choice.is_digest else choice.send[0]",
        "if len(choice.send) > 1 else choice.send[0]",
        f"{_STORM}test_g11_the_sixth_shop_that_parks_within_a_minute_is_told_soon_and_a_storm_is_few_messages[sqlite]",
    ),
    one(
        "a bot signs with the words in each other's place",
        "notices/services.py",
        '_signature(f"{moment}\\n{secret}", "")',
        '_signature(secret, f"{moment}\\n{secret}")',
        f"{_SENDER}test_g9_a_bot_takes_a_notice_that_is_signed_with_its_secret_and_no_other[feishu]",
    ),
    one(
        "a signature is encoded twice",
        "notices/services.py",
        '"sign": _signature(secret, f"{moment}\\n{secret}")}',
        '"sign": quote(_signature(secret, f"{moment}\\n{secret}"))}',
        f"{_SENDER}test_g9_a_bot_takes_a_notice_that_is_signed_with_its_secret_and_no_other[dingtalk]",
    ),
    one(
        "an answer that repeats the request shows its secrets",
        "notices/service_sender.py",
        "_without_secrets(service, fields, sent.answer)",
        "sent.answer",
        f"{_SENDER}test_an_answer_that_repeats_the_request_shows_no_secret",
    ),
    one(
        "what a death cut off is sent a third time",
        "notices/notice_rows.py",
        "    if sent.outcome is Outcome.UNCERTAIN and one.maybe_again:\n",
        "    if False:\n",
        f"{_TOLD}test_without_an_answer_it_is_sent_once_more_marked_and_then_no_more[sqlite]",
    ),
    one(
        "quiet hours hold what is urgent",
        "notices/plans.py",
        "return phase == Phase.BEGIN and level is Level.URGENT",
        "return False",
        f"{_TOLD}test_quiet_hours_hold_all_that_is_not_urgent_until_the_morning[sqlite]",
    ),
    one(
        "the heartbeat goes on although nothing can be stored",
        "server/heartbeat_calls.py",
        "if await self._is_ready():",
        "if await self._is_ready() or True:",
        f"{_BEAT}test_it_is_called_while_the_server_is_ready_and_only_then",
    ),
    one(
        "the heartbeat may go inside",
        "server/heartbeat_calls.py",
        "GuardedConnector(self._outbound, force_close=True)",
        "aiohttp.TCPConnector(force_close=True)",
        f"{_BEAT}test_the_guard_is_asked",
    ),
)
