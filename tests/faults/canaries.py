"""The secrets that are sought everywhere, and a reader of every route that may show one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import aiohttp

from benchmarks.processes import ServerProcess

ADDED, RENEWED, ROTATED, MISPLACED = (f"canary{word}{word[::-1]}" for word in ("Zqadd", "Zqnew", "Zqrot", "Zqbad"))
UPLOADED = "canaryZquplolpuqZ"
PROXY_USER, PROXY_PASSWORD, BAD_PROXY_PASSWORD = (f"canary{word}{word[::-1]}" for word in ("Zquser", "Zqprx", "Zqpxb"))
NEXT_PASSWORD = "canaryZqpass no one guesses"
CHANNEL_TOKEN = "canaryZqchannelZq0123456789abcdef"
METRICS_TOKEN = "canaryZqfiguresZq0123456789"
PROVIDER_KEY = "canaryZqproviderZq0123456789abcdef"
WEBHOOK_SECRET = "Y2FuYXJ5WnFob29rWnEwMTIzNDU2Nzg5YWJjZGVm"
WRONG_PASSWORD = "canaryZqwrong nor this one"
THEIR_PASSWORD = "canaryZqtheir pass of another"
WRONG_CODE = "canaryZqcode"
CONTROL = "canaryZqremark"
"""No secret: it must be found in all of these places, else the search is blind."""
SITE_TOKEN = "oauth_k1:"
"""How every access token of the site begins."""
API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"
MANY = 100
Note = Callable[[str, str, int, list[tuple[str, str]], bytes], None]
"""Takes the method, path, status, headers and content of an answer."""
SECRET_COOKIES = {"cookie2", "sgcookie", "_m_h5_tk", "_m_h5_tk_enc", "_tb_token_", "XSRF-TOKEN", "csg", "t"}


async def plan_of_an_import(server: ServerProcess) -> str:
    """Send another system's file with a cookie and a key; return the id of the plan."""
    file = f"COOKIES_STR=unb=2200000000901; cookie2={MISPLACED}\nAPI_KEY={MISPLACED}\nMODEL_NAME=model\n"
    answer = await server.http.post("/imports/plans", params={"name": ".env"}, content=file.encode())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["plan_id"])


async def read_everything(server: ServerProcess, item: str, note: Note) -> None:
    """GET every route that the document names, as its owner and without a sign-in."""
    op_id = (await server.ok("GET", "/cookies/shop/history"))["items"][0]["op_id"]
    rule = (await server.ok("GET", "/cookies/shop/rules"))["items"][0]
    order = (await server.ok("GET", "/cookies/shop/orders"))["items"][0]
    chat = (await server.ok("GET", "/chats"))["items"][0]
    login = await server.ok("POST", "/qr-logins", {})
    old = await server.ok("POST", "/qr-login/generate", {})
    goods = await server.ok("POST", "/goods", {"name": "codes", "kind": "stock"})
    taken = await server.ok("POST", f"/goods/{goods['id']}/units", {"lines": ["a unit"]})
    unit = (await server.ok("GET", f"/goods/{goods['id']}/units"))["items"][0]
    card = await server.ok("POST", "/cards", {"name": "text", "type": "text", "text_content": "a text"})
    old_rule = await server.ok("POST", "/delivery-rules", {"keyword": "a title", "card_id": card["id"]})
    bot = {"name": "bot", "service": "dingtalk", "fields": {"token": CHANNEL_TOKEN, "secret": ""}}
    channel = await server.ok("POST", "/channels", bot)
    webhook = await server.ok("POST", "/webhooks", {"url": "https://hooks.example.com/shoal"})
    await server.ok("PATCH", f"/webhooks/{webhook['id']}", {"secret": f"whsec_{WEBHOOK_SECRET}"})
    model = {"name": "m", "base_url": "https://models.example.com/v1", "key": PROVIDER_KEY, "model": "m"}
    provider = await server.ok("POST", "/ai-providers", model)
    run = await server.ok("POST", "/imports", {"plan_id": await plan_of_an_import(server)})
    values = {
        "plan_id": await plan_of_an_import(server),
        "run_id": str(run["id"]),
        "channel_id": str(channel["id"]),
        "webhook_id": str(webhook["id"]),
        "provider_id": str(provider["id"]),
        "card_id": str(card["id"]),
        "card_rule_id": str(old_rule["id"]),
        "login_id": login["id"],
        "session_id": old["session_id"],
        "cid": "shop",
        "item_id": item,
        "op_id": op_id,
        "rev": "1",
        "goods_id": str(goods["id"]),
        "batch_id": str(taken["batch_id"]),
        "unit_id": str(unit["id"]),
        "rule_id": rule["id"],
        "order_id": order["order_id"],
        "chat": chat["chat_id"],
        "table_name": "cookies",
    }
    async with aiohttp.ClientSession(server.url) as unsigned:  # three times as quick as httpx
        for path in _paths_to_read():
            filled = path.format_map(values)
            headers = {"Authorization": f"Bearer {METRICS_TOKEN}"} if path == "/metrics" else {}
            there = 404 if path == "/ai-runs/{run_id}" else 200  # no model was asked: its provider is invented
            assert (await server.http.get(filled, headers=headers)).status_code == there, filled
            for refused in ({}, {"Authorization": f"Bearer {MISPLACED}"}):
                async with unsigned.get(filled, headers=refused) as answer:
                    note("GET", filled, answer.status, list(answer.headers.items()), await answer.read())
    for path in ("/messages?cid=shop", "/cookies/shop/history?limit=200", "/security-log?format=lines"):
        await server.http.get(path)


def _paths_to_read() -> list[str]:
    """Return what can be read, as the tables of the reference name it: they are made from the document.

    To have the server make its document, or the page of it, takes 2 s of a processor: it is made of code alone.
    """
    routes = API_PAGE.read_text(encoding="utf-8").partition("<!-- routes:")[2].partition("<!-- end of routes -->")[0]
    found = re.findall(r"^\| `GET (/[^`?]*)", routes, re.MULTILINE)
    assert len(found) > MANY
    return [path for path in found if path != "/events"]
