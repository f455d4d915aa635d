"""Many messages at once, for tests and benchmarks of searches: bulk inserts, no server."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any

from sqlalchemy import Connection, insert

from shoal.storage.chat_tables import chats
from shoal.storage.schema import messages

_LETTERS = (
    "在吗多少钱包邮尺码颜色发货退换质量全新成色闲置面交自提快递便宜优惠刀小单价格还有库存实物图片视频保修发票几天到付你好"
    "我想问一下这个可以的是不要了请给看谢什么时候大号女男款式旧电池手机书本"
)
_STEP = 5_000


class Talk:
    """Makes sentences in which some words are common and most are rare."""

    def __init__(self, seed: int, words: int = 5_000) -> None:
        self._rng = Random(seed)  # noqa: S311  the same each time
        self._words = [self._letters(self._rng.choice([1, 2, 2, 3, 4])) for _ in range(words)]
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(words)))

    def _letters(self, count: int) -> str:
        return "".join(self._rng.choices(_LETTERS, k=count))

    def sentence(self) -> str:
        """Return a sentence of two to ten words, one in five with a number."""
        text = "".join(self._rng.choices(self._words, cum_weights=self._weights, k=self._rng.randint(2, 10)))
        return text + str(self._rng.randrange(10**6)) if self._rng.random() < 0.2 else text

    def rows(self, first: int, count: int, account_ids: Sequence[str], chats_each: int) -> list[dict[str, Any]]:
        """Return rows of messages of these accounts, later ones mostly written later."""
        rng = self._rng
        made = []
        for number in range(first, first + count):
            account_id, chat = rng.choice(account_ids), rng.randrange(chats_each)
            buyer = chat * 7 + 1
            late = rng.randrange(100_000) if rng.random() < 0.05 else 0
            made.append(
                {
                    "account_id": account_id,
                    "message_id": f"m{number}",
                    "chat_id": f"c{chat}",
                    "sender_id": f"{buyer}",
                    "sender_name": f"tb{buyer * 7919 % 10**6}" if buyer % 2 else f"Buyer {buyer}",
                    "text": self.sentence(),
                    "created_at_ms": number // 3 * 10 - late,
                    "received_at_ms": number,
                    "handled": True,
                }
            )
        return made


def insert_messages(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store messages, without their chats."""
    for first in range(0, len(rows), _STEP):
        connection.execute(insert(messages), rows[first : first + _STEP])


def insert_chats(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store the chats of these messages, each with its last one."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: int(row["created_at_ms"])):
        last[row["account_id"], row["chat_id"]] = row
    listed = [
        {
            "account_id": account_id,
            "chat_id": chat_id,
            "buyer_id": row["sender_id"],
            "buyer_name": row["sender_name"],
            "item_id": None,
            "last_at_ms": row["created_at_ms"],
            "last_text": row["text"],
            "last_direction": "in",
        }
        for (account_id, chat_id), row in last.items()
    ]
    connection.execute(insert(chats), listed)
