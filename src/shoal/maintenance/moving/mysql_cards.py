"""Which cards of the MySQL form became what a buyer got, and for which items.

There an order gets the one card that is bound to its item for its spec. If two are bound, the order gets none. A docked
card belongs to another user, and does not become a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shoal.language.folding import folded
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldRow, OldTables

_OWN: Final = frozenset({"", "own"})
_BINDINGS, _CARDS = "xy_card_item_relations", "xy_cards"
Place = tuple[str, str]
"""An item and a spec."""


class CardRules:
    """The bindings of cards to items, as delivery rules of the SQLite form."""

    def __init__(self, tables: OldTables, oddities: list[Oddity]) -> None:
        self._tables = tables
        self._oddities = oddities
        self._cards = {row.stripped("id"): row for row in tables.of(_CARDS)}

    def rules(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rules; those of cards that were off come last, so that they take no other's place."""
        bound = [*self._own_bindings(), *self._own_items()]
        unique = {(values["card_id"], values["item_id"]): (table, row, values) for table, row, values in bound}
        places = Counter(self._place(values) for _, _, values in unique.values() if self._is_on(values["card_id"]))
        found = sorted(unique.values(), key=lambda one: not self._is_on(one[2]["card_id"]))
        if any(self._is_general(values["card_id"]) for _, _, values in found):
            self._oddities.append(Oddity(table=_CARDS, row="", code="general_cards", fate=Fate.CHANGED))
        for table, row, values in found:
            if places[self._place(values)] > 1 and self._is_on(values["card_id"]):
                self._odd(table, row, "several_cards", item=values["item_id"], card=values["card_id"])
            else:
                yield values

    def _own_bindings(self) -> Iterator[tuple[str, OldRow, Mapping[str, Any]]]:
        for row in self._tables.of(_BINDINGS):
            card = self._cards.get(row.stripped("card_id"))
            docked = row.stripped("source") not in _OWN or row.number_of("dock_record_id")
            of_other = card is not None and card.stripped("user_id") != row.stripped("user_id")
            if docked or of_other:
                code = "docked_card" if docked else "card_of_other_user"
                self._odd(_BINDINGS, row, code, card=row.stripped("card_id"), item=row.stripped("item_id"))
                continue
            same = ("id", "card_id", "item_id", "user_id")
            yield _BINDINGS, row, {name: row.stripped(name) for name in same}

    def _own_items(self) -> Iterator[tuple[str, OldRow, Mapping[str, Any]]]:
        """Yield the rules of cards that name an item themselves: they count for items without any binding."""
        bindings = self._tables.of(_BINDINGS)
        bound = {row.stripped("item_id") for row in bindings if self._is_on(row.stripped("card_id"))}
        known = {(row.stripped("card_id"), row.stripped("item_id")) for row in bindings}
        for row in self._tables.of(_CARDS):
            card, item = row.stripped("id"), row.stripped("item_id")
            if not item or (card, item) in known:
                continue
            if item in bound:
                self._odd(_CARDS, row, "rule_never_ran", item=item)
            else:
                rule = {"id": f"card {card}", "card_id": card, "item_id": item, "user_id": row.stripped("user_id")}
                yield _CARDS, row, rule

    def _is_on(self, card_id: str) -> bool:
        card = self._cards.get(card_id)
        return card is not None and card.flag("enabled", default=True)

    def _is_general(self, card_id: str) -> bool:
        card = self._cards.get(card_id)
        return card is not None and not card.flag("is_multi_spec", default=False)

    def _place(self, values: Mapping[str, Any]) -> Place:
        card = self._cards.get(values["card_id"])
        if card is None or not card.flag("is_multi_spec", default=False):
            return values["item_id"], ""
        return values["item_id"], folded(f"{card.stripped('spec_name')}:{card.stripped('spec_value')}")

    def _odd(self, table: str, row: OldRow, code: str, **params: Any) -> None:
        label = row.name("name", "id") if table == _CARDS else row.name("id")
        self._oddities.append(Oddity(table=table, row=label, code=code, fate=Fate.SKIPPED, params=params))
