"""One part of the proof of delivery: a real server and site, orders without a pause, kills and failing stores.

Shops share three goods, one for each spec. While buyers pay, the server is killed in the middle of its work, or
its store takes no writes for a moment. After each kill the invariants are asked of the files before anything else
touches them. In the end an owner looks after what is uncertain, as the console tells, and what each buyer holds
is counted.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from benchmarks.processes import KEPT, SandboxProcess, ServerProcess
from faults.delivery_count import MARKER, THANKS, Bought, Held, count, texts_by_buyer, unit_text, units_of
from faults.delivery_figures import Figures
from faults.delivery_invariants import Sold, breaches, clear_in_files, clear_in_tables
from faults.durable import copy_of_files
from faults.full_disk import no_growth
from faults.places import STRIKES, FilePlace, PostgresPlace
from faults.refund_ways import CANCELLING, WAY_OF, WAYS, Way, ended_by, unheeded
from shoal.storage.data_directory import DATABASE_FILE
from support.databases.postgres_server import PostgresServer
from support.runs.quick_start import blank_database
from support.runs.warm_start import WARM

SERVE = ("-m", "shoal", "serve")
SPECS = {"时长:月卡": "M", "时长:季卡": "Q", "时长:年卡": "Y"}
"""The specs of every item, each with the letter of its goods."""
MOST_PIECES = 9
UNDONE = 0.05
"""How many buyers ask for a refund or cancel, at any moment of the delivery, unless there is a storm of refunds."""
PER_MESSAGE = 4
SHIPPED = {"shipped", "completed"}
START_SECONDS = 180.0
IDLE_SECONDS = 75.0
"""Without any progress for so long, nothing more will come by itself."""
LOOK_SECONDS = 0.5
UNTOLD_SECONDS = 45.0
"""After so long a refund whose end a card told needs its owner, which is wrong."""
OWNER_SECONDS = 5.0
"""How long a problem must stand in a shop that runs before the owner sees to it: an echo may still settle it."""
UNITS = """
    SELECT g.name, u.state, b.order_id FROM units u JOIN goods g ON g.id = u.goods_id
    LEFT JOIN bindings b ON b.unit_id = u.id AND b.state <> 'released'
"""
BY_OWNER = {"message_uncertain", "message_refused", "delivery_partly", "confirm_uncertain", "confirm_refused",
            "not_served_in_time", "before_restore", "paid_without_card", "quantity_unknown", "out_of_stock",
            "unknown_spec", "refund_asked"}  # fmt: skip


class DeliveryRun:
    """One data directory, one site. Everything random comes from the seed."""

    def __init__(
        self, directory: Path, sandbox: SandboxProcess, *, seed: int, postgres: PostgresServer | None, shops: int,
        refunds: float = 0.0,
    ) -> None:  # fmt: skip
        self._refunds = refunds
        self._sandbox = sandbox
        self._chance = random.Random(seed)
        self._seed = seed
        self._data_dir = directory / "data"
        self._shops = shops
        self._place = (
            FilePlace(self._data_dir) if postgres is None else PostgresPlace(self._data_dir, postgres, self._chance)
        )
        quick = {"SHOAL_ORDER_CALLS_PER_SECOND": "100", "SHOAL_SHOP_REPLIES_PER_MINUTE": "0"}
        self._server = ServerProcess(self._data_dir, sandbox.url, **quick, **self._place.environment)
        self._server.http = httpx.AsyncClient(base_url=self._server.url, timeout=60, trust_env=False, limits=KEPT)
        self._sold = Sold(goods_of={})
        self._imported: dict[str, int] = {}
        self._items: dict[str, tuple[str, str]] = {}
        """Each shop's seller and item."""
        self._stood: dict[str, float] = {}
        """Since when each problem is seen."""
        self._open: dict[str, int] = {}
        """How many units the buyers held of orders that were asked for while their refunds were open."""
        self.bought: list[Bought] = []
        self.figures = Figures()

    async def run(self, orders: int, kills: int, failures: int) -> Figures:
        """Pay so many orders and strike so often; what broke stands in the figures."""
        began = time.monotonic()
        try:
            await self._first_start(orders)
            strikes = ["kill"] * kills + ["failure"] * failures
            self._chance.shuffle(strikes)
            for number, strike in enumerate(strikes):
                await self._pay(orders * (number + 1) // (len(strikes) + 1))
                await asyncio.sleep(self._chance.uniform(0, 0.3))
                await (self._kill() if strike == "kill" else self._fail())
            await self._pay(orders)
            await self._until_all_is_done()
            await self._last_look()
        except (AssertionError, httpx.HTTPError, TimeoutError) as error:
            self._broke(f"{type(error).__name__}: {error}")
        finally:
            await self._server.http.aclose()
            await self._server.end(SIGKILL)
            self._place.close()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    def _broke(self, sentence: str) -> None:
        if sentence not in self.figures.violations:
            self.figures.violations.append(sentence)

    # ── the shops, their goods, and their buyers ──────────────────────────────────────────────────────────────────

    async def _first_start(self, orders: int) -> None:
        """Start on a database that was migrated before, open the shops, and import more units than can be ordered."""
        if "SHOAL_DATABASE_URL" not in self._place.environment:
            await blank_database(self._data_dir)
        await self._spawn()
        server, goods = self._server, {}
        await self._sign_in()
        for spec, letter in SPECS.items():
            body = {"name": letter, "kind": "stock", "per_message": PER_MESSAGE}
            goods[spec] = int((await server.ok("POST", "/goods", body))["id"])
            lines = [unit_text(letter, number) for number in range(orders * MOST_PIECES // 2 + 50)]
            self._imported[letter] = len(lines)
            answer = await server.ok("POST", f"/goods/{goods[spec]}/units", {"lines": lines})
            assert answer["taken"] == len(lines), answer
        self._sold = Sold(goods_of={spec.partition(":")[2]: goods_id for spec, goods_id in goods.items()})
        sellers = (await self._sandbox.get("sellers"))["items"][: self._shops]
        for number, seller in enumerate(sellers):
            shop, unb, item_id = f"shop{number}", seller["unb"], seller["items"][0]["id"]
            await self._sandbox.do("item", account=unb, item=item_id, specs=list(SPECS))
            await server.add(shop, seller["cookie"])
            await server.ok("PATCH", f"/cookies/{shop}/settings", {"auto_confirm": True})
            parts = [{"text": "您的卡密：\n{codes}"}, {"text": THANKS}]
            rules = [
                {"item_id": item_id, "spec": spec, "goods_id": goods_id, "parts": parts, "confirm": "yes"}
                for spec, goods_id in goods.items()
            ]
            await server.ok("PUT", f"/cookies/{shop}/deliveries", {"rules": rules})
            self._items[shop] = unb, item_id

    async def _sign_in(self) -> None:
        token = await self._server.sign_in()
        self._server.http.headers["Authorization"] = f"Bearer {token}"  # a session outlives every kill

    async def _pay(self, until: int) -> None:
        """Let buyers pay, several at once, until there are so many orders."""
        while len(self.bought) < until:
            wave = min(self._chance.randint(1, 8), until - len(self.bought))
            numbers = range(len(self.bought), len(self.bought) + wave)
            self.bought += await asyncio.gather(*map(self._buy, numbers))

    async def _buy(self, number: int) -> Bought:
        shop = self._chance.choice(list(self._items))
        unb, item_id = self._items[shop]
        spec, pieces = self._chance.choice(list(SPECS)), self._chance.randint(1, MOST_PIECES)
        buyer = f"买家{self._seed}-{number}"
        paid = await self._sandbox.do("pay", account=unb, buyer=buyer, item=item_id, spec=spec, quantity=pieces)
        way = self._way(number)
        if way is not None:
            await way.go(self._sandbox, self._chance, {"account": unb, "buyer": buyer, "order_id": paid["order_id"]})
        facts = {"order_id": paid["order_id"], "buyer_id": paid["buyer_id"], "way": "" if way is None else way.name}
        undone = "" if way is None or not way.undoes else way.name
        return Bought(shop=shop, unb=unb, goods=SPECS[spec], wanted=pieces, undone=undone, **facts)

    def _way(self, number: int) -> Way | None:
        """Return what the buyer does after the payment: in a storm of refunds each way in turn."""
        if self._refunds:
            return WAYS[number % len(WAYS)] if self._chance.random() < self._refunds else None
        return self._chance.choice(CANCELLING) if self._chance.random() < UNDONE else None

    # ── strikes ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _spawn(self) -> None:
        self._server.adopt(await WARM.start(SERVE, self._server.environment, self._server.log_file))
        began = time.monotonic()
        while not await self._answers():
            assert self._server.child.returncode is None, self._server.log_file.read_text()[-2000:]
            assert time.monotonic() - began < START_SECONDS, "the server does not become ready"
            await asyncio.sleep(0.03)

    async def _answers(self) -> bool:
        try:
            return (await self._server.http.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def _kill(self) -> None:
        await self._server.end(SIGKILL)
        self.figures.kills += 1
        self._look()
        await self._spawn()

    async def _fail(self) -> None:
        """Let the store take no writes for a moment: a file that cannot be written, or a PostgreSQL that crashes."""
        self.figures.store_failures += 1
        if isinstance(self._place, PostgresPlace):
            await self._place.strike(self._chance.choice(STRIKES))
            return
        with no_growth(self._server.child.pid):
            await asyncio.sleep(self._chance.uniform(0.05, 0.8))

    # ── what must hold ──────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Ask the data, which no process uses now, what breaks the invariants."""
        self.figures.looks += 1
        url = self._place.environment.get("SHOAL_DATABASE_URL", "")
        aside = self._data_dir.with_name("aside")
        if not url:
            shutil.rmtree(aside, ignore_errors=True)
            copy_of_files(self._data_dir, aside)
            url = f"sqlite:///{aside / DATABASE_FILE}"
        engine = create_engine(url)
        with engine.connect() as connection:
            found = breaches(connection, self._sold)
        engine.dispose()
        files = [self._data_dir / DATABASE_FILE, self._data_dir / f"{DATABASE_FILE}-wal", self._server.log_file]
        for sentence in [*found, *clear_in_files(files, MARKER)]:
            self._broke(f"after kill {self.figures.kills}: {sentence}")

    async def _last_look(self) -> None:
        """Count what the buyers hold, beside the orders of the site and the units of the stock."""
        figures = self.figures
        held = texts_by_buyer(await self._sandbox.get("receipts"))
        figures.counted = count(self.bought, held, await self._site_orders())
        for sentence in figures.counted.unexplained:
            self._broke(sentence)
        problems = {row["order_id"]: row["problem"]["code"] for row in await self._problems()}
        figures.left.update(problems.values())
        await self._server.end(SIGKILL)
        self._look()
        url = self._place.environment.get("SHOAL_DATABASE_URL", f"sqlite:///{self._data_dir / DATABASE_FILE}")
        engine = create_engine(url)
        with engine.connect() as connection:
            units = connection.execute(text(UNITS)).all()
            for sentence in clear_in_tables(connection, MARKER):
                self._broke(sentence)
            ended = ended_by(connection)
        engine.dispose()
        self._count_refunds(held, ended)
        self._count_stock(held, Counter((goods, state, order or "") for goods, state, order in units), set(problems))

    def _count_stock(self, held: Held, units: Counter[tuple[str, str, str]], in_need: set[str]) -> None:
        """Compare the stock with what the buyers hold. ``units``: how many by goods, state and order.

        Only an order that was undone, and tells it (``in_need``), may have units that its buyer lacks.
        """
        for goods, imported in self._imported.items():
            mine = sum(number for (name, _, _), number in units.items() if name == goods)
            if mine != imported:
                self._broke(f"of {imported} units of goods {goods} there are {mine}")
        for one in self.bought:
            given = units_of(one, held)
            out = units[one.goods, "out", one.order_id]
            kept = units[one.goods, "held", one.order_id]
            tells = one.undone and one.order_id in in_need
            if (out, kept) != (given, 0) and not (tells and given <= out <= out + kept == one.wanted):
                self._broke(
                    f"order {one.order_id} has {out} units out and {kept} held by the stock, its buyer {given}: {one}"
                )

    def _count_refunds(self, held: Held, ended: Mapping[str, str]) -> None:
        """Count how refunds went on. ``ended``: by what, for each order whose refund ended."""
        for one in self.bought:
            if one.way:
                self.figures.ways[one.way] += 1
                self.figures.ended[f"{one.way}: {ended.get(one.order_id, 'none known')}"] += 1
            if one.order_id in self._open and (more := units_of(one, held) - self._open[one.order_id]):
                self._broke(f"order {one.order_id} got {more} units although its refund is open: {one}")
        for sentence in unheeded(self.bought, ended):
            self._broke(sentence)

    async def _site_orders(self) -> dict[str, Any]:
        return {order["id"]: order for order in (await self._sandbox.get("orders"))["items"]}

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _until_all_is_done(self) -> None:
        """Wait while anything still happens; the owner sees to what stands still."""
        seen, since = None, time.monotonic()
        while True:
            orders = await self._site_orders()
            unshipped = sum(orders[one.order_id]["status"] not in SHIPPED for one in self.bought if not one.undone)
            unasked = [one for one in self.bought if self._is_unasked(one, orders)]
            if unshipped == len(unasked) == 0:
                return
            acted = await self._see_to_problems()
            now = (unshipped, len(unasked), acted, (await self._sandbox.get("receipts", account="0"))["last_seq"])
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > IDLE_SECONDS:
                for one in unasked:
                    self._broke(f"the refund of order {one.order_id} is open, and nothing tells it: {one}")
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _is_unasked(self, one: Bought, orders: Mapping[str, Any]) -> bool:
        """Return whether the owner has still to ask for an order whose refund is open, to be refused."""
        return orders[one.order_id]["status"] == "refunding" and one.order_id not in self._open

    async def _problems(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for shop in self._items:
            rows += (await self._server.ok("GET", f"/cookies/{shop}/orders?problem=true&limit=200"))["items"]
        return rows

    async def _see_to_problems(self) -> int:
        """Do what an owner does who reads the to-do and looks at the buyer's chat; return how often so far."""
        running = {row["id"] for row in await self._server.ok("GET", "/cookies/details") if row["state"] == "running"}
        for row in (await self._server.ok("GET", "/orders?problem=true&limit=200"))["items"]:
            code, order_id = row["problem"]["code"], row["order_id"]
            if row["account"] not in running:
                self._stood.pop(f"{order_id} {code}", None)
                continue
            since = self._stood.setdefault(f"{order_id} {code}", time.monotonic())
            if code in BY_OWNER and await self._see_to(row["account"], order_id, code, time.monotonic() - since):
                del self._stood[f"{order_id} {code}"]
                self.figures.owner[code] += 1
        return self.figures.owner.total()

    async def _see_to(self, shop: str, order_id: str, code: str, stood: float) -> bool:
        """Do what is to be done about a problem, when it has stood long enough; return whether it was done."""
        one = next(one for one in self.bought if one.order_id == order_id)
        held = texts_by_buyer(await self._sandbox.get("receipts", account=one.unb))
        given, texts = units_of(one, held), held.get((one.unb, one.buyer_id), [])
        has_all = given == one.wanted and THANKS in texts
        if stood < OWNER_SECONDS:
            return False
        place = f"/cookies/{shop}/orders/{order_id}"
        if code == "refund_asked":
            return await self._ask_for_refunded(one, place, given, stood)
        if code == "message_uncertain" and has_all:
            answer = await self._owner("settle", place, {"action": "paid_message", "outcome": "done"})
        else:
            answer = await self._owner("serve", place, {})
        if answer.status_code not in {200, 409, 503}:
            self._broke(f"{code} of {order_id}: {answer.status_code} {answer.text}")
        return True

    async def _ask_for_refunded(self, one: Bought, place: str, given: int, stood: float) -> bool:
        """Have an order served, which its page refuses once and for all while the refund is open.

        The owner has to end a refund only when no card told its end. Return whether that ended it.
        """
        if one.order_id in self._open:
            return False
        is_open = (await self._site_orders())[one.order_id]["status"] == "refunding"
        is_told = not is_open and not WAY_OF[one.way].unsaid
        if is_told and stood < UNTOLD_SECONDS:
            return False
        if is_told:
            self._broke(f"a card told the end of the refund of order {one.order_id}, and it is open here: {one}")
        answer = await self._owner("serve", place, {})
        if answer.status_code not in ({409, 503} if is_open else {200, 409, 503}):
            self._broke(f"refund of {one.order_id}: {answer.status_code} {answer.text}")
        if is_open and answer.status_code == httpx.codes.CONFLICT:
            self._open[one.order_id] = given
            self.figures.open_refused += 1
        return answer.status_code == httpx.codes.OK

    async def _owner(self, act: str, place: str, body: dict[str, Any]) -> httpx.Response:
        return await self._server.http.post(f"{place}/{act}?wait=10", json=body)


async def delivery_run(
    orders: int, kills: int, failures: int, *, seed: int, shops: int = 5, postgres: PostgresServer | None = None,
    refunds: float = 0.0,
) -> Figures:  # fmt: skip
    """Run one part with a site of its own. The files of a part that broke are kept.

    ``refunds``: how many buyers ask for a refund, which ends in any way; else a few ask for one, or cancel.
    """
    assert sys.platform == "linux", "limits of a running process are Linux's"
    directory = Path(tempfile.mkdtemp(prefix="shoal-delivery-"))
    sandbox = await SandboxProcess(directory / "sandbox.log").start(shops=shops, seed=seed)
    try:
        run = DeliveryRun(directory, sandbox, seed=seed, postgres=postgres, shops=shops, refunds=refunds)
        figures = await run.run(orders, kills, failures)
    finally:
        await sandbox.end()
    if figures.violations:
        figures.kept = str(directory)
    else:
        shutil.rmtree(directory)
    return figures
