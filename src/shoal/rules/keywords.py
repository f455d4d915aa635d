"""Edits of an account's rules: each function takes the current rules and returns the new ones.

Rules that an edit does not name keep their ids. So the journal can list what was added, removed and edited, and nothing
is lost that the caller's format cannot express.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from shoal.errors import InvalidInput
from shoal.language.folding import folded_word
from shoal.rules.rule import MAX_KEYWORD_CHARACTERS, MAX_REPLY_CHARACTERS, MAX_RULES, Part, Rule, RuleKind, in_order

Rules = tuple[Rule, ...]


class KeywordRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One text rule in the format of the compatible routes. ``item_id`` empty or ``None`` means every item."""

    keyword: str
    reply: str
    item_id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Keyword and item, which together are unique."""
        return (self.keyword, self.item_id or "")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The reply as parts of a rule; none when it is empty."""
        return (Part(text=self.reply),) if self.reply else ()

    def stripped(self) -> KeywordRow:
        """Return the row without outer blanks around keyword and item."""
        return KeywordRow(keyword=self.keyword.strip(), reply=self.reply, item_id=(self.item_id or "").strip() or None)


def replace_general(rules: Rules, rows: Sequence[KeywordRow]) -> Rules:
    """Replace the general text rules by rows that ``checked_rows`` returned.

    Item-bound rules, pictures and all that this format cannot express stay.
    """
    plain = [rule for rule in rules if is_plain_text(rule)]
    return _merge(rules, plain, [rule for rule in plain if rule.item_ids], rows)


def replace_text(rules: Rules, rows: Sequence[KeywordRow]) -> Rules:
    """Replace every text rule, general and item-bound, by rows that ``checked_rows`` returned.

    Pictures and all that this format cannot express stay.
    """
    return _merge(rules, [rule for rule in rules if is_plain_text(rule)], [], rows)


def checked_rows(rows: Iterable[KeywordRow]) -> list[KeywordRow]:
    """Return the rows without outer blanks. Refuse rows that are invalid for any account. Raises ``InvalidInput``."""
    stripped = [row.stripped() for row in rows]
    _check_number(len(stripped))
    seen: set[tuple[str, str]] = set()
    for row in stripped:
        check_row(row)
        key = row.key
        if key in seen:
            raise InvalidInput("a keyword stands twice", code="duplicate_keyword", keyword=row.keyword, item=key[1])
        seen.add(key)
    return stripped


def check_row(row: KeywordRow) -> None:
    """Refuse a row that is invalid in any list. Raises ``InvalidInput``."""
    if not folded_word(row.keyword).strip():
        raise InvalidInput("a keyword is empty", code="empty_keyword")
    if len(row.keyword) > MAX_KEYWORD_CHARACTERS or len(row.reply) > MAX_REPLY_CHARACTERS:
        raise InvalidInput(
            f"a keyword has at most {MAX_KEYWORD_CHARACTERS} characters, a reply {MAX_REPLY_CHARACTERS}",
            code="keyword_too_long",
            keyword=row.keyword[:MAX_KEYWORD_CHARACTERS],
            keyword_limit=MAX_KEYWORD_CHARACTERS,
            reply_limit=MAX_REPLY_CHARACTERS,
        )


def without_index(rules: Rules, index: int) -> Rules:
    """Remove the rule at that index of the lists that the API shows. Raises ``InvalidInput``."""
    if not 0 <= index < len(rules):
        raise InvalidInput("there is no rule at that place", code="bad_keyword_index")
    return rules[:index] + rules[index + 1 :]


def without_rule(rules: Rules, rule_id: str) -> Rules:
    """Remove one rule by its id. Raises ``InvalidInput`` when there is none."""
    kept = tuple(rule for rule in rules if rule.id != rule_id)
    if len(kept) == len(rules):
        raise InvalidInput("there is no such rule", code="unknown_rule")
    return kept


def with_image(rules: Rules, keyword: str, item_id: str | None, picture: Part) -> Rules:
    """Add a rule that answers a keyword with a picture. Refuses it if a simple rule has that keyword and item."""
    (row,) = checked_rows([KeywordRow(keyword=keyword, reply="", item_id=item_id)])
    if any(rule.is_simple and rule.key == row.key for rule in rules):
        raise InvalidInput("a rule has that keyword", code="keyword_exists", keyword=row.keyword)
    _check_number(len(rules) + 1)
    rule = Rule.simple(id=new_rule_id(), keyword=row.keyword, item_id=row.item_id, position=next_position(rules))
    return in_order((*rules, replace(rule, parts=(picture,))))


def is_plain_text(rule: Rule) -> bool:
    """Return whether the compatible routes can express the whole rule: one keyword, at most one item, one text."""
    return rule.is_simple and not (rule.parts and rule.parts[0].image_url)


def new_rule_id() -> str:
    """Return a new random id for a rule."""
    return secrets.token_hex(8)


def next_position(rules: Iterable[Rule]) -> int:
    """Return the position after every rule."""
    return 1 + max((rule.position for rule in rules), default=-1)


def _merge(before: Rules, expressed: Sequence[Rule], bound: Sequence[Rule], rows: Sequence[KeywordRow]) -> Rules:
    """Replace the rules that such rows can express, but for the ``bound`` ones among them."""
    known = {rule.key: rule for rule in expressed}
    ids = {rule.id for rule in expressed} - {rule.id for rule in bound}
    kept = [rule for rule in before if rule.id not in ids] if len(ids) < len(before) else []
    _check_number(len(rows) + len(kept))
    rich = {rule.key: rule for rule in reversed(kept) if rule.key not in known}
    edited: dict[tuple[str, str], Rule] = {}
    plain: list[Rule] = []
    free = iter(rising_ids(secrets.token_hex(6), len(rows)))
    place = next_position(before)
    ordered = 0
    for row in rows:
        key = row.key
        if key in rich:
            edited[key] = _with_reply(rich[key], row)
            continue
        rule = known.get(key)
        if rule is None:
            ordered, place = place, place + 1
            bound_to = (row.item_id,) if row.item_id else ()
            plain.append(
                Rule(id=next(free), words=(row.keyword,), item_ids=bound_to, parts=row.parts, position=ordered)
            )
        elif rule.position >= ordered:
            ordered = rule.position
            plain.append(rule if rule.reply == row.reply else replace(rule, parts=row.parts))
        else:
            ordered, place = place, place + 1
            plain.append(replace(rule, parts=row.parts, position=ordered))
    stay = [edited.get(rule.key, rule) if rich.get(rule.key) is rule else rule for rule in kept]
    return in_order((*stay, *plain))


def rising_ids(drawn: str, number: int) -> list[str]:
    """Return so many ids of new rules, made of 12 drawn hexadecimal digits and a number.

    They rise, so that many rules are stored side by side: in random order each would be put into another page.
    """
    return [f"{drawn}{place:04x}" for place in range(number)]


def _with_reply(rule: Rule, row: KeywordRow) -> Rule:
    """Return a rule richer than a row with the row's reply as its first text; everything else stays."""
    if row.reply == rule.reply:
        return rule
    if rule.kind is RuleKind.IMAGE:
        raise InvalidInput("a rule with a picture has that keyword", code="image_keyword_exists", keyword=row.keyword)
    return replace(rule, parts=(*row.parts, *rule.parts[1:]))


def _check_number(rules: int) -> None:
    if rules > MAX_RULES:
        raise InvalidInput(f"at most {MAX_RULES} rules per account", code="too_many_keywords", limit=MAX_RULES)
