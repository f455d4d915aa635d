"""One life of a server under ``kill_loop``: one data directory from its birth to its last kill."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.processes import KEPT, ServerProcess
from faults.durable import KEY_FILE, Durable
from faults.places import STRIKES, FilePlace, PostgresPlace
from faults.storm import REFUSALS, Book, Storm, made_by
from shoal.api.schemas.op_ids import shown_op_id
from shoal.errors import ShoalError
from support.runs.warm_start import WARM

if TYPE_CHECKING:
    from faults.kill_loop import KillLoop

CONVERGE_SECONDS = 10.0
"""Within this time everything runs as it is wanted; on a machine so busy that the server took longer than
``USUAL_START_SECONDS`` to start, as many times longer."""
USUAL_START_SECONDS = 2.0
FIRST_START_SECONDS = 0.5
"""About so long the first start takes, with its tables; later the one before tells."""
START_SECONDS = 180.0
"""A server that is not ready then never will be."""


class _BrokenError(Exception):
    """The server did not do what it must, and the life cannot go on."""


class Life:
    """One data directory from its birth to its last kill."""

    def __init__(self, loop: KillLoop, data_dir: Path) -> None:
        self._loop = loop
        self._chance = loop._chance
        self._figures = loop.figures
        self._data_dir = data_dir
        self._place = (
            FilePlace(data_dir) if loop.postgres is None else PostgresPlace(data_dir, loop.postgres, loop._chance)
        )
        self._server = ServerProcess(data_dir, loop._sandbox.url, **self._place.environment)
        self._server.http = httpx.AsyncClient(base_url=self._server.url, timeout=60, trust_env=False, limits=KEPT)
        self._book = Book()
        self._usual_start = FIRST_START_SECONDS
        self._durable: Durable | None = None
        self._accounts: dict[str, tuple[str, str]] = {}
        self._spawned = self._ready_at = 0.0
        self._known: set[str] = set()

    async def run(self, cycles: int, is_over: Callable[[], bool]) -> None:
        broken_before = len(self._figures.violations)
        try:
            self._accounts = await self._loop.accounts()
            ways = iter(("birth", *self._loop.ways))
            for _ in range(cycles):
                if is_over():
                    break
                kills = self._place.kills
                await self._cycle(next(ways, "") or self._chance.choices([*kills], [*kills.values()])[0])
            await self._open()
            await self._in_step()
        except (_BrokenError, AssertionError, ShoalError, httpx.HTTPError, TimeoutError) as error:
            self._broke(f"{type(error).__name__}: {error}")
        finally:
            await self._server.http.aclose()
            await self._server.end(signal.SIGKILL)
            self._place.close()
            self._count()
        if len(self._figures.violations) == broken_before:
            shutil.rmtree(self._data_dir)
            self._server.log_file.unlink(missing_ok=True)

    def _broke(self, sentence: str) -> None:
        if sentence in self._known:  # every look finds it again
            return
        self._known.add(sentence)
        violation = f"{self._data_dir.name}, kill {self._figures.cycles}: {sentence}"
        self._figures.violations.append(violation)
        with self._data_dir.with_name("violations").open("a", encoding="utf-8") as out:
            out.write(violation + "\n")

    async def _cycle(self, how: str) -> None:
        """One start and one kill."""
        if how in {"birth", "start"}:
            await self._spawn()
            await asyncio.sleep(self._chance.uniform(0, 1.2 * self._usual_start))
        else:
            await self._open()
            if how != "first breath":  # else the storm begins while the connections do
                await self._in_step()
            await self._storm(how)
        await self._server.end(signal.SIGKILL)
        await self._look()
        self._figures.cycles += 1
        self._figures.kills[how] += 1

    async def _open(self) -> None:
        """Start the server; it shows what the files held after the last kill."""
        await self._spawn()
        await self._ready()
        if self._durable is not None:
            await self._compare(self._durable)

    async def _spawn(self) -> None:
        """Fork it: starting the interpreter would take most of the time, and changes nothing in the files."""
        self._spawned = time.monotonic()
        self._server.adopt(await WARM.start(self._loop._program, self._server.environment, self._server.log_file))

    async def _ready(self) -> None:
        child = self._server.child
        while not await self._answers():
            if child.returncode is not None:
                raise _BrokenError(f"it does not start: {self._server.log_file.read_text()[-2000:]}")
            if time.monotonic() - self._spawned > START_SECONDS:
                raise _BrokenError("it does not become ready")
            await asyncio.sleep(0.02)
        self._ready_at = time.monotonic()
        self._usual_start = self._ready_at - self._spawned
        self._figures.longest_start_seconds = max(self._figures.longest_start_seconds, self._usual_start)
        if "Authorization" not in self._server.http.headers:
            token = await self._server.sign_in()
            self._server.http.headers["Authorization"] = f"Bearer {token}"  # a session outlives every kill

    async def _answers(self) -> bool:
        try:
            return (await self._server.http.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def _storm(self, how: str) -> None:
        cookies = {name: cookie for name, (_, cookie) in self._accounts.items()}
        storm = Storm(self._server.http, cookies, self._book, self._chance)
        raging = asyncio.create_task(storm.rage(self._loop._clients))
        answers = self._chance.randrange(self._loop.longest_storm)
        must_show = bool(self._loop.ways) and how == "storm"  # in few kills chance might end each storm at once
        while (storm.answers < answers or (must_show and not self._book.has_each_kind)) and not raging.done():
            storm.tick.clear()
            await storm.tick.wait()
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        if how == "stop":
            self._server.child.send_signal(signal.SIGTERM)
            await asyncio.sleep(self._chance.uniform(0, 0.3))
        if how in STRIKES:
            await self._place.strike(how)
            if self._chance.random() < 0.7:
                await self._recovers(storm, raging)
        with suppress(ProcessLookupError):  # it may have ended by itself
            self._server.child.kill()
        await raging
        await self._server.child.wait()

    async def _recovers(self, storm: Storm, raging: asyncio.Task[None]) -> None:
        """Its database came back: it takes changes again by itself, and everything runs as it is wanted."""
        await asyncio.sleep(self._chance.uniform(0, 1))
        storm.abate()
        await raging
        if self._server.child.returncode is not None:
            raise _BrokenError(f"it ended with its database: {self._server.log_file.read_text()[-2000:]}")
        usual, self._spawned = self._usual_start, time.monotonic()
        await self._ready()
        self._usual_start = usual
        await self._in_step()

    async def _look(self) -> None:
        """What the files hold after the kill, before the server looks at them again."""
        if not (self._data_dir / KEY_FILE).exists():  # killed before anything could be stored
            if self._book.count("acknowledged"):
                self._broke("the key is gone")
            return
        self._durable = durable = await self._place.durable()
        for sentence in self._book.broken_by(durable):
            self._broke(sentence)

    def _count(self) -> None:
        figures, durable = self._figures, self._durable
        figures.acknowledged += self._book.count("acknowledged")
        figures.refused += self._book.count("refused")
        figures.unanswered += self._book.count("unanswered")
        figures.reads_checked += len(self._book.reads)
        figures.stream_changes_checked += sum(map(len, self._book.told))
        if durable is not None:
            made = made_by(durable)
            figures.journal_entries += len(durable.journal)
            figures.unanswered_and_durable += sum(
                asked.outcome == "unanswered" and asked.op_id in made for asked in self._book.asked
            )

    # ── after the kill ──────────────────────────────────────────────────────────────────────────────────────────

    async def _compare(self, durable: Durable) -> None:
        rows = {row["id"]: row for row in await self._get("/cookies/details")}
        shown = {name: (row["generation"], row["enabled"], row["remark"]) for name, row in rows.items()}
        stored = {name: (row["generation"], row["enabled"], row["remark"]) for name, row in durable.rows.items()}
        if shown != stored:
            self._broke(f"the API shows {shown}, the file held {stored}")
        await self._compare_ops(durable)
        if rows:
            await self._compare_history(durable, self._chance.choice(list(rows)))
        await self._ask_again()

    async def _get(self, path: str) -> Any:
        response = await self._server.http.get(path)
        if response.status_code != 200:
            raise _BrokenError(f"GET {path}: {response.status_code} {response.text}")
        return response.json()

    async def _compare_ops(self, durable: Durable) -> None:
        """A caller without an answer can ask for the outcome, and gets the true one."""
        made = made_by(durable)
        open_ones = [asked for asked in self._book.asked if asked.outcome == "unanswered"][-20:]
        others = [asked for asked in self._book.asked if asked.outcome != "unanswered"]
        for asked in [*open_ones, *self._chance.sample(others, min(5, len(others)))]:
            generation = made.get(asked.op_id)
            answer = await self._get(f"/ops/{asked.op_id}")
            expected = ("not_applied" if generation is None else "applied", generation)
            if (answer["state"], answer["generation"]) != expected:
                self._broke(f"GET /ops/{asked.op_id} says {answer}, the file {expected}")

    async def _ask_again(self) -> None:
        """The same request under the same key: what was answered is answered alike, the rest is done once."""
        for request in [request for request in self._book.requests if request.unanswered][-3:]:
            response = await request.send(self._server.http)
            self._figures.asked_again += 1
            if response.status_code not in {200, 207, *REFUSALS}:
                self._broke(f"{request.key}, asked again: {response.status_code} {response.text}")
        answered = [request for request in self._book.requests if request.final_answer is not None]
        for request in self._chance.sample(answered, min(3, len(answered))):
            before = request.final_answer
            response = await request.send(self._server.http)
            self._figures.asked_again += 1
            alike = before == request.final_answer or _same_change(before, request.final_answer)
            if not alike or "Idempotent-Replayed" not in response.headers:
                self._broke(f"{request.key}: was answered {before}, and now {response.status_code} {response.text}")

    async def _compare_history(self, durable: Durable, account: str) -> None:
        history = (await self._get(f"/cookies/{account}/history?limit=200"))["items"]
        entries = [entry for entry in reversed(durable.journal) if entry.account_id == account][:200]
        said = [(row["rev"], row["generation"], row["op_id"], row["changes"]) for row in history]
        if said != [(entry.rev, entry.generation, shown_op_id(entry.op_id), entry.changes) for entry in entries]:
            self._broke(f"the history of {account} is not its journal")

    async def _in_step(self) -> None:
        """Wait until what runs is what is wanted, for so long after it was ready as a machine so busy may take."""
        limit = self._loop.converge_seconds * max(1.0, self._usual_start / USUAL_START_SECONDS)
        difference = await self._difference()
        while difference:
            if time.monotonic() - self._ready_at > limit:
                raise _BrokenError(f"after {limit:g} s not as wanted: {difference}")
            await asyncio.sleep(0.03)
            difference = await self._difference()
        figures = self._figures
        figures.longest_convergence_seconds = max(
            figures.longest_convergence_seconds, time.monotonic() - self._ready_at
        )

    async def _difference(self) -> dict[str, Any]:
        rows = {row["id"]: row for row in await self._get("/cookies/details")}
        sockets = await self._loop.site("sockets")
        difference: dict[str, Any] = {}
        for name, (unb, _) in self._accounts.items():
            counts = sockets.get(unb, {"now": 0, "max": 0})
            wanted = name in rows and rows[name]["enabled"]
            state = rows[name]["state"] if name in rows else "stopped"
            if counts["max"] > 1:
                raise _BrokenError(f"{name} had {counts['max']} sockets at once")
            if counts["now"] != int(wanted) or state != ("running" if wanted else "stopped"):
                difference[name] = (wanted, state, counts["now"])
        return difference


def _same_change(before: tuple[int, str] | None, again: tuple[int, str] | None) -> bool:
    """Whether both say that the same change was made: an answer that could not be stored is made anew from its op."""
    if before is None or again is None or (before[0], again[0]) != (200, 200):
        return False
    first, second = json.loads(before[1]), json.loads(again[1])
    facts = ("changed", "generation", "rev", "op_id")
    return all(name in first and first[name] == second.get(name) for name in facts)
