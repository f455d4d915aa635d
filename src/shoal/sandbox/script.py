"""Scripted buyers: they ask, haggle and sometimes pay, so that a demonstration runs by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from shoal.sandbox import trade
from shoal.sandbox.site import Site
from shoal.sandbox.things import Buyer, Chat, Seller

PAY: Final = "\0pay"
"""marks in a dialogue where the buyer pays"""

DIALOGUES: Final[tuple[tuple[str, ...], ...]] = (
    ("在吗", "这个还有货吗", "好的，拍了", PAY, "付款了，麻烦发一下"),
    ("你好，{title}还在吗", "还能便宜点吗", "再少两块就拍", "行吧，那我考虑一下"),
    ("在吗", "包邮吗", "什么时候发货", PAY),
    ("这个怎么发货呀", "是自动发的吗", "好，拍下了", PAY, "收到啦，谢谢"),
    ("{title}是最新的吗", "可以先看一眼吗", "谢谢"),
    ("多少钱", "能刀吗", "[旺柴]", "那算了"),
    ("老板在不在", "拍两份能优惠吗", PAY),
    ("你好", "发给我以后有问题能找你吗", "好的谢谢", PAY),
)


@dataclass(frozen=True, slots=True)
class Script:
    """How active the buyers are. Without a connected seller they wait."""

    interval_seconds: float = 4.0
    """mean time between two messages on the whole site, on the site's clock"""
    buyers: int = 5
    """how many buyers talk at the same time"""

    async def run(self, site: Site) -> None:
        """Let the buyers talk until cancelled."""
        random = Random(f"script:{site.world.seed}")  # noqa: S311 - it must be reproducible
        talks: dict[str, tuple[Chat, Iterator[str]]] = {}
        buyers = list(site.world.buyers.values())[: self.buyers]
        while len(buyers) < self.buyers:
            buyers.append(site.world.buyer(f"鱼友{len(buyers) + 1}号"))
        while True:
            await site.clock.sleep(self.interval_seconds * random.uniform(0.4, 1.6))
            sellers = [site.world.sellers[unb] for unb, feed in site.feeds.items() if unb and feed.sockets]
            if sellers and buyers:
                self.step(site, random, random.choice(buyers), sellers, talks)

    def step(
        self,
        site: Site,
        random: Random,
        buyer: Buyer,
        sellers: list[Seller],
        talks: dict[str, tuple[Chat, Iterator[str]]],
    ) -> None:
        """Let one buyer continue a dialogue, or begin a new one with one of the sellers."""
        if buyer.id not in talks:
            seller = random.choice(sellers)
            item = random.choice(list(seller.items.values())) if seller.items else None
            chat = site.world.chat(seller, buyer, item.id if item else None)
            title = item.title if item else "宝贝"
            talks[buyer.id] = chat, iter([line.format(title=title) for line in random.choice(DIALOGUES)])
        chat, lines = talks[buyer.id]
        line = next(lines, None)
        if line is None:
            del talks[buyer.id]
        elif line == PAY:
            self._pay(site, random, chat)
        else:
            site.buyer_message(chat, line)

    def _pay(self, site: Site, random: Random, chat: Chat) -> None:
        seller = site.world.seller(chat.seller_id)
        order = site.world.open_order(seller, chat.buyer, chat.item_id)
        item = seller.items.get(chat.item_id)
        order.spec = random.choice(item.specs) if item and item.specs else ""
        trade.push_card(site, order, "not_paid")
        site.move_order(order, "pending_ship")
        trade.push_card(site, order, "paid")
