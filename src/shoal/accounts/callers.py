"""Who asks for a change of an account and what they assume, and what the change came to."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from shoal.accounts.account import Account, Observation
from shoal.accounts.delivery_edits import require_bound_goods
from shoal.accounts.delivery_rule import Deliveries
from shoal.accounts.store import Op
from shoal.clock import now_ms

LONGEST_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The caller: who, from where, under which op id, and what they assume. ``wait_seconds`` ``None`` means the
    default.

    ``owner_id``: the account must belong to this user once the lock is held, not only when the request arrived.
    ``permit``: raises the error for a caller without permission; also called under the lock. ``may_bind``: whether the
    caller may name goods that no delivery rule of the account names. ``most_shops``: no account
    is added for an owner with this many; ``None`` means no limit. ``repeats``: the op may have been tried before; what
    it did then is not done again.
    """

    actor: str
    owner_id: int | None = None
    permit: Callable[[Account], None] | None = None
    may_bind: Callable[[Account], bool] | None = None
    most_shops: int | None = None
    op_id: str = ""
    repeats: bool = False
    if_match: int | frozenset[int] | None = None
    wait_seconds: float | None = None
    origin: str = ""

    def require_goods(self, account: Account, after: Deliveries) -> None:
        """Raise ``InvalidInput`` (``delivery_goods_not_shared``) for rules with goods that the caller may not bind."""
        if after is not account.deliveries and self.may_bind is not None and not self.may_bind(account):
            require_bound_goods(account.deliveries, after)

    def is_mistaken_about(self, account: Account) -> bool:
        """Whether the caller assumes another generation (or any of others) than the account has."""
        assumed = {self.if_match} if isinstance(self.if_match, int) else self.if_match
        return assumed is not None and account.generation not in assumed

    def has_seen_after(self, account: Account) -> bool:
        """Whether the caller assumes a generation that is later than the account's here."""
        if self.if_match is None:
            return False
        assumed = {self.if_match} if isinstance(self.if_match, int) else self.if_match
        return any(generation > account.generation for generation in assumed)

    def op(self, suffix: str = "") -> Op:
        """The op of this call, with a new id when the caller gave none."""
        op_id = f"{self.op_id}{suffix}" if self.op_id else secrets.token_hex(16)
        return Op(op_id=op_id, actor=self.actor, at_ms=now_ms(), origin=self.origin)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an op: the generation and rev that it made, and the account as it is now (removed: as it was)."""

    account: Account
    changed: bool
    generation: int
    rev: int
    op_id: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a change: the account as it is now (removed: as it was) and the state of its task.

    ``generation`` and ``rev`` are those that the change made (an unchanged value: the current ones). ``purged``: a
    removal has ended, so the id is free again.
    """

    changed: bool
    account: Account
    generation: int
    rev: int
    observation: Observation
    op_id: str
    purged: bool = False
