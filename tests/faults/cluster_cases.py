"""What happens to one of several servers: each case strikes, waits until all is well again, and says how long it took.

In each case every shop that the struck server ran must run at another one, and all servers share the shops in the end.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any, Final

import psutil
import psycopg

from benchmarks.processes import ServerProcess, soon
from faults.cluster_judge import Judge
from faults.cluster_rig import SOON_SECONDS, Cluster, answers
from faults.delivery_count import Counted, count, texts_by_buyer
from support.databases.postgres_server import PostgresServer

IDLE_SECONDS: Final = 60.0
"""Without any progress for so long, nothing more will come by itself."""
RESTARTS: Final = 2
STARTS: Final = 5
"""A start is tried so often before a server is said not to start."""
_WAITING: Final = "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND relation = 'messages'::regclass"
_LEFT: Final = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
_SHIPPED = {"shipped", "completed"}


@dataclass(kw_only=True)
class Found:
    """What became of one case. Seconds are from the strike."""

    name: str
    shops: int = 0
    """how many shops the struck server ran"""
    owned_seconds: float = 0.0
    """until every shard had a living owner"""
    connected_median: float = 0.0
    connected_longest: float = 0.0
    """until the shops were connected again"""
    dropped: int = 0
    """how many shops were connected anew"""
    frames: int = 0
    violations: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As a line for the file of figures."""
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in vars(self).items()}


Case = Callable[[Cluster, Found], Awaitable[None]]


async def killed(cluster: Cluster, found: Found) -> None:
    """``kill -9`` of a server; it starts again."""
    name = _first(cluster)
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        await cluster.nodes[name].end(SIGKILL)
        found.owned_seconds = await cluster.time_to_own(began)
    await _again(cluster, name)


async def restarting(cluster: Cluster, found: Found) -> None:
    """``kill -9`` of a server again and again, as soon as it is ready; then it starts for good."""
    name = _first(cluster)
    server = cluster.nodes[name]
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        await server.end(SIGKILL)
        for _ in range(1 if cluster.is_short else RESTARTS):
            await _supervised(server)
            await server.end(SIGKILL)
        found.owned_seconds = await cluster.time_to_own(began)
    await _again(cluster, name)


async def stopped(cluster: Cluster, found: Found) -> None:
    """SIGTERM; it starts again, and the others give up its share to it."""
    name = _first(cluster)
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        await cluster.nodes[name].end(SIGTERM)
        found.owned_seconds = await cluster.time_to_own(began)
    await _again(cluster, name)


async def frozen(cluster: Cluster, found: Found) -> None:
    """SIGSTOP beyond the lease, and SIGCONT, with its sockets still open at the site."""
    await _frozen(cluster, found)


async def frozen_writing(cluster: Cluster, found: Found) -> None:
    """The same inside a transaction that holds a shard's row: PostgreSQL ends it, and others claim that shard too."""
    await _frozen(cluster, found, is_writing=True)


async def _frozen(cluster: Cluster, found: Found, *, is_writing: bool = False) -> None:
    name = list(cluster.nodes)[1]
    shops = sorted(await cluster.shops_of(*cluster.owners(name)))
    await cluster.site.do("policy", new_token_makes_zombie=False)
    cluster.judge.frozen = frozenset(shops)
    child = cluster.nodes[name].child
    try:
        async with _struck(cluster, found, *cluster.owners(name)) as began:
            if is_writing:
                await _stop_inside_a_transaction(cluster, child)
            child.send_signal(SIGSTOP)
            cluster.judge.frozen |= await cluster.shops_of(*cluster.owners(name))  # some have just come to it
            for unb in shops[::2]:  # with its stored token the new owner would have the site end the old socket
                await cluster.site.do("expire", account=unb, what="im_token")
            found.owned_seconds = await cluster.time_to_own(began)
    finally:
        child.send_signal(SIGCONT)
    await cluster.shared_among(*cluster.owners())
    await cluster.all_connected()
    await cluster.judge.look()
    cluster.judge.frozen = frozenset()


async def _stop_inside_a_transaction(cluster: Cluster, child: asyncio.subprocess.Process) -> None:
    """Stop a process while each writer, which holds a shard, waits for a table; then let them have it."""
    owners = cluster.owners()
    with psycopg.connect(cluster.url.replace("+psycopg", "")) as locking:
        await asyncio.to_thread(locking.execute, "LOCK TABLE messages IN EXCLUSIVE MODE")
        for owner in owners:
            unb = min(await cluster.shops_of(owner))
            await cluster.site.do("say", account=unb, buyer="最后的客人", text="还有吗")

        async def all_wait() -> bool:
            return len(await cluster.rows(_WAITING)) == len(owners)

        await soon(all_wait, seconds=SOON_SECONDS, every_seconds=0.01)
        child.send_signal(SIGSTOP)
        writers = [pid for (pid,) in await cluster.rows(_WAITING)]
        await asyncio.to_thread(locking.commit)

    async def is_ended() -> bool:  # a connection of a process that stands still ends by PostgreSQL's limit alone
        return (await cluster.rows(_LEFT, writers)) != [(len(owners),)]

    await soon(is_ended, seconds=SOON_SECONDS, every_seconds=0.05)


async def cut(cluster: Cluster, found: Found) -> None:
    """The link to the database takes all and answers nothing, until the others run its shops."""
    name, link = next(iter(cluster.links.items()))
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        link.lose()
        found.owned_seconds = await cluster.time_to_own(began)
    link.live()
    await cluster.shared_among(*cluster.owners())


async def restarted_database(cluster: Cluster, found: Found) -> None:
    """PostgreSQL ends at once, as in a crash, and starts again: what is connected may stay so."""
    postgres = cluster.postgres
    assert isinstance(postgres, PostgresServer), "it has a server of its own"
    found.shops, cluster.struck = len(cluster.unbs), ()
    struck_ms, began = _now_ms(), time.monotonic()
    await asyncio.to_thread(postgres.stop_at_once)
    await asyncio.to_thread(postgres.start_again)
    for server in cluster.nodes.values():
        await soon(lambda server=server: answers(server), seconds=SOON_SECONDS)  # type: ignore[misc]
    found.owned_seconds = await cluster.time_to_own(began)
    await cluster.all_connected()
    await cluster.judge.look()
    _count_connected(cluster.judge, found, frozenset(cluster.unbs.values()), struck_ms)
    await cluster.shared_among(*cluster.owners())


async def drained(cluster: Cluster, found: Found) -> None:
    """Drain one, some shards at a time, and let it take its share again."""
    name = list(cluster.nodes)[1]
    asked = cluster.living(name)
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        await asked.ok("POST", f"/system/nodes/{name}/drain")
        await cluster.shared_among(*(one for one in cluster.owners() if one not in cluster.owners(name)))
        found.owned_seconds = time.monotonic() - began
    await asked.ok("DELETE", f"/system/nodes/{name}/drain")
    await cluster.shared_among(*cluster.owners())


async def killed_worker(cluster: Cluster, found: Found) -> None:
    """``kill -9`` of one worker; its parent declares it dead and starts it again."""
    name = cluster.owners(cluster.parent)[0]
    async with _struck(cluster, found, name) as began:
        cluster.worker(name).kill()
        found.owned_seconds = await cluster.time_to_own(began)
    await cluster.shared_among(*cluster.owners())


async def killed_parent(cluster: Cluster, found: Found) -> None:
    """``kill -9`` of the parent: its workers end in order. It starts again."""
    name = cluster.parent
    async with _struck(cluster, found, *cluster.owners(name)) as began:
        await cluster.nodes[name].end(SIGKILL)
        found.owned_seconds = await cluster.time_to_own(began)
    await _again(cluster, name)


WORKER_CASES: Final[dict[str, Case]] = {"worker": killed_worker, "parent": killed_parent}
"""Those of a server with workers."""
CASES: Final[dict[str, Case]] = {
    "killed": killed,
    "restarting": restarting,
    "frozen": frozen,
    "frozen-writing": frozen_writing,
    "cut": cut,
    "database": restarted_database,
    "drained": drained,
    "stopped": stopped,
}


def _first(cluster: Cluster) -> str:
    """Return the first server without workers."""
    return next(name for name in cluster.nodes if name != cluster.parent)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def _struck(cluster: Cluster, found: Found, *names: str) -> AsyncIterator[float]:
    """Strike in the block, and wait after it until every shop of the struck servers is connected anew."""
    shops = await cluster.shops_of(*names)  # of servers and workers as they own shards
    found.shops, cluster.struck = len(shops), await cluster.lives(*names)
    if cluster.is_short:
        await cluster.buyers_at(shops)
    struck_ms = _now_ms()
    yield time.monotonic()
    judge = cluster.judge

    async def are_back() -> bool:
        return all(judge.connected_ms.get(unb, 0) >= struck_ms for unb in shops)

    with suppress(TimeoutError):  # those that are missing are told below
        await soon(are_back, seconds=SOON_SECONDS, every_seconds=0.1)
    away = [unb for unb in shops if judge.connected_ms.get(unb, 0) < struck_ms]
    if away:
        judge.broke(f"{len(away)} shops were not connected again: {away[:3]}")
    _count_connected(judge, found, shops, struck_ms)


def _count_connected(judge: Judge, found: Found, shops: frozenset[str], struck_ms: int) -> None:
    times = [(judge.connected_ms.get(unb, 0) - struck_ms) / 1000 for unb in shops]
    after = [seconds for seconds in times if seconds >= 0]
    found.dropped = len(after)
    if after:
        found.connected_median, found.connected_longest = statistics.median(after), max(after)


async def _again(cluster: Cluster, name: str) -> None:
    if cluster.is_short:
        return
    await _supervised(cluster.nodes[name])
    await cluster.shared_among(*cluster.owners())


async def _supervised(server: ServerProcess) -> None:
    """Start a server, and start it again when it ends before it is ready, as its supervisor does.

    On a busy machine a transaction of the start may stand still for longer than PostgreSQL allows with a short lease.
    """
    for _ in range(STARTS - 1):
        try:
            await server.start()
        except AssertionError:
            if server.is_running:
                raise
        else:
            return
    await server.start()


async def stumble(cluster: Cluster, chance: random.Random) -> None:
    """Stop one process after another for 0.1 to 0.8 s, servers, workers and the site, until it is cancelled.

    Not in a case that stops a process itself.
    """
    while True:
        await asyncio.sleep(chance.uniform(0.2, 1.2))
        running = [one.child.pid for one in (*cluster.nodes.values(), cluster.site) if one.is_running]
        workers = [child.pid for pid in running for child in psutil.Process(pid).children(recursive=True)]
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(chance.choice([*running, *workers]))
            process.suspend()
            try:
                await asyncio.sleep(chance.uniform(0.1, 0.8))
            finally:
                process.resume()


# ── a whole run ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def prepared(cluster: Cluster, *, units: int) -> None:
    """Start the servers, open the shops, and wait until all share them."""
    first, *others = cluster.nodes.values()
    await first.start()
    await cluster.open_shops(units)
    await asyncio.gather(*(server.start() for server in others))
    await cluster.shared_among(*cluster.owners())
    await cluster.all_connected()


async def run_case(
    cluster: Cluster, name: str, *, per_second: float, chance: random.Random, stumbling: bool = False
) -> Found:
    """Run one case among buyers; what the judge found since stands in the answer. ``stumbling``: see ``stumble``."""
    found = Found(name=name)
    judge, frames = cluster.judge, cluster.judge.frames
    busy = [
        asyncio.create_task(judge.follow(), name="judge"),
        asyncio.create_task(cluster.trade(per_second, chance), name="trade"),
        *([asyncio.create_task(stumble(cluster, chance), name="stumble")] if stumbling else []),
    ]
    try:
        await (CASES | WORKER_CASES)[name](cluster, found)
        await cluster.all_connected()
    except (AssertionError, TimeoutError) as error:
        judge.broke(f"{name}: {type(error).__name__}: {error}")
    finally:
        for task in busy:
            task.cancel()
        for ended in await asyncio.gather(*busy, return_exceptions=True):
            if isinstance(ended, Exception):
                judge.broke(f"{name}: {type(ended).__name__}: {ended}")
    await judge.look()
    found.frames = judge.frames - frames
    found.violations = [f"{name}: {sentence}" for sentence in judge.violations]
    judge.violations.clear()
    return found


@dataclass(kw_only=True)
class Traded:
    """What the buyers got in the end."""

    counted: Counted
    questions: int = 0
    unanswered: int = 0
    with_owner: Counter[str] = field(default_factory=Counter)
    """orders that say what their owner must see to, by problem"""
    violations: list[str] = field(default_factory=list)


async def settled(cluster: Cluster) -> Traded:
    """Wait while anything still happens, and count what each buyer holds."""
    seen, since = None, time.monotonic()
    while True:
        await cluster.judge.look()
        orders, held = await cluster.orders(), texts_by_buyer(await cluster.site.get("receipts"))
        unshipped = [one for one in cluster.bought if orders[one.order_id]["status"] not in _SHIPPED]
        unanswered = [one for one in cluster.asked if not held.get((one.unb, one.buyer_id))]
        now = (len(unshipped), len(unanswered))
        if now == (0, 0):
            break
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > IDLE_SECONDS:
            break
        await asyncio.sleep(0.5)
    told = {row["order_id"]: row["problem"]["code"] for row in await cluster.problems()}
    result = Traded(counted=count(cluster.bought, held, orders), questions=len(cluster.asked))
    result.with_owner.update(told.values())
    result.unanswered = len(unanswered)
    result.violations += [
        f"order {one.order_id} of {one.shop} is not served, and says no reason"
        for one in unshipped
        if one.order_id not in told
    ]
    twice = [one for one in cluster.asked if held.get((one.unb, one.buyer_id), []).count("在的") > 1]
    result.violations += [f"buyer {one.buyer_id} of shop {one.unb} was answered twice" for one in twice]
    wrong = result.counted
    for name in ("doubled", "in_two_orders", "of_another_spec", "too_many", "confirmed_incomplete", "confirmed_twice"):
        if number := getattr(wrong, name):
            result.violations.append(f"{number} {name}: {wrong.unexplained[:3]}")
    result.violations += cluster.judge.violations
    return result


async def end_all(servers: list[ServerProcess]) -> None:
    """End servers in order."""
    await asyncio.gather(*(server.end() for server in servers if server.is_running))
