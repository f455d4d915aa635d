"""A storm of changes over HTTP, and the book of what was asked for and what was answered."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from faults.durable import Durable, Version
from shoal.api.schemas.op_ids import shown_op_id

REFUSALS = {403, 404, 409, 412, 503}
"""What may be answered to a change that is not made. Anything else is a violation."""
NOT_FINAL = {
    "stale_generation", "account_vanishing", "forbidden", "outcome_unknown", "not_applied", "lock_timeout",
    "store_degraded", "store_closed",
}  # fmt: skip
"""Codes of what may be otherwise in a moment: such an answer is not kept for the repeat (docs/api.md)."""
Check = Callable[[Version], bool]


@dataclass(kw_only=True)
class Asked:
    """One change that was asked for under an op id, and what was said to that."""

    op_id: str
    account: str
    wanted: Check | None
    """Whether a version shows the wish; ``None`` for a removal."""
    outcome: str = "unanswered"
    """``unanswered``, ``acknowledged`` or ``refused``."""
    generation: int = 0
    changed: bool = False
    answer: str = ""
    said_made: bool = False

    def told(self, status: int, generation: int | None, *, changed: bool, answer: str) -> None:
        """Note the answer. A change whose outcome the server could not tell stays unanswered."""
        self.answer = f"{status} {answer}"
        if status == 409 and "removed_since" in answer:  # it says that the change was made; how, its op tells
            self.said_made = True
            return
        if status == 503 and "outcome_unknown" in answer:
            return
        self.outcome = "acknowledged" if status == 200 else "refused"
        self.generation, self.changed = generation or 0, changed


@dataclass(kw_only=True)
class Request:
    """One request under an Idempotency-Key: a change of one account, or a batch."""

    key: str
    method: str
    path: str
    body: Any
    headers: dict[str, str]
    parts: dict[str, Asked]
    is_batch: bool = False
    final_answer: tuple[int, str] | None = None
    """What was answered, when the same request must get the same again."""

    async def send(self, http: httpx.AsyncClient) -> httpx.Response:
        """Send it, for the first time or again, and note what is said."""
        headers = {"Idempotency-Key": self.key, **self.headers}
        response = await http.request(self.method, self.path, json=self.body, headers=headers)
        answer = response.json()
        codes = {row["code"] for row in answer["results"]} if "results" in answer else {answer.get("code")}
        if response.status_code < 500 and codes.isdisjoint(NOT_FINAL):
            self.final_answer = response.status_code, response.text
        if self.is_batch and response.status_code in {200, 207}:
            for row in answer["results"]:
                made = row["outcome"] in {"changed", "unchanged"}
                status = 200 if made else 503 if row["code"] == "outcome_unknown" else 409
                changed = row["outcome"] == "changed"
                self.parts[row["id"]].told(status, row["generation"], changed=changed, answer=row["code"])
        else:
            for part in self.parts.values():
                generation, changed = answer.get("generation"), answer.get("changed", False)
                part.told(response.status_code, generation, changed=changed, answer=response.text)
        return response

    @property
    def unanswered(self) -> bool:
        """Whether its outcome is not known yet."""
        return any(part.outcome == "unanswered" for part in self.parts.values())


@dataclass
class Book:
    """All that was ever asked and seen of one data directory."""

    requests: list[Request] = field(default_factory=list)
    reads: list[tuple[str, Version]] = field(default_factory=list)
    """What ``GET /cookies/{cid}`` showed: the account's id and its wishes, with the generation."""
    told: list[list[dict[str, Any]]] = field(default_factory=list)
    """The changes that each event stream told, in order, one list for each connection."""
    surprises: list[str] = field(default_factory=list)
    """Answers that are always wrong."""

    @property
    def asked(self) -> list[Asked]:
        """Every change that was asked for."""
        return [part for request in self.requests for part in request.parts.values()]

    @property
    def has_each_kind(self) -> bool:
        """Whether something was acknowledged, something read, and something told by a stream."""
        return self.count("acknowledged") > 0 and bool(self.reads) and any(self.told)

    def count(self, outcome: str) -> int:
        """How many changes had that outcome."""
        return sum(asked.outcome == outcome for asked in self.asked)

    def broken_by(self, durable: Durable) -> list[str]:
        """Each promise that the durable state breaks, as a sentence."""
        return [*self.surprises, *self._broken_answers(durable), *self._broken_reads(durable)]

    def _broken_answers(self, durable: Durable) -> list[str]:
        broken: list[str] = []
        entries = {shown_op_id(entry.op_id): entry for entry in durable.journal}
        made = made_by(durable)
        broken += [f"op {op_id} was never asked for" for op_id in set(made) - {asked.op_id for asked in self.asked}]
        for asked in self.asked:
            entry, generation = entries.get(asked.op_id), made.get(asked.op_id)
            if asked.outcome == "refused" and (generation is not None or entry is not None):
                broken.append(f"{asked.op_id}: refused ({asked.answer}), and applied all the same")
            if asked.said_made and generation is None:
                broken.append(f"{asked.op_id}: told as made before, and not durable")
            if asked.outcome == "acknowledged" and generation != asked.generation:
                broken.append(f"{asked.op_id}: acknowledged as {asked.generation}, durable as {generation}")
            if asked.outcome == "acknowledged" and (entry is not None) != asked.changed:
                broken.append(f"{asked.op_id}: acknowledged with changed={asked.changed}, the journal differs")
            if asked.outcome == "acknowledged" and not _shows(
                durable.versions.get((asked.account, asked.generation)), asked
            ):
                broken.append(f"{asked.op_id}: acknowledged, and its generation {asked.generation} is another wish")
            if entry is not None and not _shows(durable.versions[entry.account_id, entry.generation], asked):
                broken.append(f"{asked.op_id}: the journal's version is not what was asked for")
        return broken

    def _broken_reads(self, durable: Durable) -> list[str]:
        broken: list[str] = []
        for account, read in self.reads:
            version = durable.versions.get((account, read["generation"]))
            if version is None:
                broken.append(f"{account}: generation {read['generation']} was read and is not durable")
            elif any(version[name] != value for name, value in read.items()):
                broken.append(f"{account}: what was read at generation {read['generation']} was never committed")
        entries = {entry.rev: entry for entry in durable.journal}
        for changes in self.told:
            revs = [change["rev"] for change in changes]
            durable_revs = [rev for rev in entries if revs and revs[0] <= rev <= revs[-1]]
            if revs != durable_revs:
                broken.append(f"the stream told {revs}, durable are {durable_revs}")
            for change in changes:
                entry = entries.get(change["rev"])
                if entry is not None and (entry.account_id, entry.changes) != (change["account"], change["changes"]):
                    broken.append(f"the stream told something else of rev {change['rev']} than the journal")
        return broken


def made_by(durable: Durable) -> dict[str, int]:
    """The generation that each op made (or found), by the id that its owner knows."""
    return {shown_op_id(op_id): generation for op_id, generation in durable.ops.items()}


def _shows(version: Version | None, asked: Asked) -> bool:
    if version is None or asked.wanted is None:
        return version is None and asked.wanted is None
    return asked.wanted(version)


class Storm:
    """Several clients that change a few accounts as fast as they are answered, until the server is gone."""

    def __init__(self, http: httpx.AsyncClient, cookies: dict[str, str], book: Book, chance: random.Random) -> None:
        self._http = http
        self._cookies = cookies
        self._book = book
        self._chance = chance
        self._generations: dict[str, int] = {}
        self.answers = 0
        self.tick = asyncio.Event()
        self._is_over = False

    def abate(self) -> None:
        """Ask for nothing more; what was asked is still answered."""
        self._is_over = True

    async def rage(self, clients: int) -> None:
        """Run until every client has lost the server, or the storm abates."""
        numbers = iter(range(10**9))
        prefix = f"{self._chance.getrandbits(48):012x}"

        async def client() -> None:
            try:
                while not self._is_over:
                    await self._one(f"{prefix}-{next(numbers)}")
            except httpx.TransportError:
                return

        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(self._read()), group.create_task(self._listen())]
            await asyncio.wait([group.create_task(client()) for _ in range(clients)])
            if self._is_over:
                for watcher in watchers:
                    watcher.cancel()

    async def _one(self, key: str) -> None:
        account = self._chance.choice(list(self._cookies))
        if self._chance.random() < 0.06:
            request = self._a_batch(key)
        else:
            method, path, body, wanted = self._a_change(key, account)
            part = Asked(op_id=key, account=account, wanted=wanted)
            request = Request(key=key, method=method, path=path, body=body, headers={}, parts={account: part})
            if account in self._generations and self._chance.random() < 0.1:
                request.headers["If-Match"] = f'"g{self._generations[account]}"'
        self._book.requests.append(request)
        response = await request.send(self._http)
        self.answers += 1
        self.tick.set()
        if response.status_code not in {200, 207, *REFUSALS}:
            self._book.surprises.append(f"{request.method} {request.path}: {response.status_code} {response.text}")
        for name, part in request.parts.items():
            if part.outcome == "acknowledged":
                self._generations[name] = part.generation

    def _a_change(  # noqa: PLR0911  one return for each kind of change
        self, key: str, account: str
    ) -> tuple[str, str, Any, Check | None]:
        number = self._chance.randrange(61)
        flag = self._chance.random() < 0.6
        place = f"/cookies/{account}"
        match self._chance.choices(range(10), [30, 14, 10, 10, 6, 6, 4, 2, 12, 8])[0]:
            case 0:
                return "PUT", f"{place}/status?wait=0", {"enabled": flag}, _has(enabled=flag)
            case 1:
                words = {f"word {n}": f"{key} {n}" for n in range(self._chance.randrange(1, 6))}
                return "POST", f"/keywords/{account}", {"keywords": words}, _has_general(words)
            case 2:
                values: dict[str, Any] = {"default_reply": key, "default_reply_enabled": flag}
                return "PATCH", f"{place}/settings", values, _has(**values)
            case 3:
                return "PUT", f"{place}/remark", {"remark": key}, _has(remark=key)
            case 4:
                return "PUT", f"{place}/pause-duration", {"pause_duration": number}, _has(pause_duration=number)
            case 5:
                return "PUT", f"{place}/auto-confirm", {"auto_confirm": flag}, _has(auto_confirm=flag)
            case 6:
                cookie = f"{self._cookies[account]}; extra={number}"
                return "PUT", f"{place}?wait=0", {"id": account, "value": cookie}, lambda _: True
            case 7:
                return "DELETE", f"{place}?wait=0", None, None
            case 9:
                rules = [_full_rule(f"{key} {n}") for n in range(self._chance.randrange(4))]
                return "PUT", f"{place}/rules", {"rules": rules}, _has_full(rules)
            case _:
                body = {"id": account, "value": self._cookies[account]}
                return "POST", "/cookies?wait=0", body, lambda _: True

    def _a_batch(self, key: str) -> Request:
        mode = self._chance.choice(["each", "atomic"])
        names = self._chance.sample(list(self._cookies), self._chance.randrange(2, len(self._cookies) + 1))
        updates = {name: self._chance.random() < 0.6 for name in names}
        parts = {
            name: Asked(op_id=f"{key}:{name}", account=name, wanted=_has(enabled=enabled))
            for name, enabled in updates.items()
        }
        path, body = f"/cookies/status?mode={mode}&wait=0", {"updates": updates}
        return Request(key=key, method="PUT", path=path, body=body, headers={}, parts=parts, is_batch=True)

    async def _read(self) -> None:
        """Read accounts all the time: what is shown must have been committed."""
        names = list(self._cookies)
        try:
            while True:
                account = self._chance.choice(names)
                response = await self._http.get(f"/cookies/{account}")
                if response.status_code == 200:
                    body = response.json()
                    edits = {name: value for name, value in body["desired"].items() if not name.endswith("_count")}
                    self._book.reads.append((account, {**edits, "generation": body["generation"], "rev": body["rev"]}))
                await asyncio.sleep(0.01)
        except httpx.TransportError:
            return

    async def _listen(self) -> None:
        """Follow the stream: what is told must be durable, in order, and whole."""
        changes: list[dict[str, Any]] = []
        self._book.told.append(changes)
        try:
            async with self._http.stream("GET", "/events") as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        event = json.loads(line.removeprefix("data: "))
                        if event["type"] == "change":
                            changes.append(event)
                        elif event["type"] == "reset":
                            changes = []
                            self._book.told.append(changes)
        except (httpx.TransportError, ValueError):
            return


def _has(**values: Any) -> Check:
    return lambda version: all(version[name] == value for name, value in values.items())


def _has_general(words: dict[str, str]) -> Check:
    return lambda version: (
        {
            rule["words"][0]: rule["parts"][0]["text"]
            for rule in version["keywords"].values()
            if "match_mode" not in rule
        }
        == words
    )


def _full_rule(word: str) -> dict[str, Any]:
    """A rule with more to it than a keyword has: keywords leave it alone."""
    return {
        "words": [word, f"{word}!"],
        "match_mode": "whole_word",
        "schedule": [{"weekdays": [1, 2], "start": "22:00", "end": "06:00"}],
        "parts": [{"text": word}, {"text": "?"}],
        "cooldown_seconds": 5,
    }


def _has_full(rules: list[dict[str, Any]]) -> Check:
    def check(version: Version) -> bool:
        stored = list(version["keywords"].values())
        return sorted(rule["words"] for rule in stored) == sorted(rule["words"] for rule in rules) and all(
            rule.get("schedule") and rule.get("cooldown_seconds") == 5 for rule in stored
        )

    return check
