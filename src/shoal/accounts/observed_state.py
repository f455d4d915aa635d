"""The observed state of one account: which facts it keeps, and what it reports."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import structlog

from shoal.accounts.account import OBSERVED_FIELDS, Account, AccountState, Observation
from shoal.clock import now_ms
from shoal.errors import ActionRequired, ComeBackLater, TemporaryFailure
from shoal.language.storable_texts import UNSTORABLE

log = structlog.get_logger("shoal.task")

Report = Callable[[str, Observation, bool], None]
"""``(account id, observation, whether readers are notified)``."""

_AT_EASE = {AccountState.RUNNING, AccountState.STOPPED, AccountState.PARKED, AccountState.ELSEWHERE}
"""States without failures, whatever happened before."""

_OF_THE_SITE = {
    "unreachable",
    "site_untrusted",
    "handshake_refused",
    "reply_timeout",
    "socket_closed",
    "temporary_failure",
}
"""Failures that are not caused by the account: the site, or the network to it, did not answer."""
_SERVER_ERROR: Final = 500
_reported_facts = attrgetter(*(name for name in OBSERVED_FIELDS if name != "observed_generation"))


def is_of_the_site(error: BaseException | None) -> bool:
    """Return whether a failure would affect every account, and is not a refusal of this one."""
    if not isinstance(error, TemporaryFailure) or isinstance(error, ComeBackLater):
        return False
    return error.code in _OF_THE_SITE and error.params.get("status", _SERVER_ERROR) >= _SERVER_ERROR


LONGEST_DETAIL = 500
LONGEST_URL = 8_000
LONGEST_NAME = 100


def storable(text: str, longest: int = LONGEST_DETAIL) -> str:
    """Return a text, possibly from the site, in a form that every database accepts."""
    return UNSTORABLE.sub("\ufffd", text[:longest])


class ObservedState:
    """Holds the newest observation of an account, and reports each new one."""

    def __init__(self, account_id: str, seen: Observation | None, report: Report) -> None:
        """``seen``: the last observation before a restart. What it says of a connection is no longer valid."""
        before = seen or Observation()
        self._account_id = account_id
        self._report = report
        self._reported: Observation | None = None
        self._is_in_trouble = False
        self.now = Observation(
            since_ms=now_ms(),
            parked_reason=before.parked_reason,
            parked_for=before.parked_for,
            parked_since_ms=before.parked_since_ms,
            action_url=before.action_url,
            last_message_at_ms=before.last_message_at_ms,
            seller_name=before.seller_name,
            seller_picture=before.seller_picture,
        )

    def moved(self, state: AccountState, account: Account | None, *, crash_loop: bool, **facts: Any) -> None:
        """Set the state, and report it unless nothing but the generation is new. Facts that are not given are cleared.

        The log has trouble and its end; all moves are in the state history.
        """
        before = self.now
        self.now = before.evolve(
            **{
                "state": state,
                "reason": "",
                "detail": "",
                "next_attempt_at_ms": None,
                "crash_loop": crash_loop and state not in _AT_EASE,
                "connected_at_ms": before.connected_at_ms if state is AccountState.RUNNING else None,
                "since_ms": before.since_ms if state is before.state else now_ms(),
                "observed_generation": account.generation if account else before.observed_generation,
                **facts,
            }
        )
        is_new = (before.state, before.reason, before.next_attempt_at_ms) != (
            state, self.now.reason, self.now.next_attempt_at_ms
        )  # fmt: skip
        if is_new:
            reason, is_over = self.now.reason, state is AccountState.RUNNING and self._is_in_trouble
            if reason or is_over:
                log.info("account state", account=self._account_id, state=state.value, reason=reason)
            self._is_in_trouble = bool(reason) or (self._is_in_trouble and state not in _AT_EASE)
        self._report_shown(is_new=is_new)

    def _report_shown(self, *, is_new: bool) -> None:
        if self._reported is None or _reported_facts(self._reported) != _reported_facts(self.now):
            self._reported = self.now
            self._report(self._account_id, self.now, is_new)

    def saw(self, account: Account | None) -> None:
        """Record that the account's newest generation was compared. It is not reported: no start reads it."""
        if account is not None and account.generation != self.now.observed_generation:
            self.now = self.now.evolve(observed_generation=account.generation)

    def note_received(self, *, message: bool) -> None:
        """Record when something last came from the site. It is not reported: that would be an event every few seconds
        per account."""
        seen = {"last_heartbeat_at_ms": now_ms()} | ({"last_message_at_ms": now_ms()} if message else {})
        self.now = self.now.evolve(**seen)

    def named(self, name: str, picture: str) -> None:
        """Record what the site calls the seller, and notify readers."""
        facts = {"seller_name": storable(name, LONGEST_NAME), "seller_picture": storable(picture, LONGEST_URL)}
        self.now = self.now.evolve(**facts)
        self._report_shown(is_new=True)

    def park(self, park_key: tuple[int, int] | None, error: ActionRequired) -> None:
        """Record what the owner must do before this cookie is tried again."""
        log.warning("account parked", account=self._account_id, reason=error.reason)
        self.now = self.now.evolve(
            parked_for=park_key,
            parked_reason=error.reason,
            parked_since_ms=now_ms(),
            action_url=storable(error.action_url, LONGEST_URL),
        )

    def unpark(self) -> None:
        """Clear the park record."""
        if self.now.parked_for is not None:
            self.now = self.now.evolve(parked_for=None, parked_reason="", parked_since_ms=None, action_url="")
