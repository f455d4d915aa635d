"""The reckoning after an endurance run: each message answered exactly once, or why not; each order served once.

It reads what the buyers saw at the site and what the server stored, and nothing that either says of itself.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from endurance.story import KEYWORD, PAUSE_MINUTES, Purchase, Question, Site, Story
from shoal.config import Settings
from shoal.messages.decisions import Decision

Row = dict[str, Any]
HEALTHY_SECONDS = 45.0
"""A shop that was running for so long while it had a fresh message should have answered it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's settings that bound how long something may take, in seconds."""

    message_age_seconds: float = Settings.model_fields["message_age_seconds"].default
    probe_seconds: float = Settings.model_fields["probe_seconds"].default

    @property
    def deaf_seconds(self) -> float:
        """A shop that looks running may not hear for so long: then the look that it takes now and then has found it
        out.
        """
        return 1.5 * self.probe_seconds + 60


class Watched(Protocol):
    """What somebody wrote down who looked on: when each shop could answer, and when its owner spoke himself."""

    @property
    def able(self) -> Mapping[str, Iterable[tuple[float, bool]]]:
        """Of each shop, since when it was running, or not running any more."""

    @property
    def typed(self) -> Iterable[tuple[str, str, float]]:
        """Account, chat and moment of what the owner said."""


_OWNERS_DOING = {Decision.PAUSED, Decision.HUMAN_ANSWERED}


@dataclass
class Reckoning:
    """What came of everything that was said and paid."""

    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


async def reckon(story: Story, site: Site, database_file: Path, limits: Limits) -> Reckoning:
    """Compare the story with what the site delivered and the server stored."""
    stored = Stored.of_file(database_file)
    seen: dict[tuple[str, str], list[str]] = {}
    everybody: list[Question | Purchase] = [*story.questions, *story.purchases]
    for unb, buyer in {(one.unb, one.buyer) for one in everybody}:
        chat = await site.get(f"chats/{unb}/{buyer}")
        seen[unb, buyer] = [line["text"] for line in chat["seen"]]
    reckoning = Reckoning()
    for question in story.questions:
        texts = [text for text in seen[question.unb, question.buyer] if question.token in text]
        outcome = outcome_of(story, question, texts, stored, limits)
        if question.token in story.sure and outcome == "unanswered: uncertain":
            outcome = "!unknown outcome, although nothing could leave"
        _count(reckoning, "message", outcome, question)
    attempts = {order["id"]: order["attempts"] for order in (await site.get("orders"))["items"]}
    for purchase in story.purchases:
        words = f"货 {purchase.order_id}"
        times = seen[purchase.unb, purchase.buyer].count(words)
        outcome = outcome_of_order(purchase, times, attempts[purchase.order_id], stored)
        _count(reckoning, "order", outcome, purchase)
    reckoning.violations += [
        f"on its way, and not being sent: {row}" for row in stored.sendings if row["outcome"] == "sending"
    ]
    unknown = await _numbers_at(site) - {row["uuid"] for row in stored.sendings}
    reckoning.violations += [f"sent under a number that is not stored: {number}" for number in sorted(unknown)]
    return reckoning


async def _numbers_at(site: Site) -> set[str]:
    """The numbers (uuids) under which messages reached the site, as far back as its log goes."""
    numbers, after = set[str](), 0
    while lines := (await site.get("frames", after=str(after)))["items"]:
        after = lines[-1]["seq"]
        for line in lines:
            frame = line["frame"] if line["direction"] == "in" and isinstance(line["frame"], dict) else {}
            if str(frame.get("lwp")).endswith("/sendByReceiverScope"):
                numbers.add(str(frame["body"][0]["uuid"]))
    return numbers


def _count(reckoning: Reckoning, what: str, outcome: str, about: Question | Purchase) -> None:
    if outcome.startswith("!"):
        reckoning.violations.append(f"{outcome[1:]}: {about}")
    reckoning.outcomes[f"{what} {outcome.lstrip('!')}"] += 1


_EVERYTHING = (
    "SELECT * FROM messages",
    "SELECT * FROM outbox ORDER BY id",
    "SELECT * FROM intents",
    "SELECT * FROM orders",
)


@dataclass(frozen=True)
class Stored:
    """The rows that matter, by their keys; of the sendings all, oldest first."""

    messages: dict[tuple[str, str], Row]
    sendings: list[Row]
    order_actions: dict[tuple[str, str, str], Row]
    orders: dict[tuple[str, str], Row]

    @classmethod
    def of_rows(
        cls, messages: Iterable[Row], sendings: Iterable[Row], order_actions: Iterable[Row], orders: Iterable[Row]
    ) -> Stored:
        """Order them by their keys."""
        return cls(
            messages={(row["account_id"], row["message_id"]): row for row in messages},
            sendings=list(sendings),
            order_actions={(row["account_id"], row["order_id"], row["action"]): row for row in order_actions},
            orders={(row["account_id"], row["order_id"]): row for row in orders},
        )

    @classmethod
    def of_file(cls, file: Path) -> Stored:
        """Read a whole SQLite file by a connection of its own."""
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return cls.of_rows(*([dict(row) for row in connection.execute(query)] for query in _EVERYTHING))

    def sent_about(self, question: Question) -> list[Row]:
        """The sendings whose words name the question, oldest first."""
        return [
            row for row in self.sendings if row["account_id"] == question.account_id and question.token in row["text"]
        ]


def outcome_of(story: Watched, question: Question, texts: list[str], stored: Stored, limits: Limits) -> str:
    """What became of a question; what begins with ``!`` must not be. The first that holds."""
    seen = len(texts)
    if question.kind != "wanted":
        # The site's history does not mark what the site itself says: pulled from there it is words like others.
        joined = question.kind in {"idle", "system"} and seen == 1 and KEYWORD in texts[0]
        return (
            "answered along with a question" if joined else "!answered without need" if seen else "rightly unanswered"
        )
    sendings = [row["outcome"] for row in stored.sent_about(question)]
    last = sendings[-1] if sendings else ""
    message = stored.messages.get((question.account_id, question.message_id))
    holds: list[tuple[bool, str]] = [
        (seen > 1, "!answered twice"),
        (seen == 1 and not {"sent", "uncertain"} & set(sendings), f"!answered, but recorded as {sendings}"),
        (seen == 1, "answered once"),
        (last in {"sent", "sending"}, f"!recorded as {last}, but never seen by the buyer"),
        (last in {"refused", "uncertain", "dropped"}, f"unanswered: {last}"),
        (message is None, "!lost: never stored"),
        (message is not None and message["verdict"] == Decision.ANSWERED, f"!called answered, but recorded as {last}"),
        (
            message is not None
            and message["verdict"] in _OWNERS_DOING
            and not _owner_could_have(story, question, limits),
            "!held back for the owner, who had not spoken",
        ),
        (bool(message and message["verdict"]), f"unanswered: {message and message['verdict']}"),
    ]
    known = next((words for is_so, words in holds if is_so), "")
    return known or _unexplained(story, question, message or {}, limits)


def _unexplained(story: Watched, question: Question, message: Row, limits: Limits) -> str:
    """The reasons that the rows do not name, worked out from what happened."""
    received = message["received_at_ms"] / 1000
    too_old_at = question.at_ms / 1000 + limits.message_age_seconds
    if _was_able(story.able.get(question.account_id, ()), question.at_ms / 1000, received) > limits.deaf_seconds:
        return "!the shop was deaf for too long"
    if received >= too_old_at:
        return "unanswered: came too late"
    if _owner_spoke(story, question, received, too_old_at):
        return "unanswered: the owner spoke"
    if _was_able(story.able.get(question.account_id, ()), received, too_old_at) < HEALTHY_SECONDS:
        return "unanswered: the shop could not, until it was too late"
    return f"!unexplained, handled={message['handled']}"


def _owner_could_have(story: Watched, question: Question, limits: Limits) -> bool:
    """Whether he spoke so that a question of then may be left to him, whenever it was looked at."""
    asked = question.at_ms / 1000
    return _owner_spoke(story, question, asked, asked + limits.message_age_seconds)


def _owner_spoke(story: Watched, question: Question, first: float, last: float) -> bool:
    chat = question.cid.removesuffix("@goofish")
    return any(
        account_id == question.account_id and cid == chat and first - PAUSE_MINUTES * 60 - 60 <= at <= last
        for account_id, cid, at in story.typed
    )


def _was_able(moments: Iterable[tuple[float, bool]], first: float, last: float) -> float:
    """The longest time in seconds within the span in which the shop was running without a break."""
    longest, since = 0.0, None
    for at, able in [*moments, (last, False)]:
        if able:
            since = max(at, first) if since is None else since
        elif since is not None:
            longest = max(longest, min(at, last) - since)
            since = None
    return longest


def _shows_nothing(order: Row | None, message: str, confirm: str) -> bool:
    """Whether its owner is not told of a paid order of which something failed, or whose outcome is unknown."""
    in_doubt = {"failed", "uncertain"} & {message, confirm}
    return bool(order and in_doubt and order["status"] == "pending_ship" and not order["problem"])


def outcome_of_order(purchase: Purchase, seen: int, attempts: list[Row], stored: Stored) -> str:
    """What became of a paid order; what begins with ``!`` must not be. The first that holds."""
    done = [attempt["ret"] for attempt in attempts]
    key = (purchase.account_id, purchase.order_id)
    message, confirm = (
        stored.order_actions.get((*key, act), {}).get("state", "none") for act in ("paid_message", "confirm")
    )
    holds: list[tuple[bool, str]] = [
        (seen > 1, "!paid message sent twice"),
        (len(done) > 1, f"!confirmed more than once: {done}"),
        (key not in stored.orders, "!order lost: never stored"),
        (seen == 0 and message == "done", "!paid message is done, but was never seen"),
        (seen == 1 and message not in {"done", "uncertain"}, f"!paid message was seen, but is {message}"),
        (seen == 0 and message in {"intended", "pending", "none"}, f"!order forgotten: paid message is {message}"),
        (bool(done) and confirm not in {"done", "uncertain"}, f"!confirmed, but recorded as {confirm}"),
        ("intended" in {message, confirm}, f"!silent: begun, and not continued: {message}, {confirm}"),
        (_shows_nothing(stored.orders.get(key), message, confirm), f"!silent: {message}, {confirm}, and no problem"),
        (seen == 1, f"served, confirm: {confirm}"),
    ]
    return next((words for is_so, words in holds if is_so), f"unserved: {message}, confirm: {confirm}")
