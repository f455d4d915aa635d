"""The sections of one shop in a file as one edit of the account, each value checked by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import msgspec
from pydantic import BaseModel

from shoal.accounts import delivery_edits, edits
from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import Deliveries, DeliveryRule
from shoal.accounts.item_setting import ItemSetting
from shoal.errors import InvalidInput
from shoal.maintenance.shop_file.export import ITEM_SECTIONS, delivery_row, item_values, rule_row
from shoal.maintenance.shop_file.reading import ReadFile
from shoal.maintenance.shop_file.shapes import DeliveryPart, ShopPart
from shoal.maintenance.shop_file.yaml_values import FileFault
from shoal.rules.matcher import Matcher
from shoal.rules.rule import MatchMode
from shoal.rules.rule_edits import with_rule
from shoal.rules.rule_lists import Wanted
from shoal.rules.rule_xlsx import faults_of

Values = dict[str, Any]


class ThingsHere(Protocol):
    """What sections name, beside the account: users, goods and pictures of this server."""

    async def users(self) -> Mapping[int, str]:
        """Return the names of users, by id."""

    async def goods(self, owner_id: int) -> Mapping[int, str]:
        """Return the names of an owner's goods, by id."""

    async def measured(self, values: Values) -> Values:
        """Return the values with the sizes of pictures. Raises ``InvalidInput`` for one that cannot be sent."""

    async def require_own_goods(self, account: Account, rules: Deliveries) -> None:
        """Raise ``InvalidInput`` for a new rule whose goods do not belong to the account's owner."""


class Faults:
    """Collects the faults of a file with their lines."""

    def __init__(self, file: ReadFile) -> None:
        self._file = file
        self.found: list[FileFault] = []

    def add(self, error: InvalidInput, *path: str | int) -> None:
        """Note a fault of the value at that path below ``accounts``."""
        self.found.append(self._file.fault(error, *path))

    @contextmanager
    def noted(self, *path: str | int) -> Iterator[None]:
        """Note a refusal instead of raising it."""
        try:
            yield
        except InvalidInput as error:
            self.add(error, *path)


class Sections(msgspec.Struct, frozen=True, kw_only=True):
    """One shop of the file and its account. ``goods`` has the names of the owner's goods."""

    account: Account
    part: ShopPart
    goods: Mapping[int, str]
    here: ThingsHere
    faults: Faults
    prune: bool
    new_ids: Callable[[int], Sequence[str]]

    async def edit(self) -> edits.Edit:
        """Return the edit of all sections that the file has. A value that is wrong by itself is noted, and left out."""
        given = self.part.model_fields_set
        steps: list[edits.Edit] = []
        if "enabled" in given:
            steps.append(edits.switched(self.part.enabled))
        if "settings" in given:
            steps.append(self._settings())
        steps.extend(self._item_values(section, name) for section, name in ITEM_SECTIONS.items() if section in given)
        if "rules" in given:
            steps.append(await self._rules())
        if "deliveries" in given:
            steps.append(await self._deliveries())
        return edits.RuleEdit(lambda account: _in_turn(steps, account), len(self.part.rules))

    def _settings(self) -> edits.Edit:
        values: Values = {}
        for name, value in values_of(self.part.settings).items():
            with self.faults.noted(self.account.id, "settings", name):
                edits.settings({name: value})
                values[name] = value
        return edits.settings(values)

    def _item_values(self, section: str, name: str) -> edits.Edit:
        given: Values = getattr(self.part, section)
        for item_id, value in given.items():
            with self.faults.noted(self.account.id, section, item_id):
                edits.item(item_id, {name: value})
        unset = getattr(ItemSetting(item_id=""), name)
        gone = set(item_values(self.account, name)) - given.keys() if self.prune else set()
        wanted = {item_id: value.strip() if name == "facts" else value for item_id, value in given.items()}
        return lambda account: _with_item_values(account, name, {**wanted, **dict.fromkeys(gone, unset)})

    async def _rules(self) -> edits.Edit:
        new_ids = self.new_ids(len(self.part.rules))
        wanted = [
            Wanted(await self._measured(values_of(rule, but={"id"}), "rules", number), rule.id, new_id)
            for number, (rule, new_id) in enumerate(zip(self.part.rules, new_ids, strict=True))
        ]
        wrong = {fault.row: fault.error for fault in faults_of(enumerate(wanted))}
        for number, row in enumerate(wanted):
            with self.faults.noted(self.account.id, "rules", number):
                if number in wrong:
                    raise wrong[number]
                if row.values.get("match_mode") == MatchMode.REGEX:
                    Matcher(with_rule((), "new", row.values))
        whole = edits.all_rules([] if wrong else wanted)
        return lambda account: _unless_same(account, whole(account), lambda one: [*map(rule_row, one.keywords)])

    async def _deliveries(self) -> edits.Edit:
        wanted: list[Values] = []
        first: set[tuple[str, str, str]] = set()
        for number, row in enumerate(self.part.deliveries):
            with self.faults.noted(self.account.id, "deliveries", number):
                values = await self._measured(self._delivery_values(row), "deliveries", number)
                (rule,) = delivery_edits.replaced((), [values])
                await self._require_own_goods(rule)
                if rule.place in first:
                    raise delivery_twice(rule)
                first.add(rule.place)
                wanted.append(values)
        whole = edits.deliveries(wanted)
        return lambda account: _unless_same(
            account, whole(account), lambda one: [delivery_row(rule, {}) for rule in one.deliveries]
        )

    async def _require_own_goods(self, rule: DeliveryRule) -> None:
        before = {one.key: one for one in self.account.deliveries}
        if rule.goods_id is not None and before.get(rule.key) != rule:
            await self.here.require_own_goods(self.account, (rule,))

    def _delivery_values(self, row: DeliveryPart) -> Values:
        """Return the fields of a rule, with the goods by their id. Refuse a name that is not the one of the id."""
        values = values_of(row, but={"goods"})
        name = row.goods.strip()
        if not name:
            return values
        if row.goods_id is not None:
            known = self.goods.get(row.goods_id, name)  # unknown ids are refused as such
            if known != name:
                raise InvalidInput(
                    "id and name are of different goods",
                    code="delivery_goods_differ",
                    goods=row.goods_id,
                    known=known,
                    name=name[:100],
                )
            return values
        named = [goods_id for goods_id, one in self.goods.items() if one == name]
        if len(named) != 1:
            raise InvalidInput("no goods, or several, have that name", code="delivery_goods_unnamed", name=name[:100])
        return {**values, "goods_id": named[0]}

    async def _measured(self, values: Values, *path: str | int) -> Values:
        with self.faults.noted(self.account.id, *path):
            if any("image_url" in part for part in values.get("parts", ())):
                return await self.here.measured(values)
        return values


def values_of(part: BaseModel, *, but: set[str] = frozenset()) -> Values:  # type: ignore[assignment]
    """Return the fields that the file has, in the form that edits take."""
    values = part.model_dump(exclude_unset=True, exclude=set(but))
    if "parts" in values:
        values["parts"] = [{name: text for name, text in row.items() if text} for row in values["parts"]]
    return values


def delivery_twice(rule: DeliveryRule) -> InvalidInput:
    """Return the refusal of a second rule for the same orders."""
    return InvalidInput(
        "two rules are for the same orders",
        code="delivery_twice",
        item=rule.item_id or rule.title_contains,
        spec=rule.spec,
    )


def _in_turn(steps: Sequence[edits.Edit], account: Account) -> Account:
    for step in steps:
        account = step(account)
    return account


def _unless_same(before: Account, after: Account, rows: Callable[[Account], list[Any]]) -> Account:
    """Return the account as it was if a file shows both alike: positions and sizes of pictures are not in it."""
    return before if after is before or rows(before) == rows(after) else after


def _with_item_values(account: Account, name: str, values: Mapping[str, Any]) -> Account:
    """Return the account with one setting of these items; one that has nothing set any more is left out."""
    there = {item.item_id: item for item in account.items}
    before = {item_id: there.get(item_id, ItemSetting(item_id=item_id)) for item_id in values}
    changed = {
        item_id: replace(before[item_id], **{name: value})
        for item_id, value in values.items()
        if getattr(before[item_id], name) != value
    }
    if not changed:
        return account
    found = ({**there, **changed}).values()
    items = (item for item in found if item.item_id not in changed or item != ItemSetting(item_id=item.item_id))
    return account.evolve(items=tuple(sorted(items, key=lambda item: item.item_id)))
