"""After a restore: what is older may have been answered and served since the backup, so it is not done again."""

from __future__ import annotations

import msgspec

from shoal.clock import now_ms
from shoal.maintenance.backup.new_life import FACT, Restored
from shoal.messages.decisions import Decision
from support.site.standins import until
from support.site.without_sockets import OneShop

OLD, NEW = "4000000000000000001", "4000000000000000002"


async def test_messages_and_payments_before_a_restore_are_left_to_their_owner(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, paid_message="CODE")
    restored = Restored(at_ms=now_ms(), made_at_ms=now_ms() - 3_600_000)
    await shop.database.replace_fact(FACT, msgspec.json.encode(restored).decode())
    await shop.reopen()
    await shop.running()

    before = shop.site.says("在吗", chat="52", at_ms=restored.at_ms - 30_000)
    await shop.decided(before, Decision.TOO_OLD)
    shop.site.pays(OLD, at_ms=restored.at_ms - 30_000)
    shop.site.pays(NEW)
    shop.site.says("在吗")
    await until(lambda: len(shop.site.said) == 2)
    assert sorted(shop.site.said) == ["CODE", "在的"]
    problems = {order.order_id: order.problem for order in await shop.orders.orders(["shop"])}
    assert problems[OLD] == "before_restore"
    assert problems.get(NEW, "") != "before_restore"
