"""How much a user may do with an account. Each permission contains those before it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from shoal.accounts.account import SECRET_FIELDS
from shoal.errors import Forbidden


class Permission(IntEnum):
    """In rising order, so that ``have >= need`` is the check."""

    READ = 1
    """See everything except secrets."""
    REPLY = 2
    """Also send messages, take chats over, and handle orders."""
    OPERATE = 3
    """Also switches, rules, replies, settings, resume."""
    OWN = 4
    """Also the cookie, the proxy, the removal, and sharing."""

    @property
    def word(self) -> str:
        """The name in answers and rows."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Self:
        """Return the permission of a name. Raises ``KeyError``."""
        return cls[word.upper()]


_OF_THE_OWNER = SECRET_FIELDS | {"cookie_version", "deleted", "owner_id", "unb"}


def permission_to_change(fields: Iterable[str]) -> Permission:
    """Return the permission that is needed to change those fields of an account."""
    return Permission.OPERATE if _OF_THE_OWNER.isdisjoint(fields) else Permission.OWN


def permission_missing(permission: Permission, given: Permission, *, by_token: bool = False) -> Forbidden:
    """Return the error for a caller whose permission is too low. ``by_token``: the token is the limit."""
    code = "right_missing/token" if by_token else "right_missing"
    return Forbidden(f"needs {permission.word}, has {given.word}", code=code, needed=permission.word, given=given.word)
