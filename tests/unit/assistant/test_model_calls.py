"""Calls to a provider, over a socket to the sandbox's: what is sent, what comes back, and what each failure is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from shoal.assistant.model_calls import ModelCalls, ModelFailed, WhyFailed, estimated_tokens, tokens_of
from shoal.assistant.prompt import Context, Fact, Turn
from shoal.assistant.providers import ProviderKind
from shoal.errors import Conflict
from shoal.network.outbound import Outbound
from support.models.model_steps import KEY, PROMPT, a_target, served_model

OPEN = Outbound.of("all")


async def failed(calls: ModelCalls, target: Any) -> ModelFailed:
    with pytest.raises(ModelFailed) as failure:
        await calls.ask(target, PROMPT, 200)
    return failure.value


async def test_a_call_has_the_prompt_and_the_key_and_nothing_of_the_site() -> None:
    async with served_model() as (base, provider):
        provider.script([{"action": "reply", "text": "在的"}], cycles=False)
        calls = ModelCalls(OPEN)
        answer = await calls.ask(a_target(base), PROMPT, 200)
        await calls.close()
    (call,) = provider.calls.after(0)
    assert json.loads(call["body"]) == {"model": "tiny", "messages": PROMPT, "max_tokens": 200, "stream": False}
    assert call["headers"]["authorization"] == f"Bearer {KEY}"
    assert not {"cookie", "referer", "origin"} & set(call["headers"])
    assert json.loads(answer.text) == {"action": "reply", "text": "在的"}
    assert answer.tokens_in == sum(len(one["content"]) for one in PROMPT), "the provider's own figures"
    assert answer.tokens_out == len(answer.text)
    assert calls.outcomes.times == {("answered",): 1}


async def test_an_agent_gets_the_question_and_what_the_shop_knows() -> None:
    context = Context(
        question="13800138000 能便宜吗", persona="secret persona", facts=(Fact("包邮吗", "包邮"),), item_title="书",
        item_price_fen=1_500, turns=(Turn(is_buyer=True, text="在吗"),),
    )  # fmt: skip
    async with served_model() as (base, provider):
        calls = ModelCalls(OPEN)
        answer = await calls.ask(a_target(base, kind=ProviderKind.AGENT), PROMPT, 200, context=context)
        await calls.close()
    (call,) = provider.calls.after(0)
    asked = json.loads(call["body"])
    assert set(asked) == {"question", "item", "facts", "turns"}
    assert asked["facts"] == [{"id": 1, "question": "包邮吗", "answer": "包邮"}]
    assert (asked["item"]["price_yuan"], asked["turns"]) == (15.0, [{"who": "buyer 1", "text": "在吗"}])
    assert "13800138000" not in call["body"]
    assert "persona" not in call["body"]
    assert json.loads(answer.text)["action"] == "reply"
    assert answer.tokens_in == estimated_tokens(PROMPT), "an agent tells no figures"


@pytest.mark.parametrize(
    ("fault", "why", "free"),
    [
        ("429", WhyFailed.BUSY, True),
        ("500", WhyFailed.STATUS, False),
        ("401", WhyFailed.KEY, True),
        ("closed", WhyFailed.NO_ANSWER, False),
        ("redirect", WhyFailed.REDIRECT, True),
        ("huge", WhyFailed.TOO_LONG, False),
        ("page", WhyFailed.NOT_JSON, False),
        ("half_json", WhyFailed.NOT_JSON, False),
    ],
)
async def test_what_is_no_answer_is_a_failure_that_says_why(fault: Any, why: WhyFailed, free: bool) -> None:
    async with served_model() as (base, provider):
        provider.lay(fault, times=1, seconds=0)
        calls = ModelCalls(OPEN)
        with capture_logs() as logs:
            failure = await failed(calls, a_target(base))
        await calls.close()
        assert (failure.why, failure.spent_nothing) == (why, free)
        assert [call["what"] for call in provider.calls.after(0)] == ["completions"], "once, and no redirect followed"
    said = f"{failure!r} {logs}"
    assert KEY not in said
    assert "还在吗" not in said
    assert calls.outcomes.times == {(why,): 1}


async def test_a_slow_provider_and_one_that_is_not_there() -> None:
    async with served_model() as (base, provider):
        provider.lay("slow", times=1, seconds=60)
        calls = ModelCalls(OPEN, seconds=0.2)
        assert (await failed(calls, a_target(base))).why is WhyFailed.TIMEOUT
        inside = ModelCalls(Outbound())
        failure = await failed(inside, a_target(base))
        assert (failure.why, failure.spent_nothing) == (WhyFailed.INSIDE, True)
        await inside.close()
    assert (await failed(calls, a_target(base))).why is WhyFailed.NO_CONNECTION
    await calls.close()


@pytest.mark.parametrize("fault", ["wrong_usage", "low_usage", "no_usage"])
async def test_figures_that_cannot_be_are_replaced_by_what_was_reckoned_with(fault: Any) -> None:
    async with served_model() as (base, provider):
        provider.lay(fault, times=1, seconds=0)
        calls = ModelCalls(OPEN)
        answer = await calls.ask(a_target(base), PROMPT, 200)
        await calls.close()
    assert answer.tokens_in == estimated_tokens(PROMPT)
    assert answer.tokens_out == min(tokens_of(answer.text), 200)


async def test_an_output_that_is_withheld_is_an_empty_one() -> None:
    async with served_model() as (base, provider):
        provider.lay("withheld", times=1, seconds=0)
        calls = ModelCalls(OPEN)
        assert (await calls.ask(a_target(base), PROMPT, 200)).text == ""
        await calls.close()


async def test_no_packet_goes_to_a_provider_without_consent() -> None:
    async with served_model() as (base, provider):
        calls = ModelCalls(OPEN)
        with pytest.raises(Conflict):
            await calls.ask(a_target(base, agreed=False), PROMPT, 200)
        await calls.close()
        assert provider.calls.after(0) == []
