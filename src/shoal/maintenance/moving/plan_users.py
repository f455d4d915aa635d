"""Plans users: who is added, who is here already, and to whom each row belongs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from shoal.auth.users import Role, checked_email, checked_name
from shoal.errors import Forbidden, InvalidInput
from shoal.language.folding import folded
from shoal.maintenance.moving.old_shop import Fate, OldShop, OldUser
from shoal.maintenance.moving.plan import Here, Kind, NewUser, Tally

_MOST_NAMES: Final = 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WELL_KNOWN: Final = (
    "admin123", "admin", "admin888", "123456", "12345678", "123456789", "password", "111111", "000000", "888888",
    "666666", "qwerty", "abc123", "a123456", "test123", "user123",
)  # fmt: skip
"""Passwords that the old system gives by itself, or that everybody tries first."""


class Owners:
    """To whom the rows of the old users belong here, by the folded name of a user; ``None``: they are not taken."""

    def __init__(self, here: Here, known: dict[str, str | None], *, all_to_caller: bool) -> None:
        self._caller = folded(here.caller.username)
        self._known = known
        self._all_to_caller = all_to_caller

    def of(self, user_id: str) -> tuple[str | None, bool]:
        """Return the owner of a row of an old user, and whether that user is one of the old system's."""
        if self._all_to_caller or user_id not in self._known:
            return self._caller, self._all_to_caller
        return self._known[user_id], True


def plan_users(old: OldShop, here: Here, tally: Tally, only_user: str) -> tuple[tuple[NewUser, ...], Owners]:
    """Return the users to add, and the owners of all rows.

    An administrator takes every user; the old administrator is the caller. Others take the rows of one old user, as
    their own. Raises ``Forbidden`` for staff, ``InvalidInput`` (``moving_choose_user``,
    ``moving_unknown_user``) when it is not clear which.
    """
    if here.caller.role is Role.STAFF:
        raise Forbidden("staff own no shops", code="staff_owns_none")
    if not old.users:
        return (), Owners(here, {}, all_to_caller=True)
    only_user = only_user.strip()
    if here.caller.role is not Role.ADMIN or only_user:
        return (), _one_user(old.users, here, tally, only_user)
    return _all_users(old.users, here, tally)


def _one_user(users: Iterable[OldUser], here: Here, tally: Tally, only_user: str) -> Owners:
    wanted = folded((only_user or here.caller.username).strip())
    found = [user for user in users if folded(user.name) == wanted]
    if not found and not only_user:
        found = list(users) if len(list(users)) == 1 else []
    if not found:
        raise _nobody(users, only_user)
    chosen = {user.id for user in found}
    known: dict[str, str | None] = {}
    for user in users:
        if user.id in chosen:
            known[user.id] = folded(here.caller.username)
            tally.note("users", user.name, "rows_are_yours", Fate.CHANGED, name=user.name)
            tally.count(Kind.USERS, Fate.CHANGED)
        else:
            known[user.id] = None
            tally.skip(Kind.USERS, "users", user.name, "other_user", name=user.name)
    return Owners(here, known, all_to_caller=False)


def _nobody(users: Iterable[OldUser], only_user: str) -> InvalidInput:
    """Return the refusal when it is not clear whose rows are wanted. A user without a name cannot be chosen."""
    names = list(dict.fromkeys(name for user in users if (name := user.name.strip())))
    if not only_user:
        return InvalidInput("whose rows?", code="moving_choose_user", names=", ".join(names[:_MOST_NAMES]))
    by_key = {folded(name): name for name in names}
    near = [by_key[key] for key in get_close_matches(folded(only_user), by_key, n=1, cutoff=0.5)]
    code = "moving_unknown_user/near" if near else "moving_unknown_user"
    listed = ", ".join(names[:_MOST_NAMES])
    return InvalidInput("no such user there", code=code, name=only_user[:100], near="".join(near), names=listed)


def _all_users(users: Iterable[OldUser], here: Here, tally: Tally) -> tuple[tuple[NewUser, ...], Owners]:
    known: dict[str, str | None] = {}
    new: dict[str, NewUser] = {}
    emails = set(here.emails)
    caller = folded(here.caller.username)
    for user in users:
        if user.is_administrator:
            known[user.id] = caller
            tally.note("users", user.name, "administrator_is_you", Fate.CHANGED, name=user.name)
            tally.count(Kind.USERS, Fate.CHANGED)
            continue
        try:
            name = checked_name(user.name)
        except InvalidInput:
            known[user.id] = caller
            tally.skip(Kind.USERS, "users", user.name or f"id={user.id}", "bad_user_name")
            continue
        key = folded(name)
        known[user.id] = key
        if key in new:
            tally.skip(Kind.USERS, "users", user.name, "user_twice", name=new[key].name)
        elif key in here.users:
            _is_here(user, here, tally, key)
        else:
            new[key] = _new_user(user, name, key, emails, tally)
    return tuple(new.values()), Owners(here, known, all_to_caller=False)


def _is_here(user: OldUser, here: Here, tally: Tally, key: str) -> None:
    if here.knows(key, Kind.USERS, key):
        tally.count(Kind.USERS, Fate.KNOWN)
        return
    tally.note("users", user.name, "user_exists", Fate.CHANGED, name=here.users[key].username)
    tally.count(Kind.USERS, Fate.CHANGED)


def _new_user(user: OldUser, name: str, key: str, emails: set[str], tally: Tally) -> NewUser:
    before = len(tally.oddities)
    email = _email(user, emails, tally)
    sha256 = user.password_hash.lower()
    if not _SHA256.fullmatch(sha256):
        sha256 = ""
        tally.note("users", user.name, "password_of_other_kind", Fate.CHANGED, name=name)
    elif sha256 in _well_known(user.name):
        sha256 = ""
        tally.note("users", user.name, "default_password", Fate.CHANGED, name=name)
    if name != user.name:
        tally.note("users", user.name, "user_renamed", Fate.CHANGED, name=name)
    if not user.active:
        tally.note("users", user.name, "user_inactive", Fate.TAKEN, name=name)
    if user.had_rights:
        tally.note("users", user.name, "rights_lost", Fate.CHANGED, name=name)
    is_changed = any(odd.fate is Fate.CHANGED for odd in tally.oddities[before:])
    tally.count(Kind.USERS, Fate.CHANGED if is_changed else Fate.TAKEN)
    return NewUser(name=name, key=key, email=email, active=user.active, sha256=sha256)


def _email(user: OldUser, emails: set[str], tally: Tally) -> str | None:
    try:
        email = checked_email(user.email or None)
    except InvalidInput:
        tally.note("users", user.name, "bad_email", Fate.CHANGED)
        return None
    if email in emails:
        tally.note("users", user.name, "email_taken", Fate.CHANGED)
        return None
    if email is not None:
        emails.add(email)
    return email


def _well_known(name: str) -> frozenset[str]:
    words = (*_WELL_KNOWN, name, f"{name}123", f"{name}123456")
    return frozenset(hashlib.sha256(word.encode()).hexdigest() for word in words)
