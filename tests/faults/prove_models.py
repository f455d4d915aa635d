"""The proofs of a language model's turns: it says nothing after the owner's word, and nothing twice after a kill.

    python -m tests.faults.prove_models [--chats 2000] [--kills 200] [--seed 1] [--run LABEL] [--figures FILE]

In each chat a buyer asks, the model thinks for a while, and the owner writes at a random moment: by turns in the
site's app, with Shoal, and with Shoal and a take-over. Half of the chats are of a shop that pauses them, half of one
that never does. "With Shoal" is ``send_by_hand``, as in the routes that the command line and the console call. Then
the buyer asks again. The model answers that unless the chat is paused, so its silence before was no accident.

The kills end a real server with ``kill -9`` at random moments between a question and its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from random import Random
from signal import SIGKILL
from typing import Any

import structlog
from sqlalchemy import Select, func, select

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from faults import figures
from shoal.messages.manual_sending import send_by_hand
from shoal.messages.outbox_rows import OutboxKind
from shoal.messages.sender import OutgoingMessage
from shoal.messages.takeovers import Takeovers
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.schema import messages, outbox
from support.models.model_shop import REPLY, ModelShop, model_shop
from support.models.model_steps import settings_for
from support.site.without_sockets import ME

PROOF = "models"
AT_ONCE = 20
THINKS_SECONDS = 0.3
LATEST_WORD_SECONDS = 0.6
FINAL = "final"
HEARD = "heard"
PAUSES_MINUTES = (10, 0)
"""The shops of the proof: one pauses a chat in which its owner writes, the other never does."""


class Way(StrEnum):
    """How the owner writes."""

    APP = "app"
    TYPED = "typed"
    TAKEN_OVER = "taken_over"


@dataclass(frozen=True, slots=True)
class OwnersWords:
    """The chats in which the model spoke over its owner, and how the runs ended.

    ``ways`` counts for each way and shop: ``chats``, ``spoken_over``, ``before`` (the model answered before the owner
    wrote) and ``later`` (it answered what the buyer asked after that).
    """

    spoken_over: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    ways: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, other: OwnersWords) -> None:
        """Add the figures of another shop."""
        self.spoken_over.extend(other.spoken_over)
        self.states.update(other.states)
        self.ways.update(other.ways)


async def owners_words(there: ModelShop, *, chats: int, seed: int, pause_minutes: int) -> OwnersWords:
    """Let the owner write at a random moment in each of so many chats of a shop that pauses so long."""
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=10**9, seconds=THINKS_SECONDS)
    await there.add(
        buyer_replies_per_hour=0, shop_replies_per_minute=0, ai_tokens_per_day=100_000_000,
        pause_duration=pause_minutes,
    )  # fmt: skip
    rng, at_once, told = Random(seed), asyncio.Semaphore(AT_ONCE), OwnersWords()
    names = {way: f"{way}{'' if pause_minutes else ', never pauses'}" for way in Way}
    told.ways.update({name: Counter(chats=0, spoken_over=0, before=0, later=0) for name in names.values()})

    async def one(number: int, way: Way, moment: float) -> None:
        async with at_once:
            seen = await _owner_writes(there, str(10_000 + number), str(50_000_000 + number), way, moment)
        told.ways[names[way]].update(seen)
        if seen["spoken_over"]:
            told.spoken_over.append(f"{number} {names[way]}")

    async with asyncio.TaskGroup() as group:
        for number, way in zip(range(chats), cycle(Way), strict=False):
            group.create_task(one(number, way, rng.uniform(0, LATEST_WORD_SECONDS)))
    query = select(ai_runs.c.state, func.count()).group_by(ai_runs.c.state)
    rows = await there.shop.database.read(lambda connection: connection.execute(query).all())
    told.states.update({row.state: row[1] for row in rows})
    return told


async def _owner_writes(there: ModelShop, chat: str, buyer: str, way: Way, moment: float) -> Counter[str]:
    """Go through one chat; return what it adds to the figures of its way."""
    site = there.shop.site
    asked = site.says("还在吗", chat=chat, by=buyer)
    await _said_when(there, chat, asked, HEARD)
    await asyncio.sleep(moment)
    if way is Way.APP:
        word = site.says("我来了", chat=chat, by=ME)
        before = await _said_when(there, chat, word, "human")
    else:
        before = await _types(there, chat, buyer, takes_over=way is Way.TAKEN_OVER)
    after = await _said_when(there, chat, asked, FINAL)
    again = site.says("能说说吗", chat=chat, by=buyer)
    later = await _said_when(there, chat, again, FINAL) - after
    minutes = there.shop.manager.accounts["shop"].pause_duration
    is_paused = bool(minutes) and way is not Way.TYPED
    over = after != before or (is_paused and later)
    return Counter(chats=1, spoken_over=int(over), before=int(before > 0), later=later)


async def _types(there: ModelShop, chat: str, buyer: str, *, takes_over: bool) -> int:
    """Send the owner's words with Shoal; return how many answers the chat had when they were stored."""
    account, seen = there.shop.manager.accounts["shop"], there.shop.manager.observation("shop")

    async def first() -> None:
        if takes_over and account.pause_duration:
            takeovers = Takeovers(there.shop.database)
            await takeovers.take_over("shop", chat, minutes=account.pause_duration, actor="user:ann")

    sent = await send_by_hand(
        there.shop.live,
        there.shop.log.outbox,
        account,
        seen,
        OutgoingMessage(chat_id=chat, buyer_id=buyer, text="我来了", actor="user:ann"),
        repeats=False,
        first=first,
    )
    query = _answers_in(chat).where(outbox.c.id < sent.id)  # numbered in the order of their transactions
    return int(await there.shop.database.read(lambda connection: connection.scalar(query)) or 0)


def _answers_in(chat: str) -> Select[Any]:
    return (
        select(func.count())
        .select_from(outbox)
        .where(outbox.c.chat_id == chat, outbox.c.kind == OutboxKind.REPLY.value)
    )


async def _said_when(there: ModelShop, chat: str, message_id: str, decision: str) -> int:
    """Wait until a message is decided so; return how many answers the chat had by then, seen in one transaction."""
    decided = select(messages.c.handled, messages.c.verdict).where(messages.c.message_id == message_id)
    said = _answers_in(chat)
    async with asyncio.timeout(120):
        while True:
            row, count = await there.shop.database.read(
                lambda connection: (connection.execute(decided).first(), connection.scalar(said))
            )
            is_heard = row is not None and decision == HEARD
            if is_heard or (row is not None and row.handled and decision in {row.verdict, FINAL}):
                return int(count or 0)
            await asyncio.sleep(0.01)


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
        words = OwnersWords()
        for place, minutes in enumerate(PAUSES_MINUTES if chats else ()):
            share = chats // 2 + chats % 2 * (place == 0)
            async with model_shop(Path(directory) / f"words{place}") as there:
                words.add(await owners_words(there, chats=share, seed=seed + place, pause_minutes=minutes))
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
        "ways": {way: dict(told) for way, told in words.ways.items()},
        "spoken_over": len(words.spoken_over), "twice": len(twice),
    }  # fmt: skip
    figures.append(chosen.figures, PROOF, row)
    sys.stdout.write(f"{row}\n{words.spoken_over[:20]} {twice[:20]}\n")
    return int(bool(words.spoken_over or twice))


if __name__ == "__main__":
    sys.exit(main())
