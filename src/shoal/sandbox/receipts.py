"""What each buyer received: the only count of a delivery that no client can colour."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from shoal.sandbox import codec
from shoal.sandbox.things import Chat, Message

KEPT: Final = 200_000
"""how many receipts of one seller are kept"""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that a buyer received. ``order_id``: the newest order of the two at that moment, or empty."""

    seq: int
    buyer_id: str
    buyer: str
    order_id: str
    kind: str
    text: str
    image_url: str
    message_id: str
    item_id: str
    at: int
    wall_ms: int


@dataclass(slots=True)
class Receipts:
    """The receipts of every seller's buyers, in the order in which they came."""

    last_seq: int = 0
    _of: dict[str, deque[Receipt]] = field(default_factory=dict)
    _dropped: dict[str, int] = field(default_factory=dict)

    def add(self, chat: Chat, message: Message, order_id: str) -> None:
        """Note a message of a seller; one that is repeated with its uuid never comes here twice."""
        mine = self._of.setdefault(chat.seller_id, deque(maxlen=KEPT))
        if len(mine) == KEPT:
            self._dropped[chat.seller_id] = self._dropped.get(chat.seller_id, 0) + 1
        self.last_seq += 1
        kind = {codec.TEXT: "text", codec.IMAGE: "picture"}.get(message.content_type, "other")
        image_url = ""
        if kind == "picture":
            image_url = str(json.loads(message.content)["image"]["pics"][0]["url"])
        mine.append(
            Receipt(
                seq=self.last_seq,
                buyer_id=chat.buyer.id,
                buyer=chat.buyer.nick,
                order_id=order_id,
                kind=kind,
                text=message.text if kind == "text" else "",
                image_url=image_url,
                message_id=message.id,
                item_id=message.item_id,
                at=message.at,
                wall_ms=message.wall_ms,
            )
        )

    def view(self, account: str | None = None, buyer_id: str | None = None) -> dict[str, Any]:
        """Return the receipts by buyer as JSON, of one seller and buyer or all; ``dropped``: how many are not kept."""
        items: dict[tuple[str, str], dict[str, Any]] = {}
        for unb, receipts in self._of.items():
            if account not in (None, unb):
                continue
            for one in receipts:
                if buyer_id not in (None, one.buyer_id):
                    continue
                person = {"account": unb, "buyer_id": one.buyer_id, "buyer": one.buyer}
                row = items.setdefault((unb, one.buyer_id), {**person, "received": []})
                row["received"].append({name: value for name, value in asdict(one).items() if name not in person})
        dropped = sum(count for unb, count in self._dropped.items() if account in (None, unb))
        return {"items": list(items.values()), "last_seq": self.last_seq, "dropped": dropped}
