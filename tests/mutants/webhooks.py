"""Defects of webhooks: what is posted, in which order, how often, where to, and what is shown of secrets."""

from __future__ import annotations

from mutants.catalogue import Noticed, one

_POSTED = "tests/contract/test_webhooks.py::"
_ROUTES = "tests/api/test_webhooks.py::"
_BEHIND = f"{_POSTED}test_many_events_behind_one_that_is_refused_hold_no_other_account[sqlite]"

NOTICED: tuple[Noticed, ...] = (
    one(
        "a share that was taken back is posted on",
        "events/webhook_loop.py",
        "if not self._loop.may_see(self._page, event):",
        "if False:",
        f"{_POSTED}test_a_share_that_is_taken_back_ends_its_events_at_once[sqlite]",
    ),
    one(
        "an event that is refused is passed over at once",
        "events/webhook_rows.py",
        "result.failed.status in REFUSED and now_ms - tried_ms >= PASS_OVER_MS and",
        "result.failed.status in REFUSED and",
        f"{_POSTED}test_one_account_does_not_wait_for_an_event_of_another_that_is_refused[sqlite]",
    ),
    one(
        "the shop of a refused event goes on behind it",
        "events/webhook_loop.py",
        " and event.account_id not in held",
        "",
        _BEHIND,
    ),
    one(
        "what arrived ahead is posted again",
        "events/webhook_loop.py",
        "if done - passed or posting.failures:",
        "if posting.failures:",
        _BEHIND,
    ),
    one(
        "a webhook may go inside",
        "events/webhook_calls.py",
        "GuardedConnector(self._outbound, limit=0, keepalive_timeout=KEPT_SECONDS)",
        "aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)",
        f"{_ROUTES}test_addresses_inside_are_not_called",
    ),
)
