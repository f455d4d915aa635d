"""Chooses the rule that answers a message, and the reply's text. It only reads a snapshot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside_for_buyers
from shoal.messages.decisions import Decision
from shoal.rules.handoff_words import asks_for_person
from shoal.rules.matcher import Considered
from shoal.rules.opening_hours import Closed
from shoal.rules.rule import MAX_REPLY_CHARACTERS, Part, Rule
from shoal.rules.schedule import Moment, moment_in

LONGEST_RECEIVED = 10_000
"""How many characters of a buyer's message are used. The site's own client sends far fewer in one message."""
_VARIABLE = re.compile(r"\{([a-z_]+)\}")


class AnswerSource(StrEnum):
    """The source of an answer. The first four are in the order in which they are checked."""

    ITEM_RULE = "item_rule"
    GENERAL_RULE = "general_rule"
    ITEM_REPLY = "item_reply"
    DEFAULT_REPLY = "default_reply"
    HANDOFF = "handoff"
    """The buyer asks for a person. It comes before all others."""
    MODEL = "model"
    AWAY_REPLY = "away_reply"
    """The shop is closed. It takes the place of all others but a hand-off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A buyer's message (or a burst joined to one text), its chat and item.

    Only the first ``LONGEST_RECEIVED`` characters of the text are used.
    """

    text: str
    chat_id: str
    buyer_id: str
    buyer_name: str
    item_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_RECEIVED:
            object.__setattr__(self, "text", self.text[:LONGEST_RECEIVED])


def joined(texts: Sequence[str]) -> str:
    """Join the texts of a burst, oldest first. If they exceed the limit, keep the newest that fit."""
    kept: list[str] = []
    room = LONGEST_RECEIVED
    for text in reversed(texts):
        room -= len(text) + 1
        if kept and room < -1:
            break
        kept.append(text)
    return "\n".join(reversed(kept))


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The messages to send, part after part. No parts mean that the matching rule has no reply.

    Before the first part, a random time within ``delay_seconds`` passes. For ``cooldown_seconds`` after it, the same
    rule does not answer the same buyer.
    """

    source: AnswerSource
    rule_id: str = ""
    parts: tuple[Part, ...] = ()
    delay_seconds: tuple[float, float] = (0, 0)
    cooldown_seconds: int = 0

    @property
    def is_silent(self) -> bool:
        """Return whether the rule has no reply."""
        return not self.parts


def choose_answer(account: Account, asked: Asked, *, at_ms: int | None = None) -> Answer | None:
    """Return the first answer of: the item's rules, general rules, the item's reply, the default reply.

    ``at_ms`` (milliseconds since 1970; ``None``: now) is the time for the hours of rules. Return ``None`` without an
    answer.
    """
    rule = account.matcher.first(asked.text, asked.item_id, _moment(account, at_ms))
    return answer_of(rule, asked) if rule is not None else _answer_without_rule(account, asked)


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice for a message: an answer to give (``PENDING``), or the decision against one.

    A silent rule's answer stands beside the decision; a filtered one does not, and ``words`` are those of it.
    ``closed``: the period in which its answer, an away word, is sent once. ``waits``: the decision about a message that
    gets this word, or had it: its owner still has to answer.
    """

    asked: Asked
    answer: Answer | None
    decision: Decision
    rule_id: str = ""
    words: tuple[str, ...] = ()
    closed: Closed | None = None
    waits: Decision = Decision.CLOSED

    @property
    def source(self) -> AnswerSource | None:
        """Where the answer comes from."""
        return self.answer.source if self.answer is not None else None


async def choose(account: Account | None, asked: Asked) -> Choice:
    """Choose from an account's rules for now, without blocking the loop even with slow regular expressions.

    ``None``: the account was removed.
    """
    if account is None or not account.enabled:
        return Choice(asked, None, Decision.DISABLED)
    if not account.replies:
        return Choice(asked, None, Decision.REPLIES_OFF)
    apart = answer_apart(account, asked, now_ms())
    if apart is not None:
        return filtered(account, apart)
    if account.matcher.takes_long(asked.text):
        answer = await beside_for_buyers(account.owner_id, choose_answer, account, asked)
    else:
        answer = choose_answer(account, asked)
    if answer is None:
        return Choice(asked, None, Decision.NO_RULE)
    decision = Decision.SILENT_RULE if answer.is_silent else Decision.PENDING
    return filtered(account, Choice(asked, answer, decision, answer.rule_id or answer.source.value))


def answer_apart(account: Account, asked: Asked, at_ms: int) -> Choice | None:
    """Return the choice that comes before all rules: a hand-off, or the away word of a closed shop."""
    if account.handoff_words and asks_for_person(account.handoff_words, asked.text):
        source, text, decision, closed = AnswerSource.HANDOFF, account.handoff_reply, Decision.HANDED_OFF, None
    elif (closed := account.closed_at(at_ms)) is not None:
        source, text, decision = AnswerSource.AWAY_REPLY, account.away_reply, Decision.CLOSED
    else:
        return None
    answer = Answer(source=source, parts=_parts(text, asked))
    return Choice(asked, answer, decision if answer.is_silent else Decision.PENDING, source.value, closed=closed)


def away_choice(account: Account, asked: Asked, closed: Closed) -> Choice:
    """Return the choice when the language model is away and nothing else answers: the away word once, or nothing."""
    answer, away = Answer(source=AnswerSource.AWAY_REPLY, parts=_parts(account.away_reply, asked)), Decision.MODEL_AWAY
    decision = away if answer.is_silent else Decision.PENDING
    return filtered(account, Choice(asked, answer, decision, answer.source.value, closed=closed, waits=away))


def handoff_choice(account: Account, asked: Asked, *, with_sentence: bool) -> Choice:
    """Return the choice of a hand-off that no word of the buyer asks for, with its sentence or without."""
    answer = Answer(source=AnswerSource.HANDOFF, parts=_parts(account.handoff_reply, asked) if with_sentence else ())
    decision = Decision.HANDED_OFF if answer.is_silent else Decision.PENDING
    return filtered(account, Choice(asked, answer, decision, AnswerSource.HANDOFF.value))


def filtered(account: Account, choice: Choice) -> Choice:
    """Return the choice, or, when the output filter holds its answer back, the decision against it.

    A hand-off whose sentence is held back is a hand-off without a sentence.
    """
    words = words_of_answer(account, choice.answer)
    if not words:
        return choice
    if choice.answer is not None and choice.answer.source is AnswerSource.HANDOFF:
        silent = Answer(source=AnswerSource.HANDOFF)
        return replace(choice, answer=silent, decision=Decision.HANDED_OFF, words=words)
    return replace(choice, answer=None, decision=Decision.FILTERED, words=words)


def words_of_answer(account: Account, answer: Answer | None) -> tuple[str, ...]:
    """Return what the output filter finds in an answer."""
    parts = answer.parts if answer is not None else ()
    return account.output_filter.words_in(part.text for part in parts) if parts else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """The answer, its rule (if any), and why the other rules do not match.

    ``decision``: what holds the answer back before any limit is looked at. ``words``: what the output filter found.
    """

    answer: Answer | None
    rule: Rule | None
    considered: tuple[Considered, ...]
    decision: Decision = Decision.PENDING
    words: tuple[str, ...] = ()
    closed: Closed | None = None


def explain(account: Account, asked: Asked, *, at_ms: int | None = None) -> Explained:
    """Return the answer and the reasons. Slower than ``choose_answer``, because it checks all rules."""
    considered = tuple(account.matcher.consider(asked.text, asked.item_id, _moment(account, at_ms)))
    apart = answer_apart(account, asked, now_ms() if at_ms is None else at_ms)
    if apart is not None:
        choice = filtered(account, apart)
        silent = choice.answer is None or choice.answer.is_silent
        decision = choice.decision if silent else Decision.PENDING
        return Explained(
            answer=apart.answer, rule=None, considered=considered, decision=decision, words=choice.words,
            closed=apart.closed,
        )  # fmt: skip
    rule = next((one.rule for one in considered if not one.why_not), None)
    answer = answer_of(rule, asked) if rule is not None else _answer_without_rule(account, asked)
    words = words_of_answer(account, answer)
    decision = Decision.FILTERED if words else Decision.PENDING
    if answer is not None and answer.is_silent:
        decision = Decision.SILENT_RULE
    return Explained(answer=answer, rule=rule, considered=considered, decision=decision, words=words)


_ANY_MOMENT = Moment(1, 0)


def _moment(account: Account, at_ms: int | None) -> Moment:
    if not account.matcher.has_hours:
        return _ANY_MOMENT
    return moment_in(account.timezone, now_ms() if at_ms is None else at_ms)


def _answer_without_rule(account: Account, asked: Asked) -> Answer | None:
    item = account.item(asked.item_id)
    if item is not None and item.reply:
        return Answer(source=AnswerSource.ITEM_REPLY, parts=_parts(item.reply, asked))
    if account.default_reply_enabled and account.default_reply:
        return Answer(source=AnswerSource.DEFAULT_REPLY, parts=_parts(account.default_reply, asked))
    return None


def answer_of(rule: Rule, asked: Asked) -> Answer:
    """Return the answer of a matching rule, without texts that are empty after filling in the variables."""
    return Answer(
        source=AnswerSource.ITEM_RULE if rule.item_ids else AnswerSource.GENERAL_RULE,
        rule_id=rule.id,
        parts=tuple(
            filled for part in rule.parts for filled in ((part,) if part.image_url else _parts(part.text, asked))
        ),
        delay_seconds=rule.delay_seconds,
        cooldown_seconds=rule.cooldown_seconds,
    )


def _parts(template: str, asked: Asked) -> tuple[Part, ...]:
    """Fill in the template and return it as one part; no part if the text is empty."""
    text = fill(template, variables(asked))[:MAX_REPLY_CHARACTERS]  # a buyer's text may be longer than a reply may be
    return (Part(text=text),) if text else ()


def variables(asked: Asked) -> dict[str, str]:
    """Return the values of ``rule.VARIABLES``."""
    return {
        "send_user_name": asked.buyer_name,
        "send_user_id": asked.buyer_id,
        "send_message": asked.text,
        "item_id": asked.item_id or "",
    }


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each ``{name}`` with its value, literally and once. A buyer's braces and unknown names stay."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template)
