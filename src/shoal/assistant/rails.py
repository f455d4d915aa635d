"""Rails: the checks that a model's output passes before a word of it may leave. Pure.

A model can be talked into anything, so nothing here asks the model: each rail reads the text that would leave. The
persona is not among what the rails believe; only facts, the item's facts and its title are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

from shoal.assistant.agreements import agrees
from shoal.assistant.asked_pieces import asked_pieces
from shoal.assistant.echoes import echoes_in
from shoal.assistant.languages import wrong_language
from shoal.assistant.machine_words import denials_in
from shoal.assistant.model_output import ModelOutput
from shoal.assistant.open_offers import Bounds, loose_offers, names_allowed_amount, open_offers, points_back
from shoal.assistant.plain_text import joined, plain, plain_of_owner
from shoal.assistant.price_words import PriceWords, price_words
from shoal.assistant.promises import later_work_in, promises_in
from shoal.assistant.rail_facts import Rail, RailFacts, RailVerdict, Why
from shoal.assistant.refusals import refuses
from shoal.assistant.spec_prices import SpecPrices

MOST_CHARACTERS: Final = 200
"""How long a model's answer may be."""
MOST_WORDS: Final = 5
"""How many words a verdict names."""
_MOST_READ: Final = 400
"""How much of a text is read: a longer one is held back by its length, and reading it all would take long."""
_LONGEST_WORD: Final = 40
_TAIL: Final = 24
"""How much of the answer before is read together with this one: a number must not leave in halves."""
_CLAUSE_ENDS: Final = re.compile(r"[。！？；!?;\n，]|(?<![0-9]),|,(?![0-9])|\.(?![0-9a-z])")
_POLITE: Final = re.compile(r"^(?:亲|您好|你好|好的|在的|嗯)?[\s~]*|[\s哦呢哈的吧呀啦~]*$")
_MORE_THAN_ITS_WORDS: Final = 2


def check(output: ModelOutput, facts: RailFacts) -> tuple[RailVerdict, ...]:
    """Return the verdict of each rail. An output that says nothing to the buyer passes all of them."""
    if output.action != "reply":
        return tuple(RailVerdict(rail, passed=True) for rail in Rail)
    reply = CheckedReply(output, facts)
    return tuple(_verdict(rail, _CHECKS[rail](reply)) for rail in Rail)


class CheckedReply:
    """A reply and what it is compared with; what several rails read is made once."""

    def __init__(self, output: ModelOutput, facts: RailFacts) -> None:
        """Read the text as a person reads it."""
        self.output, self.facts = output, facts
        self.plain = plain(output.text[:_MOST_READ])
        self.readings = tuple(dict.fromkeys((self.plain, joined(self.plain))))
        self.asked = plain(facts.buyer_text[-_MOST_READ:])
        self.owner_text = "\n".join(plain_of_owner(words) for words in facts.owner_words)
        asked = (facts.buyer_text, *(turn.text for turn in reversed(facts.turns) if turn.is_buyer))
        self.specs = SpecPrices(facts.specs, asked, has_floor=facts.floor_fen is not None)

    @cached_property
    def bounds(self) -> Bounds:
        """What amounts are compared with. With a floor a concession is taken from the price of the cheapest spec."""
        facts = self.facts
        cheapest = self.specs.cheapest_fen if self.specs.has_floor else None
        return Bounds(
            price_fen=facts.price_fen,
            reduced_fen=facts.price_fen if cheapest is None else cheapest,
            lowest_fen=facts.lowest_fen,
            has_floor=facts.floor_fen is not None,
            is_owners=self.is_owners,
            owner_text=self.name_text,
            specs=self.specs,
        )

    @cached_property
    def name_text(self) -> str:
        """What the owner wrote for buyers, with the names of specs that look like amounts."""
        return f"{self.owner_text}\n{self.specs.names}" if self.specs.specs else self.owner_text

    @cached_property
    def owner_clauses(self) -> frozenset[str]:
        """The clauses of what the owner wrote for buyers: an answer may repeat each of them whole."""
        return frozenset(clause for clause in map(_bare, _CLAUSE_ENDS.split(self.owner_text)) if clause)

    @cached_property
    def prices(self) -> PriceWords:
        """The amounts and concessions in the text, without those in the owner's own clauses.

        An amount is that of all the pieces which the text or the buyer speaks of, unless it is said of one.
        """
        tail = plain(self.facts.last_answer[-_TAIL:])
        found = price_words(self.plain, tail, self.is_owners, self.name_text)
        before = [plain(turn.text[-_MOST_READ:]) for turn in reversed(self.facts.turns) if turn.is_buyer]
        return replace(found, pieces=max(found.pieces, asked_pieces(self.asked, before, self.plain)))

    @cached_property
    def unfair(self) -> PriceWords:
        """The same without the fair prices of specs, where no floor says what is too low."""
        return self.bounds.without_fair(self.plain, self.prices)

    def is_owners(self, text: str, start: int, end: int) -> bool:
        """Return whether the words there stand in a clause that the owner wrote whole for buyers."""
        begins = max((match.end() for match in _CLAUSE_ENDS.finditer(text, 0, start)), default=0)
        after = _CLAUSE_ENDS.search(text, end)
        clause = _bare(text[begins : after.start() if after else len(text)])
        return len(clause) >= end - start + _MORE_THAN_ITS_WORDS and clause in self.owner_clauses


Found = Iterator[tuple[Why, str]]


def _bare(clause: str) -> str:
    return _POLITE.sub("", clause.strip())


def _verdict(rail: Rail, found: Iterable[tuple[Why, str]]) -> RailVerdict:
    reasons = list(found)
    if not reasons:
        return RailVerdict(rail, passed=True)
    words = tuple(dict.fromkeys(words[:_LONGEST_WORD] for _, words in reasons if words))[:MOST_WORDS]
    return RailVerdict(rail, passed=False, why=reasons[0][0].value, words=words)


def _turns(reply: CheckedReply) -> Found:
    if reply.facts.turns_left <= 0:
        yield Why.NO_TURN_LEFT, ""


def _length(reply: CheckedReply) -> Found:
    if len(reply.output.text) > MOST_CHARACTERS:
        yield Why.TOO_LONG, f"{len(reply.output.text)}"


def _language(reply: CheckedReply) -> Found:
    if wrong := wrong_language(reply.output.text, reply.facts.buyer_text):
        yield Why.OTHER_LANGUAGE, wrong


def _echo(reply: CheckedReply) -> Found:
    for words in echoes_in(reply.output.text[:_MOST_READ], reply.plain, plain_of_owner(reply.facts.instructions)):
        yield Why.ECHOED, words


def _facts(reply: CheckedReply) -> Found:
    for number in reply.output.facts:
        if not 1 <= number <= reply.facts.facts:
            yield Why.NO_SUCH_FACT, str(number)


def _amount(reply: CheckedReply) -> Found:
    facts, lowest = reply.facts, reply.facts.lowest_fen
    below = Why.BELOW_PRICE if facts.floor_fen is None else Why.BELOW_FLOOR
    for amount in reply.unfair.amounts:
        if amount.fen is None:
            yield Why.UNREADABLE, amount.words
        elif lowest is None:
            yield Why.PRICE_UNKNOWN, amount.words
        elif amount.fen < lowest * (1 if amount.of_one else reply.prices.pieces):
            yield below, amount.words
    reduced = reply.bounds.reduced_fen
    if reduced is not None and lowest is not None and reply.prices.left_of(reduced) < min(lowest, reduced):
        yield Why.CONCESSION, reply.prices.concessions[0].words
    for concession in reply.prices.concessions:
        if lowest is None or not concession.is_kept(reduced, lowest, has_floor=facts.floor_fen is not None):
            yield Why.CONCESSION, concession.words
    yield from ((Why.AGREED, words) for words in _left_open(reply))


def _left_open(reply: CheckedReply) -> Iterator[str]:
    """Return the buyer's offers that the answer may agree to: it neither names an allowed amount nor refuses."""
    facts, bounds = reply.facts, reply.bounds
    if names_allowed_amount(reply.plain, bounds) or refuses(reply.plain):
        return
    reopened = points_back(reply.plain, reply.asked)
    yield from open_offers(facts.turns, facts.buyer_text, bounds, reopened=reopened)
    if not reply.prices.amounts and agrees(reply.plain):
        yield from loose_offers(facts.buyer_text, bounds)


def _offer(reply: CheckedReply) -> Found:
    offered, facts = reply.output.offered_fen, reply.facts
    lowest, price = facts.lowest_fen, facts.price_fen
    fair = {
        amount.fen for amount in reply.prices.amounts if reply.specs.is_fair(reply.plain, amount, reply.prices.pieces)
    }
    if offered is None:
        if price is not None:
            hidden = (amount for amount in reply.prices.amounts if amount.fen is not None and amount.fen < price)
            yield from ((Why.OFFER_NOT_NAMED, amount.words) for amount in hidden if amount.fen not in fair)
        return
    if lowest is None:
        yield Why.PRICE_UNKNOWN, str(offered)
    elif offered < lowest and (offered not in fair or facts.floor_fen is not None):
        yield (Why.BELOW_PRICE if facts.floor_fen is None else Why.BELOW_FLOOR), str(offered)
    named = {amount.fen for amount in reply.prices.amounts}
    for whole in (price, *(spec.price_fen for spec in facts.specs)):
        if whole is not None:
            named |= {concession.left_of(whole) for concession in reply.prices.concessions}
    if offered not in named:
        yield Why.OFFER_NOT_SAID, str(offered)


def _filter(reply: CheckedReply) -> Found:
    checked, text = reply.facts.output_filter, reply.output.text
    found = dict.fromkeys(checked.words_in((text,)))
    tail = reply.facts.last_answer[-_TAIL:]
    if tail:  # what the answer before says alone has left already
        before = set(checked.words_in((tail,)))
        found |= dict.fromkeys(words for words in checked.words_in((tail, text)) if words not in before)
    yield from ((Why.FILTERED, words) for words in found)


def _promise(reply: CheckedReply) -> Found:
    for text in reply.readings:
        for match in promises_in(text, reply.owner_text):
            if not reply.is_owners(text, match.start(), match.end()):
                yield Why.PROMISED, match[0]


def _later_work(reply: CheckedReply) -> Found:
    for text in reply.readings:
        for match in later_work_in(text):
            if not reply.is_owners(text, match.start(), match.end()):
                yield Why.LATER, match[0]


def _machine(reply: CheckedReply) -> Found:
    for text in reply.readings:
        yield from ((Why.DENIED, words) for words in denials_in(text, reply.asked))


_CHECKS: Final[Mapping[Rail, Callable[[CheckedReply], Found]]] = {
    Rail.TURNS: _turns,
    Rail.LENGTH: _length,
    Rail.LANGUAGE: _language,
    Rail.ECHO: _echo,
    Rail.FACTS: _facts,
    Rail.AMOUNT: _amount,
    Rail.OFFER: _offer,
    Rail.FILTER: _filter,
    Rail.PROMISE: _promise,
    Rail.LATER_WORK: _later_work,
    Rail.MACHINE: _machine,
}
