"""What happens in an endurance run: buyers who talk and pay, an owner who acts, and every fault, as a seed decides.

The story knows the sandbox's control routes and an ``Owner``; it does not know whether time is virtual.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableSequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol

from endurance.site_faults import CALLS, STANDS_STILL, some_fault

KEYWORD: Final = "问"
ANSWER: Final = "答 {send_message}"
"""What the shops' only rule says: the words of the questions come back, so that every answer names what it answers."""
PAID_MESSAGE: Final = "货 {order_id}"
PAUSE_MINUTES: Final = 2
"""How long the owner's own word silences a chat of his."""


_ACTS: Final[Mapping[str, int]] = {
    "off and on": 4, "auto confirm": 2, "new cookie": 2, "restart": 2, "on again": 1, "rules": 2, "resume": 1,
}  # fmt: skip
"""What an owner does, and how often beside the others."""


Action = Callable[[], Awaitable[None]]


class Site(Protocol):
    """The control routes of a sandbox."""

    async def do(self, action: str, **body: Any) -> dict[str, Any]:
        """POST one."""

    async def get(self, what: str, **query: str) -> dict[str, Any]:
        """GET one."""


class Owner(Protocol):
    """The person to whom the shops belong, at the server."""

    async def enable(self, account_id: str, enabled: bool) -> None:
        """Switch a shop on or off."""

    async def auto_confirm(self, account_id: str, enabled: bool) -> None:
        """Switch automatic confirmation."""

    async def new_cookie(self, account_id: str, cookie: str) -> None:
        """Bring the cookie of a new login."""

    async def resume(self, account_id: str) -> None:
        """Let a parked shop try again, after the owner has acted at the site."""

    async def change_rules(self, account_id: str, rules: dict[str, str]) -> None:
        """Replace the rules of a shop: words, and what is answered."""

    async def states(self) -> dict[str, str]:
        """The state of every shop; empty while the server cannot be asked."""

    async def restart(self) -> None:
        """End the server, gently or not, and start it again."""


class Weather(Protocol):
    """What else can go wrong around the server: the network and the disk. Each lasts for some seconds."""

    def strike(self, rng: Random) -> str:
        """Let something go wrong; returns what."""

    def mend(self) -> None:
        """Let everything be good again."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that was said in a buyer's name."""

    token: str
    """stands in the text and in no other text"""
    account_id: str
    unb: str
    buyer: str
    message_id: str
    cid: str
    at_ms: int
    kind: str
    """``wanted``: the shop has a rule for it; ``idle``: it has none; else the site speaks, and nothing is answered"""


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something a buyer paid for."""

    account_id: str
    unb: str
    buyer: str
    order_id: str


@dataclass
class Story:
    """One run. ``shops``: each shop's seller id, by account id."""

    rng: Random
    site: Site
    owner: Owner
    weather: Weather
    shops: dict[str, str]
    now: Callable[[], float]
    """seconds, of the time in which everything happens"""
    calm: bool = False
    """no faults and no owner who acts, for comparison"""
    question_seconds: float = 7.0
    """the mean time between two questions to any shop"""
    fault_seconds: float = 25.0
    owner_seconds: float = 120.0
    rest_seconds: float = 600.0
    """after all is mended: long enough to find a line deaf, and for what waits to be answered or grow too old"""
    purchase_seconds: float | None = None
    """the mean time between two purchases; else eight times that between two questions"""
    buyers: int = 12
    """how many speak to each shop"""
    watch_seconds: float = 1.0
    acts: Mapping[str, int] = field(default_factory=lambda: _ACTS)
    """what the owner does, and how often beside the others"""
    trials: Callable[[Story], Awaitable[None]] | None = None
    """what chance seldom brings about, when all is mended"""
    questions: list[Question] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    typed: list[tuple[str, str, float]] = field(default_factory=list)
    """account, chat and moment of what the owner said himself"""
    sure: set[str] = field(default_factory=set)
    """tokens of questions whose answers certainly did not leave unseen"""
    happened: Counter[str] = field(default_factory=Counter)
    log: MutableSequence[str] = field(default_factory=list)
    able: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    """of each shop, since when it was running, or not running any more"""
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def run(self, seconds: float) -> None:
        """Live through so many seconds, then let everything come to rest."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._again_and_again(act, pace)) for act, pace in self._lives()]
            running += [tasks.create_task(self._watch()), tasks.create_task(self._mend_what_is_parked())]
            await asyncio.sleep(seconds)
            self._over.set()
            await asyncio.wait(running[:-2])  # what has been begun is ended: no server is left in mid-restart
            await self._come_to_rest()
            for task in running[-2:]:
                task.cancel()

    def _lives(self) -> list[tuple[Action, float]]:
        """What happens again and again, and the mean time between."""
        lives: list[tuple[Action, float]] = [
            (self._a_question, self.question_seconds),
            (self._a_purchase, self.purchase_seconds or self.question_seconds * 8),
        ]
        if not self.calm:
            lives += [
                (self._a_fault, self.fault_seconds),
                (self._an_act_of_the_owner, self.owner_seconds),
                (self._noise, self.question_seconds * 4),
            ]
        return lives

    async def _again_and_again(self, act: Action, pace: float) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self.rng.expovariate(1 / pace))
                return
            await act()

    def _publish(self, what: str, *more: object) -> None:
        self.happened[what] += 1
        self.log.append(" ".join([f"{self.now():10.3f}", what, *(str(part) for part in more)]))

    def _some_shop(self) -> tuple[str, str]:
        return self.rng.choice(sorted(self.shops.items()))

    def _some_buyer(self) -> str:
        return f"买家{self.rng.randrange(self.buyers)}"

    # -- buyers --------------------------------------------------------------------------------------------------

    async def _a_question(self) -> None:
        account_id, unb = self._some_shop()
        buyer = self._some_buyer()
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            await self.ask(account_id, unb, buyer)
            await asyncio.sleep(self.rng.uniform(0, 0.4))

    async def ask(self, account_id: str, unb: str, buyer: str, kind: str = "") -> Question:
        """Let a buyer say something; mostly the rule fits, sometimes it does not, or it is the site that speaks."""
        token = f"#{next(self._numbers)}#"
        kind = kind or self.rng.choices(["wanted", "idle", "system", "tip"], [90, 6, 2, 2])[0]
        text = f"{KEYWORD}{token}" if kind in {"wanted", "tip"} else f"嗯{token}"
        said = await self.site.do(
            "say", account=unb, buyer=buyer, text=text, system=kind == "system", tip=kind == "tip"
        )
        question = Question(token, account_id, unb, buyer, said["message_id"], said["cid"], said["at"], kind)
        self._asked(question)
        self._publish("question", account_id, buyer, token, kind)
        if self.rng.random() < 0.04 and kind == "wanted":
            await self.site.do("say", account=unb, buyer=buyer, text=text, message_id=said["message_id"])
            self._publish("the same message again", token)
        return question

    def _asked(self, question: Question) -> None:
        self.questions.append(question)

    def _bought(self, purchase: Purchase) -> None:
        self.purchases.append(purchase)

    def _spoke(self, account_id: str, cid: str, at: float) -> None:
        self.typed.append((account_id, cid, at))

    async def _a_purchase(self) -> None:
        account_id, unb = self._some_shop()
        buyer = self._some_buyer()
        order_id = await self.buy(account_id, unb, buyer, as_update=self.rng.random() < 0.3)
        if self.rng.random() < 0.2:
            await asyncio.sleep(self.rng.uniform(0, 30))
            await self.site.do("pay", account=unb, buyer=buyer, order_id=order_id, card="paid")
            self._publish("the same card again", order_id)

    async def buy(self, account_id: str, unb: str, buyer: str, *, as_update: bool = False) -> str:
        """Let a buyer pay for something; returns the order's id."""
        paid = await self.site.do("pay", account=unb, buyer=buyer, as_update=as_update)
        order_id: str = paid["order_id"]
        self._bought(Purchase(account_id, unb, buyer, order_id))
        self._publish("purchase", account_id, buyer, order_id)
        return order_id

    async def _noise(self) -> None:
        """Pushes that are no messages, and the owner's own words in the app."""
        account_id, unb = self._some_shop()
        buyer = self._some_buyer()
        shape = self.rng.choice(
            ["typing", "read_receipt", "new_message", "session_arouse", "resync", "order_mark", "typed", "raw"]
        )
        self._publish(f"push {shape}", account_id)
        if shape == "typed":
            said = await self.site.do("seller_say", account=unb, buyer=buyer, text=f"我来了 {next(self._numbers)}")
            self._spoke(account_id, said["cid"], said["at"] / 1000)
        elif shape == "order_mark":
            mark = self.rng.choice(["等待买家付款", "等待卖家发货", "交易关闭"])
            await self.site.do("order_mark", account=unb, buyer=buyer, red_reminder=mark)
        else:
            await self.site.do("push", account=unb, buyer=buyer, shape=shape, data="/////w==")

    # -- the owner -----------------------------------------------------------------------------------------------

    async def _an_act_of_the_owner(self) -> None:
        account_id, unb = self._some_shop()
        act = self.rng.choices(list(self.acts), list(self.acts.values()))[0]
        self._publish(act, account_id)
        match act:
            case "off and on":
                await self.owner.enable(account_id, False)
                await asyncio.sleep(self.rng.choice([0.0, 0.3, 5.0, 60.0]))
                await self.owner.enable(account_id, True)
            case "on again":
                await self.owner.enable(account_id, True)
            case "auto confirm":
                await self.owner.auto_confirm(account_id, self.rng.random() < 0.7)
            case "new cookie":
                await self._log_in_anew(account_id, unb)
            case "restart":
                await self.owner.restart()
            case "rules":
                number = next(self._numbers)
                await self.owner.change_rules(account_id, {f"词{number}": "不在", KEYWORD: f"{ANSWER} 第{number}版"})
            case "resume":
                await self.owner.resume(account_id)

    async def _log_in_anew(self, account_id: str, unb: str) -> None:
        seller = await self.site.do("sellers", unb=unb)
        await self.owner.new_cookie(account_id, seller["cookie"])

    async def _mend_what_is_parked(self) -> None:
        """A careful owner: he sees within a minute or two that a shop needs him."""
        while True:
            await asyncio.sleep(self.rng.uniform(20, 90))
            for account_id, state in (await self.owner.states()).items():
                if state == "parked":
                    await self._act_for(account_id, self.shops[account_id])

    async def _act_for(self, account_id: str, unb: str) -> None:
        """What the owner of a parked shop does: he passes the site's check and resumes, or he logs in anew."""
        if self.rng.random() < 0.5:
            self._publish("parked: checked and resumed", account_id)
            for kind in ("risk_control", "kickout"):
                await self.site.do("faults/clear", account=unb, kind=kind)
            await self.owner.resume(account_id)
        else:
            self._publish("parked: new login", account_id)
            await self._log_in_anew(account_id, unb)

    async def _watch(self) -> None:
        """Write down when each shop was able to answer."""
        while True:
            states = await self.owner.states()
            for account_id in self.shops:
                able = states.get(account_id) == "running"
                known = self.able.setdefault(account_id, [])
                if not known or known[-1][1] != able:
                    known.append((self.now(), able))
            await asyncio.sleep(self.watch_seconds)

    # -- faults --------------------------------------------------------------------------------------------------

    async def _a_fault(self) -> None:
        if self.rng.random() < 0.35:
            self._publish(self.weather.strike(self.rng))
            return
        unb = self.rng.choice([None, *self.shops.values(), *self.shops.values()])
        kind, options = some_fault(self.rng)
        self._publish(kind, unb or "everybody", options)
        if kind == "expire":
            for one in [unb] if unb else list(self.shops.values()):
                await self.site.do("expire", account=one, **options)
        elif kind == "session_remove":
            for one in [unb] if unb else list(self.shops.values()):
                await self.site.do("push", account=one, shape="session_remove")
        elif kind == "policy":
            await self.site.do("policy", **options)
        elif kind == STANDS_STILL:
            await self._site_stands_still({"account": unb} if unb else {}, options["seconds"])
        else:
            whom = {"account": unb} if unb else {}
            fault = await self.site.do("fault", kind=kind, **whom, **options)
            if kind == "hold":
                await asyncio.sleep(self.rng.uniform(1, 40))
                await self.site.do("fault/release", id=fault["id"])
            elif kind in {"silent_zombie", "batch_push"}:
                await asyncio.sleep(self.rng.uniform(5, 120))
                await self.site.do("faults/clear", kind=kind, **whom)

    async def _site_stands_still(self, whom: dict[str, str], seconds: float) -> None:
        held = [await self.site.do("fault", kind="hold", which=which, **whom) for which in CALLS]
        await asyncio.sleep(seconds)
        for fault in held:
            await self.site.do("fault/release", id=fault["id"])

    # -- the end -------------------------------------------------------------------------------------------------

    async def _come_to_rest(self) -> None:
        """Take every fault away, let all connect, ask each shop once more, and wait until all is settled."""
        self.weather.mend()
        await self.site.do("faults/clear")
        self._publish("rest")
        for account_id in self.shops:
            await self.owner.enable(account_id, True)
        await self._until_all_run()
        if self.trials is not None:
            await self.trials(self)
        for account_id, unb in self.shops.items():
            await self.ask(account_id, unb, "最后的买家")
        await asyncio.sleep(self.rest_seconds)
        await self._until_all_run()  # a login that ended before the rest may be missed only now

    async def _until_all_run(self) -> None:
        async with asyncio.timeout(1200):
            while set((await self.owner.states()).values()) != {"running"}:
                await asyncio.sleep(1)
