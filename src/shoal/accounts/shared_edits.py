"""Edits that are made to many accounts alike: tags, and the rules of another account."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any, Final, Literal

import msgspec

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.delivery_edits import values_of
from shoal.accounts.edits import Edit, RuleEdit
from shoal.errors import InvalidInput
from shoal.rules.rule_lists import Wanted

Mode = Literal["merge", "replace"]

_TAG: Final = re.compile(r"[^\s#]{1,60}")
_TAGGED: Final = re.compile(r"(?:^|(?<=\s))#([^\s#]+)(?=\s|$)")


def tags_of(remark: str) -> list[str]:
    """Return the tags of a remark: its words that begin with ``#``, each once."""
    return list(dict.fromkeys(_TAGGED.findall(remark)))


def tagged(add: Sequence[str], remove: Sequence[str]) -> Edit:
    """Add tags to the remark, and remove others. Its other words stay. Refuses bad input at once."""
    for tag in (*add, *remove):
        if not _TAG.fullmatch(tag):
            raise InvalidInput("a tag is one word", code="bad_tag")

    def edit(account: Account) -> Account:
        before = tags_of(account.remark)
        remark = account.remark
        if gone := set(remove).intersection(before):
            words = _TAGGED.sub(lambda found: "" if found[1] in gone else found[0], remark)
            remark = re.sub(r"\s{2,}", " ", words).strip()
        for tag in add:
            if tag not in tags_of(remark):
                remark = f"{remark} #{tag}".strip()
        return account if remark == account.remark else edits.settings({"remark": remark})(account)

    return edit


def rules_like(source: Account, new_ids: Sequence[str], mode: Mode) -> Edit:
    """Add the rules of another account, or replace all by them. A rule for the same words, items and hours is edited.

    ``new_ids``: an id for each rule of ``source``, for those that are new.
    """
    wanted = [Wanted(_rule_values(rule), "", new_id) for rule, new_id in zip(source.keywords, new_ids, strict=True)]
    return edits.more_rules(wanted) if mode == "merge" else edits.all_rules(wanted)


def deliveries_like(source: Account, mode: Mode) -> Edit:
    """Add the delivery rules of another account, or replace all by them."""
    return edits.deliveries([values_of(rule) for rule in source.deliveries], merge=mode == "merge")


def combined(parts: Sequence[Edit]) -> Edit:
    """Combine edits into one change, in their order."""
    edit = reduce(edits.both, parts)
    sent = sum(part.sent for part in parts if isinstance(part, RuleEdit))
    return RuleEdit(edit, sent) if sent else edit


def _rule_values(rule: Any) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(rule)
    return {name: value for name, value in values.items() if name not in {"id", "position"}}
