"""Data from the site for this process's accounts: kept across connections, even if the database fails."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.accounts.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketToken:
    """The token for ``/reg``. ``is_cached``: it was not fetched just now, so the site may not know it any more.

    Its age is counted by ``steady_ms``, so setting the machine's clock does not change it.
    """

    access_token: str = field(repr=False)
    device_id: str
    obtained_steady_ms: int
    life_ms: int
    is_cached: bool


@dataclass(slots=True)
class TokenSlot:
    """One account's token, and the cookies that the site rotated, for one cookie of the owner.

    ``token`` is ``None`` when there is none; until ``is_known``, the database must be asked. ``is_unkept``: the
    database does not have it yet. ``not_before_steady_ms`` and ``wait_ms`` limit the calls for the next one.
    ``unkept_jar`` has the rotated cookies while the database does not have them.
    """

    belongs_to: tuple[int, int]
    token: SocketToken | None = None
    is_known: bool = False
    is_unkept: bool = False
    not_before_steady_ms: int | None = None
    wait_ms: int = 0
    unkept_jar: dict[str, str] | None = field(default=None, repr=False)

    def put(self, token: SocketToken | None, *, is_unkept: bool) -> None:
        """Replace the token (or delete it)."""
        self.token, self.is_known, self.is_unkept = token, True, is_unkept


class TokenCache:
    """One slot per account, without data of an earlier cookie or of a deleted account with the same id."""

    def __init__(self) -> None:
        self._slots: dict[str, TokenSlot] = {}

    def slot(self, account: Account) -> TokenSlot:
        """Return the account's slot; a new one when its cookie differs from that of the last."""
        belongs_to = (account.created_at_ms, account.cookie_version)
        slot = self._slots.get(account.id)
        if slot is None or slot.belongs_to != belongs_to:
            slot = self._slots[account.id] = TokenSlot(belongs_to)
        return slot

    def drop(self, account_id: str) -> None:
        """Forget everything about the account: another process may have newer data of it."""
        self._slots.pop(account_id, None)

    def forgotten(self, account_id: str) -> None:
        """Clear the account's token, as the database did."""
        slot = self._slots.get(account_id)
        if slot is not None:
            slot.put(None, is_unkept=False)
