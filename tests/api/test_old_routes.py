"""Each route of the system that sellers come from, called as the table of docs/api.md says that it is answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from shoal.accounts.account import Account
from shoal.items.item_lists import ItemLists
from shoal.server.route_table import every_route
from support.files.picture_files import a_png
from support.files.table_files import a_table
from support.servers.doors import Door, open_door
from support.site.standins import cookie_of

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \| (served|empty|console|410) \| .* \|$", re.MULTILINE)
ITEM = "700000000001"
HOOK = {
    "cookie_id": "shop", "msg_time": "1", "user_url": "u", "send_user_id": "2", "send_user_name": "n", "item_id": ITEM,
    "send_message": "在吗", "chat_id": "5",
}  # fmt: skip

SERVED: dict[str, tuple[Any, str]] = {
    "GET /health": (None, "status timestamp services system"),
    "POST /login": ({"username": "admin", "password": "wrong"}, "success token message user_id username is_admin"),
    "GET /verify": (None, "authenticated user_id username is_admin"),
    "POST /register": (
        {"username": "ann", "email": "ann@example.com", "password": "correct horse battery", "verification_code": "1"},
        "success message",
    ),
    "GET /registration-status": (None, "enabled message"),
    "GET /login-info-status": (None, "enabled"),
    "PUT /registration-settings": ({"enabled": True}, "success enabled message"),
    "PUT /login-info-settings": ({"enabled": False}, "success enabled message"),
    "GET /system-settings": (None, "registration_enabled show_default_login_info"),
    "POST /cookies": ({"id": "two", "value": cookie_of(2)}, "msg"),
    "PUT /cookies/{cid}": ({"id": "shop", "value": cookie_of(1, secret="s2")}, "msg"),
    "GET /cookies": (None, "[]"),
    "GET /cookies/details": (None, "[] id value enabled auto_confirm remark pause_duration"),
    "GET /admin/backup/list": (None, "backups total"),
    "POST /backup/import": (None, "message import_id"),
    "GET /backup/export": (None, "version timestamp user_id data"),
    "GET /cookies/check": (None, "success hasValidCookies validCount enabledCount totalCount"),
    "POST /cookie/{cid}/account-info": ({"value": cookie_of(1, secret="s3")}, "msg success"),
    "GET /cookie/{cid}/details": (None, "id value user_id auto_confirm remark pause_duration username password"),
    "PUT /cookies/{cid}/status": ({"enabled": True}, "msg enabled"),
    "PUT /cookies/{cid}/auto-confirm": ({"auto_confirm": True}, "msg auto_confirm message"),
    "GET /cookies/{cid}/auto-confirm": (None, "auto_confirm message"),
    "PUT /cookies/{cid}/remark": ({"remark": "x"}, "message remark"),
    "GET /cookies/{cid}/remark": (None, "remark message"),
    "PUT /cookies/{cid}/pause-duration": ({"pause_duration": 5}, "message pause_duration"),
    "GET /cookies/{cid}/pause-duration": (None, "pause_duration message"),
    "POST /keywords/{cid}": ({"keywords": {"在吗": "在的"}}, "msg count"),
    "GET /keywords/{cid}": (None, "[] keyword reply item_id type"),
    "POST /keywords-with-item-id/{cid}": (
        {"keywords": [{"keyword": "在吗", "reply": "在的", "item_id": ""}]}, "msg count",
    ),
    "GET /keywords-with-item-id/{cid}": (None, "[] keyword reply item_id type image_url"),
    "GET /keywords-with-type/{cid}": (None, "[] keyword reply item_id type image_url"),
    "POST /keywords/{cid}/image": ({"keyword": "图"}, "msg keyword image_url item_id"),
    "GET /keywords-export/{cid}": (None, "a file"),
    "POST /keywords-import/{cid}": (None, "msg total added updated"),
    "DELETE /keywords/{cid}/{index}": (None, "msg"),
    "PUT /default-replies/{cid}": (
        {"enabled": True, "reply_content": "稍等", "reply_once": False}, "msg enabled reply_once",
    ),
    "POST /xianyu/reply": (HOOK, "code data"),
    "GET /default-replies/{cid}": (None, "enabled reply_content reply_once"),
    "GET /default-replies": (None, "shop"),
    "POST /default-replies/{cid}/clear-records": (None, "msg"),
    "DELETE /default-replies/{cid}": (None, "msg"),
    "PUT /ai-reply-settings/{cid}": ({"ai_enabled": False, "max_bargain_rounds": 3}, "message"),
    "POST /ai-reply-test/{cid}": ({"message": "在吗"}, "detail"),
    "GET /ai-reply-settings": (None, "shop"),
    "GET /ai-reply-settings/{cid}": (
        None, "ai_enabled model_name api_key base_url max_discount_percent max_discount_amount max_bargain_rounds",
    ),
    "PUT /item-reply/{cid}/{item_id}": ({"reply_content": "有货"}, "message"),
    "GET /item-reply/{cid}/{item_id}": (None, "item_id cookie_id reply_content created_at updated_at item_title"),
    "GET /itemReplays": (None, "items"),
    "GET /itemReplays/cookie/{cid}": (None, "items"),
    "GET /items": (None, "items"),
    "GET /items/{cid}": (None, "items count"),
    "GET /items/cookie/{cid}": (None, "items"),
    "GET /items/{cid}/{item_id}": (None, "item"),
    "POST /items/get-all-from-account": ({"cookie_id": "shop"}, "success message total_count total_pages"),
    "POST /items/get-by-page": (
        {"cookie_id": "shop", "page_number": 1, "page_size": 20},
        "success message page_number page_size current_count",
    ),
    "PUT /items/{cid}/{item_id}/multi-spec": ({"is_multi_spec": True}, "message"),
    "PUT /items/{cid}/{item_id}/multi-quantity-delivery": ({"multi_quantity_delivery": True}, "message"),
    "DELETE /item-reply/batch": ({"items": [{"cookie_id": "shop", "item_id": "9"}]}, "success_count failed_count"),
    "DELETE /item-reply/{cid}/{item_id}": (None, "message"),
    "POST /upload-image": ({}, "message image_url"),
    "POST /cards": ({"name": "图", "type": "image", "image_url": "https://img.alicdn.com/a.png"}, "id message"),
    "GET /cards": (None, "[] id name type api_config text_content data_content image_url description enabled"),
    "GET /cards/{card_id}": (None, "id name type api_config text_content data_content image_url description enabled"),
    "PUT /cards/{card_id}": ({"name": "图二"}, "message"),
    "PUT /cards/{card_id}/image": ({"name": "图三"}, "message image_url"),
    "POST /delivery-rules": ({"keyword": "会员", "card_id": "{card_id}"}, "id message"),
    "GET /delivery-rules": (None, "[] id keyword card_id delivery_count enabled description delivery_times card_name"),
    "GET /delivery-rules/{rule_id}": (None, "id keyword card_id delivery_count enabled description delivery_times"),
    "PUT /delivery-rules/{rule_id}": ({"keyword": "会员", "card_id": "{card_id}", "delivery_count": 1}, "message"),
    "DELETE /delivery-rules/{rule_id}": (None, "message"),
    "DELETE /cards/{card_id}": (None, "message"),
    "POST /notification-channels": (
        {"name": "n", "type": "ding_talk", "config": '{"webhook_url": "0123456789abcdef"}'}, "msg id",
    ),
    "GET /notification-channels": (None, "[] id name type config enabled created_at updated_at"),
    "GET /notification-channels/{channel_id}": (None, "id name type config enabled created_at updated_at"),
    "PUT /notification-channels/{channel_id}": ({"name": "m", "config": '{"webhook_url": "***"}'}, "msg"),
    "POST /message-notifications/{cid}": ({"channel_id": "{channel_id}", "enabled": True}, "msg"),
    "GET /message-notifications": (None, "shop"),
    "GET /message-notifications/{cid}": (None, "[] id channel_id enabled channel_name channel_type channel_config"),
    "DELETE /message-notifications/{notification_id}": (None, "msg"),
    "DELETE /message-notifications/account/{cid}": (None, "msg"),
    "DELETE /notification-channels/{channel_id}": (None, "msg"),
    "POST /send-message": ({"api_key": "", "cookie_id": "shop", "chat_id": "1", "to_user_id": "2", "message": "m"},
                           "success message"),
    "GET /api/orders": (None, "success data"),
    "GET /logs": (None, "success logs"),
    "GET /logs/stats": (None, "success stats"),
    "GET /admin/logs": (None, "logs log_file total_lines success"),
    "GET /admin/stats": (None, "users cookies cards system"),
    "GET /admin/users": (None, "users"),
    "GET /admin/cookies": (None, "success cookies total"),
    "GET /admin/data/{table_name}": (None, "success data columns count"),
    "GET /risk-control-logs": (None, "success data total limit offset"),
    "GET /admin/risk-control-logs": (None, "success data total limit offset"),
    "GET /qr-login/cooldown-status/{cid}": (
        None, "success cookie_id remaining_time cooldown_duration last_refresh_time is_in_cooldown message",
    ),
    "POST /qr-login/reset-cooldown/{cid}": (None, "success message cookie_id previous_remaining_time"),
    "POST /qr-login/generate": (None, "success message"),
    "GET /qr-login/check/{session_id}": (None, "status message"),
    "POST /system/reload-cache": (None, "message success"),
    "DELETE /admin/users/{user_id}": (None, "message"),
    "DELETE /cookies/{cid}": (None, "msg"),
    "POST /change-admin-password": (
        {"current_password": "wrong", "new_password": "correct horse battery"}, "success message",
    ),
    "POST /logout": (None, "message"),
}  # fmt: skip
"""What is sent, in this order, and the keys of the answer (``[]``: of each row of a list)."""

EMPTY: dict[str, tuple[int, Any]] = {
    "GET /user-settings": (200, {}),
    "GET /user-settings/{key}": (404, {"detail": "设置不存在"}),
    "GET /admin/log-files": (200, {"success": True, "files": []}),
}

NAMES = {
    "cid": "shop", "item_id": ITEM, "index": "0", "key": "theme_color", "table_name": "cookies", "session_id": "x",
    "record_id": "1", "log_id": "1", "user_id": "2",
}  # fmt: skip
A_BACKUP = {
    "version": "1.0", "timestamp": 1.0, "user_id": 1,
    "data": {
        "cookies": {"columns": ["id", "value", "user_id"], "rows": [["three", cookie_of(3), 1]]},
        "cookie_status": {"columns": ["cookie_id", "enabled"], "rows": [["three", 1]]},
    },
}  # fmt: skip
REFUSED = {"POST /ai-reply-test/{cid}": 409}
"""What is served and has nobody to ask here: no provider was added."""
AFTER = {"DELETE /message-notifications/account/{cid}": "POST /message-notifications/{cid}"}
"""What is called once more before."""
MADE_BY = {"/cards": "card_id", "/delivery-rules": "rule_id", "/notification-channels": "channel_id"}


def rows_of_older_routes() -> dict[str, str]:
    """What the table says of each route, with the names that Shoal's routes have in their paths."""
    table = PAGE.read_text(encoding="utf-8").partition("<!-- old routes")[2].partition("<!-- end of old routes")[0]
    rows = {
        f"{method} {path.replace('{cookie_id}', '{cid}')}": answered for method, path, answered in ROW.findall(table)
    }
    assert len(rows) == table.count("\n| `")
    return rows


def _filled(text: str, names: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: names[found[1]], text)


async def _call(door: Door, target: str, body: Any, names: dict[str, str]) -> httpx.Response:
    method, path = target.split(" ")
    sent: dict[str, Any] = {}
    if target in {"POST /keywords/{cid}/image", "POST /upload-image", "PUT /cards/{card_id}/image"}:
        sent = {"data": body, "files": {"image": ("a.png", a_png(), "image/png")}}
    elif target == "POST /backup/import":
        sent = {"files": {"file": ("backup.json", json.dumps(A_BACKUP))}}
    elif target == "POST /keywords-import/{cid}":
        table = a_table([["关键词", "商品ID", "关键词内容"], ["在吗", "", "在的"]])
        sent = {"files": {"file": ("a.xlsx", table)}}
    elif body is not None:
        numbers = {
            name: int(names[value[1:-1]])
            for name, value in body.items()
            if str(value).startswith("{card_id") or str(value).startswith("{channel_id")
        }
        sent = {"json": {**body, **numbers}}
    return await door.client.request(method, _filled(path, names), **sent)


def test_the_table_names_every_route_of_the_older_system_and_each_is_there() -> None:
    rows = rows_of_older_routes()
    assert len(rows) == 129
    there = {
        (method, re.sub(r"{\w+}", "{}", route.path))
        for route in every_route()
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    wanted = {(target.split(" ")[0], re.sub(r"{\w+}", "{}", target.split(" ")[1])) for target in rows}
    assert wanted <= there, wanted - there


async def test_each_route_of_the_older_system_is_answered_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def titles(_lists: ItemLists, _account: Account) -> dict[str, str]:
        return {ITEM: "月卡"}

    monkeypatch.setattr(ItemLists, "of", titles)
    rows = rows_of_older_routes()
    by_answer = {word: {target for target, answered in rows.items() if answered == word} for word in rows.values()}
    assert SERVED.keys() == by_answer["served"]
    assert EMPTY.keys() == by_answer["empty"]
    async with open_door(tmp_path, open_registration=True) as door:
        await door.add()
        for target in sorted(by_answer["410"]):
            answer = await _call(door, target, {} if target.startswith(("POST", "PUT")) else None, NAMES)
            assert (answer.status_code, answer.json()["code"]) == (410, "gone"), (target, answer.text)
            assert answer.json()["detail"], target
        for target in sorted(by_answer["console"]):
            answer = await _call(door, target, None, NAMES)
            assert (answer.status_code, answer.headers["location"]) == (307, "/console/"), target
        for target, (status, wanted) in EMPTY.items():
            answer = await _call(door, target, None, NAMES)
            assert answer.status_code == status, (target, answer.text)
            assert wanted.items() <= answer.json().items(), (target, answer.text)
        await _serve(door)


async def _serve(door: Door) -> None:
    names = dict(NAMES)
    for target, (body, keys) in SERVED.items():
        if target in AFTER:
            await _call(door, AFTER[target], SERVED[AFTER[target]][0], names)
        answer = await _call(door, target, body, names)
        assert answer.status_code == REFUSED.get(target, 200), (target, answer.text)
        if keys == "a file":
            continue
        said = answer.json()
        wanted = set(keys.split()) - {"[]"}
        shown = said if isinstance(said, list) else [said]
        assert isinstance(said, list) is keys.startswith("[]"), (target, said)
        assert shown, target
        assert all(wanted <= set(row) for row in shown if wanted), (target, said)
        if target.split(" ")[1] in MADE_BY and "id" in said:
            names[MADE_BY[target.split(" ")[1]]] = str(said["id"])
        if target == "GET /message-notifications/{cid}":
            names["notification_id"] = str(said[0]["id"])
