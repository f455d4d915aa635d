"""Whether "Will it deliver?" names what stands in the way and nothing else, and whether a rehearsal is what arrives.

A real server and a real site. Twelve obstacles are planted among healthy items; then buyers pay for healthy items, and
what each received is compared, byte by byte, with the purchase that was rehearsed before.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from faults.delivery_count import UNIT, texts_by_buyer, unit_text

SHOP, HESITANT, RESTING, CLOSED = "shop", "hesitant", "resting", "closed"
"""The shop of most items; one that does not confirm; one that does not deliver; one that is switched off."""
SPECS = ("时长:月卡", "时长:年卡")
PLANTED = ("no_rule", "unknown_spec", "ambiguous_rule", "goods_off", "no_codes_in_text",
           "codes_without_goods", "too_many_messages", "out_of_stock", "stock_low", "auto_confirm_off",
           "delivery_off", "shop_off")  # fmt: skip
KINDS = ("text", "texts", "codes", "specs")
"""What healthy items sell: one fixed text; three texts; codes; codes in two specs."""
AT_ONCE = 8
ARRIVES_SECONDS = 60.0


@dataclass(kw_only=True)
class Figures:
    """What was checked and rehearsed. ``violations`` has a sentence for each thing that was not as it must be."""

    planted: int = 0
    named: int = 0
    healthy: int = 0
    false_alarms: int = 0
    rehearsals: int = 0
    equal: int = 0
    messages: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """As a line for the file of figures."""
        return {**vars(self), "left": dict(self.left), "seconds": round(self.seconds, 1)}


class RehearsalRun:
    """One server and one site."""

    def __init__(self, server: ServerProcess, sandbox: SandboxProcess, *, seed: int) -> None:
        self._server = server
        self._sandbox = sandbox
        self._chance = random.Random(seed)
        self._unb: dict[str, str] = {}
        self._goods: dict[str, int] = {}
        self._healthy: dict[str, str] = {}
        """The kind of each healthy item."""
        self._planted: dict[tuple[str, str], str] = {}
        """By shop and item."""
        self._expected: dict[str, tuple[str, str, list[str]]] = {}
        """For each order its buyer, what was bought, and the messages of the rehearsal."""
        self.figures = Figures()

    async def prepare(self, healthy: int, purchases: int) -> None:
        """Open the shops with their items, goods and rules."""
        for shop in (SHOP, HESITANT, RESTING, CLOSED):
            seller = await self._sandbox.do("sellers", nick=shop, items=0)
            self._unb[shop] = seller["unb"]
            await self._server.add(shop, seller["cookie"])
            settings = {"auto_confirm": shop != HESITANT, "delivery": shop != RESTING}
            await self._server.ok("PATCH", f"/cookies/{shop}/settings", settings)
        units = purchases * 9 + 50
        for name, values, count in (
            ("full", {"per_message": 4}, units),
            ("other", {"per_message": 9}, units),
            ("single", {"per_message": 1}, 60),
            ("off", {"active": True}, 9),
            ("low", {"low_at": 20}, 5),
            ("empty", {}, 0),
        ):
            self._goods[name] = await self._add_goods(name, values, count)
        await self._server.ok("PATCH", f"/goods/{self._goods['off']}", {"active": False})
        rules = [rule for number in range(healthy) for rule in await self._healthy_rules(number)]
        await self._plant(rules)

    async def _add_goods(self, name: str, values: dict[str, Any], count: int) -> int:
        body = {"name": name, "kind": "stock", **{key: value for key, value in values.items() if key != "active"}}
        made = int((await self._server.ok("POST", "/goods", body))["id"])
        if count:
            lines = [unit_text(name, number) for number in range(count)]
            await self._server.ok("POST", f"/goods/{made}/units", {"lines": lines})
        return made

    async def _item(self, shop: str, title: str, specs: tuple[str, ...] = ()) -> str:
        return str((await self._sandbox.do("item", account=self._unb[shop], title=title, specs=list(specs)))["id"])

    async def _healthy_rules(self, number: int) -> list[dict[str, Any]]:
        kind = KINDS[number % len(KINDS)]
        item = await self._item(SHOP, f"好货 {number}", SPECS if kind == "specs" else ())
        self._healthy[item] = kind
        thanks = {"text": f"订单 {{order_id}} 已发货，宝贝 {{item_id}}。{number}"}
        match kind:
            case "text":
                return [{"item_id": item, "parts": [thanks]}]
            case "texts":
                return [
                    {"item_id": item, "parts": [{"text": "  第一条\n\n第二行 "}, thanks, {"text": "{send_user_id}！"}]}
                ]
            case "codes":
                parts = [{"text": "卡密：\n{codes}\n（{order_id}）"}, thanks]
                return [{"item_id": item, "goods_id": self._goods["full"], "count": 1 + number % 3, "parts": parts}]
            case _:
                names = dict(zip(SPECS, ("full", "other"), strict=True))
                return [
                    {
                        "item_id": item,
                        "spec": spec,
                        "goods_id": self._goods[name],
                        "parts": [{"text": f"{name} {{codes}}"}],
                    }
                    for spec, name in names.items()
                ]

    async def _plant(self, rules: list[dict[str, Any]]) -> None:
        """Put the obstacles among the healthy items, and set the rules of all shops."""
        others = {"auto_confirm_off": HESITANT, "delivery_off": RESTING, "shop_off": CLOSED}
        shops = {name: others.get(name, SHOP) for name in PLANTED}
        titles = {"ambiguous_rule": "双胞胎 宝贝"}
        items = {name: await self._item(shop, titles.get(name, f"坏货 {name}")) for name, shop in shops.items()}
        self._planted = {(shops[name], item): name for name, item in items.items()}
        codes = [{"text": "{codes}"}]
        rules += [
            {"item_id": items["unknown_spec"], "spec": SPECS[0], "goods_id": self._goods["full"], "parts": codes},
            {"title_contains": "双胞胎", "parts": [{"text": "一"}]},
            {"title_contains": "胞胎 宝", "parts": [{"text": "二"}]},
            {"item_id": items["goods_off"], "goods_id": self._goods["off"], "parts": codes},
            {"item_id": items["no_codes_in_text"], "goods_id": self._goods["full"], "parts": [{"text": "谢谢"}]},
            {"item_id": items["too_many_messages"], "goods_id": self._goods["single"], "count": 21, "parts": codes},
            {"item_id": items["out_of_stock"], "goods_id": self._goods["empty"], "parts": codes},
            {"item_id": items["stock_low"], "goods_id": self._goods["low"], "parts": codes},
        ]
        await self._server.ok("PUT", f"/cookies/{SHOP}/deliveries", {"rules": rules})
        text = {"paid_message": "卡密 {codes}"}  # the old setting takes it, as it always did
        await self._server.ok("PUT", f"/cookies/{SHOP}/items/{items['codes_without_goods']}", text)
        for name, shop in others.items():
            rule = {"item_id": items[name], "parts": [{"text": "谢谢"}], "confirm": "yes"}
            await self._server.ok("PUT", f"/cookies/{shop}/deliveries", {"rules": [rule]})
        await self._server.ok("PUT", f"/cookies/{CLOSED}/status", {"enabled": False})
        other_spec = {"item": items["unknown_spec"], "spec": "时长:日卡"}
        await self._sandbox.do("pay", account=self._unb[SHOP], buyer="买家日卡", **other_spec)

        async def is_known() -> bool:
            found = (await self._server.ok("GET", f"/cookies/{SHOP}/orders"))["items"]
            return any(row["spec_value"] for row in found)

        await soon(is_known)

    async def check(self) -> None:
        """Ask "Will it deliver?" of every shop, and count what it names."""
        figures = self.figures
        figures.planted, figures.healthy = len(self._planted), len(self._healthy)
        for shop in self._unb:
            answer = await self._compared(shop)
            if not answer["listed"] and shop != CLOSED:
                figures.violations.append(f"{shop}: the site's own list was not read")
            said: dict[str, set[str]] = {}
            for row in answer["items"]:
                said.setdefault(row["item_id"], set()).update([row["obstacle"]] if row["obstacle"] else [])
                if row["obstacle"] and not (row["detail"] and row["do"]):
                    figures.violations.append(f"{row['item_id']}: {row['obstacle']} without what to do about it")
            for (at, item), name in self._planted.items():
                if at == shop and name in said.get(item, ()):
                    figures.named += 1
                elif at == shop:
                    figures.violations.append(f"{name} of {item} is told as {said.get(item)}")
            alarms = {item: said.get(item) for item in self._healthy if shop == SHOP and said.get(item) != set()}
            figures.false_alarms += len(alarms)
            figures.violations += [f"false alarm: {item} is {told}" for item, told in alarms.items()]

    async def _compared(self, shop: str) -> dict[str, Any]:
        """The check of a shop, once the pages of all items whose rules name specs were read."""
        answer: dict[str, Any] = {}

        async def is_compared() -> bool:
            nonlocal answer
            answer = await self._server.ok("GET", f"/cookies/{shop}/deliveries/check")
            return all(row["obstacle"] != "not_compared" for row in answer["items"])

        await soon(is_compared)
        return answer

    async def rehearse(self, purchases: int) -> None:
        """Rehearse so many purchases and make them."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with turns:
                await self._one(number)

        await asyncio.gather(*map(one, range(purchases)))

    async def _one(self, number: int) -> None:
        item = self._chance.choice(list(self._healthy))
        kind, pieces = self._healthy[item], self._chance.randint(1, 6)
        spec = self._chance.choice(SPECS) if kind == "specs" else ""
        unb = self._unb[SHOP]
        paid = await self._sandbox.do(
            "pay", account=unb, buyer=f"买家{number}", item=item, quantity=pieces, spec=spec, card="none"
        )
        ids = {"order_id": paid["order_id"], "buyer_id": paid["buyer_id"]}
        asked = {"item_id": item, "spec": spec, "quantity": pieces, **ids}
        rehearsed = await self._server.ok("POST", f"/cookies/{SHOP}/deliveries/try", asked)
        self.figures.rehearsals += 1
        self.figures.messages += len(rehearsed["messages"])
        if rehearsed["obstacle"]:
            self.figures.left[rehearsed["obstacle"]] += 1
            return
        await self._sandbox.do("pay", account=unb, buyer=f"买家{number}", order_id=paid["order_id"], card="paid")
        self._expected[paid["order_id"]] = paid["buyer_id"], f"{kind} × {pieces}", rehearsed["messages"]
        query = {"account": unb, "buyer": paid["buyer_id"]}
        deadline = time.monotonic() + ARRIVES_SECONDS
        while time.monotonic() < deadline:
            rows = (await self._sandbox.get("receipts", **query))["items"]
            if rows and len(rows[0]["received"]) >= len(rehearsed["messages"]):
                return
            await asyncio.sleep(0.1)

    async def compare(self) -> None:
        """Wait until every order is confirmed, which is after all its messages, and compare what arrived."""
        unb = self._unb[SHOP]
        deadline = time.monotonic() + ARRIVES_SECONDS
        while time.monotonic() < deadline:
            orders = {one["id"]: one for one in (await self._sandbox.get("orders", account=unb))["items"]}
            if all(orders[order_id]["status"] == "shipped" for order_id in self._expected):
                break
            await asyncio.sleep(0.2)
        held = texts_by_buyer(await self._sandbox.get("receipts", account=unb))
        for buyer_id, what, rehearsed in self._expected.values():
            received = held.get((unb, buyer_id), [])
            if _with_examples(received) == rehearsed:
                self.figures.equal += 1
            else:
                self.figures.violations.append(f"{what}: rehearsed {rehearsed}, came {received}")


def _with_examples(texts: list[str]) -> list[str]:
    """Return texts with the example codes of a rehearsal in the place of the units, in their order."""
    numbers = iter(range(1, 1_000))
    return [UNIT.sub(lambda _: f"EXAMPLE-{next(numbers):04}", text) for text in texts]


async def rehearsal_run(directory: Path, *, healthy: int, purchases: int, seed: int) -> Figures:
    """Run it with a server and a site of its own in a directory."""
    began = time.monotonic()
    sandbox = await SandboxProcess(directory / "sandbox.log").start(shops=0, seed=seed)
    quick = {"SHOAL_ORDER_CALLS_PER_SECOND": "100", "SHOAL_SHOP_REPLIES_PER_MINUTE": "0"}
    server = ServerProcess(directory / "data", sandbox.url, **quick)
    try:
        await server.start()
        run = RehearsalRun(server, sandbox, seed=seed)
        await run.prepare(healthy, purchases)
        await run.check()
        await run.rehearse(purchases)
        await run.compare()
    finally:
        await server.close()
        await sandbox.end()
    run.figures.seconds = time.monotonic() - began
    return run.figures
