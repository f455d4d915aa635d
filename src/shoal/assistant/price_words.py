"""What a model's plain text says about prices: its amounts and concessions, seen together. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from shoal.assistant.concessions import Concession, Kind, concessions_in
from shoal.assistant.plain_text import joined
from shoal.assistant.spoken_amounts import DIGITS, Amount, spoken_amounts
from shoal.rules.money_amounts import number_of

_PIECES: Final = re.compile(
    rf"(?P<number>[2-9]|[1-9][0-9]|[{DIGITS}十]{{1,3}})\s?(?:件|个(?!月)|台|套|只(?![要需收])|双|条|本|盒|包(?![邮快])|箱|瓶|支|份|张|pieces?|pcs|items?|for)"
    r"|(?P<some>一起(?:拿|拍|买|带走|要)|打包(?:价|带走|拿|卖)|全(?:都|部)要|both|all of them)"
)
_OF_ONE: Final = re.compile(
    r"(?:每|一|单|各|均)[件个台套只双条本盒包箱瓶支份张]?(?:只要|是|卖|:|：)?\s?$|(?:each|per piece|单价)\W{0,3}$"
)
_THEN_OF_ONE: Final = re.compile(r"\s?(?:/|每|一)\s?[件个台套只双条本盒包箱瓶支份张]|\s?(?:each|per)")
_NAME: Final = re.compile(r"(?:[a-z][a-z0-9+-]*\s?|[a-z0-9]+-)$")
_NAME_END: Final = re.compile(r"[a-z0-9-]*")
_FREE_POSTAGE: Final = re.compile("(?<!不)(?:包邮|免邮|免运费|free shipping)")
_MOST_PIECES: Final = 1_000
_TAIL_END: Final = re.compile(r"[\s。，！!,.~…]+$")

_STEPS: Final = frozenset({Kind.OFF, Kind.SHARE, Kind.ROUNDED})
_LOWERING: Final = _STEPS | {Kind.MAYBE_OFF, Kind.HEAD, Kind.FREE, Kind.UNKNOWN}

Owners = Callable[[str, int, int], bool]
"""Tells whether the words of a text between two places are the owner's own."""


class PricedAmount(msgspec.Struct, frozen=True):
    """An amount: ``of_one``: said of one piece, also when several are spoken of; ``start``: its place in the text."""

    fen: int | None
    words: str
    of_one: bool
    start: int = 0


class PricedConcession(msgspec.Struct, frozen=True):
    """A concession, and whether the owner offers it in writing."""

    found: Concession

    @property
    def words(self) -> str:
        """Its words."""
        return self.found.words

    def left_of(self, price_fen: int) -> int:
        """Return what remains of a price, in fen; -1 when it cannot be known."""
        return self.found.left_of(price_fen)

    def is_kept(self, price_fen: int | None, lowest_fen: int, *, has_floor: bool) -> bool:
        """Return whether the shop may keep it: what remains of the price is not below the lowest."""
        if self.found.kind is Kind.FREE:
            return lowest_fen <= 0
        if self.found.kind is Kind.VAGUE:
            return has_floor and (price_fen is None or lowest_fen < price_fen)
        return price_fen is not None and self.left_of(price_fen) >= lowest_fen


@dataclass(frozen=True, slots=True)
class PriceWords:
    """The amounts and concessions of a text; ``pieces``: the most pieces that it speaks of."""

    amounts: tuple[PricedAmount, ...]
    concessions: tuple[PricedConcession, ...]
    pieces: int

    def below(self, price_fen: int | None, lowest_fen: int | None) -> Iterator[str]:
        """Return the words of what is below the lowest; without one of every amount."""
        for amount in self.amounts:
            if (
                lowest_fen is None
                or amount.fen is None
                or amount.fen < lowest_fen * (1 if amount.of_one else self.pieces)
            ):
                yield amount.words
        for one in self.concessions:
            if one.found.kind in _LOWERING and (
                lowest_fen is None or not one.is_kept(price_fen, lowest_fen, has_floor=True)
            ):
                yield one.words

    def left_of(self, price_fen: int) -> int:
        """Return what remains, in fen, when every discount is given, from the smallest amount named at once."""
        steps = [one for one in self.concessions if one.found.kind in _STEPS]
        if not steps:
            return price_fen
        left = min([price_fen, *(amount.fen for amount in self.amounts if amount.fen is not None)])
        for one in sorted(steps, key=lambda one: one.found.kind is Kind.OFF):  # in the order that leaves least
            left = min(left, one.left_of(left))
        return left


def price_words(text: str, tail: str, is_owners: Owners, owner_text: str) -> PriceWords:
    """Return what a plain text says about prices beside the owner's own words; ``tail``: what was sent before it."""
    concessions = [one for one in concessions_in(text) if not _is_owners(text, one, is_owners, owner_text)]
    if (without_gaps := joined(text)) != text:
        seen = {(one.kind, one.value) for one in concessions}
        concessions += [
            one for one in concessions_in(without_gaps)
            if (one.kind, one.value) not in seen and not _is_owners(without_gaps, one, is_owners, owner_text)
        ]  # fmt: skip
    reductions = [(one.start, one.end) for one in concessions_in(text) if one.kind is Kind.OFF]
    amounts = [
        PricedAmount(one.fen, one.words, of_one=_is_of_one(text, one), start=one.start)
        for one in spoken_amounts(text)
        if not any(start <= one.start < end for start, end in reductions)
        and not is_owners(text, one.start, one.end)
        and not _is_name(text, one, owner_text)
    ]
    if tail:
        whole, seam = f"{tail}\n{text}", len(tail)
        amounts += [
            PricedAmount(one.fen, one.words, of_one=False)
            for one in spoken_amounts(whole)
            if one.start < seam < one.end - 1
        ]
        concessions += _in_halves(tail, text)
    return PriceWords(tuple(amounts), tuple(map(PricedConcession, concessions)), _pieces(text))


def _in_halves(tail: str, text: str) -> list[Concession]:
    """Return the concessions that begin in what was sent before and end in the text."""
    before = _TAIL_END.sub("", joined(tail))
    whole, seam = before + joined(text).lstrip(), len(before)
    return [one for one in concessions_in(whole) if one.start < seam < one.end]


def _is_owners(text: str, one: Concession, is_owners: Owners, owner_text: str) -> bool:
    """Return whether the owner offers the concession in writing: in a whole clause; free postage anywhere."""
    if one.kind is Kind.POSTAGE and _FREE_POSTAGE.search(owner_text):
        return True
    return is_owners(text, one.start, one.end)


def _is_name(text: str, amount: Amount, owner_text: str) -> bool:
    """Return whether a bare number belongs to a name that the owner wrote, such as "iPhone 14"."""
    if not re.fullmatch(r"[0-9.]+[kw]?", amount.words):
        return False
    before = _NAME.search(text[: amount.start])
    after = _NAME_END.match(text, amount.end)
    end = after.end() if after else amount.end
    token = text[before.start() if before else amount.start : end]
    if not re.search("[a-z]", token):
        return False
    return re.search(rf"(?<![a-z0-9]){re.escape(token)}(?![a-z0-9])", owner_text) is not None


def _is_of_one(text: str, amount: Amount) -> bool:
    return bool(_OF_ONE.search(text[: amount.start]) or _THEN_OF_ONE.match(text, amount.end))


def _pieces(text: str) -> int:
    most = 1
    for match in _PIECES.finditer(text):
        number = 2 if match["some"] else int(number_of(match["number"]))
        most = max(most, min(number, _MOST_PIECES))
    return most
