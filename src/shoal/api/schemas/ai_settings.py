"""The settings of a shop's language model as JSON, and its trials."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from shoal.accounts.account import Account
from shoal.accounts.model_settings import (
    MAX_ANSWER_CHARACTERS,
    MAX_FACTS,
    MAX_QUESTION_CHARACTERS,
    ModelLack,
    ModelMode,
    facts_of,
)
from shoal.accounts.setting_models import gives, takes
from shoal.accounts.shop_settings import AssistantSettings, declared_by
from shoal.api.schemas.item_pages import SpecShape
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, example, maybe_rfc3339
from shoal.assistant.model_output import ModelOutput
from shoal.assistant.prompt import MOST_TURNS, Context, Fact, Turn
from shoal.assistant.rail_facts import Rail
from shoal.assistant.trial import Trial, TrialDecision

LONGEST_QUESTION = 4_000

_DECLARED = declared_by(AssistantSettings)
_SETTINGS: dict[str, Any] = {
    **{name: one.default for name, one in _DECLARED.items()},
    "ai_mode": "draft", "ai_provider_id": 1, "ai_persona": "简短、客气", "resting_until": None,
    "lacks": None, "tokens_today": 812,
    "ai_facts": [{"id": 1, "question": "包邮吗", "answer": "满 30 元包邮"}],
}  # fmt: skip
_TRIED: dict[str, Any] = {
    "prompt": [{"role": "system", "content": "…"}, {"role": "user", "content": "…"}],
    "raw": '{"action": "reply", "text": "满 30 元包邮", "facts": [1]}',
    "output": {"action": "reply", "text": "满 30 元包邮", "offered_fen": None, "facts": [1]},
    "rails": [{"rail": "amount", "passed": True, "why": "", "words": []}],
    "item": {
        "title": "收纳盒", "price_fen": 1990, "specs": [], "description": "三层，白色", "facts": "", "is_gone": False,
        "read_at": "2026-11-28T11:05:00Z",
    },
    "decision": "reply", "text": "满 30 元包邮", "why": "", "tokens_in": 812, "tokens_out": 24, "cost_microfen": 86_000,
    "duration_ms": 640,
}  # fmt: skip


class FactBody(BaseModel):
    """A question that buyers ask, and the shop's answer. An ``id`` is ignored: it is the fact's place in the list."""

    model_config = body_example(question="包邮吗", answer="满 30 元包邮")
    id: int | None = None
    question: Annotated[Text, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]
    answer: Annotated[Text, Field(min_length=1, max_length=MAX_ANSWER_CHARACTERS)]


Facts = Annotated[list[FactBody], Field(max_length=MAX_FACTS)]


@takes(_DECLARED, Text)
class ModelSettingsBody(BaseModel):
    """Settings of the model to change; those left out stay.

    ``ai_mode``: `off`, `draft` (a person sends each answer) or `auto`. ``ai_facts`` is the whole list.
    """

    model_config = body_example(ai_mode="draft", ai_provider_id=1)
    ai_mode: Literal["off", "draft", "auto"] = "off"
    ai_facts: Facts = Field(default_factory=list)


class FactShape(BaseModel):
    """A fact; its ``id`` is its place."""

    id: int
    question: str
    answer: str


@gives(_DECLARED)
class ModelSettings(BaseModel):
    """The settings of a shop's model.

    ``resting_until``: the provider rests after failures. ``lacks``: why it is not asked although it is on: there
    is no such provider, or its owner does not agree that words go to it. ``tokens_today``: used on this day of the
    shop's time zone, reservations included.
    """

    model_config = example(**_SETTINGS)
    ai_mode: ModelMode
    ai_facts: list[FactShape]
    resting_until: str | None
    lacks: ModelLack | None
    tokens_today: int


class ModelSettingsChanged(ChangeFacts, ModelSettings):
    """The settings after the change."""

    model_config = example(**_SETTINGS, **CHANGE_EXAMPLE)


class TurnBody(BaseModel):
    """One line of a chat before the question."""

    model_config = body_example(is_buyer=True, text="在吗")
    is_buyer: bool
    text: Annotated[Text, Field(min_length=1, max_length=LONGEST_QUESTION)]


class TryModelBody(BaseModel):
    """A question to test, as if a buyer asked it. ``facts`` stand in place of the shop's."""

    model_config = body_example(text="包邮吗", item_id="700000000001")
    text: Annotated[Text, Field(min_length=1, max_length=LONGEST_QUESTION, pattern=r"\S")]
    item_id: Annotated[Text, Field(max_length=64)] | None = None
    turns: Annotated[list[TurnBody], Field(max_length=MOST_TURNS)] = Field(default_factory=list)
    facts: Facts | None = None


class PromptShape(BaseModel):
    """One message of the prompt."""

    role: str
    content: str


class OutputShape(BaseModel):
    """What the model proposes. ``facts``: the ids of those that it used."""

    action: Literal["reply", "handoff", "silent"]
    text: str
    offered_fen: int | None
    facts: list[int]


class RailShape(BaseModel):
    """The verdict of one check; ``words``: what it found."""

    rail: Rail
    passed: bool
    why: str
    words: list[str]


class TriedItem(BaseModel):
    """What was known of the item. ``read_at``: when its page was read, null when only the list of items was.

    ``price_fen`` is null when no price is known, and when ``specs`` have different ones.
    """

    title: str
    price_fen: int | None
    specs: list[SpecShape]
    description: str
    facts: str
    is_gone: bool
    read_at: str | None


class TriedModel(BaseModel):
    """What came of the question. ``text`` is what a buyer would get; ``output`` is null when none could be read.

    ``decision`` `budget`, `resting` or `busy`: the model was not asked. ``failed``: it gave no answer that can be used.
    """

    model_config = example(**_TRIED)
    prompt: list[PromptShape]
    raw: str
    output: OutputShape | None
    rails: list[RailShape]
    item: TriedItem | None
    decision: TrialDecision
    text: str
    why: str
    tokens_in: int
    tokens_out: int
    cost_microfen: int
    duration_ms: int


def settings_of(
    account: Account, resting_until_ms: int | None, tokens_today: int, *, lacks: ModelLack | None
) -> dict[str, Any]:
    """Return the fields of ``ModelSettings``."""
    pairs = enumerate(facts_of(account.ai_facts), 1)
    return {
        **{name: getattr(account, name) for name in _DECLARED},
        "ai_mode": ModelMode(account.ai_mode),
        "ai_facts": [FactShape(id=place, question=question, answer=answer) for place, (question, answer) in pairs],
        "resting_until": maybe_rfc3339(resting_until_ms),
        "lacks": lacks,
        "tokens_today": tokens_today,
    }


def facts_in(facts: list[FactBody] | None) -> list[Fact] | None:
    """Return facts of a body; ``None`` without any."""
    return None if facts is None else [Fact(fact.question.strip(), fact.answer.strip()) for fact in facts]


def turns_in(turns: list[TurnBody]) -> list[Turn]:
    """Return the lines of a body."""
    return [Turn(turn.is_buyer, turn.text) for turn in turns]


def tried_shape(trial: Trial, context: Context, item_id: str | None) -> TriedModel:
    """Return a trial as JSON, with what its context knew of the item."""
    found = trial.proposal
    return TriedModel(
        prompt=[PromptShape(role=message["role"], content=message["content"]) for message in trial.prompt],
        raw=found.raw if found is not None else "",
        output=_output(found.output) if found is not None and found.output is not None else None,
        rails=[
            RailShape(rail=verdict.rail, passed=verdict.passed, why=verdict.why, words=list(verdict.words))
            for verdict in (found.verdicts if found is not None else ())
        ],
        item=_item(context) if item_id else None,
        decision=trial.decision,
        text=found.text if found is not None else "",
        why=trial.why,
        tokens_in=found.tokens_in if found is not None else 0,
        tokens_out=found.tokens_out if found is not None else 0,
        cost_microfen=trial.cost_microfen,
        duration_ms=trial.ms,
    )


def _item(context: Context) -> TriedItem:
    return TriedItem(
        title=context.item_title,
        price_fen=context.item_price_fen,
        specs=[SpecShape(name=one.name, price_fen=one.price_fen, left=one.left) for one in context.item_specs],
        description=context.item_description,
        facts=context.item_facts,
        is_gone=context.item_is_gone,
        read_at=maybe_rfc3339(context.item_read_at_ms),
    )


def _output(output: ModelOutput) -> OutputShape:
    return OutputShape(action=output.action, text=output.text, offered_fen=output.offered_fen, facts=list(output.facts))
