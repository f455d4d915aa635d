"""Plans the rules and replies of one account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.errors import InvalidInput
from shoal.language.folding import is_blank
from shoal.maintenance.moving.old_shop import MAX_ROW_CHARACTERS, Fate, OldAccount, OldItemReply, OldRule
from shoal.maintenance.moving.plan import Here, Kind, Tally
from shoal.maintenance.moving.plan_pictures import Pictures
from shoal.rules.keywords import Rules, check_keyword, new_rule_id
from shoal.rules.rule import MAX_KEYWORD_CHARACTERS, MAX_REPLY_CHARACTERS, MAX_RULES, Part, Rule
from shoal.rules.rule_edits import MAX_ITEM_IDS, MAX_PRIORITY, MAX_RULE_WORDS

PICTURE_NOT_HERE: Final = "picture_not_here"
"""What is reported about a rule whose picture did not come. A later import that brings the picture takes the rule."""
_ITEM_CHARACTERS: Final = 64
_MADE_UP: Final = "auto_"


def plan_rules(old: OldAccount, tally: Tally, pictures: Pictures) -> Rules:
    """Return the rules of an account in their order. Of two with the same words and item the first is taken."""
    silent = _silent_rules(old)
    limit = MAX_RULES - len(silent)
    found: dict[tuple[tuple[str, ...], str | None], Rule] = {}
    for row in old.rules:
        rule = _rule(old, row, len(found), tally, pictures)
        if rule is None:
            continue
        if (rule.words, rule.item_id) in found:
            tally.skip(Kind.RULES, "keywords", _label(old, row), "rule_twice", keyword=rule.keyword)
        elif len(found) >= limit:
            tally.skip(Kind.RULES, "keywords", _label(old, row), "too_many_rules", limit=limit)
        else:
            found[rule.words, rule.item_id] = rule
            tally.count(Kind.RULES, Fate.TAKEN)
    return (*silent, *found.values())


def _silent_rules(old: OldAccount) -> list[Rule]:
    """Return rules without an answer that fire before all others, also before those of single items."""
    words = [word[:MAX_KEYWORD_CHARACTERS] for word in dict.fromkeys(old.silent_words) if not is_blank(word)]
    items = sorted({item for row in old.rules if is_item_id(item := row.item_id.strip())})
    return [
        Rule(id=new_rule_id(), words=some, item_ids=of_items, priority=MAX_PRIORITY)
        for of_items in ((), *_parts(items, MAX_ITEM_IDS))
        for some in _parts(words, MAX_RULE_WORDS)
    ]


def _parts(texts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(texts[start : start + size]) for start in range(0, len(texts), size)]


def plan_late_rules(
    old: OldAccount, account: Account, here: Here, owner: str, tally: Tally, pictures: Pictures
) -> tuple[tuple[str, Rule], ...]:
    """Return the rules that an earlier run left out as their picture did not come, and that can be taken now.

    One that was brought since, or that somebody added by hand, is known. Each comes with its row of the report.
    """
    found: dict[tuple[str, str], tuple[str, Rule]] = {}
    known = {rule.key for rule in account.keywords}
    for row in old.rules:
        label = _label(old, row)
        if not row.image or label not in here.without_picture or here.knows(owner, Kind.RULES, label):
            tally.count(Kind.RULES, Fate.KNOWN)
            continue
        rule = _rule(old, row, len(found), tally, pictures)
        if rule is None:
            continue
        if rule.key in known or rule.key in found:
            tally.count(Kind.RULES, Fate.KNOWN)
        elif len(known) + len(found) >= MAX_RULES:
            tally.skip(Kind.RULES, "keywords", label, "too_many_rules", limit=MAX_RULES)
        else:
            found[rule.key] = label, rule
            tally.count(Kind.RULES, Fate.TAKEN)
    return tuple(found.values())


def _rule(old: OldAccount, row: OldRule, position: int, tally: Tally, pictures: Pictures) -> Rule | None:
    item_id = row.item_id.strip()
    words = tuple(dict.fromkeys(word for line in row.keyword.splitlines() if (word := line.strip()))) or ("",)
    try:
        for word in words:
            check_keyword(word, row.reply)
    except InvalidInput as error:
        code = "rule_without_keyword" if error.code == "empty_keyword" else "rule_too_long"
        tally.skip(Kind.RULES, "keywords", _label(old, row), code)
        return None
    if item_id and not is_item_id(item_id):
        tally.skip(Kind.RULES, "keywords", _label(old, row), "bad_item_id", item=item_id[:_ITEM_CHARACTERS])
        return None
    part = None
    if row.image:
        part = pictures.part(row.image)
        if part is None:
            code = PICTURE_NOT_HERE if pictures.is_local(row.image) else "picture_elsewhere"
            tally.skip(Kind.RULES, "keywords", _label(old, row), code, picture=row.image[:200])
            return None
    elif row.reply:
        part = Part(text=row.reply)
    if len(words) > MAX_RULE_WORDS:
        tally.note("keywords", _label(old, row), "words_cut", Fate.CHANGED, limit=MAX_RULE_WORDS)
    return Rule(
        id=new_rule_id(),
        words=words[:MAX_RULE_WORDS],
        item_ids=(item_id,) if item_id else (),
        parts=() if part is None else (part,),
        position=position,
        active=row.is_on,
    )


def plan_item_replies(old: OldAccount, tally: Tally) -> tuple[ItemSetting, ...]:
    """Return the replies of items; of several for one item the newest."""
    newest: dict[str, OldItemReply] = {}
    for row in sorted(old.item_replies, key=lambda one: one.changed_at):
        if row.item_id in newest:
            _skip(old, newest[row.item_id], tally, "item_reply_older")
        newest[row.item_id] = row
    found: list[ItemSetting] = []
    for row in newest.values():
        if not is_item_id(row.item_id) or row.item_id.startswith(_MADE_UP):
            _skip(old, row, tally, "made_up_item" if row.item_id.startswith(_MADE_UP) else "bad_item_id")
        elif not row.text.strip():
            _skip(old, row, tally, "reply_empty")
        elif len(row.text) > MAX_REPLY_CHARACTERS:
            _skip(old, row, tally, "reply_too_long")
        else:
            found.append(ItemSetting(item_id=row.item_id, reply=row.text))
            tally.count(Kind.ITEM_REPLIES, Fate.TAKEN)
    return tuple(sorted(found, key=lambda one: one.item_id))


def with_floors(items: tuple[ItemSetting, ...], floors: Mapping[str, int]) -> tuple[ItemSetting, ...]:
    """Return the settings of items with these lowest prices, by the ids of the items."""
    found = {item.item_id: item for item in items}
    for item_id, floor_fen in floors.items():
        found[item_id] = replace(found.get(item_id) or ItemSetting(item_id=item_id), floor_fen=floor_fen)
    return tuple(found[item_id] for item_id in sorted(found))


def plan_default_reply(old: OldAccount, tally: Tally) -> tuple[str, bool, bool]:
    """Return the default reply: its text, whether it is on, and whether each chat gets it once."""
    if old.default_reply is None:
        return "", False, False
    reply = old.default_reply
    if len(reply.text) > MAX_REPLY_CHARACTERS:
        tally.skip(Kind.DEFAULT_REPLIES, "default_replies", old.id, "reply_too_long", item="")
        return "", False, reply.once
    fate = Fate.TAKEN
    if reply.image:
        fate = Fate.CHANGED
        tally.note("default_replies", old.id, "default_reply_picture", fate, picture=reply.image[:200])
    if reply.is_on and not reply.text.strip():
        fate = Fate.CHANGED
        tally.note("default_replies", old.id, "default_reply_empty", fate)
    tally.count(Kind.DEFAULT_REPLIES, fate)
    return reply.text, reply.is_on and bool(reply.text.strip()), reply.once


def count_items(old: OldAccount, tally: Tally) -> None:
    """Report the items of an account: the site's own list is read here, so that none is needed."""
    if not old.items:
        return
    tally.note("item_info", old.id, "items_from_site", Fate.SKIPPED, count=len(old.items))
    tally.count(Kind.ITEMS, Fate.SKIPPED, len(old.items))
    singles = sum(not item.each_piece for item in old.items)
    if singles:
        tally.note("item_info", old.id, "each_piece_is_served", Fate.CHANGED, count=singles)


def is_item_id(item_id: str) -> bool:
    """Return whether an id can be that of an item."""
    return 1 <= len(item_id) <= _ITEM_CHARACTERS and item_id.isascii() and item_id.isalnum()


def _label(old: OldAccount, row: OldRule | OldItemReply) -> str:
    return f"{old.id}: {row.row}"[:MAX_ROW_CHARACTERS]


def _skip(old: OldAccount, row: OldItemReply, tally: Tally, code: str) -> None:
    tally.skip(Kind.ITEM_REPLIES, "item_replay", _label(old, row), code, item=row.item_id[:_ITEM_CHARACTERS])


def skip_replies(old: OldAccount, tally: Tally, code: str) -> None:
    """Report every row of an account that is not taken."""
    rows: Iterable[tuple[Kind, str, str]] = (
        *((Kind.RULES, "keywords", _label(old, row)) for row in old.rules),
        *((Kind.ITEM_REPLIES, "item_replay", _label(old, row)) for row in old.item_replies),
        *((Kind.DEFAULT_REPLIES, "default_replies", old.id) for _ in [old.default_reply] if _ is not None),
        *((Kind.ORDERS, "orders", order.order_id) for order in old.orders),
        *((Kind.AI, "ai_reply_settings", old.id) for _ in [old.ai] if _ is not None),
    )
    for kind, table, row in rows:
        tally.skip(kind, table, row, code, account=old.id)
    tally.count(Kind.ITEMS, Fate.SKIPPED, len(old.items))
