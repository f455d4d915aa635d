"""Shops as they are when they need somebody, and words as people really write them."""

from __future__ import annotations

from browser.conftest import NAME, Console, said
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from support.files.picture_files import a_png
from support.site.standins import until

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 2
RTL = "مرحبا، هل هذا الكتاب متوفر؟"


async def put_in_need(console: Console) -> None:
    """``muzi`` is parked, ``xiaoyu`` has nothing to say, and a chat of ``afu`` is taken over; long and Arabic words.

    ``afu`` has a rule with a picture, one with several words, and one that is switched off.
    """
    door = console.door
    await door.call("PUT", "/cookies/muzi/remark", json={"remark": f"{RTL} #{LONG[:40]} #电子书 #主力 #折扣"})
    await door.call("PUT", "/cookies/xiaoyu/remark", json={"remark": LONG})
    picture = await door.call("POST", "/pictures", files={"image": ("a.png", a_png(30, 20), "image/png")})
    for rule in (
        {"words": ["包邮", LONG[:60], RTL], "parts": [{"text": RTL}, {"image_url": picture["image_url"]}]},
        {"words": ["在吗"], "parts": [{"image_url": picture["image_url"]}]},
        {"words": ["便宜", "优惠", "打折"], "parts": [{"text": LONG}], "active": False},
    ):
        await door.call("POST", "/cookies/afu/rules", json=rule)
    await said(console, 1, RTL)
    await said(console, 2, LONG)
    sendings = door.server.message_log.outbox
    for number, outcome in ((1, SendOutcome.SENT), (2, SendOutcome.REFUSED)):
        row = OutboxRow(account_id="afu", chat_id="c1", uuid=f"u{number}", message_id=f"m{number}", text=LONG)
        (sending,) = (await sendings.queue([row], answers=[f"m{number}"])).ids
        await sendings.settle(sending, outcome, reason=f"含有联系方式 {NAME}")
    await door.call("PUT", "/cookies/afu/chats/c1/pause", json={"minutes": 30})

    async def asks_for_a_check(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.RISK_CONTROL, action_url="https://h5api.m.goofish.com/check")

    door.site.behave = asks_for_a_check
    await door.call("POST", "/cookies/muzi/resume")
    await until(lambda: door.server.manager.observation("muzi").state == "parked")
    door.site.behave = None


async def stocked(console: Console) -> None:
    """Goods of each kind, one of them with units in two states."""
    call = console.door.call
    made = await call("POST", "/goods", json={"name": "月卡", "kind": "stock", "low_at": 9})
    await call("POST", "/goods", json={"name": "网盘", "kind": "fixed", "text": "https://pan.example.test/s/1aB"})
    await call("POST", f"/goods/{made['id']}/units", json={"lines": [f"CODE-{number:04}" for number in range(5)]})
    (unit, *_) = (await call("GET", f"/goods/{made['id']}/units"))["items"]
    await call("POST", f"/goods/{made['id']}/units/{unit['id']}/void", json={"reason": "失效"})
