"""A model is asked once, and once more for an output that cannot be read; no word passes the rails unread."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from shoal.assistant.asking import MOST_CALLS, Proposal, ProposalKind, ask_model
from shoal.assistant.model_output import ModelOutput
from shoal.assistant.prompt import Context, Fact, PromptMessage, instructions_of
from shoal.assistant.rail_facts import Rail, RailFacts, RailVerdict
from shoal.assistant.rails import check
from shoal.rules.output_filter import OutputFilter

CONTEXT = Context(question="在吗", facts=(Fact("包邮吗", "满 30 包邮"),), item_title="手机壳", item_price_fen=2_000)
FACTS = RailFacts(
    output_filter=OutputFilter(contacts=True, links=True, patterns="", floor_fen=None),
    buyer_text=CONTEXT.question, turns_left=1, floor_fen=1_500, price_fen=2_000, facts=1,
    owner_words=("满 30 包邮", "手机壳"), instructions=instructions_of(CONTEXT),
)  # fmt: skip


@dataclass(frozen=True)
class _Answer:
    text: str
    tokens_in: int = 100
    tokens_out: int = 7
    ms: int = 30


async def _asked(*outputs: str) -> tuple[Proposal, list[list[PromptMessage]]]:
    left, prompts = list(outputs), []

    async def call(prompt: list[PromptMessage]) -> _Answer:
        prompts.append(prompt)
        return _Answer(left.pop(0))

    return await ask_model(call, CONTEXT, FACTS, owner_id=1), prompts


async def test_a_good_reply_passes_with_the_word_of_each_rail() -> None:
    found, prompts = await _asked('{"action": "reply", "text": "在的，请说"}')
    assert (found.kind, found.text, found.why, found.failed) == (ProposalKind.REPLY, "在的，请说", "", None)
    assert [verdict.rail for verdict in found.verdicts] == list(Rail)
    assert list(found.prompt) == prompts[0]
    assert (len(prompts), found.tokens_in, found.tokens_out, found.ms) == (1, 100, 7, 30)


async def test_an_output_that_cannot_be_read_is_asked_for_once_more_and_both_calls_count() -> None:
    found, prompts = await _asked("Sure!", '{"action": "reply", "text": "在的"}', "never asked for")
    assert (found.kind, found.text, found.why) == (ProposalKind.REPLY, "在的", "")
    assert prompts[0] == prompts[1]
    assert (len(prompts), found.tokens_in, found.tokens_out, found.ms) == (2, 200, 14, 60)


async def test_after_the_second_output_that_cannot_be_read_nothing_more_is_asked() -> None:
    found, prompts = await _asked("Sure!", '{"action": "send", "text": "加我"}', "never asked for")
    assert (found.kind, found.output, found.text, found.verdicts) == (ProposalKind.UNREADABLE, None, "", ())
    assert found.raw == '{"action": "send", "text": "加我"}'
    assert found.why.startswith("action")
    assert len(prompts) == MOST_CALLS


@pytest.mark.parametrize(
    ("output", "rail", "why"),
    [
        ('{"action": "reply", "text": "10元给你", "offered_fen": 1000}', "amount", "below_floor"),
        ('{"action": "reply", "text": "加我微信 abc12345"}', "filter", "filtered"),
        ('{"action": "reply", "text": "在的", "facts": [2]}', "facts", "no_such_fact"),
    ],
)
async def test_a_reply_that_a_rail_holds_back_has_no_text_for_the_buyer(output: str, rail: str, why: str) -> None:
    found, prompts = await _asked(output)
    assert (found.kind, found.text, found.why) == (ProposalKind.BLOCKED, "", why)
    assert found.failed is not None
    assert found.failed.rail == rail
    assert len(prompts) == 1


@pytest.mark.parametrize("action", ["handoff", "silent"])
async def test_an_action_without_a_reply_says_nothing_to_the_buyer(action: str) -> None:
    found, _ = await _asked(f'{{"action": "{action}", "text": "10元给你"}}')
    assert (found.kind.value, found.text, found.why) == (action, "", "")


async def test_what_a_call_raises_is_left_to_the_asker() -> None:
    async def call(_: list[PromptMessage]) -> _Answer:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await ask_model(call, CONTEXT, FACTS, owner_id=1)


async def test_the_check_runs_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buyer's long texts full of amounts take 30 ms: no other shop waits for them."""
    threads: list[str] = []

    def watched(output: ModelOutput, facts: RailFacts) -> tuple[RailVerdict, ...]:
        threads.append(threading.current_thread().name)
        return check(output, facts)

    monkeypatch.setattr("shoal.assistant.rails.check", watched)
    found, _ = await _asked('{"action": "reply", "text": "在的"}')
    assert found.text == "在的"
    assert [name.startswith("shoal-buyers") for name in threads] == [True]
