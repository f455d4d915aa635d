"""Take pictures of the console from the demo: ``python scripts/screenshots.py [--docs] [NAME ...]``.

Every page goes into ``.screenshots``, the help's pictures into ``docs/pictures``; ``--docs`` takes only the latter, and
names take only pages and pictures of these names. To fill the pages, the script first puts three of the demo's shops
into trouble, changes settings, makes the site refuse a message after payment, lets a shop draft with a language model,
and copies the messages into every hour of the past week.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

OUT = Path(".screenshots")
CHATTING_SECONDS = 40
ANSWER_SECONDS = 4
SHANGHAI = ZoneInfo("Asia/Shanghai")
PAGES = {
    "login": "/console/login",
    "overview": "/console/",
    "shops": "/console/accounts",
    "shop": "/console/accounts/xiaoyu",
    "shop-rules": "/console/accounts/xiaoyu/rules",
    "shop-settings": "/console/accounts/xiaoyu/settings",
    "conversations": "/console/conversations",
    "chat": "/console/conversations/{chat}",
    "orders": "/console/orders",
    "order": "/console/orders/{order}",
    "stock": "/console/stock",
    "deliveries": "/console/accounts/muzi/deliveries",
    "shop-model": "/console/accounts/xiaoyu/model",
    "shop-runs": "/console/accounts/xiaoyu/runs",
    "history": "/console/history",
    "incidents": "/console/incidents",
    "notices": "/console/settings/notices",
    "history-shop": "/console/history?cid=xiaoyu",
    "settings": "/console/settings",
    "administration": "/console/administration",
    "backups": "/console/administration/backups",
    "settings-me": "/console/settings/me",
    "settings-tokens": "/console/settings/tokens",
    "settings-users": "/console/administration/users",
    "settings-models": "/console/settings/models",
    "settings-security": "/console/administration/audit-log",
}
TAGGED = {"xiaoyu": "小鱼杂货铺 #电子书 #自动发货", "shiguang": "拾光书屋 #电子书", "muzi": "木子数码 #数码"}
TROUBLE = {
    # The current token is refused once; the next request for a token meets a check.
    "nanfeng": (("risk_control", 1000), ("token_refused", 1)),
    "afu": (("kickout", 1),),
    "shiguang": (("connect_limit", 1000),),
}
CHANGED = (
    ("PATCH", "/cookies/shiguang/settings", {"pause_duration": 15, "debounce_seconds": 2}),
    ("PUT", "/cookies/xiaoyu/auto-confirm", {"auto_confirm": False}),
    ("PUT", "/cookies/xiaoyu/auto-confirm", {"auto_confirm": True}),
    (
        "POST",
        "/cookies/xiaoyu/rules",
        {"words": ["优惠", "便宜"], "parts": [{"text": "两本以上九折。"}], "priority": 5},
    ),
)
SIZES = {1280: 800, 390: 844}
PICTURES = {
    "overview": 1280, "add-shop": 1280, "shop": 1280, "shop-rules": 1280, "chat": 1280, "order": 1280,
    "stock": 1280, "deliveries": 1280, "notices": 1280, "shops-phone": 390,
    "answers": 1280, "settings-models": 1280, "shop-model": 1280, "shop-runs": 1280,
}  # fmt: skip
"""The help's pictures, light, in both languages, with their widths. WebP keeps their total at about 1 MB."""
PLACES = {"add-shop": "shops", "shops-phone": "shops", "answers": "shop-settings"}
"""The pages of those pictures that are not named by their page. The last one leaves a form that is not saved."""
PICTURES_OUT = Path("docs/pictures")
QUALITY = 82
FOUND = "15元"
ANSWERS = {
    "opening_hours": "1-5 09:00-22:00\n6-7 10:00-02:00",
    "holidays": "2027-02-05/2027-02-12",
    "away_reply": "您好，店铺休息中，明早九点回复您。",
    "handoff_words": "人工\n转人工",
    "handoff_reply": "好的，店主马上来。",
    "filter_patterns": "刷单",
    "price_floor": "20",
    "try-filter": f"一共{FOUND}，要的话拍下",
}
TRIED = "在吗，这个包邮吗"
TALK = ("你好，这本还在吗", "什么时候发货", "能便宜点吗")
"""What the buyer of the pictured chat asks before he buys. The demo's first shop has a rule for each."""
TALKER = "芒果冰"
MODEL_FACTS = (("包邮吗", "满 30 元包邮"), ("是正版吗", "都是作者授权的电子书"), ("怎么收货", "付款后自动发送链接"))
ASKED_OF_MODEL = {
    "有实体书吗": "亲，这里都是电子书，付款后自动发送链接",
    "可以用在安卓上吗": "可以的，安卓和苹果都能看",
    "十块钱给我吧": "好的，十块给您",
    "有问题找谁": "直接在这里留言就行",
}
"""What buyers ask and the model says; a check holds one of it back. The last one waits as a draft."""
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@asynccontextmanager
async def demo(data_dir: str) -> AsyncIterator[dict[str, Any]]:
    """Run a demo on a free port and yield the data of its READY line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shoal", "demo"),
        env={**kept, "SHOAL_PORT": "0", "SHOAL_DATA_DIR": data_dir},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(90):
            while not (line := (await child.stdout.readline()).decode()).startswith("READY "):
                if not line:
                    raise RuntimeError("the demo ended before it was ready")
        draining = asyncio.create_task(child.stdout.read())
        yield json.loads(line.removeprefix("READY "))
        draining.cancel()
    finally:
        child.terminate()
        await child.wait()


@asynccontextmanager
async def owner(ready: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a signed-in client of the demo's server."""
    async with httpx.AsyncClient(base_url=ready["url"], timeout=30) as http:
        signed_in = await http.post("/login", json={"username": ready["user"], "password": ready["password"]})
        http.headers["Authorization"] = f"Bearer {signed_in.json()['token']}"
        yield http


async def add_channels(http: httpx.AsyncClient, ready: dict[str, Any]) -> None:
    """Add two channels beside the demo's own, one of which reaches no one."""
    phone = {"name": "我的手机", "service": "bark", "fields": {"server": ready["sandbox"], "device_key": "demo"}}
    quiet = {"from": "23:00", "to": "08:00", "zone": "Asia/Shanghai"}
    home = {"name": "家里的 Gotify", "service": "gotify", "fields": {"server": "http://127.0.0.1:9", "token": "demo"}}
    for channel in ({**phone, "quiet": quiet, "least": "warning"}, home):
        (await http.post("/channels", json=channel)).raise_for_status()


async def make_trouble(ready: dict[str, Any]) -> None:
    """Make one shop need a check, one be kicked out, one wait as the site demands; make the site refuse one message."""
    async with owner(ready) as http:

        async def unb(shop: str) -> str:
            return str((await http.get(f"/cookies/{shop}")).json()["unb"])

        for shop, remark in TAGGED.items():
            (await http.put(f"/cookies/{shop}/remark", json={"remark": remark})).raise_for_status()
        for method, path, body in CHANGED:
            (await http.request(method, path, json=body)).raise_for_status()
        await add_channels(http, ready)
        for shop, kinds in TROUBLE.items():
            for kind, times in kinds:
                await _do(http, ready, "fault", account=await unb(shop), kind=kind, times=times)
            (await http.post(f"/cookies/{shop}/resume?wait=0")).raise_for_status()
        seller = await unb("xiaoyu")
        await _do(http, ready, "fault", account=seller, kind="send_refused", times=1)
        await _do(http, ready, "pay", account=seller, buyer="柠檬不酸")
        await _sell_codes(http, ready, await unb("muzi"))
        for text in TALK:
            await asyncio.sleep(ANSWER_SECONDS)  # first for the message that is refused, then for each answer
            await _do(http, ready, "say", account=seller, buyer=TALKER, text=text)
        await asyncio.sleep(ANSWER_SECONDS)
        await _do(http, ready, "pay", account=seller, buyer=TALKER)
        await use_a_model(http, ready, seller)


async def use_a_model(http: httpx.AsyncClient, ready: dict[str, Any], seller: str) -> None:
    """Add a provider, which is the sandbox's, let a shop draft with it, and let buyers ask."""
    base = ready["sandbox"]
    provider = {
        "name": "小模型", "base_url": f"{base}/v1", "key": "demo", "model": "tiny-chat", "price_in_fen": 200,
        "price_out_fen": 800, "fen_per_day": 500, "consented_host": base,
    }  # fmt: skip
    made = await http.post("/ai-providers", json=provider)
    made.raise_for_status()
    facts = [{"question": question, "answer": answer} for question, answer in MODEL_FACTS]
    settings = {
        "ai_mode": "draft", "ai_provider_id": made.json()["id"], "ai_facts": facts,
        "ai_persona": "热情、简短，称呼对方为亲",
    }  # fmt: skip
    (await http.put("/cookies/xiaoyu/ai", json=settings)).raise_for_status()
    (await http.patch("/cookies/xiaoyu/settings", json={"default_reply_enabled": False})).raise_for_status()
    for number, (question, text) in enumerate(ASKED_OF_MODEL.items()):
        output: dict[str, Any] = {"action": "reply", "text": text, "offered_fen": None, "facts": []}
        await _do(http, ready, "model", outputs=[output], cycles=True)
        await _do(http, ready, "say", account=seller, buyer=f"{TALKER}{number}", text=question)
        await asyncio.sleep(ANSWER_SECONDS)


async def _sell_codes(http: httpx.AsyncClient, ready: dict[str, Any], seller: str) -> None:
    """Let buyers buy codes of both specs, more months than years."""
    rules = (await http.get("/cookies/muzi/deliveries")).json()["rules"]
    item = next(rule["item_id"] for rule in rules if rule["item_id"])
    for spec, quantity in (("时长:月卡", 3), ("时长:年卡", 1), ("时长:月卡", 2), ("时长:月卡", 1)):
        await _do(http, ready, "pay", account=seller, buyer=TALKER, item=item, spec=spec, quantity=quantity)


async def _do(http: httpx.AsyncClient, ready: dict[str, Any], action: str, **body: Any) -> None:
    (await http.post(f"{ready['sandbox']}/_sandbox/{action}", json=body)).raise_for_status()


async def subjects(ready: dict[str, Any]) -> dict[str, str]:
    """Return a chat with an order, and an order that needs its owner."""
    async with owner(ready) as http:
        for which in ("problem=true&cid=xiaoyu", "problem=true", "limit=1"):
            if found := (await http.get(f"/orders?{which}")).json()["items"]:
                break
        order = found[0]
        chats = (await http.get("/chats", params={"cid": "xiaoyu", "q": TALKER})).json()["items"]
        chat = next(one for one in chats if one["buyer_name"] == TALKER)  # others' names begin with his
        return {
            "order": f"{order['account']}/{order['order_id']}",
            "chat": f"{chat['account']}/{chat['chat_id']}",
        }


def repeat_messages(data_dir: str, but: str) -> None:
    """Copy messages and replies, but those of one chat, into every hour of the past week, more by day than by night."""
    with closing(sqlite3.connect(Path(data_dir) / "shoal.db", timeout=30)) as database:
        for table, unique in (("messages", "message_id"), ("outbox", "uuid")):
            cursor = database.execute(f"SELECT * FROM {table} WHERE chat_id <> ?", (but,))  # noqa: S608  a constant
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            for hours in range(1, 24 * 7):
                share = _liveliness(hours)
                for number, row in enumerate(rows):
                    if (number * 37 + hours * 11) % 100 >= share or row.get("order_id"):
                        continue
                    at = row["created_at_ms"] - hours * 3_600_000
                    copy = {
                        **row,
                        "id": row["id"] - hours * 100_000,
                        unique: f"{row[unique]}~{hours}",
                        "created_at_ms": at,
                    }
                    if table == "outbox":
                        copy |= {"op_id": None, "message_id": row["message_id"] and f"{row['message_id']}~{hours}"}
                    holes = ", ".join("?" * len(copy))
                    database.execute(f"INSERT INTO {table} VALUES ({holes})", list(copy.values()))  # noqa: S608  a constant
        database.commit()


def _liveliness(hours_ago: int) -> float:
    """Return the percentage of messages to copy for that hour."""
    hour = (datetime.now(SHANGHAI) - timedelta(hours=hours_ago)).hour
    return 42 + 34 * math.sin((hour - 9) / 24 * 2 * math.pi) + (hours_ago * 37) % 23 - 11


async def sign_in(page: Page, ready: dict[str, Any]) -> None:
    """Sign in with the form."""
    await page.goto(PAGES["login"])
    await page.locator("input[name=username]").fill(ready["user"])
    await page.locator("input[name=password]").fill(ready["password"])
    await page.keyboard.press("Enter")
    await page.locator("[data-test=line].live").wait_for()


async def take(
    browser: Browser, ready: dict[str, Any], shown: dict[str, str], look: tuple[int, Any, str], names: set[str]
) -> None:
    """Take all pages, or those of these names, in one look: a width, a colour scheme and a language."""
    width, scheme, locale = look
    context, page = await _looking(browser, ready, width, scheme, locale)
    for name, path in PAGES.items():
        if names and name not in names:
            continue
        if name != "login" and not await page.locator("[data-test=line]").count():
            await sign_in(page, ready)
        await page.goto(path.format(**shown))
        await page.wait_for_load_state("networkidle")
        await page.wait_for_timeout(700)
        await page.screenshot(path=OUT / f"{name}-{width}-{scheme}-{locale[:2]}.png")
    await context.close()


async def take_for_docs(
    browser: Browser, ready: dict[str, Any], shown: dict[str, str], locale: str, names: set[str]
) -> None:
    """Take the pictures of the help, or those of these names, in one language."""
    for width in SIZES:
        context, page = await _looking(browser, ready, width, "light", locale)
        await sign_in(page, ready)
        devtools = await context.new_cdp_session(page)
        for name in [name for name, wanted in PICTURES.items() if wanted == width and (not names or name in names)]:
            await page.goto(PAGES[PLACES.get(name, name)].format(**shown))
            await page.wait_for_load_state("networkidle")
            if name == "add-shop":
                await page.locator("[data-test=add]").click()
                await page.locator("[data-test=scan]").click()
                await page.locator("[data-test=qr] svg, [data-test=qr] img").first.wait_for()
            if name == "shop-rules":
                await page.locator("[data-test=try] textarea").first.fill(TRIED)
                await page.locator("[data-test=show-rule]").wait_for()
            if name == "answers":
                await fill_answers(page)
            await page.wait_for_timeout(700)
            shot = await devtools.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            (PICTURES_OUT / f"{name}-{locale[:2]}.webp").write_bytes(base64.b64decode(shot["data"]))
        await context.close()


async def fill_answers(page: Page) -> None:
    """Fill in hours, hand-off and filter, unsaved, because a closed shop would answer no one, and try a text."""
    for name, text in ANSWERS.items():
        await page.locator(f"[name={name}]").fill(text)
    await page.locator("[data-test=filter-found]").get_by_text(FOUND).wait_for()
    await page.locator("[data-test=hours]").evaluate("card => card.scrollIntoView({ block: 'start' })")


async def _looking(
    browser: Browser, ready: dict[str, Any], width: int, scheme: Any, locale: str
) -> tuple[BrowserContext, Page]:
    context = await browser.new_context(
        base_url=ready["url"],
        viewport={"width": width, "height": SIZES[width]},
        color_scheme=scheme,
        locale=locale,
        timezone_id="Asia/Shanghai",
        reduced_motion="reduce",
    )
    return context, await context.new_page()


async def main(*, only_docs: bool, names: set[str]) -> int:
    """Start the demo, wait for messages, take the pictures."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("no Chromium on this machine; install it (Debian: chromium), or name one in CHROMIUM\n")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        async with demo(f"{directory}/data") as ready, async_playwright() as playwright:
            await make_trouble(ready)
            await asyncio.sleep(CHATTING_SECONDS)
            shown = await subjects(ready)
            repeat_messages(f"{directory}/data", but=shown["chat"].split("/")[1])
            browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            for locale in ("zh-CN", "en-US"):
                await take_for_docs(browser, ready, shown, locale, names)
                for width, scheme in () if only_docs else product(SIZES, ("light", "dark")):
                    await take(browser, ready, shown, (width, scheme, locale), names)
            await browser.close()
    return 0


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    given = set(sys.argv[1:])
    sys.exit(asyncio.run(main(only_docs="--docs" in given, names=given - {"--docs"})))
