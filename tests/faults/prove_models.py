"""The proofs of a language model's turns: it says nothing after the owner's word, and nothing twice after a kill.

    python -m tests.faults.prove_models [--chats 2000] [--kills 200] [--seed 1] [--run LABEL] [--figures FILE]

In each chat a buyer asks, the model thinks for a while, the owner writes at a random moment, and the buyer asks again.
The kills end a real server with ``kill -9`` at random moments between a question and its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from signal import SIGKILL

import structlog
from sqlalchemy import func, select

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from faults import figures
from model_shop import REPLY, ModelShop, model_shop
from model_steps import settings_for
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.schema import messages, outbox
from without_sockets import ME

PROOF = "models"
AT_ONCE = 20
THINKS_SECONDS = 0.05
LATEST_WORD_SECONDS = 0.2
FINAL = "final"


@dataclass(frozen=True, slots=True)
class OwnersWords:
    """The chats in which the model spoke over its owner, and how the runs ended."""

    spoken_over: list[str]
    states: Counter[str]


async def owners_words(there: ModelShop, *, chats: int, seed: int) -> OwnersWords:
    """Let the owner write at a random moment in each of so many chats."""
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=10**9, seconds=THINKS_SECONDS)
    await there.add(
        buyer_replies_per_hour=0, shop_replies_per_minute=0, ai_tokens_per_day=100_000_000, pause_duration=10
    )
    rng, at_once, spoken_over = Random(seed), asyncio.Semaphore(AT_ONCE), []

    async def one(number: int, moment: float) -> None:
        async with at_once:
            if await _is_spoken_over(there, str(10_000 + number), str(50_000_000 + number), moment):
                spoken_over.append(str(number))

    async with asyncio.TaskGroup() as group:
        for number in range(chats):
            group.create_task(one(number, rng.uniform(0, LATEST_WORD_SECONDS)))
    query = select(ai_runs.c.state, func.count()).group_by(ai_runs.c.state)
    rows = await there.shop.database.read(lambda connection: connection.execute(query).all())
    return OwnersWords(spoken_over, Counter({row.state: row[1] for row in rows}))


async def _is_spoken_over(there: ModelShop, chat: str, buyer: str, moment: float) -> bool:
    site = there.shop.site
    asked = site.says("还在吗", chat=chat, by=buyer)
    await asyncio.sleep(moment)
    word = site.says("我来了", chat=chat, by=ME)
    said = await _said_when(there, chat, word, "human")
    await _said_when(there, chat, asked, FINAL)
    again = site.says("能说说吗", chat=chat, by=buyer)
    return await _said_when(there, chat, again, FINAL) != said


async def _said_when(there: ModelShop, chat: str, message_id: str, decision: str) -> int:
    """Wait until a message is decided so; return how many answers the chat had by then, seen in one transaction."""
    decided = select(messages.c.handled, messages.c.verdict).where(messages.c.message_id == message_id)
    said = select(func.count()).select_from(outbox).where(outbox.c.chat_id == chat)
    async with asyncio.timeout(120):
        while True:
            row, count = await there.shop.database.read(
                lambda connection: (connection.execute(decided).first(), connection.scalar(said))
            )
            if row is not None and row.handled and decision in {row.verdict, FINAL}:
                return int(count or 0)
            await asyncio.sleep(0.002)


async def kills(count: int, seed: int, directory: Path) -> list[str]:
    """Kill a server so often between a question and its answer. Return the questions with more than one answer."""
    rng = Random(seed)
    sandbox = await SandboxProcess(directory / "sandbox.log").start()
    server = ServerProcess(directory / "data", sandbox.url)
    asked: list[str] = []
    try:
        await server.start()
        seller = (await sandbox.get("sellers"))["items"][0]
        unb = str(seller["unb"])
        await server.add("shop", seller["cookie"])
        values = settings_for(sandbox.url, calls_per_minute=10_000)
        provider = await server.ok("POST", "/ai-providers", values)
        ai = {"ai_mode": "auto", "ai_provider_id": provider["id"], "ai_tokens_per_day": 100_000_000}
        await server.ok("PUT", "/cookies/shop/ai", {**ai, "ai_disclosure": False})
        await sandbox.do("model", outputs=[REPLY], cycles=True, fault="slow", times=1_000_000, seconds=0.3)
        for number in range(count):
            buyer = f"买家{number}"
            await sandbox.do("say", account=unb, buyer=buyer, text="还在吗")
            asked.append(buyer)
            await asyncio.sleep(rng.uniform(0, 0.8))
            await server.end(SIGKILL)
            await server.start()
            if number % 10 == 9 or number == count - 1:
                await soon(lambda: _is_quiet(server))
        return [buyer for buyer in asked if len(await sandbox.seen(unb, buyer)) > 1]
    finally:
        await server.close()
        await sandbox.end()


async def _is_quiet(server: ServerProcess) -> bool:
    """Return whether every message is decided and no run is asked."""
    rows = (await server.ok("GET", "/messages"))["items"]
    open_runs = (await server.ok("GET", "/ai-runs?state=asked"))["items"]
    return all(row["decision"] for row in rows) and not open_runs


async def proven(chats: int, killed: int, seed: int) -> tuple[OwnersWords, list[str]]:
    """Run both proofs."""
    with tempfile.TemporaryDirectory() as directory:
        words = OwnersWords([], Counter())
        if chats:
            async with model_shop(Path(directory) / "words") as there:
                words = await owners_words(there, chats=chats, seed=seed)
        twice = await kills(killed, seed, Path(directory)) if killed else []
    return words, twice


def main() -> int:
    """Run it unless it is done under this label; 1 when the model spoke over its owner, or twice."""
    parser = argparse.ArgumentParser(description="a language model never speaks over its owner, and never twice")
    parser.add_argument("--chats", type=int, default=2_000, help="default %(default)s")
    parser.add_argument("--kills", type=int, default=200, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "models.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures) if chosen.run):
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    words, twice = asyncio.run(proven(chosen.chats, chosen.kills, chosen.seed))
    row = {
        "run": chosen.run, "chats": chosen.chats, "kills": chosen.kills, "states": dict(words.states),
        "spoken_over": len(words.spoken_over), "twice": len(twice),
    }  # fmt: skip
    figures.append(chosen.figures, PROOF, row)
    sys.stdout.write(f"{row}\n{words.spoken_over[:20]} {twice[:20]}\n")
    return int(bool(words.spoken_over or twice))


if __name__ == "__main__":
    sys.exit(main())
