"""The error tree. Each class name says what its reader should do.

::

    ShoalError
    ├── ConfigError             the operator must fix a setting, a path or a key; the program does not start
    ├── InvalidInput            the caller must send something else; nothing was changed
    │   ├── Unauthenticated     the caller must sign in
    │   ├── Forbidden           the caller may not do this
    │   └── TooManyAttempts     the caller must wait before the next attempt
    │       └── TooManyCalls    … because of too many calls
    ├── NotFound                there is no such thing (or it is not the caller's)
    │   ├── UnknownUser         … user, session or invitation
    │   ├── UnknownNode         … server that shares the database now
    │   ├── UnknownNumber       … account that holds that seller's number
    │   └── UnknownAccount      … account
    │       └── AlreadyRemoved  … because the same operation removed it before
    ├── Conflict                the current state differs from what the caller assumed
    │   ├── AccountExists       the id is taken
    │   ├── AccountBeingDeleted the id is being deleted; try again after the deletion
    │   ├── RemovedSince        the operation was done before, and its account was removed later
    │   ├── AnswerLost          the operation was done before, and its answer was lost
    │   ├── DuplicateUnb        the owner's other account is of the same platform user
    │   ├── TooManyShops        the owner may have no more accounts
    │   ├── OtherUnb            a new cookie belongs to another platform user
    │   └── StaleGeneration     an If-Match did not hold
    ├── StoreError              the database did not do what was asked
    │   └── NotApplied          … and certainly changed nothing
    │       ├── LockTimeout     the lock of the account was not free in time
    │       ├── StoreDegraded   nothing is written until the outcome of a commit is known
    │       └── StoreChecking   nothing is written before the whole file was looked at
    ├── TemporaryFailure        Shoal retries by itself
    │   ├── NumberTaken         … when no other account holds the seller's number
    │   └── ComeBackLater       … after a longer wait, because the site asks for it
    ├── OutcomeUnknown          look up what happened before asking again
    │   ├── CommitUnknown       … to a commit of the database (also a StoreError)
    │   ├── CallUnknown         … to an irreversible call of the site (also a TemporaryFailure)
    │   └── SendUnknown         … to a message (also a TemporaryFailure)
    └── ActionRequired          the owner must act; Shoal never retries

Rooms add kinds of these beside what they are about: ``UnknownGoods``, ``OutOfStock``, ``DeafConnection``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from shoal.language.catalogue import translate
from shoal.language.choice import Language


class ShoalError(Exception):
    """The root of the tree.

    ``code`` is the stable snake-case name that the API shows; ``params`` fills in its sentence.
    """

    code = "internal_error"

    def __init__(self, message: str = "", *, code: str | None = None, **params: Any) -> None:
        self.params = params
        if code is not None:
            self.code = code
        super().__init__(message or self.code)


class ConfigError(ShoalError):
    """The operator must fix a setting, a path or a key before the program can start.

    ``key`` names a sentence of the catalogue; the message is its English one.
    """

    code = "config_error"

    def __init__(self, key: str, /, *, code: str | None = None, **params: Any) -> None:
        self._key = key
        super().__init__(translate(key, Language.EN, **params), code=code, **params)

    def sentence(self, language: Language) -> str:
        """Returns the sentence in a language."""
        return translate(self._key, language, **self.params)


class InvalidInput(ShoalError):
    """The caller must send something else; nothing was changed. ``params["field"]`` names the field that is refused,
    where it is one: ``words``, ``parts.0``.
    """

    code = "invalid"

    def of_field(self, name: str) -> Self:
        """Name the refused field, unless it is named more exactly."""
        self.params.setdefault("field", name)
        return self


def checked_fields(values: Mapping[str, Any], checks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Return what the check of each value returns; values without one are left out. A refusal names its field."""
    found = {}
    for name, value in values.items():
        check = checks.get(name)
        if check is not None:
            try:
                found[name] = check(value)
            except InvalidInput as error:
                error.of_field(name)
                raise
    return found


class Unauthenticated(InvalidInput):
    """The caller must sign in."""

    code = "unauthenticated"


class Forbidden(InvalidInput):
    """The caller may not do this."""

    code = "forbidden"


class TooManyAttempts(InvalidInput):
    """The caller must wait ``retry_after`` whole seconds before the next attempt."""

    code = "too_many_attempts"

    def __init__(self, *, retry_after: int, code: str | None = None, **params: Any) -> None:
        super().__init__(f"try again in {retry_after} s", code=code, retry_after=retry_after, **params)
        self.retry_after = retry_after


class TooManyCalls(TooManyAttempts):
    """The session, the token, the user or the address made too many calls in a short time."""

    code = "too_many_calls"


class NotFound(ShoalError):
    """There is no such thing, or it is not the caller's (the answer is the same)."""

    code = "not_found"


class UnknownUser(NotFound):
    """There is no such user, session or invitation."""

    code = "unknown_person"


class UnknownNode(NotFound):
    """No server of that name shares the database now."""

    code = "unknown_node"


class UnknownNumber(NotFound):
    """No account holds that seller's number."""

    code = "unknown_number"


class UnknownAccount(NotFound):
    """There is no such account, or it belongs to another user (the answer is the same)."""

    code = "unknown_account"


class AlreadyRemoved(UnknownAccount):
    """The account does not exist any more: an earlier try of the same operation removed it.

    ``generation`` and ``rev`` identify the removal.
    """


class Conflict(ShoalError):
    """The current state differs from what the caller assumed; nothing was changed."""

    code = "conflict"


class AccountExists(Conflict):
    """An existing account has this id."""

    code = "account_exists"


class AccountBeingDeleted(Conflict):
    """The id belongs to an account whose deletion has not ended yet."""

    code = "account_vanishing"


class RemovedSince(Conflict):
    """The operation is retried, but its first try succeeded and the account was removed afterwards."""

    code = "removed_since"


class AnswerLost(Conflict):
    """The operation is retried, but its first try succeeded, and its answer was neither given nor stored."""

    code = "answer_lost"


class DuplicateUnb(Conflict):
    """The owner has another account of the same platform user."""

    code = "duplicate_unb"


class TooManyShops(Conflict):
    """The owner has as many accounts as one user may have: ``limit``."""

    code = "too_many_shops"


class OtherUnb(Conflict):
    """The new cookie belongs to another platform user than the account."""

    code = "other_unb"


class StaleGeneration(Conflict):
    """The caller's If-Match, or the row on which the change was built, is no longer current."""

    code = "stale_generation"


class StoreError(ShoalError):
    """The database did not do what was asked. The code never replaces a failure by a default value."""

    code = "store_error"


class NotApplied(StoreError):
    """The database refused the change and certainly stored nothing of it."""

    code = "not_applied"


class LockTimeout(NotApplied):
    """The lock of the account was not free within the limit.

    ``operation`` names the operation that holds the lock, ``held_seconds`` for how long.
    """

    code = "lock_timeout"


class StoreDegraded(NotApplied):
    """The store is read-only: it writes nothing until the outcome of a commit is known."""

    code = "store_degraded"

    def __init__(self) -> None:
        super().__init__("the store is read-only until its database answers again")


class StoreChecking(NotApplied):
    """The database file is being checked for damage: it is read, and nothing is written yet."""

    code = "store_checking"

    def __init__(self) -> None:
        super().__init__("the database is being checked; it takes changes when that has ended")


class TemporaryFailure(ShoalError):
    """Something outside failed and may work again: the account's task retries with a growing wait."""

    code = "temporary_failure"


class NumberTaken(TemporaryFailure):
    """Another account holds the seller's number: the task tries nothing until the number is free."""

    code = "number_taken"


class ComeBackLater(TemporaryFailure):
    """The site has no capacity for us or refuses us now: the task retries after a longer wait than usual."""

    code = "come_back_later"


class OutcomeUnknown(ShoalError):
    """What was asked may or may not have happened: look up its outcome before asking again."""

    code = "outcome_unknown"


class CommitUnknown(OutcomeUnknown, StoreError):
    """The COMMIT failed and could not be settled in time: the change may or may not be durable."""


class CallUnknown(TemporaryFailure, OutcomeUnknown):
    """An irreversible call of the site broke off when it may have reached the site."""

    code = "outcome_uncertain"


class SendUnknown(TemporaryFailure, OutcomeUnknown):
    """The frame of a message may have been sent but no reply came.

    Send again only with the same ``uuid``, and watch for the echo.
    """

    code = "send_uncertain"

    def __init__(self, uuid: str) -> None:
        super().__init__("no reply says whether the message was delivered", uuid=uuid)
        self.uuid = uuid


class ActionRequired(ShoalError):
    """Only a user can continue: the account is parked until then.

    ``reason`` says why, ``action_url`` says where to act.
    """

    code = "needs_owner"

    def __init__(self, reason: str, message: str = "", *, action_url: str = "") -> None:
        super().__init__(message or reason, reason=reason, action_url=action_url)
        self.reason = reason
        self.action_url = action_url
