"""A shop's model by commands: set, told facts, tried, its drafts, its costs, and an owner's cases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.sandbox.model_provider import ModelProvider
from support.models.model_runs import a_run
from support.models.model_steps import served_model, settings_for
from support.servers.doors import Door, in_shell, open_door, served

EXAMPLE = Path(__file__).parents[2] / "docs/howto/model-cases.csv"


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shop with a provider, and a shell that is signed in."""

    door: Door
    model: ModelProvider
    url: str
    token: str

    async def say(self, *words: str, code: int = 0) -> str:
        given, text = await in_shell(self.url, self.token, "ai", *words)
        assert given == code, text
        return text

    def script(self, *outputs: Any) -> None:
        self.model.script(list(outputs), cycles=True)


@asynccontextmanager
async def opened(data_dir: Path, *, agreed: bool = True) -> AsyncIterator[Shell]:
    async with (
        served_model() as (base, model),
        open_door(data_dir, allow_private_targets="all") as door,
        served(door) as url,
    ):
        await door.add()
        await door.server.assistant.providers.create(1, settings_for(base, agreed=agreed, price_in_fen=1_000))
        token = await door.server.sessions.open(1)
        yield Shell(door=door, model=model, url=url, token=token)


def replying(text: str, **more: Any) -> dict[str, Any]:
    return {"action": "reply", "text": text, "offered_fen": None, "facts": [], **more}


async def test_a_model_is_set_told_facts_and_tried_by_commands(tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    await asyncio.to_thread(facts.write_text, "问题,回答\n包邮吗,满 30 元包邮\n", encoding="utf-8")
    async with opened(tmp_path / "data") as shell:
        assert "nothing changed" not in await shell.say("set", "shop", "--provider", "1", "--mode", "draft")
        assert "on or out" not in await shell.say("set", "shop", "--mode", "on", code=2)
        await shell.say("facts", "shop", str(facts))
        assert "满 30 元包邮" in await shell.say("facts", "shop")
        shown = await shell.say("show", "shop")
        assert "draft: you send each answer" in shown
        assert "0 of 100000" in shown
        shell.script(replying("满 30 元包邮", facts=[1]))
        tried = await shell.say("try", "shop", "包邮吗")
        assert "It replies.\n  满 30 元包邮\n" in tried
        assert "tokens, ¥0.0" in tried
        shell.script(replying("加我微信聊"))
        assert "filter: the output filter found something: 加我微" in await shell.say("try", "shop", "怎么联系")
        assert json.loads(await shell.say("usage", "--json"))[0]["calls"] == 2
        assert "shop" in await shell.say("usage")


async def test_drafts_are_listed_shown_and_dropped_by_commands(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as shell:
        run = str(await a_run(shell.door.server.database))
        assert "waits for you" in await shell.say("runs", "--account", "shop", "--state", "drafted")
        assert '{"action": "reply"}' in await shell.say("run", run)
        assert "connected" in await shell.say("approve", run, code=1)
        assert "Dropped. Nothing was sent." in await shell.say("drop", run)
        assert "can no longer be sent or dropped: dropped." in await shell.say("approve", run, code=1)
        assert len(json.loads(await shell.say("runs", "--json"))) == 1
        assert "No model was asked." in await shell.say("runs", "--state", "drafted")
        await a_run(shell.door.server.database, state="failed", why="money", duration_ms=0)
        assert "not called" in await shell.say("runs", "--not-called")
        assert "not called" not in await shell.say("runs", "--called")


async def test_the_example_of_the_help_is_judged(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as shell:
        await shell.say("set", "shop", "--provider", "1")
        shell.script(replying("满 30 元包邮", facts=[1]), replying("这个价格不议价哦"), {"action": "handoff"})
        told = await shell.say("eval", "shop", str(EXAMPLE), "--at-once", "1")
        assert "All 3 cases passed." in told
        assert "Cost: ¥0.0" in told
        shell.script({"action": "silent"})
        told = await shell.say("eval", "shop", str(EXAMPLE), code=1)
        assert "2 of 3 cases failed. Cost: ¥0.0" in told
        assert "not as expected: It says nothing. · does not say “满 30”" in told
        assert "包邮吗" in told


async def test_cases_without_a_name_are_numbered_from_1_and_show_what_was_held_back(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    await asyncio.to_thread(file.write_text, "问题,应当\n包邮吗,\n10 块卖不卖,拦下\n", encoding="utf-8")
    async with opened(tmp_path / "data") as shell:
        await shell.say("set", "shop", "--provider", "1")
        shell.script(replying("亲，不议价哦"), replying("可以，加我微信聊"))
        told = await shell.say("eval", "shop", str(file), "--at-once", "1")
        numbered = [line.split()[:2] for line in told.splitlines() if line[:1].isdigit()]
        assert numbered == [["1", "包邮吗"], ["2", "10"]]
        assert "“可以，加我微信聊”" in told
        shell.script(replying("亲，不议价哦"), replying("可以，加我微信聊"))
        found = json.loads(await shell.say("eval", "shop", str(file), "--at-once", "1", "--json"))
        assert [case["name"] for case in found["cases"]] == ["1", "2"]
        await asyncio.to_thread(file.write_text, "问题,应当\n包邮吗,\n人工,bargain\n", encoding="utf-8")
        assert "row 3 of the file: the action" in await shell.say("eval", "shop", str(file), code=2)


async def test_cases_are_asked_several_times_and_one_bad_answer_fails_one(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    cases = [{"question": "在吗", "must": "在的"}]
    await asyncio.to_thread(file.write_text, json.dumps(cases), encoding="utf-8")
    async with opened(tmp_path / "data") as shell:
        await shell.say("set", "shop", "--provider", "1")
        shell.script(replying("在的"), replying("您好"))
        found = json.loads(await shell.say("eval", "shop", str(file), "--runs", "4", "--json", code=1))
        (case,) = found["cases"]
        assert (found["failed"], case["passes"], len(case["runs"])) == (1, 2, 4)
        assert found["cost_microfen"] == sum(run["cost_microfen"] for run in case["runs"]) > 0
        assert len(shell.model.view()["calls"]) == 4


async def test_a_spent_day_ends_an_evaluation_without_further_calls(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    cases = [{"question": f"第{n}问", "action": "reply"} for n in range(20)]
    await asyncio.to_thread(file.write_text, json.dumps(cases), encoding="utf-8")
    async with opened(tmp_path / "data") as shell:
        await shell.say("set", "shop", "--provider", "1", "--tokens", "0")
        found = json.loads(await shell.say("eval", "shop", str(file), "--at-once", "1", "--json", code=1))
        assert {run["decision"] for case in found["cases"] for run in case["runs"]} == {"budget"}
        for number, (text, said) in enumerate(
            (
                ("问题,应当\n包邮吗,bargain\n", "the action is one of reply /"),
                ("应当\nreply\n", "Columns are missing: 问题 (Question)."),
                ("问题,应当\n", "The file has no row."),
            )
        ):
            file = tmp_path / f"{number}.csv"
            await asyncio.to_thread(file.write_text, text, encoding="utf-8")
            told = await shell.say("eval", "shop", str(file), code=2)
            assert said in " ".join(told.replace("│", " ").split())
        assert shell.model.view()["calls"] == []


async def test_without_a_provider_or_a_usable_file_it_is_said_what_to_do(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    await asyncio.to_thread(bad.write_text, '[{"question": ""}]', encoding="utf-8")
    async with opened(tmp_path / "data", agreed=False) as shell:
        assert "no language model provider" in await shell.say("eval", "shop", str(EXAMPLE), code=1)
        await shell.say("set", "shop", "--provider", "1")
        assert "agreed" in await shell.say("eval", "shop", str(EXAMPLE), code=1)
        told = await shell.say("eval", "shop", str(bad), code=2)
        assert "case 1: write a question" in told
        assert shell.model.view()["calls"] == []
