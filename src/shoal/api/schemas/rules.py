"""Rules as JSON, in requests and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import Depends, Header
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from shoal.api.schemas.request_texts import Text
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, example, rfc3339
from shoal.language.catalogue import translate
from shoal.language.choice import Language, language_of
from shoal.messages.decisions import Hits
from shoal.rules.rule import VARIABLES, MatchMode, Rule, WordMode
from shoal.rules.rule_lint import RuleWarning, WarningCode
from shoal.rules.rule_lists import Edits
from shoal.rules.schedule import EVERY_DAY


async def language(accept_language: Annotated[str | None, Header(include_in_schema=False)] = None) -> Language:
    """Return the caller's language."""
    return language_of(accept_language)


TheLanguage = Annotated[Language, Depends(language)]

RULE_EXAMPLE: dict[str, Any] = {
    "words": ["包邮", "邮费"], "word_mode": "any", "match_mode": "contains", "item_ids": [], "priority": 0,
    "schedule": [{"weekdays": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}],
    "parts": [{"text": "全国包邮"}], "delay_seconds": [1.0, 3.0], "cooldown_seconds": 60, "active": True,
}  # fmt: skip
_SHOWN: dict[str, Any] = {
    **RULE_EXAMPLE, "id": "5f2b9c0d1e3a4b6c", "parts": [{"text": "全国包邮", "image_url": ""}],
    "hits": 12, "last_hit_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip
_WARNING: dict[str, Any] = {
    "rule_id": "5f2b9c0d1e3a4b6c", "code": "never_fires", "before": "0a1b2c3d4e5f6071", "word": "",
    "detail": "这条规则永远不会生效：规则“包邮”总是先匹配。请调整顺序，或删除其中一条",
}  # fmt: skip


class SpanBody(BaseModel):
    """Hours on weekdays (Monday is 1), in the account's time zone. An end not after the start is on the next day."""

    model_config = ConfigDict(strict=True, extra="forbid")
    weekdays: list[int] = Field(default_factory=lambda: list(EVERY_DAY), max_length=7)
    start: Text = "00:00"
    end: Text = "24:00"


class PartBody(BaseModel):
    """One message: a text (with variables in braces), or a picture that was uploaded here or is on the site."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Text = ""
    image_url: Text = ""


class RuleBody(BaseModel):
    """A new rule. Only its words are required; a rule without parts sends nothing when it matches."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"examples": [RULE_EXAMPLE]}, hide_input_in_errors=True
    )
    words: list[Text]
    word_mode: Literal["any", "all"] = "any"
    match_mode: Literal["contains", "exact", "whole_word", "regex"] = "contains"
    item_ids: list[Text] = Field(default_factory=list)
    priority: int = 0
    schedule: list[SpanBody] = Field(default_factory=list)
    parts: list[PartBody] = Field(default_factory=list)
    delay_seconds: list[float] = Field(default_factory=lambda: [0.0, 0.0], min_length=2, max_length=2)
    cooldown_seconds: int = 0
    active: bool = True


class RuleChangesBody(RuleBody):
    """Fields of a rule to change; those left out stay."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"priority": 10, "active": False}]})
    words: list[Text] = Field(default_factory=list)


class KnownRuleBody(RuleBody):
    """A rule with an id: a known id edits that rule, another id makes a new one.

    A rule that was read may be sent back unchanged.
    """

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{**RULE_EXAMPLE, "id": "5f2b9c0d1e3a4b6c"}]}
    )
    id: Text = ""


class RulesBody(BaseModel):
    """All rules, in the order in which they are matched. ``sent_rules.checked`` validates them."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        json_schema_extra={"examples": [{"rules": [RULE_EXAMPLE]}]},
        hide_input_in_errors=True,
    )
    rules: Annotated[list[KnownRuleBody], SkipValidation]


class OrderBody(BaseModel):
    """The ids of all rules in their new order; ``priorities`` holds new priorities of some rules."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={"examples": [{"ids": ["5f2b9c0d1e3a4b6c"]}]},
        hide_input_in_errors=True,
    )
    ids: list[Text]
    priorities: dict[Text, int] = Field(default_factory=dict)


MOST_EDITS = 500
"""How many edits an answer shows in full."""


def edits_shown(edits: Edits, hits: Mapping[str, Hits]) -> dict[str, Any]:
    """Return the fields of ``RulesReplaced`` about the edits."""
    rows: Iterator[RuleEdit] = chain(
        (RuleEdit(before=None, after=rule_shape(rule, hits)) for rule in edits.added),
        (RuleEdit(before=rule_shape(rule, hits), after=None) for rule in edits.removed),
        (RuleEdit(before=rule_shape(old, hits), after=rule_shape(new, hits)) for old, new in edits.edited),
    )
    return {
        "edits": list(islice(rows, MOST_EDITS)),
        "added": len(edits.added),
        "removed": len(edits.removed),
        "edited": len(edits.edited),
        "unchanged": edits.unchanged,
    }


def values_of(body: RuleBody) -> dict[str, Any]:
    """Return the fields that were sent, in the form that ``rule_edits`` takes."""
    values = body.model_dump(include=body.model_fields_set - {"id"})
    if "parts" in values:
        values["parts"] = [{name: value for name, value in part.items() if value} for part in values["parts"]]
    return values


class SpanShape(BaseModel):
    """Hours on weekdays, in the account's time zone."""

    weekdays: list[int]
    start: str
    end: str


class PartShape(BaseModel):
    """One message."""

    text: str
    image_url: str


class RuleShape(BaseModel):
    """One rule, how often it matched, and when last."""

    model_config = example(**_SHOWN)
    id: str
    words: list[str]
    word_mode: WordMode
    match_mode: MatchMode
    item_ids: list[str]
    priority: int
    schedule: list[SpanShape]
    parts: list[PartShape]
    delay_seconds: list[float]
    cooldown_seconds: int
    active: bool
    hits: int
    last_hit_at: str | None


def rule_shape(rule: Rule, hits: Mapping[str, Hits]) -> RuleShape:
    """Return one rule as JSON."""
    fired = hits.get(rule.id)
    return RuleShape(
        id=rule.id,
        words=list(rule.words),
        word_mode=rule.word_mode,
        match_mode=rule.match_mode,
        item_ids=list(rule.item_ids),
        priority=rule.priority,
        schedule=[SpanShape(weekdays=list(span.weekdays), start=span.start, end=span.end) for span in rule.schedule],
        parts=[PartShape(text=part.text, image_url=part.image_url) for part in rule.parts],
        delay_seconds=list(rule.delay_seconds),
        cooldown_seconds=rule.cooldown_seconds,
        active=rule.active,
        hits=fired.count if fired else 0,
        last_hit_at=rfc3339(fired.last_ms) if fired else None,
    )


class WarningShape(BaseModel):
    """A warning about a rule: it never matches, one of its words never does, or its reply has an unknown variable.

    ``before`` is the rule that always matches first; empty for an unknown variable.
    """

    model_config = example(**_WARNING)
    rule_id: str
    code: WarningCode
    before: str
    word: str
    detail: str


def warning_shapes(warnings: Sequence[RuleWarning], rules: Iterable[Rule], language: Language) -> list[WarningShape]:
    """Return warnings about these rules as JSON, with a sentence each."""
    named = {warning.before for warning in warnings}
    names = {rule.id: rule.keyword for rule in rules if rule.id in named} if named else {}
    return [
        WarningShape(
            rule_id=warning.rule_id,
            code=warning.code,
            before=warning.before,
            word=warning.word,
            detail=translate(
                f"rule_lint.{warning.code.value}",
                language,
                before=names.get(warning.before, warning.before),
                word=warning.word,
                variables=" ".join(f"{{{name}}}" for name in VARIABLES),
            ),
        )
        for warning in warnings
    ]


class RuleList(BaseModel):
    """Rules in matching order, and the warnings about them."""

    model_config = example(items=[_SHOWN], warnings=[_WARNING], next=None)
    items: list[RuleShape]
    warnings: list[WarningShape]
    next: str | None


class RuleChanged(ChangeFacts):
    """The rule after the change (null when it was removed since), and the warnings about it."""

    model_config = example(rule=_SHOWN, warnings=[], **CHANGE_EXAMPLE)
    rule: RuleShape | None
    warnings: list[WarningShape]


class RuleRemoved(ChangeFacts):
    """The rule was removed."""

    model_config = example(msg="removed", **CHANGE_EXAMPLE)
    msg: str = "removed"


class RulesOrdered(ChangeFacts):
    """The ids of the rules in their new order, and the warnings about them."""

    model_config = example(ids=["5f2b9c0d1e3a4b6c"], warnings=[], **CHANGE_EXAMPLE)
    ids: list[str]
    warnings: list[WarningShape]


class RuleEdit(BaseModel):
    """The change of one rule: `before` is null for a new one, `after` for a removed one."""

    before: RuleShape | None
    after: RuleShape | None


class RulesReplaced(ChangeFacts):
    """The result of a replacement, or of its preview (``dry_run``): how many rules differ, and the first 500."""

    model_config = example(
        dry_run=False, edits=[{"before": None, "after": _SHOWN}], added=1, removed=0, edited=0, unchanged=3,
        warnings=[], **CHANGE_EXAMPLE,
    )  # fmt: skip
    dry_run: bool
    edits: list[RuleEdit]
    added: int
    removed: int
    edited: int
    unchanged: int
    warnings: list[WarningShape]
