"""What a file would change: each shop checked whole, with the edit that applies it and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.auth.authorization import Authorization, Principal
from shoal.auth.permission import Permission
from shoal.errors import InvalidInput, UnknownAccount
from shoal.language.folding import folded
from shoal.maintenance.shop_file.differences import Difference, differences, staff_differences
from shoal.maintenance.shop_file.reading import ReadFile
from shoal.maintenance.shop_file.sections import Faults, Sections, ThingsHere
from shoal.maintenance.shop_file.shapes import ShopPart
from shoal.maintenance.shop_file.yaml_values import UnusableFile


class StaffChange(msgspec.Struct, frozen=True, kw_only=True):
    """A permission to give; ``None``: to take."""

    user_id: int
    username: str
    permission: Permission | None


class ShopPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One shop of the file. ``account`` ``None``: there is none, or the caller may not see it.

    ``edit`` ``None``: all is as the file says, but for ``staff``.
    """

    account_id: str
    account: Account | None = None
    edit: edits.Edit | None = None
    staff: Sequence[StaffChange] = ()
    differences: Sequence[Difference] = ()


class Planner(msgspec.Struct, frozen=True, kw_only=True):
    """Plans one file for one caller. ``new_ids`` makes the ids of new rules of an account."""

    authorization: Authorization
    here: ThingsHere
    who: Principal
    file: ReadFile
    prune: bool
    new_ids: Callable[[str, int], Sequence[str]]
    faults: Faults

    async def plan(self) -> list[ShopPlan]:
        """Return the plan of each shop, in the order of the file.

        Raises ``UnusableFile`` with all faults, also those of its shape.
        """
        names = await self.here.users() if any("staff" in part.model_fields_set for part in self._parts()) else {}
        plans = [await self._shop(account_id, part, names) for account_id, part in self.file.shops.items()]
        if faults := [*self.file.faults, *self.faults.found]:
            raise UnusableFile(faults)
        return plans

    def _parts(self) -> Iterable[ShopPart]:
        return self.file.shops.values()

    async def _shop(self, account_id: str, part: ShopPart, names: Mapping[int, str]) -> ShopPlan:
        try:
            account = self.authorization.require(self.who, account_id, Permission.READ)
        except UnknownAccount:
            return ShopPlan(account_id=account_id)
        goods = await self.here.goods(account.owner_id) if part.deliveries or account.deliveries else {}
        before = len(self.faults.found)
        sections = Sections(
            account=account,
            part=part,
            goods=goods,
            here=self.here,
            faults=self.faults,
            prune=self.prune,
            new_ids=lambda number: self.new_ids(account_id, number),
        )
        edit = await sections.edit()
        staff = self._staff(account, part, names) if "staff" in part.model_fields_set else []
        if len(self.faults.found) > before:
            return ShopPlan(account_id=account_id, account=account)
        after = await self._after(account, part, edit)
        found = differences(account, after, goods) if after is not account else []
        if found:
            self._require(account, Permission.OPERATE)
        return ShopPlan(
            account_id=account_id,
            account=account,
            edit=edit if found else None,
            staff=staff,
            differences=[*found, *self._staff_differences(account, staff)],
        )

    async def _after(self, account: Account, part: ShopPart, edit: edits.Edit) -> Account:
        try:
            return await edits.apply_edit(edit, account)
        except InvalidInput as error:  # rules that are right each, and wrong together
            word = error.params.get("keyword")
            numbers = [number for number, rule in enumerate(part.rules) if word is not None and rule.words == [word]]
            self.faults.add(error, account.id, "rules", *numbers[-1:])
            return account

    def _require(self, account: Account, permission: Permission, *path: str) -> bool:
        try:
            self.authorization.check(self.who, account, permission)
        except InvalidInput as error:
            self.faults.add(error, account.id, *path)
            return False
        return True

    def _staff(self, account: Account, part: ShopPart, names: Mapping[int, str]) -> list[StaffChange]:
        """Return the permissions that differ. Only the owner may know them, and only a session may change them."""
        if not self._require(account, Permission.OWN, "staff"):
            return []
        ids = {folded(name): user_id for user_id, name in names.items()}
        wanted: dict[int, Permission] = {}
        for name, word in part.staff.items():
            with self.faults.noted(account.id, "staff", name):
                user_id = ids.get(folded(name.strip()))
                if user_id is None:
                    raise InvalidInput("there is no such user", code="shop_file_unknown_user", name=name[:100])
                if user_id == account.owner_id:
                    raise InvalidInput("the owner needs no grant", code="own_shop")
                wanted[user_id] = Permission.of(word)
        now = self._permissions(account)
        gone = dict.fromkeys(now.keys() - wanted.keys()) if self.prune else {}
        found = [
            StaffChange(user_id=user_id, username=names.get(user_id, str(user_id)), permission=permission)
            for user_id, permission in {**wanted, **gone}.items()
            if now.get(user_id) is not permission
        ]
        if found and self.who.session is None:
            self.faults.add(InvalidInput("no token may do this", code="token_not_allowed"), account.id, "staff")
        return found

    def _staff_differences(self, account: Account, staff: Sequence[StaffChange]) -> list[Difference]:
        now = self._permissions(account)
        before = {one.username: now[one.user_id].word for one in staff if one.user_id in now}
        return staff_differences(before, {one.username: one.permission.word for one in staff if one.permission})

    def _permissions(self, account: Account) -> dict[int, Permission]:
        return {grant.user_id: grant.permission for grant in self.authorization.staff_of(account)}
