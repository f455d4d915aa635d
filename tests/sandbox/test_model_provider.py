"""The provider of language models: the form of its answers, its script, and the faults that can be laid out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from shoal.sandbox.model_provider import GOOD
from support.site.sandbox_driver import Box, sandbox

ASKED = {"model": "m", "messages": [{"role": "user", "content": "在吗"}], "max_tokens": 400}
QUESTION = {"question": "在吗", "item": {}, "facts": [], "turns": []}
KEY = {"Authorization": "Bearer k"}


async def _ask(box: Box, path: str = "/v1/chat/completions", body: Any = None, **more: Any) -> tuple[int, str]:
    options: dict[str, Any] = {"json": ASKED if body is None else body, "headers": KEY, "allow_redirects": False} | more
    async with box.http.post(f"{box.url}{path}", **options) as answer:
        return answer.status, await answer.text()


def _content(text: str) -> Any:
    return json.loads(text)["choices"][0]["message"]["content"]


async def test_it_answers_by_script_then_with_a_greeting_and_counts_characters() -> None:
    async with sandbox() as box:
        await box.post("model", outputs=["one", {"action": "silent"}])
        texts = [(await _ask(box))[1] for _ in range(3)]
        assert [_content(text) for text in texts] == ["one", '{"action": "silent"}', GOOD]
        assert json.loads(texts[0])["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        await box.post("model", outputs=["a", "b"], cycles=True)
        assert [_content((await _ask(box))[1]) for _ in range(3)] == ["a", "b", "a"]
        calls = (await box.get("model"))["calls"]
        assert json.loads(calls[0]["body"]) == ASKED
        assert calls[0]["headers"]["authorization"] == "Bearer k"


async def test_an_agent_answers_with_the_output_itself() -> None:
    async with sandbox() as box:
        await box.post("model", outputs=[{"action": "handoff"}])
        assert json.loads((await _ask(box, "/agent/answer", QUESTION))[1]) == {"action": "handoff"}
        assert (await _ask(box, "/agent/answer", {"question": "x"}))[0] == 400


async def test_each_fault_plays_so_often() -> None:
    async with sandbox() as box:
        for fault, status in {"429": 429, "500": 500, "401": 401, "redirect": 307, "page": 200, "huge": 200}.items():
            await box.post("model", fault=fault, times=1, seconds=7)
            assert (await _ask(box))[0] == status
            assert _content((await _ask(box))[1]) == GOOD
        for fault in ("wrong_schema", "not_json", "empty", "injection", "cut_off", "withheld"):
            await box.post("model", fault=fault)
            assert _content((await _ask(box))[1]) != GOOD
        await box.post("model", fault="half_json")
        with pytest.raises(json.JSONDecodeError):
            json.loads((await _ask(box))[1])
        await box.post("model", fault="wrong_usage")
        assert json.loads((await _ask(box))[1])["usage"]["prompt_tokens"] < 0
        await box.post("model", fault="low_usage")
        assert json.loads((await _ask(box))[1])["usage"]["prompt_tokens"] == 1
        await box.post("model", fault="no_usage")
        assert "usage" not in json.loads((await _ask(box))[1])
        await box.post("model", fault="closed")
        with pytest.raises(aiohttp.ClientError):
            await _ask(box)


async def test_a_slow_answer_waits_until_the_next_lever() -> None:
    async with sandbox() as box:
        await box.post("model", fault="slow", seconds=600)
        asking = asyncio.create_task(_ask(box))
        while (await box.get("model"))["asked_now"] == 0:
            await asyncio.sleep(0.01)
        await box.post("model")
        assert _content((await asking)[1]) == GOOD


async def test_it_refuses_what_a_provider_refuses() -> None:
    async with sandbox() as box:
        assert (await _ask(box, headers={}))[0] == 401
        assert (await _ask(box, json=None, data=b"x"))[0] == 400
        refused: tuple[dict[str, Any], ...] = (
            {"model": ""},
            {"messages": []},
            {"messages": [{"role": "user"}]},
            {"max_tokens": 0},
            {"stream": True},
        )
        for wrong in refused:
            assert (await _ask(box, body=ASKED | wrong))[0] == 400
        assert "fault" in (await box.post("model", expect=422, fault="rain"))["detail"]
