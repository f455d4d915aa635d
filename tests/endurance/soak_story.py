"""What happens in a soak: many buyers at once, what a starved machine brings, an owner, and a server that is killed."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections import deque
from collections.abc import MutableSequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from benchmarks.processes import ServerProcess
from endurance.ledger import KEEP_SECONDS, Ledger
from endurance.real_world import Figures, RealOwner
from endurance.starved_machine import StarvedMachine
from endurance.story import Action, Purchase, Question, Story

ASKERS: Final = 12
"""How many buyers speak at the same time: one call to the site after another would not keep the pace."""
LINES_OF_A_BURST: Final = 1.6
"""What ``Story`` lets a buyer say at once, on average."""
ACTS: Final = {"off and on": 5, "auto confirm": 2, "rules": 2, "new cookie": 1, "on again": 1, "resume": 1}
STARTS: Final = 3
"""How often a server that does not start is tried."""


class SoakOwner(RealOwner):
    """The owner, whom nothing keeps from going on: what went wrong is noted."""

    def __init__(self, server: ServerProcess, rng: Random, ledger: Ledger) -> None:
        super().__init__(server, rng, Figures())
        self._ledger = ledger
        self.began = time.monotonic()
        """when this life of the server began"""

    async def states(self) -> dict[str, str]:
        with suppress(httpx.HTTPError, AssertionError):  # it stands still, or its database does
            return await super().states()
        return {}

    async def restart(self) -> None:
        if not self._up.is_set():
            return
        if self.is_gone:
            self._ledger.complain(time.time(), "the server ended by itself")
        self._up.clear()
        await self._end()
        await asyncio.sleep(self._rng.choice([0.0, 1.0, self._rng.uniform(0, 30)]))
        await self.start()

    @property
    def is_up(self) -> bool:
        """Whether the server serves, as far as its owner knows."""
        return self._up.is_set()

    @property
    def is_gone(self) -> bool:
        """Whether the server has ended by itself."""
        return self._up.is_set() and self._server.child.returncode is not None

    async def _end(self) -> None:
        gently = self._rng.random() < 0.25
        self._ledger.count("happened", "the server stopped" if gently else "the server killed (-9)")
        try:
            await self._server.end(signal.SIGTERM if gently else signal.SIGKILL, seconds=60)
        except TimeoutError:
            self._ledger.complain(time.time(), "the server did not stop within 60 s of being asked to")

    async def start(self) -> None:
        """Start the server, and a life of it in the books."""
        self._up.clear()
        for attempt in range(STARTS):
            try:
                await self._server.start()
                break
            except (AssertionError, TimeoutError, httpx.HTTPError) as error:
                self._ledger.complain(time.time(), f"the server did not start: {str(error)[-500:]}")
                await self._server.end(signal.SIGKILL, seconds=60)
                if attempt == STARTS - 1:
                    raise
        self._ledger.set_fact("lives", self._ledger.fact("lives") + 1)
        self.began = time.monotonic()
        self._up.set()


@dataclass
class SoakStory(Story):
    """As ``Story``, without an end: what is settled leaves no trace in memory."""

    ledger: Ledger = field(kw_only=True)
    machine: StarvedMachine = field(kw_only=True)
    story_file: Path = field(kw_only=True)
    kill_seconds: float = field(kw_only=True)
    log: MutableSequence[str] = field(default_factory=lambda: deque(maxlen=100))

    def take_up(self) -> None:
        """Go on from what the ledger knows: no number is given twice, and what owners said holds."""
        self._numbers = itertools.count(self.ledger.next_number)
        self.forget()

    def _lives(self) -> list[tuple[Action, float]]:
        lives: list[tuple[Action, float]] = [(self._a_question, self.question_seconds * ASKERS)] * ASKERS
        lives.append((self._a_purchase, self.purchase_seconds or 30.0))
        if not self.calm:
            lives += [
                (self._a_fault, self.fault_seconds),
                (self._an_act_of_the_owner, self.owner_seconds),
                (self._noise, 5.0),
                (self._a_restart, self.kill_seconds),
            ]
        return [(partial(self._whatever_happens, act), pace) for act, pace in lives]

    async def _again_and_again(self, act: Action, pace: float) -> None:
        """As ``Story``, but what takes long takes nothing from the pace: up to ten times are made up for."""
        due = self.now()
        while True:
            due = max(due + self.rng.expovariate(1 / pace), self.now() - 10 * pace)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, due - self.now()))
                return
            await act()

    async def _whatever_happens(self, act: Action) -> None:
        """Let nothing end the run: a call that the machine was too slow for is counted, a wrong answer a complaint."""
        try:
            await act()
        except httpx.HTTPError as error:
            self.ledger.count("happened", f"a call failed: {type(error).__name__}")
        except AssertionError as error:
            self.ledger.complain(self.now(), f"unforeseen answer: {str(error)[:500]}")

    def _publish(self, what: str, *more: object) -> None:
        if what == "question":
            return
        self.ledger.count("happened", what)
        with self.story_file.open("a", encoding="utf-8") as file:
            file.write(" ".join([f"{self.now():.3f}", what, *(str(part) for part in more)]) + "\n")

    def _asked(self, question: Question) -> None:
        self.ledger.asked(question)

    def _bought(self, purchase: Purchase) -> None:
        self.ledger.bought(purchase, round(self.now() * 1000))

    def _spoke(self, account_id: str, cid: str, at: float) -> None:
        super()._spoke(account_id, cid, at)
        self.ledger.spoke(account_id, cid, at)

    async def _a_fault(self) -> None:
        self._publish(f"accident: {await self.machine.strike(self.rng)}")

    async def _a_restart(self) -> None:
        self._publish("restart")
        await self.owner.restart()

    async def mend_what_is_parked(self) -> None:
        """As ``Story``, whatever happens."""
        while True:
            await self._whatever_happens(self._mend_what_is_parked)

    async def watch(self) -> None:
        """Write down when each shop was able to answer."""
        await self._watch()

    def forget(self) -> None:
        """Drop what was written down of times that nothing open is about."""
        before = self.now() - 2 * KEEP_SECONDS
        self.typed[:] = self.ledger.spoken_since(before)
        for moments in self.able.values():
            while len(moments) > 1 and moments[1][0] < before:
                del moments[0]

    async def come_to_rest(self) -> None:
        """Take everything away that hinders, and let every shop come up; complains of those that do not."""
        self.machine.mend()
        await self.site.do("faults/clear")
        self._publish("rest")
        for account_id in self.shops:
            await self.owner.enable(account_id, True)
        with suppress(TimeoutError):
            async with asyncio.timeout(600):
                while set((await self.owner.states()).values()) != {"running"}:
                    await asyncio.sleep(2)
                return
        states: dict[str, Any] = await self.owner.states()
        away = {account_id: state for account_id, state in states.items() if state != "running"}
        self.ledger.complain(self.now(), f"not running after 600 s of rest: {away}")

    async def buyers_and_accidents(self, over: asyncio.Event) -> None:
        """Let everything happen until it is over, and what was begun end."""
        async with asyncio.TaskGroup() as tasks:
            for act, pace in self._lives():
                tasks.create_task(self._again_and_again(act, pace))
            await over.wait()
            self._over.set()
