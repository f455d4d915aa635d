"""The ways in which buyers undo a purchase or change their mind: refunds that stay open, and refunds that end.

The cards are those that the sandbox makes; some have words on their button that are in no list. What then ended a
refund is read from the timelines by SQL.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from benchmarks.processes import SandboxProcess
from faults.delivery_count import Bought

LONGEST_PAUSE: Final = 0.6
"""Seconds before each step, at most: at any moment of the delivery, and of a restart."""
LAG_SECONDS: Final = (0.5, 2.0)
"""How long a page may still show what was before the card, in seconds."""
UNKNOWN_WORDS: Final = ("售后已结束", "已关闭申请", "协商完成", "Closed")
FORMS: Final[tuple[dict[str, Any], ...]] = ({}, {"dynamic": True}, {"as_update": True})


@dataclass(frozen=True, slots=True)
class Way:
    """What a buyer does after the payment. ``undoes``: the order may end with all, a part, or nothing of it.

    ``unsaid``: the refund's end is on the order's page only, so that the owner may have to ask for the order.
    ``word``: by which its card says that it ended.
    """

    name: str
    steps: tuple[dict[str, Any], ...]
    undoes: bool = False
    unsaid: bool = False
    has_form: bool = False
    word: str = ""

    async def go(self, sandbox: SandboxProcess, chance: random.Random, about: dict[str, Any]) -> None:
        """Do all steps, with pauses. ``about`` names the account, the buyer and the order."""
        for place, step in enumerate(self.steps):
            await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE))
            form = chance.choice(FORMS) if self.has_form and place == len(self.steps) - 1 else {}
            await sandbox.do("pay", **about, **_filled(step, chance), **form)


def _filled(step: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    drawn = {"button": chance.choice(UNKNOWN_WORDS), "status_lag_seconds": chance.uniform(*LAG_SECONDS)}
    return {name: drawn[name] if value is ... else value for name, value in step.items()}


_ASKED: Final[dict[str, Any]] = {"card": "refund_asked"}
_WITHDRAWN: Final[dict[str, Any]] = {"card": "refund_withdrawn"}
_REFUSED: Final[dict[str, Any]] = {"card": "refund_refused"}
CANCELLING: Final = (Way("asked", (_ASKED,), undoes=True), Way("closed", ({"card": "closed"},), undoes=True))
"""What a few buyers do in every run."""
WAYS: Final = (
    *CANCELLING,
    Way("refunded", (_ASKED, {"card": "refunded"}), undoes=True),
    Way("agreed", (_ASKED, {"card": "refund_agreed"}, {"card": "refunded"}), undoes=True),
    Way("withdrawn", (_ASKED, _WITHDRAWN), has_form=True, word="已撤销"),
    Way("refused", (_ASKED, _REFUSED), has_form=True, word="已拒绝"),
    Way("in unknown words", (_ASKED, {**_WITHDRAWN, "button": ...}), has_form=True),
    Way("refused with a late page", (_ASKED, {**_REFUSED, "status_lag_seconds": ...}), has_form=True, word="已拒绝"),
    Way("in unknown words with a late page", (_ASKED, {**_REFUSED, "button": ..., "status_lag_seconds": ...})),
    Way("on the page only", (_ASKED, {**_WITHDRAWN, "quiet": True}), unsaid=True),
    Way("withdrawn and asked again", (_ASKED, _WITHDRAWN, _ASKED), undoes=True),
    Way("asked twice and withdrawn", (_ASKED, _WITHDRAWN, _ASKED, _WITHDRAWN), word="已撤销"),
)
"""All of them, for a storm of refunds."""
WAY_OF: Final = {way.name: way for way in WAYS}
CARDS: Final = frozenset({"card", "card_update"})
"""How a timeline names a card as the source of an entry."""
FEW: Final = 4
"""Of fewer refunds than these, each may have ended by its page before its card came."""
_STATUSES: Final = "SELECT order_id, status, source FROM order_events WHERE status <> '' AND act = '' ORDER BY id"


def ended_by(connection: Connection) -> dict[str, str]:
    """Return by what the newest refund of each order ended that is being refunded no more, from the timelines."""
    refunding, ended = set[str](), dict[str, str]()
    for order_id, status, source in connection.execute(text(_STATUSES)):
        if status == "refunding":
            refunding.add(order_id)
            ended.pop(order_id, None)
        elif order_id in refunding:
            refunding.discard(order_id)
            ended[order_id] = source
    return ended


def unheeded(bought: Iterable[Bought], ended: Mapping[str, str]) -> list[str]:
    """Return the words on cards by which refunds ended of which none ended by its card. ``ended``: by what each did."""
    sources = defaultdict[str, list[str]](list)
    for one in bought:
        if one.way and (word := WAY_OF[one.way].word):
            sources[word].append(ended.get(one.order_id, ""))
    return [
        f"{len(all_of_it)} refunds ended by a card that says {word}, and none was ended by its card"
        for word, all_of_it in sources.items()
        if len(all_of_it) >= FEW and CARDS.isdisjoint(all_of_it)
    ]
