"""The error tree: each class is named for what its reader should do.

::

    ShoalError
    ├── ConfigError             the operator must mend a setting, a path or a key; the program does not start
    ├── InvalidInput            the caller must send something else; nothing was touched
    │   ├── Unauthenticated     the caller must sign in
    │   ├── Forbidden           the caller may not do this
    │   └── TooManyAttempts     the caller must wait before trying again
    │       └── TooManyCalls    … since they called too often
    ├── UnknownNumber           no shop holds that seller's number
    ├── UnknownPerson           there is no such person, session or invitation
    ├── UnknownAccount          there is no such account (or it is not the caller's)
    │   └── AlreadyRemoved      … since the very same op removed it before
    ├── Conflict                the world differs from what the caller assumed
    │   ├── AccountExists       the id is taken
    │   ├── AccountVanishing    the id is being deleted; try again when that has ended
    │   ├── DuplicateUnb        the owner's other account is of the same platform user
    │   ├── TooManyShops        their owner may have no more of them
    │   ├── OtherUnb            a new cookie belongs to another platform user
    │   └── StaleGeneration     an If-Match did not hold
    ├── StoreError              the database did not do what was asked
    │   ├── NotApplied          … and certainly did nothing
    │   │   ├── LockTimeout     the account's turn did not come in time
    │   │   └── StoreDegraded   nothing is written until the outcome of a commit is known
    │   └── OutcomeUnknown      … and nobody can tell yet whether it did
    ├── TemporaryFailure        we try again by ourselves
    │   ├── NumberTaken         … once no other shop holds the seller's number
    │   └── ComeBackLater       … and the site wants us to take our time
    └── NeedsOwner              a person must act; we never retry
"""

from __future__ import annotations

from typing import Any


class ShoalError(Exception):
    """The root. ``code`` is the stable snake-case name that the API shows; ``params`` fills its sentence."""

    code = "internal_error"

    def __init__(self, message: str = "", *, code: str | None = None, **params: Any) -> None:
        self.params = params
        if code is not None:
            self.code = code
        super().__init__(message or self.code)


class ConfigError(ShoalError):
    """The operator must mend a setting, a path or a key before the program can start."""

    code = "config_error"


class InvalidInput(ShoalError):
    """The caller must send something else; nothing was touched."""

    code = "invalid"


class Unauthenticated(InvalidInput):
    """The caller must sign in."""

    code = "unauthenticated"


class Forbidden(InvalidInput):
    """The caller may not do this."""

    code = "forbidden"


class TooManyAttempts(InvalidInput):
    """The caller must wait before trying again: ``retry_after`` whole seconds."""

    code = "too_many_attempts"

    def __init__(self, *, retry_after: int, code: str | None = None, **params: Any) -> None:
        super().__init__(f"try again in {retry_after} s", code=code, retry_after=retry_after, **params)
        self.retry_after = retry_after


class TooManyCalls(TooManyAttempts):
    """The sign-in, the token, the person or the address has asked for so much lately."""

    code = "too_many_calls"


class UnknownUser(ShoalError):
    """There is no such person, session or invitation."""

    code = "unknown_person"


class UnknownNumber(ShoalError):
    """No shop holds that seller's number."""

    code = "unknown_number"


class UnknownAccount(ShoalError):
    """There is no such account, or it belongs to somebody else (the answer is the same)."""

    code = "unknown_account"


class AlreadyRemoved(UnknownAccount):
    """There is no such account any more: this op, now tried again, removed it. ``generation`` and ``rev`` say when."""


class Conflict(ShoalError):
    """The world differs from what the caller assumed; nothing was touched."""

    code = "conflict"


class AccountExists(Conflict):
    """The id is taken by a living account."""

    code = "account_exists"


class AccountVanishing(Conflict):
    """The id belongs to an account whose deletion has not ended yet."""

    code = "account_vanishing"


class RemovedSince(Conflict):
    """This op, now tried again, was made before; its account has been removed since."""

    code = "removed_since"


class DuplicateUnb(Conflict):
    """The owner has an account of the same platform user, under another id."""

    code = "duplicate_unb"


class TooManyShops(Conflict):
    """The owner has as many shops as one person may have: ``limit``."""

    code = "too_many_shops"


class OtherUnb(Conflict):
    """The new cookie belongs to another platform user than the account."""

    code = "other_unb"


class StaleGeneration(Conflict):
    """The caller's If-Match, or the row the change was built on, is no longer current."""

    code = "stale_generation"


class StoreError(ShoalError):
    """The database did not do what was asked. A failure is never turned into a default."""

    code = "store_error"


class NotApplied(StoreError):
    """The database refused: the change certainly left no trace."""

    code = "not_applied"


class LockTimeout(NotApplied):
    """The account's turn did not come within the limit. ``operation`` and ``held_seconds`` say who has it."""

    code = "lock_timeout"


class StoreDegraded(NotApplied):
    """The store is read-only: the outcome of a commit is not known yet, and nothing is written until it is."""

    code = "store_degraded"

    def __init__(self) -> None:
        super().__init__("the store is read-only until its database answers again")


class OutcomeUnknown(StoreError):
    """The COMMIT itself failed and could not be settled in time: the change may or may not be durable."""

    code = "outcome_unknown"


class TemporaryFailure(ShoalError):
    """Something outside failed and may work again: the account's task retries with a growing wait."""

    code = "temporary_failure"


class NumberTaken(TemporaryFailure):
    """Another shop holds the seller's number: nothing is tried until it is free."""

    code = "number_taken"


class ComeBackLater(TemporaryFailure):
    """The site has no room for us or does not want us now: we try again after a longer wait than usual."""

    code = "come_back_later"


class ActionRequired(ShoalError):
    """Only a person can go on: the account parks. ``reason`` says why, ``action_url`` where to act."""

    code = "needs_owner"

    def __init__(self, reason: str, message: str = "", *, action_url: str = "") -> None:
        super().__init__(message or reason, reason=reason, action_url=action_url)
        self.reason = reason
        self.action_url = action_url
