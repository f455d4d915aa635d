"""The output filter: what no text to a buyer may contain, for every way out. Pure.

Contact details, links to other places, the owner's own patterns, and amounts below a floor. A delivery is exempt whole:
what was sold may be an address or a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from shoal.errors import InvalidInput
from shoal.language.folding import views_of
from shoal.rules.contact_details import contacts_in, links_in
from shoal.rules.handoff_words import words_of
from shoal.rules.matcher import MAX_PATTERNS, Patterns
from shoal.rules.money_amounts import amounts_in

MOST_WORDS: Final = 5
"""How many words a verdict names."""
LONGEST_WORD: Final = 40


class OutputFilter:
    """The filter of one shop. Immutable, so any number of texts may be checked at once."""

    __slots__ = ("_contacts", "_floor_fen", "_links", "_names", "_patterns")

    def __init__(self, *, contacts: bool, links: bool, patterns: str, floor_fen: int | None) -> None:
        """``patterns``: regular expressions, one a line. Raises ``InvalidInput`` like ``Matcher``."""
        self._contacts = contacts
        self._links = links
        self._floor_fen = floor_fen
        self._names = words_of(patterns)
        if len(self._names) > MAX_PATTERNS:
            raise InvalidInput(
                f"at most {MAX_PATTERNS} regular expressions", code="too_many_patterns", limit=MAX_PATTERNS
            )
        self._patterns = Patterns(self._names) if self._names else None

    @property
    def is_on(self) -> bool:
        """Whether it checks anything."""
        return self._contacts or self._links or self._patterns is not None or self._floor_fen is not None

    def words_in(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return what the texts of one answer contain that may not leave; nothing: they may.

        They are checked as one text: a number must not leave in halves.
        """
        if not self.is_on:
            return ()
        words = dict.fromkeys(word[:LONGEST_WORD] for word in self._found(views_of("\n".join(texts))))
        return tuple(islice(words, MOST_WORDS))

    def _found(self, views: tuple[str, ...]) -> Iterator[str]:
        text = views[0]  # both are searched: without a picture between them, two numbers are one that is none
        for view in views:
            if self._contacts:
                yield from contacts_in(view)
        for view in views:
            if self._links:
                yield from links_in(view)
        if self._patterns is not None:
            yield from (self._names[number] for number in sorted(self._patterns.found_in(text)))
        if self._floor_fen is not None:
            yield from (words for fen, words in amounts_in(text) if fen < self._floor_fen)


@lru_cache(2_048)
def output_filter(contacts: bool, links: bool, patterns: str, floor_fen: int | None) -> OutputFilter:
    """Return the filter of these settings, compiled once for all shops that have the same. Raises ``InvalidInput``."""
    return OutputFilter(contacts=contacts, links=links, patterns=patterns, floor_fen=floor_fen)
