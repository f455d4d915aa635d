"""The settings of one item, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.language.storable_texts import storable


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemSetting:
    """The settings of one item: its reply, what a buyer gets after paying, and what a language model may say of it.

    ``nothing_to_send``: a paid order of this item needs no message, so the shipment may be confirmed without one. This
    and ``paid_message`` are views of the item's delivery rule (see ``delivery_views``). ``facts`` is what a language
    model is given about it; ``floor_fen`` the lowest price that it may name, ``None``: the shop's.
    """

    item_id: str
    reply: str = ""
    paid_message: str = ""
    nothing_to_send: bool = False
    facts: str = ""
    floor_fen: int | None = None

    def __post_init__(self) -> None:
        for name in ("item_id", "reply", "paid_message", "facts"):
            text = getattr(self, name)
            if storable(text) is not text:
                object.__setattr__(self, name, storable(text))

    @property
    def has_own(self) -> bool:
        """Whether it says more than what a buyer gets."""
        return bool(self.reply or self.facts or self.floor_fen is not None)

    @property
    def has_delivery(self) -> bool:
        """Whether it says what a buyer gets."""
        return bool(self.paid_message or self.nothing_to_send)
