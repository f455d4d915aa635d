"""Applies a plan: one change for each shop, refused if someone changed the shop since it was looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import msgspec

from shoal.accounts.change_path import Caller, Done
from shoal.accounts.edits import Edit
from shoal.accounts.store import AccountStore
from shoal.errors import ShoalError
from shoal.maintenance.shop_file.plan import ShopPlan, StaffChange

AT_ONCE = 50
"""How many shops are changed at a time."""


class Outcome(StrEnum):
    """What became of a shop of the file."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would_change"
    ABSENT = "absent"
    """There is no such shop here, or the caller may not see it. None is created."""
    FAILED = "failed"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one shop. ``generation`` is the one after the change, ``rev`` its number in the history."""

    plan: ShopPlan
    outcome: Outcome
    generation: int | None = None
    rev: int | None = None
    error: ShoalError | None = None


class Applying(msgspec.Struct, frozen=True, kw_only=True):
    """Carries out plans. ``change`` changes an account; ``share`` gives or takes a permission."""

    change: Callable[[str, Edit, Caller], Awaitable[Done]]
    share: Callable[[ShopPlan, StaffChange], Awaitable[None]]
    store: AccountStore

    async def apply(self, plans: Sequence[ShopPlan], caller: Caller, *, dry_run: bool) -> list[Applied]:
        """Apply the plans, each for itself, or only say what would be changed."""
        if dry_run:
            return [_tried(plan) for plan in plans]
        room = asyncio.Semaphore(AT_ONCE)

        async def one(plan: ShopPlan) -> Applied:
            async with room:
                return await self._apply(plan, caller)

        return list(await asyncio.gather(*map(one, plans)))

    async def _apply(self, plan: ShopPlan, caller: Caller) -> Applied:
        account = plan.account
        if account is None:
            return Applied(plan=plan, outcome=Outcome.ABSENT)
        own = replace(caller, op_id=f"{caller.op_id}:{account.id}", if_match=account.generation)
        changed, generation, rev = bool(plan.staff), account.generation, None
        try:
            if plan.edit is not None:
                done = await self.change(account.id, plan.edit, own)
                changed, generation, rev = changed or done.changed, done.generation, done.rev
            elif caller.repeats and (before := await self.store.op(own.op_id)) is not None:
                changed, generation, rev = changed or before.changed, before.generation, before.rev
            for staff in plan.staff:
                await self.share(plan, staff)
        except ShoalError as error:
            return Applied(plan=plan, outcome=Outcome.FAILED, error=error)
        outcome = Outcome.CHANGED if changed else Outcome.UNCHANGED
        return Applied(plan=plan, outcome=outcome, generation=generation, rev=rev)


def _tried(plan: ShopPlan) -> Applied:
    if plan.account is None:
        return Applied(plan=plan, outcome=Outcome.ABSENT)
    outcome = Outcome.WOULD_CHANGE if plan.edit or plan.staff else Outcome.UNCHANGED
    return Applied(plan=plan, outcome=outcome, generation=plan.account.generation)
