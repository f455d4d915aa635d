"""Asking a language model for an answer: prompt, call, strict reading, rails. It stores nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from shoal.assistant.model_output import BadOutput, ModelOutput, read_output
from shoal.assistant.prompt import Context, PromptMessage, messages_of
from shoal.assistant.rail_facts import RailFacts, RailVerdict
from shoal.concurrency.fair_threads import beside_for_buyers

ITEM_GONE: Final = "item_gone"
"""Why a chat is handed off without a call: the site's page says that the item cannot be bought any more."""
MOST_CALLS: Final = 2
"""How often one question is asked: an output that cannot be read is asked for once more."""


class ProposalKind(StrEnum):
    """What becomes of a model's output, before anything of a chat is looked at."""

    REPLY = "reply"
    HANDOFF = "handoff"
    SILENT = "silent"
    BLOCKED = "blocked"
    """A rail holds the reply back."""
    UNREADABLE = "unreadable"
    """No output was what was asked for."""


class Answered(Protocol):
    """What a call to a provider gives; ``ms``: how long it took."""

    @property
    def text(self) -> str:
        """The raw output."""

    @property
    def tokens_in(self) -> int:
        """The tokens of the prompt."""

    @property
    def tokens_out(self) -> int:
        """The tokens of the output."""

    @property
    def ms(self) -> int:
        """The milliseconds that the call took."""


Call = Callable[[list[PromptMessage]], Awaitable[Answered]]
"""Makes one call with a prompt. It counts the call against budget and pace, and raises what goes wrong."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What a model proposes, and what the rails say. ``output`` is ``None`` when none of its outputs could be read.

    ``why`` says what was wrong with the last output, or why the first rail that failed holds the reply back. Tokens and
    milliseconds are those of all calls together.
    """

    kind: ProposalKind
    prompt: tuple[PromptMessage, ...]
    raw: str
    output: ModelOutput | None
    verdicts: tuple[RailVerdict, ...]
    why: str
    tokens_in: int
    tokens_out: int
    ms: int

    @property
    def text(self) -> str:
        """What the buyer would get; empty unless it is a reply that no rail holds back."""
        return self.output.text if self.output is not None and self.kind is ProposalKind.REPLY else ""

    @property
    def failed(self) -> RailVerdict | None:
        """The first rail that holds the reply back."""
        return next((verdict for verdict in self.verdicts if not verdict.passed), None)


async def ask_model(call: Call, context: Context, facts: RailFacts, *, owner_id: int) -> Proposal:
    """Ask a model once, once more when its output cannot be read, and check what it says. Raises what ``call`` does.

    About an item that is gone no model is asked: the owner is. The check runs beside the event loop, in turns of the
    owners: a buyer's long texts full of amounts take 30 ms.
    """
    prompt = messages_of(context)
    if context.item_is_gone:
        return _about_gone(prompt)
    answers: list[Answered] = []
    output, why = None, ""
    while output is None and len(answers) < MOST_CALLS:
        answers.append(await call(prompt))
        try:
            output = read_output(answers[-1].text)
        except BadOutput as wrong:
            why = str(wrong)
    verdicts = await beside_for_buyers(owner_id, _checked, output, facts) if output is not None else ()
    kind = _kind(output, verdicts)
    if output is not None:
        why = next((verdict.why for verdict in verdicts if not verdict.passed), "")
    return Proposal(
        kind=kind,
        prompt=tuple(prompt),
        raw=answers[-1].text,
        output=output,
        verdicts=verdicts,
        why=why,
        tokens_in=sum(one.tokens_in for one in answers),
        tokens_out=sum(one.tokens_out for one in answers),
        ms=sum(one.ms for one in answers),
    )


def _checked(output: ModelOutput, facts: RailFacts) -> tuple[RailVerdict, ...]:
    from shoal.assistant.rails import check  # noqa: PLC0415  a server without a model never needs it

    return check(output, facts)


def _about_gone(prompt: list[PromptMessage]) -> Proposal:
    return Proposal(
        kind=ProposalKind.HANDOFF,
        prompt=tuple(prompt),
        raw="",
        output=None,
        verdicts=(),
        why=ITEM_GONE,
        tokens_in=0,
        tokens_out=0,
        ms=0,
    )


def _kind(output: ModelOutput | None, verdicts: tuple[RailVerdict, ...]) -> ProposalKind:
    if output is None:
        return ProposalKind.UNREADABLE
    if not all(verdict.passed for verdict in verdicts):
        return ProposalKind.BLOCKED
    return ProposalKind(output.action)
