"""How each route is called about a shop, and how its answer is read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from fastapi.routing import APIRoute
from starlette.types import Message, Scope

from api.authorisation_callers import MINE, THEIRS
from api.authorisation_table import ALLOWED, REFUSED
from support.files.picture_files import a_png
from support.servers.doors import Door, layered
from support.site.standins import cookie_of

UNKNOWN = "unknown_account"

STALE = {"if-match": '"g999999"'}
"""With it a change that is allowed goes all the way, and is refused as stale in the account's turn."""

REFUSALS = {code for _, code in REFUSED.values()}

NAMES: dict[str, str] = {
    "batch_id": "999", "buyer_id": "999", "channel_id": "999",
    "chat": "59000001", "goods_id": "999", "card_id": "999", "card_rule_id": "999", "index": "0",
    "invitation_id": "x", "item_id": "700000000001", "key": "x", "log_id": "999",
    "login_id": "x",
    "message_id": "x", "note_id": "999", "notification_id": "999", "number": "1",
    "name": "x.png", "operation": "look", "op_id": "x", "order_id": "1", "path": "x", "plan_id": "x", "record_id": "1",
    "rule_id": "x", "run_id": "999", "session_id": "x",
    "table_name": "users", "token_id": "999",
    "provider_id": "999", "unit_id": "999", "user_id": "999", "username": "not-there", "webhook_id": "999",
}  # fmt: skip
"""What stands in a path, besides ``cid`` and ``rev``: of things that are not there, so that nothing is hurt."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a route is called about a shop, where its content names it, and how the answer is read."""

    body: Callable[[str], Any] | None = None
    query: Callable[[str], dict[str, Any]] | None = None
    headers: dict[str, str] = field(default_factory=lambda: STALE)
    outcome: Callable[[int, Any], str | None] = lambda _status, _answer: None


def _of_first_row(_: int, answer: Any) -> str | None:
    return answer["results"][0]["code"] or ALLOWED if isinstance(answer, dict) and "results" in answer else None


def _of_a_file(_: int, answer: Any) -> str | None:
    if isinstance(answer, dict) and "accounts" in answer:
        return answer["accounts"][0]["code"] or ALLOWED
    if isinstance(answer, dict) and answer.get("code") == "bad_shop_file":
        return str(answer["params"]["faults"][0]["code"])
    return None


def _of_a_list(status: int, answer: Any) -> str | None:
    return UNKNOWN if status == 200 and not answer["items"] else None


def _of_an_entry(_: int, answer: Any) -> str | None:
    return UNKNOWN if isinstance(answer, dict) and answer.get("code") == "unknown_entry" else None


def _of_undone_rows(_: int, answer: Any) -> str | None:
    """Tell the refusal of the only row. A change that nobody could undo is allowed to be tried."""
    if not isinstance(answer, dict) or "results" not in answer:
        return None
    code = str(answer["results"][0]["code"])
    return {"unknown_entry": UNKNOWN, "not_undoable": ALLOWED}.get(code, code)


def _of_a_run(_: int, answer: Any) -> str | None:
    return UNKNOWN if isinstance(answer, dict) and answer.get("code") == "unknown_run" else None


def _of_a_quick_reply(_: int, answer: Any) -> str | None:
    return UNKNOWN if isinstance(answer, dict) and answer.get("code") == "unknown_quick_reply" else None


def _named(account_id: str) -> dict[str, Any]:
    return {"cid": account_id}


_HOOK = ("msg_time", "user_url", "send_user_id", "send_user_name", "item_id", "send_message", "chat_id")

RECIPES: dict[tuple[str, str], Recipe] = {
    ("PUT", "/cookies/status"): Recipe(
        body=lambda cid: {"updates": {cid: False}}, query=lambda _: {"dry_run": "1"}, headers={}, outcome=_of_first_row
    ),
    ("PUT", "/cookies/batch"): Recipe(
        body=lambda cid: {"accounts": [cid], "add_tags": ["x"]},
        query=lambda _: {"dry_run": "1"},
        headers={},
        outcome=_of_first_row,
    ),
    ("PUT", "/staff"): Recipe(
        body=lambda cid: {"username": "partner", "shops": [{"account": cid, "permission": None}]},
        query=lambda _: {"dry_run": "1"},
        headers={},
        outcome=_of_first_row,
    ),
    ("POST", "/apply"): Recipe(
        body=lambda cid: {"file": f'version: 1\naccounts: {{"{cid}": {{settings: {{remark: new}}}}}}\n'},
        query=lambda _: {"dry_run": "1"},
        headers={},
        outcome=_of_a_file,
    ),
    ("GET", "/export"): Recipe(query=lambda cid: {"account": cid}),
    ("POST", "/cookies"): Recipe(body=lambda cid: {"id": cid, "value": cookie_of({MINE: 1, THEIRS: 2}.get(cid, 3))}),
    ("POST", "/qr-logins"): Recipe(body=lambda cid: {"account": cid}),
    ("POST", "/console/proxy-check"): Recipe(body=lambda cid: {"account": cid}),
    ("POST", "/xianyu/reply"): Recipe(body=lambda cid: {"cookie_id": cid, **dict.fromkeys(_HOOK, "1")}),
    ("DELETE", "/item-reply/batch"): Recipe(
        body=lambda cid: {"items": [{"cookie_id": cid, "item_id": "1"}]}, headers={}
    ),
    **{
        ("POST", path): Recipe(body=lambda cid: {"cookie_id": cid})
        for path in ("/items/get-all-from-account", "/items/get-by-page")
    },
    ("GET", "/history"): Recipe(query=_named, outcome=_of_a_list),
    ("POST", "/history/{rev}/undo"): Recipe(outcome=_of_an_entry),
    ("POST", "/history/undo"): Recipe(query=lambda _: {"dry_run": "1"}, headers={}, outcome=_of_undone_rows),
    **{
        ("GET", path): Recipe(query=_named)
        for path in ("/messages", "/sendings", "/chats", "/activity", "/orders", "/incidents", "/ai-runs", "/ai-usage",
                     "/quick-replies")
    },
    **{("GET", path): Recipe(query=_named) for path in ("/orders/sums", "/orders/export")},
    ("GET", "/ai-runs/{run_id}"): Recipe(outcome=_of_a_run),
    ("POST", "/quick-replies"): Recipe(body=lambda cid: {"text": "x", "account": cid}, headers={}),
    ("PUT", "/quick-replies/{reply_id}"): Recipe(
        body=lambda cid: {"text": "x", "account": cid}, headers={}, outcome=_of_a_quick_reply
    ),
    ("DELETE", "/quick-replies/{reply_id}"): Recipe(headers={}, outcome=_of_a_quick_reply),
    **{
        ("POST", f"/ai-runs/{{run_id}}/{what}"): Recipe(headers={}, outcome=_of_a_run) for what in ("approve", "drop")
    },
}  # fmt: skip

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/tokens"): {"name": "x"},
    ("POST", "/invitations"): {"role": "staff"},
    ("PUT", "/channels/{channel_id}/subscriptions"): {"kinds": []},
    ("PUT", "/me/alerts"): {"title": True, "sound": False, "notify": False},
    ("POST", "/console/cookie-check"): {"value": cookie_of(3)},
    ("POST", "/users"): {"username": "somebody", "password": "correct horse battery staple"},
}
"""Where the example of the document would not do."""

_FILES = {
    "/pictures": ("image", a_png()),
    "/upload-image": ("image", a_png()),
    "/rules-file": ("file", b'{"rules":[]}'),
    "/backup/import": ("file", b"{}"),
    "/keywords-import/{cid}": ("file", b"x"),
    "/cookies/{cid}/deliveries/file": ("file", b"x"),
    "/keywords/{cid}/image": ("image", a_png()),
    "/cards/{card_id}/image": ("image", a_png()),
}

UNREPEATED = {"/system/keys/rotate", "/logout"}
"""What is done once only, by the first who may: all else can be done again and again."""


def example_of(document: dict[str, Any], route: APIRoute, method: str) -> Any:
    operation = document["paths"].get(route.path_format, {}).get(method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = content["schema"]
    named = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][named]["examples"][0]


def multipart_of(path: str) -> tuple[bytes, str] | None:
    if path not in _FILES:
        return None
    name, data = _FILES[path]
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x.xlsx"\r\n\r\n'.encode()
    word = b'\r\n--b\r\nContent-Disposition: form-data; name="keyword"\r\n\r\nk'
    return head + data + word + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


@contextmanager
def cheap_calls() -> Iterator[None]:
    """Log nothing, and do on the loop what it would have threads do, such as a read: a quarter of 7,000 calls."""
    loop = asyncio.get_running_loop()

    def at_once(_: Executor | None, work: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = loop.create_future()
        try:
            done.set_result(work(*args))
        except Exception as error:  # noqa: BLE001  who awaits it is told
            done.set_exception(error)
        return done

    logged = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "run_in_executor", at_once)
            yield
    finally:
        structlog.configure(**logged)


async def ask(
    door: Door, method: str, path: str, token: str, *, query: str = "", body: bytes = b"", headers: dict[str, str]
) -> tuple[int, bytes]:
    """One call, straight to the application: status and body. Of an endless answer its beginning."""
    status, _, content = await whole_answer(door, method, path, token, query=query, body=body, headers=headers)
    return status, content


async def whole_answer(
    door: Door, method: str, path: str, token: str, *, query: str = "", body: bytes = b"", headers: dict[str, str]
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """As ``ask``, with the headers of the answer."""
    sent = {**headers, **({"authorization": f"Bearer {token}"} if token else {})}
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "shoal.test", **sent}.items()],
        "client": ("127.0.0.1", 5), "server": ("shoal.test", 80), "state": {},
    }  # fmt: skip
    status, endless, asked = 0, asyncio.Event(), False
    told_in_head: list[tuple[bytes, bytes]] = []
    content: list[bytes] = []

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await endless.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            told_in_head.extend(message["headers"])
            assert (b"x-content-type-options", b"nosniff") in told_in_head, path
            if (b"content-type", b"text/event-stream; charset=utf-8") in told_in_head:
                endless.set()  # and then the caller leaves
        elif not endless.is_set():
            content.append(message["body"])

    await layered(door.app)(scope, receive, send)
    assert status, "no answer"
    return status, told_in_head, b"".join(content)


def told(status: int, content: bytes) -> tuple[str, Any]:
    """How it ended: a refusal by its code, else ``allowed``; and the answer."""
    with suppress(ValueError):
        answer = json.loads(content)
        if status >= 400 and isinstance(answer, dict) and answer.get("code") in REFUSALS:
            return answer["code"], answer
        return ALLOWED, answer
    return ALLOWED, None
