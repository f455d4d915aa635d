"""What the site gave the accounts in this process: over all their connections, and whatever the database takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.accounts.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketToken:
    """What ``/reg`` wants. ``is_cached``: it was not fetched just now, so the site may have forgotten it.

    Its age is counted by ``steady_ms``: setting the machine's clock makes it neither older nor younger.
    """

    access_token: str = field(repr=False)
    device_id: str
    obtained_steady_ms: int
    life_ms: int
    is_cached: bool


@dataclass(slots=True)
class TokenSlot:
    """What is known of one account's token, and of the cookies that the site rotated, under one cookie of the owner's.

    ``token`` is ``None`` where there is none; until ``is_known``, the database is to be asked. ``is_unkept``: the
    database does not know of it yet. ``not_before_steady_ms`` and ``wait_ms`` ration the calls for the next one.
    ``unkept_jar`` is what the site rotated, while the database does not have it.
    """

    belongs_to: tuple[int, int]
    token: SocketToken | None = None
    is_known: bool = False
    is_unkept: bool = False
    not_before_steady_ms: int | None = None
    wait_ms: int = 0
    unkept_jar: dict[str, str] | None = field(default=None, repr=False)

    def put(self, token: SocketToken | None, *, is_unkept: bool) -> None:
        """From here on this is the token (or there is none)."""
        self.token, self.is_known, self.is_unkept = token, True, is_unkept


class TokenCache:
    """One slot per account. Nothing of an earlier cookie, nor of a removed account of the same id, is found in it."""

    def __init__(self) -> None:
        self._slots: dict[str, TokenSlot] = {}

    def slot(self, account: Account) -> TokenSlot:
        """The account's slot; a new one when its cookie is another than that of the last."""
        belongs_to = (account.created_at_ms, account.cookie_version)
        slot = self._slots.get(account.id)
        if slot is None or slot.belongs_to != belongs_to:
            slot = self._slots[account.id] = TokenSlot(belongs_to)
        return slot

    def forgotten(self, account_id: str) -> None:
        """The database has forgotten the account's token: so do we."""
        slot = self._slots.get(account_id)
        if slot is not None:
            slot.put(None, is_unkept=False)
