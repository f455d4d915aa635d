"""A real server for hours among everything that a starved machine brings; each line and order is accounted for.

    python -m tests.endurance.soak --hours 2 [--shops 200] [--rate 13] [--label NAME] [--busy 8] [--steady]

Its state is kept outside of the sources, in ``SOAK_DIR`` or the user's cache, under the label. A run that is ended in
any way, also by ``kill -9``, goes on where it was when it is started again, until it has lived so many hours in all.
``summary.json`` and ``memory.svg`` there are renewed once a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import platformdirs

if __package__ != "endurance":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from benchmarks import measured_server
from benchmarks.processes import SandboxProcess, ServerProcess
from endurance import gauges, soak_plot, soak_summary
from endurance.judge import Judge
from endurance.ledger import Ledger
from endurance.relay import Relay
from endurance.soak_story import ACTS, LINES_OF_A_BURST, SoakOwner, SoakStory
from endurance.starved_machine import StarvedMachine, busy_processes
from endurance.stored_rows import StoredRows
from endurance.story import ANSWER, KEYWORD, PAID_MESSAGE, PAUSE_MINUTES
from endurance.verdicts import Limits
from shoal.storage.data_directory import DATABASE_FILE
from support.databases.postgres_server import running_server

LIMITS = Limits(message_age_seconds=300.0, probe_seconds=120.0)
LOOK_SECONDS = 2.0
MINUTE = 60.0
POLICY = {"im_token_seconds": 3600, "tk_seconds": 1800}
ENVIRONMENT = {
    "SHOAL_STARTS_PER_SECOND": "20",
    "SHOAL_RECONNECTS_PER_SECOND": "200",
    "SHOAL_TOKEN_CALLS_PER_SECOND": "20",
    "SHOAL_REPLY_DEBOUNCE_SECONDS": "0.5",
    "SHOAL_MESSAGE_AGE_SECONDS": f"{LIMITS.message_age_seconds:g}",
    "SHOAL_PROBE_SECONDS": f"{LIMITS.probe_seconds:g}",
    "SHOAL_TOKEN_RENEWAL_MINUTES": "30",
    "SHOAL_SESSION_HOURS": "720",
    "SHOAL_SESSION_IDLE_HOURS": "0",
    "SHOAL_LOG_LEVEL": "WARNING",
}
"""What a server has by default, but for what lets 200 shops begin within a minute, and much happen in an hour."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What kind of soak. Times in seconds."""

    directory: Path
    hours: float
    shops: int = 200
    rate: float = 13.0
    """lines of buyers per second, of all shops together"""
    busy: int = 0
    database: str = ""
    purchase_seconds: float = 30.0
    fault_seconds: float = 40.0
    owner_seconds: float = 15.0
    kill_seconds: float = 1500.0
    calm: bool = False
    plain: bool = False
    """without TLS to the site, so that the server can be forked: who its authorities are is read at import"""

    @property
    def memory_file(self) -> Path:
        """Where the server tells what its memory is used for."""
        return self.directory / "memory.json"

    @property
    def source(self) -> Path | str:
        """Where the rows are."""
        return self.database or self.directory / "data" / DATABASE_FILE


class Soak:
    """One run of a plan, with everything it started."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan = plan
        self.ledger = ledger
        self.rng = Random()
        self.over = asyncio.Event()
        self.interrupted = False
        self.sandbox: SandboxProcess
        self.server: ServerProcess
        self.owner: SoakOwner
        self.story: SoakStory
        self.judge: Judge

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Soak]:
        """Start the site, the way to it and the server, and let every shop in."""
        plan, rng = self.plan, self.rng
        sandbox = self.sandbox = SandboxProcess(plan.directory / "sandbox.log")
        sandbox.apart = True
        await sandbox.start(shops=plan.shops, seed=plan.shops, tls=None if plan.plain else plan.directory / "tls")
        relay = Relay(urlsplit(sandbox.url).port or 0, Random(rng.random()))
        port = await self._way_opened(relay)
        environment = {**ENVIRONMENT, **({} if plan.plain else {"SSL_CERT_FILE": sandbox.authority})}
        if plan.database:
            environment["SHOAL_DATABASE_URL"] = plan.database
        url = f"{urlsplit(sandbox.url).scheme}://127.0.0.1:{port}"
        environment[measured_server.MEMORY_FILE] = str(plan.memory_file)
        server = self.server = ServerProcess(plan.directory / "data", url, **environment)
        server.command = (measured_server.__file__,)
        server.apart = True
        try:
            await sandbox.do("policy", **POLICY)
            self.owner = SoakOwner(server, Random(rng.random()), self.ledger)
            await self.owner.start()
            self._tell_the_story(relay, await self._let_shops_in())
            yield self
        finally:
            await server.close()
            await sandbox.end()
            await relay.close()

    async def _way_opened(self, relay: Relay) -> int:
        """Listen where the run before did: a server's data belongs to one site. No other program has its port."""
        kept = round(self.ledger.fact("port"))
        while True:
            try:
                port = await relay.open(kept or self.rng.randrange(20_000, 32_000))
            except OSError:
                if kept:
                    raise
            else:
                self.ledger.set_fact("port", port)
                return port

    def _tell_the_story(self, relay: Relay, shops: dict[str, str]) -> None:
        plan = self.plan
        self.story = SoakStory(
            self.rng,
            self.sandbox,
            self.owner,
            relay,
            shops,
            now=time.time,
            calm=plan.calm,
            question_seconds=LINES_OF_A_BURST / plan.rate,
            purchase_seconds=plan.purchase_seconds,
            fault_seconds=plan.fault_seconds,
            owner_seconds=plan.owner_seconds,
            kill_seconds=plan.kill_seconds,
            watch_seconds=5.0,
            acts=ACTS,
            ledger=self.ledger,
            machine=StarvedMachine(relay, self.server, plan.source),
            story_file=plan.directory / "story.log",
        )
        self.story.take_up()
        self.judge = Judge(self.ledger, self.sandbox, StoredRows(plan.source), self.story, LIMITS)

    async def _let_shops_in(self) -> dict[str, str]:
        """Add every seller of the site that the server does not know; the others log in anew, for the site is new."""
        known = {row["id"] for row in await self.server.ok("GET", "/cookies/details")}
        sellers = (await self.sandbox.get("sellers"))["items"]
        names = {f"shop{number}": seller for number, seller in enumerate(sellers)}
        turns = asyncio.Semaphore(6)

        async def let_in(account_id: str, cookie: str) -> None:
            async with turns:
                if account_id in known:
                    await self.owner.new_cookie(account_id, cookie)
                else:
                    await self.server.add(account_id, cookie, wait=0)
                    await self.owner.change_rules(account_id, {KEYWORD: ANSWER})
                    values = {"paid_message": PAID_MESSAGE, "pause_duration": PAUSE_MINUTES}
                    await self.owner.settings(account_id, values)
                await self.owner.auto_confirm(account_id, True)
                await self.owner.enable(account_id, True)

        await asyncio.gather(*(let_in(account_id, seller["cookie"]) for account_id, seller in names.items()))
        async with asyncio.timeout(900):
            while set((await self.owner.states()).values()) != {"running"}:
                await asyncio.sleep(1)
        return {account_id: seller["unb"] for account_id, seller in names.items()}

    # -- living --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Let everything happen until the hours are over or somebody interrupts; then rest until all is settled."""
        async with asyncio.TaskGroup() as tasks:
            onlookers = [
                tasks.create_task(self.story.watch()),
                tasks.create_task(self.story.mend_what_is_parked()),
            ]
            happening = tasks.create_task(self.story.buyers_and_accidents(self.over))
            await self._keep_books()
            if self.interrupted:
                happening.cancel()
            else:
                await happening
                await self.rest()
            for onlooker in onlookers:
                onlooker.cancel()
        await self.judge.look(time.time())

    async def _keep_books(self) -> None:
        """Look now and then, and once a minute write down how it stands."""
        last, next_minute = time.monotonic(), time.monotonic() + MINUTE
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), LOOK_SECONDS)
            now = time.monotonic()
            self.ledger.set_fact("lived", self.ledger.fact("lived") + now - last)
            last = now
            await self.judge.look(time.time())
            if self.owner.is_gone:
                await self.owner.restart()
            if now >= next_minute:
                next_minute = now + MINUTE
                await self.minute()
            if self.ledger.fact("lived") >= self.plan.hours * 3600:
                self.over.set()

    async def minute(self) -> None:
        """Measure, forget what is old, and tell how it stands."""
        figures = await gauges.measured(self.server, self.plan.memory_file) if self.owner.is_up else {}
        age = time.monotonic() - self.owner.began
        self.ledger.sample(self.ledger.fact("lived"), round(self.ledger.fact("lives")), age, figures)
        await self.judge.look_after(time.time())
        self.story.forget()
        told = soak_summary.write(self.ledger, self.plan.directory / "summary.json", self.plan.hours)
        title = f"Memory of a server with {self.plan.shops} shops over {told['lived_hours']:.2f} hours"
        (self.plan.directory / "memory.svg").write_text(soak_plot.plot(list(self.ledger.samples()), title), "utf-8")
        sys.stdout.write(soak_summary.line(self.ledger, self.plan.hours) + "\n")
        sys.stdout.flush()

    async def rest(self) -> None:
        """Let every shop come up and everything that is open be settled, or be called lost."""
        await self.story.come_to_rest()
        until = time.time() + self.judge.patience_seconds + 2 * LOOK_SECONDS
        while time.time() < until and self.ledger.open_number() and not self.interrupted:
            await self.judge.look(time.time())
            await asyncio.sleep(LOOK_SECONDS)
        if not self.interrupted:
            await self.judge.look(time.time() + self.judge.patience_seconds)
        await self.minute()

    def interrupt(self) -> None:
        """End soon, as it is."""
        self.interrupted = True
        self.over.set()


async def run(plan: Plan) -> int:
    """Live what is left of the plan's hours; 1 when any promise was broken so far, 130 when it was interrupted."""
    ledger = Ledger(plan.directory / "soak.sqlite")
    try:
        soak = Soak(plan, ledger)
        if ledger.fact("lived") < plan.hours * 3600:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, soak.interrupt)
            with busy_processes(plan.busy):
                async with soak.opened():
                    await soak.live()
        told = soak_summary.write(ledger, plan.directory / "summary.json", plan.hours)
        sys.stdout.write(soak_summary.table(told) + "\n")
        return 130 if soak.interrupted else int(told["broken"] > 0)
    finally:
        ledger.close()


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let no second soak run in the same directory."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another soak runs in {directory}") from None
        yield


def main() -> int:
    """Read the plan from the command line, and carry it out."""
    parser = argparse.ArgumentParser(description="a real server for hours on a starved machine")
    parser.add_argument("--hours", type=float, default=1, help="in all, over every run of the label")
    parser.add_argument("--shops", type=int, default=Plan.shops)
    parser.add_argument(
        "--rate", type=float, default=Plan.rate, help="lines of buyers per second (default %(default)g)"
    )
    parser.add_argument("--label", default="soak", help="a soak of another label begins anew")
    parser.add_argument("--busy", type=int, default=0, help="processes that only compute beside it")
    parser.add_argument(
        "--database",
        default="",
        help="an empty one (postgresql+psycopg://…) instead of SQLite; postgresql: one of its own",
    )
    parser.add_argument(
        "--steady", action="store_true", help="buyers only: no accident, no owner, no end of the server"
    )
    parser.add_argument("--kill-minutes", type=float, default=Plan.kill_seconds / 60, help="mean life of the server")
    chosen = parser.parse_args()
    base = Path(os.environ.get("SOAK_DIR") or platformdirs.user_cache_path("shoal") / "soak")
    plan = Plan(
        directory=base / chosen.label,
        hours=chosen.hours,
        shops=chosen.shops,
        rate=chosen.rate,
        busy=chosen.busy,
        database=chosen.database,
        kill_seconds=chosen.kill_minutes * 60,
        calm=chosen.steady,
    )
    with _alone(plan.directory), contextlib.ExitStack() as stack:
        sys.stdout.write(f"soak in {plan.directory}\n")
        sys.stdout.flush()
        if plan.database == "postgresql":
            # not in the directory of the soak: who runs PostgreSQL for root may not read that
            postgres = stack.enter_context(running_server(Path(tempfile.gettempdir()) / f"shoal-soak-{chosen.label}"))
            plan = replace(plan, database=postgres.url("postgres"))
        return asyncio.run(run(plan))


if __name__ == "__main__":
    sys.exit(main())
