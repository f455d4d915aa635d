"""Defects of webhooks: what is posted, in which order, how often, where to, and what is shown of secrets."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_POSTED = "tests/contract/test_webhooks.py::"
_ROUTES = "tests/api/test_webhooks.py::"
_AGAIN = "tests/contract/test_posted_again.py::"
_BEHIND = f"{_POSTED}test_many_events_behind_one_that_is_refused_hold_no_other_account[sqlite]"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a share that was taken back is posted on",
        "webhooks/webhook_loop.py",
        "if not self._loop.may_see(self._page, event):",
        "if False:",
        f"{_POSTED}test_a_share_that_is_taken_back_ends_its_events_at_once[sqlite]",
    ),
    one(
        "incidents of the server go to everybody's webhooks",
        "webhooks/webhook_loop.py",
        "return page.user.role is Role.ADMIN if event.user_id is None else event.user_id == who.id",
        "return event.user_id in {None, who.id}",
        f"{_POSTED}test_g17_what_is_of_no_shop_is_posted_to_whom_it_concerns_and_nobody_else[sqlite]",
    ),
    one(
        "a body is made again from what is so now",
        "webhooks/posted_bodies.py",
        "    if event.posted is not None:\n",
        "    if False:\n",
        f"{_AGAIN}test_g11_an_event_that_is_posted_again_has_the_same_body_whatever_happened_since[sqlite]",
    ),
    one(
        "another webhook stores another body",
        "webhooks/posted_bodies.py",
        ", table.c.posted.is_(None))",
        ")",
        f"{_AGAIN}test_g11_of_two_webhooks_that_post_an_event_at_once_both_post_the_body_that_was_stored_first[sqlite]",
    ),
    one(
        "a state is posted before it is known to last",
        "webhooks/short_turns.py",
        "        if first is not None:\n",
        "        if False:\n",
        f"{_AGAIN}test_g11_a_shop_that_stays_away_is_posted_after_five_seconds_and_its_return_too[sqlite]",
    ),
    one(
        "an event that is refused is passed over at once",
        "webhooks/webhook_rows.py",
        "result.failed.status in REFUSED and now_ms - tried_ms >= PASS_OVER_MS and",
        "result.failed.status in REFUSED and",
        f"{_POSTED}test_one_account_does_not_wait_for_an_event_of_another_that_is_refused[sqlite]",
    ),
    one(
        "the shop of a refused event goes on behind it",
        "webhooks/webhook_loop.py",
        " and event.account_id not in held",
        "",
        _BEHIND,
    ),
    one(
        "what arrived ahead is posted again",
        "webhooks/webhook_loop.py",
        "if done - passed or posting.failures:",
        "if posting.failures:",
        _BEHIND,
    ),
    one(
        "a webhook may go inside",
        "webhooks/webhook_calls.py",
        "GuardedConnector(self._outbound, limit=0, keepalive_timeout=KEPT_SECONDS)",
        "aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)",
        f"{_ROUTES}test_addresses_inside_are_not_called",
    ),
)
