"""Plans goods: each card becomes goods with its units; its delivery rules stand on the accounts of its owner."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from shoal.accounts.delivery_edits import MAX_COUNT, MAX_DELAY_SECONDS, MAX_DELIVERY_RULES, replaced
from shoal.errors import InvalidInput
from shoal.goods.api_cards import supplier_values
from shoal.goods.cards import KINDS, Card, CardType
from shoal.goods.goods import MAX_NAME, Goods, GoodsKind, check
from shoal.goods.goods_store import MAX_GOODS
from shoal.goods.suppliers import changed_supplier
from shoal.goods.unit_lines import MAX_LINES, SentLines
from shoal.goods.unit_texts import folded_unit
from shoal.maintenance.moving.old_shop import CardKind, Fate, OldCard, OldDeliveryRule, OldShop
from shoal.maintenance.moving.plan import Here, Kind, NewAccount, NewDelivery, NewGoods, Tally
from shoal.maintenance.moving.plan_pictures import Pictures
from shoal.maintenance.moving.plan_users import Owners
from shoal.rules.rule import MAX_REPLY_CHARACTERS

_STANDS_FOR: Final = 1
"""The number of goods that are not stored yet, in values that are checked."""


class GoodsPlans:
    """Plans the cards, and then their delivery rules."""

    def __init__(self, here: Here, owners: Owners, tally: Tally, pictures: Pictures) -> None:
        self._here = here
        self._owners = owners
        self._tally = tally
        self._pictures = pictures
        self._made: dict[str, NewGoods] = {}
        self._per_owner: Counter[str] = Counter()
        self._units: dict[str, str] = {}
        """The card that has a unit, by the unit's folded text."""

    def cards(self, old: OldShop) -> tuple[NewGoods, ...]:
        """Return the goods to make, or to find again: what an earlier run made has the same key.

        Cards that were on come first: of a code that two cards have, the other one's waits.
        """
        for card in sorted(old.cards, key=lambda card: not card.is_on):
            owner, is_known = self._owners.of(card.user_id)
            if owner is None:
                self._skip(card, "row_of_other_user")
            elif card.id in self._made:
                self._skip(card, "card_twice")
            elif (made := self._goods(card, owner)) is not None:
                self._made[card.id] = made
                self._count(card, made, is_known=is_known)
        return tuple(self._made.values())

    def _count(self, card: OldCard, made: NewGoods, *, is_known: bool) -> None:
        if self._here.knows(made.owner, Kind.CARDS, made.key):
            self._tally.count(Kind.CARDS, Fate.KNOWN)
            self._tally.count(Kind.UNITS, Fate.KNOWN, sum(len(part.lines) for part in made.lines))
            return
        if not is_known:
            self._tally.note("cards", _label(card), "card_owner_unknown", Fate.CHANGED)
        self._tally.count(Kind.CARDS, self._tally.fate_of("cards", _label(card)))
        self._tally.count(Kind.UNITS, Fate.TAKEN, sum(len(part.lines) for part in made.lines))

    def _goods(self, card: OldCard, owner: str) -> NewGoods | None:
        key = key_of(card)
        if not self._here.knows(owner, Kind.CARDS, key) and not self._has_room(owner):
            self._skip(card, "too_many_goods", limit=MAX_GOODS)
            return None
        kind = KINDS[CardType(card.kind.value)]
        values: dict[str, Any] = {"name": self._name(card), "kind": kind, "active": card.is_on}
        supplier = None
        if card.kind is CardKind.TEXT:
            values["text"] = card.content
        elif card.kind is CardKind.IMAGE:
            values["image_url"] = self._pictures.address(card.content)
            if not values["image_url"]:
                code = "picture_not_here" if self._pictures.is_local(card.content) else "picture_elsewhere"
                self._skip(card, code, picture=card.content[:200])
                return None
        try:
            if card.kind is CardKind.API:
                supplier = supplier_values(card.content)
                changed_supplier(None, supplier)
            check(Goods(id=0, owner_id=0, **values))
        except InvalidInput as error:
            self._skip(card, "card_refused", problem=error.code, **error.params)
            return None
        if card.kind in {CardKind.TEXT, CardKind.DATA} and not card.content.strip():
            self._tally.note("cards", _label(card), "card_empty", Fate.TAKEN)
        if not card.is_on:
            self._tally.note("cards", _label(card), "card_off", Fate.TAKEN)
        self._per_owner[owner] += 1
        lines = tuple(self._lines(card, self._here.id_of(owner, Kind.CARDS, key))) if card.kind is CardKind.DATA else ()
        return NewGoods(key=key, owner=owner, values=values, card=self._card(card), supplier=supplier, lines=lines)

    def _has_room(self, owner: str) -> bool:
        user = self._here.users.get(owner)
        there = 0 if user is None else self._here.goods_of.get(user.id, 0)
        return there + self._per_owner[owner] < MAX_GOODS

    def _name(self, card: OldCard) -> str:
        shown = "".join(one if one.isprintable() else " " for one in card.name).strip()[:MAX_NAME].strip()
        name = shown or f"card {card.id}"
        if name != card.name:
            self._tally.note("cards", _label(card), "card_renamed", Fate.CHANGED, name=name)
        return name

    def _card(self, card: OldCard) -> Card:
        delay = min(max(card.delay_seconds, 0), MAX_DELAY_SECONDS)
        if delay != card.delay_seconds:
            self._tally.note("cards", _label(card), "delay_changed", Fate.CHANGED, seconds=delay)
        description = card.description
        if len(description) > MAX_REPLY_CHARACTERS:
            self._tally.note("cards", _label(card), "description_too_long", Fate.CHANGED, limit=MAX_REPLY_CHARACTERS)
            description = ""
        return Card(description=description, delay_seconds=delay, spec_name=card.spec_name, spec_value=card.spec_value)

    def _lines(self, card: OldCard, goods_id: str | None) -> Iterator[SentLines]:
        """Yield the units of a stock, as many at once as one import takes.

        A line that stands twice is one unit. A code that another card has too, or other goods that are here, is not
        taken: two buyers would get it. ``goods_id``: the goods that an earlier run made of this card.
        """
        seen: set[str] = set()
        doubles, part = 0, SentLines()
        for number, text in enumerate(card.content.splitlines(), 1):
            if part.size == MAX_LINES:
                yield part
                part = SentLines()
            line = folded_unit(text)
            if line in seen:
                doubles += bool(line)
                continue
            seen.add(line)
            if line and (other := self._other_place(line, card, goods_id)):
                self._tally.note("cards", f"{_label(card)} line {number}", "unit_twice", Fate.WAITING, other=other)
                self._tally.count(Kind.UNITS, Fate.WAITING)
                continue
            refused = len(part.refused)
            part.add(number, text)
            if len(part.refused) > refused:
                self._tally.skip(Kind.UNITS, "cards", f"{_label(card)} line {number}", "unit_refused")
        if doubles:
            self._tally.note("cards", _label(card), "lines_twice", Fate.CHANGED, count=doubles)
            self._tally.count(Kind.UNITS, Fate.SKIPPED, doubles)
        if part.size:
            yield part

    def _other_place(self, line: str, card: OldCard, goods_id: str | None) -> str:
        """Return what has a code already: other goods that are here, or an earlier card; empty when nothing has it."""
        here = (one.name for one in self._here.stocked.get(line, ()) if str(one.id) != goods_id)
        if other := next(here, ""):
            return other
        first = self._units.setdefault(line, _label(card))
        return first if first != _label(card) else ""

    def _skip(self, card: OldCard, code: str, **params: Any) -> None:
        self._tally.skip(Kind.CARDS, "cards", _label(card), code, **params)
        if card.kind is CardKind.DATA:
            self._tally.count(Kind.UNITS, Fate.SKIPPED, sum(bool(line.strip()) for line in card.content.splitlines()))

    # ── delivery rules ──────────────────────────────────────────────────────────────────────────────────────────

    def rules(self, old: OldShop, accounts: tuple[NewAccount, ...]) -> tuple[NewAccount, ...]:
        """Return the accounts with their delivery rules."""
        found: defaultdict[str, list[NewDelivery]] = defaultdict(list)
        places: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
        cards = {card.id: card for card in old.cards}
        for row in old.delivery_rules:
            self._rule(row, cards, accounts, found, places)
        return tuple(one if one.exists else replace(one, deliveries=tuple(found[one.draft.id])) for one in accounts)

    def _rule(
        self,
        row: OldDeliveryRule,
        cards: Mapping[str, OldCard],
        accounts: tuple[NewAccount, ...],
        found: defaultdict[str, list[NewDelivery]],
        places: defaultdict[str, set[tuple[str, str, str]]],
    ) -> None:
        if refusal := self._refusal(row, cards):
            self._skip_rule(row, refusal, card=row.card_id)
            return
        made = self._made[row.card_id]
        values = self._values(row, made)
        try:
            (rule,) = replaced((), [values])
        except InvalidInput as error:
            self._skip_rule(row, "delivery_rule_refused", problem=error.code, **error.params)
            return
        mine = [one for one in accounts if one.owner == made.owner and row.account_id in {"", one.draft.id}]
        new = [one.draft.id for one in mine if not one.exists]
        free = [one for one in new if rule.place not in places[one] and len(found[one]) < MAX_DELIVERY_RULES]
        if not mine:
            self._skip_rule(row, "no_account_for_rule")
        elif not new:
            self._tally.count(Kind.DELIVERY_RULES, Fate.KNOWN)
        elif not free:
            self._skip_rule(row, "delivery_rule_twice")
        if not free:
            return
        for account_id in free:
            places[account_id].add(rule.place)
            found[account_id].append(NewDelivery(goods_key=made.key, values=values))
        self._tally.count(Kind.DELIVERY_RULES, self._tally.fate_of("delivery_rules", row.row))

    def _refusal(self, row: OldDeliveryRule, cards: Mapping[str, OldCard]) -> str:
        """Return why a rule is not taken whatever the shops are; empty when it may be."""
        if row.card_id not in self._made:
            return "card_not_taken" if row.card_id in cards else "unknown_card"
        if row.user_id and cards[row.card_id].user_id not in {"", row.user_id}:
            return "card_of_other_user"  # the rule would be on the shops of the card's user
        if not row.is_on:
            return "delivery_rule_off"
        return "" if row.keyword or row.item_id or row.account_id else "delivery_rule_for_all"

    def _values(self, row: OldDeliveryRule, made: NewGoods) -> dict[str, Any]:
        """Return the fields of a rule as its card has them, and those that the rule has itself."""
        count = min(max(row.count, 1), MAX_COUNT)
        if count != row.count:
            self._tally.note("delivery_rules", row.row, "count_changed", Fate.CHANGED, count=count)
        elif count > 1 and made.values["kind"] is GoodsKind.FIXED:
            self._tally.note("delivery_rules", row.row, "count_of_fixed", Fate.CHANGED)
        card = made.card
        if row.spec_value:
            card = replace(card, spec_name=row.spec_name, spec_value=row.spec_value)
        if row.delay_seconds is not None:
            card = replace(card, delay_seconds=min(max(row.delay_seconds, 0), MAX_DELAY_SECONDS))
        goods = Goods(id=_STANDS_FOR, owner_id=0, **made.values)
        values = card.rule(goods, keyword="" if row.item_id else row.keyword, count=count)
        return {**values, "item_id": row.item_id, "confirm": row.confirm}

    def _skip_rule(self, row: OldDeliveryRule, code: str, **params: Any) -> None:
        self._tally.skip(Kind.DELIVERY_RULES, "delivery_rules", row.row, code, **params)


def key_of(card: OldCard) -> str:
    """Return what distinguishes a card from all others of its owner, also from those of another old database."""
    identity = "\n".join((card.id, card.kind.value, card.created_at or card.name))
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _label(card: OldCard) -> str:
    return f"id={card.id} {card.name[:40]}".strip()
