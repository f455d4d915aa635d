"""The bodies that scripts of the older system read, field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shoal.auth.passwords import Passwords
from shoal.errors import ConfigError
from shoal.server.reply_server import build_app
from support.servers.doors import Door, another_person, client_of, living, open_door
from support.site.standins import FakeSite, cookie_of, quick_settings

PASSWORD = "correct horse battery"
NEW = "quite another one"


async def test_signing_in_and_out(tmp_path: Path) -> None:
    async with open_door(tmp_path, admin_password=PASSWORD) as door, client_of(door.app) as client:
        assert door.app.state.first_password is None
        answer = await client.post("/login", json={"username": "admin", "password": PASSWORD})
        body = answer.json()
        token = body.pop("token")
        assert body == {
            "success": True, "message": "登录成功", "user_id": 1, "username": "admin", "is_admin": True, "code": None,
        }  # fmt: skip
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/verify", headers=bearer)).json() == {
            "authenticated": True, "user_id": 1, "username": "admin", "is_admin": True,
        }  # fmt: skip
        assert (await client.get("/verify")).json() == {"authenticated": False}
        assert (await client.post("/logout", headers=bearer)).json() == {"message": "已登出"}
        assert (await client.post("/logout")).json() == {"message": "已登出"}
        assert (await client.get("/verify", headers=bearer)).json() == {"authenticated": False}
        assert (await client.get("/cookies", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"username": "admin", "password": "wrong"}, "用户名或密码错误"),
        ({"username": "nobody", "password": "wrong"}, "用户名或密码错误"),
        ({"email": "a@example.org", "password": "wrong"}, "邮箱或密码错误"),
        ({"email": "a@example.org", "verification_code": "1234"}, "验证码错误或已过期"),
        ({"username": "admin"}, "请提供有效的登录信息"),
        ({}, "请提供有效的登录信息"),
    ],
)
async def test_a_failed_sign_in_is_answered_with_200(door: Door, sent: dict[str, str], message: str) -> None:
    answer = await door.call("POST", "/login", json=sent)
    assert answer.pop("code") == ("wrong_login" if "password" in sent else None)
    assert answer == {
        "success": False, "token": None, "message": message, "user_id": None, "username": None, "is_admin": None,
    }  # fmt: skip


async def test_a_first_password_is_made_up_once_and_works(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        made_up = door.app.state.first_password
        body = await door.call("POST", "/login", json={"username": "admin", "password": made_up})
        assert body["success"]
    async with open_door(tmp_path) as door:
        assert door.app.state.first_password is None
        assert door.app.state.first_link is None


async def test_d5_there_is_no_default_password_and_no_weak_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        async with open_door(tmp_path / "weak", admin_password="admin123"):
            raise AssertionError
    assert caught.value.code == "weak_password"
    assert "SHOAL_ADMIN_PASSWORD" in str(caught.value)
    made_up = []
    for name in ("one", "two"):
        async with open_door(tmp_path / name) as door:
            made_up.append(door.app.state.first_password)
            for usual in ("admin123", "admin", "", "shoal"):
                assert not (await door.call("POST", "/login", json={"username": "admin", "password": usual}))["success"]
    assert len(set(made_up)) == 2


async def test_d5_what_is_stored_of_a_password_is_slow_salted_and_never_the_same(door: Door) -> None:
    passwords = Passwords()  # the real cost
    hashes = [await passwords.new(PASSWORD) for _ in range(2)]
    assert hashes[0] != hashes[1]
    for stored in hashes:
        assert stored.startswith("$argon2id$")
        memory, rounds = int(stored.split("m=")[1].split(",")[0]), int(stored.split("t=")[1].split(",")[0])
        assert memory * rounds >= 19_456 * 2  # KiB and passes: what OWASP asks for at least
        assert await passwords.matches(stored, PASSWORD)
        assert not await passwords.matches(stored, PASSWORD + " ")
    await passwords.close()


async def test_d5_a_sign_in_outlives_a_restart(tmp_path: Path) -> None:
    async with open_door(tmp_path, admin_password=PASSWORD) as door:
        login = {"username": "admin", "password": PASSWORD}
        token = (await door.call("POST", "/login", json=login))["token"]
    async with open_door(tmp_path) as door, client_of(door.app, token) as client:
        assert (await client.get("/verify")).json()["authenticated"]


async def test_d5_no_fixed_key_opens_anything(door: Door) -> None:
    """Neither the key that the other system is shipped with, nor its test key, nor none."""
    for key in ("xianyu_qq_reply_2024", "zhinina_test_key", "", "admin"):
        body = {"api_key": key, "cookie_id": "shop", "chat_id": "1", "to_user_id": "2", "message": "x"}
        async with client_of(door.app) as stranger:
            assert (await stranger.post("/send-message", json=body)).json()["success"] is False


async def test_a_set_up_link_lets_the_administrator_choose_the_first_password(tmp_path: Path) -> None:
    app = build_app(quick_settings(data_dir=tmp_path), connect=FakeSite().connect)
    async with living(app), client_of(app) as browser:
        token = app.state.first_link
        look = (await browser.post("/join/look", json={"token": token})).json()
        assert (look["kind"], look["username"]) == ("password", "admin")
        assert (await browser.post("/join", json={"token": token, "password": NEW})).status_code == 200
        for word, works in ((app.state.first_password, False), (NEW, True)):
            answer = await browser.post("/login", json={"username": "admin", "password": word})
            assert answer.json()["success"] is works
        assert (await browser.post("/join/look", json={"token": token})).status_code == 404


async def test_a_set_up_link_is_over_when_the_administrator_signs_in_by_the_password(tmp_path: Path) -> None:
    app = build_app(quick_settings(data_dir=tmp_path), connect=FakeSite().connect)
    async with living(app), client_of(app) as browser:
        token = {"token": app.state.first_link}
        assert (await browser.post("/join/look", json=token)).status_code == 200
        body = {"username": "admin", "password": app.state.first_password}
        assert (await browser.post("/login", json=body)).json()["success"]
        assert (await browser.post("/join/look", json=token)).status_code == 404


async def test_changing_the_administrators_password(tmp_path: Path) -> None:
    async with open_door(tmp_path, admin_password=PASSWORD) as door, another_person(door) as bob:
        path = "/change-admin-password"
        refused = await bob.call("POST", path, 403, json={"current_password": "x", "new_password": "12345678"})
        assert refused["detail"] == "需要管理员权限"
        wrong = await door.call("POST", path, json={"current_password": "x", "new_password": NEW})
        assert wrong["success"] is False
        await door.call("POST", path, 422, json={"current_password": PASSWORD, "new_password": "short"})
        right = await door.call("POST", path, json={"current_password": PASSWORD, "new_password": NEW})
        assert right["success"] is True
        assert (await door.call("POST", "/login", json={"username": "admin", "password": NEW}))["success"]
        await door.call("GET", "/cookies")


async def test_registration_is_a_setting_and_makes_owners(tmp_path: Path) -> None:
    async with open_door(tmp_path, open_registration=True) as door, client_of(door.app) as stranger:
        sent = {"username": "ann", "email": "ann@example.org", "password": "12345678", "verification_code": "1"}
        assert (await stranger.post("/register", json=sent)).json()["code"] == "weak_password"
        answer = await stranger.post("/register", json={**sent, "password": NEW})
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        assert (await stranger.post("/register", json={**sent, "password": NEW})).json()["code"] == "username_taken"
        token = (await stranger.post("/login", json={"username": "ann", "password": NEW})).json()["token"]
        async with client_of(door.app, token) as ann:
            assert (await ann.get("/me")).json()["role"] == "owner"
            assert (await ann.get("/users")).status_code == 403
        for number in range(5):
            more = {**sent, "username": f"more{number}", "email": f"{number}@example.org", "password": NEW}
            last = await stranger.post("/register", json=more)
        assert (last.status_code, last.json()["code"]) == (429, "too_many_registrations")
        assert int(last.headers["retry-after"]) >= 1


async def test_registration_is_closed(door: Door) -> None:
    sent = {"username": "a", "email": "a@example.org", "password": "12345678", "verification_code": "1"}
    assert (await door.call("POST", "/register", 403, json=sent))["code"] == "registration_closed"


async def test_without_a_token(door: Door) -> None:
    async with client_of(door.app) as client:
        for header in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic YTpi"}):
            answer = await client.get("/cookies", headers=header)
            assert answer.status_code == 401
            assert answer.json()["detail"] == "未授权访问"


async def test_lists_of_accounts(door: Door) -> None:
    assert await door.call("GET", "/cookies") == ["shop"]
    (row,) = await door.call("GET", "/cookies/details")
    assert {name: row[name] for name in ("id", "value", "enabled", "auto_confirm", "remark", "pause_duration")} == {
        "id": "shop", "value": "", "enabled": True, "auto_confirm": False, "remark": "", "pause_duration": 10,
    }  # fmt: skip


async def test_adding_renewing_switching_and_removing(door: Door) -> None:
    sent = {"id": "two", "value": cookie_of(2)}
    assert await door.compat("POST", "/cookies", json=sent) == {"msg": "success"}
    assert await door.compat("POST", "/cookies", json=sent) == {"msg": "success"}
    renewed = {"id": "ignored", "value": cookie_of(2, secret="s2")}
    assert await door.compat("PUT", "/cookies/two", json=renewed) == {"msg": "updated"}
    for enabled in (False, True):
        body = await door.compat("PUT", "/cookies/two/status", json={"enabled": enabled})
        assert body == {"msg": "status updated", "enabled": enabled}
    assert await door.compat("DELETE", "/cookies/two") == {"msg": "removed", "purged": True}
    again = await door.call("DELETE", "/cookies/two", 403)
    assert again["detail"] == "无权限操作该Cookie"


async def test_automatic_confirmation(door: Door) -> None:
    path = "/cookies/shop/auto-confirm"
    assert await door.call("GET", path) == {"auto_confirm": False, "message": "自动确认发货当前关闭"}
    assert await door.compat("PUT", path, json={"auto_confirm": True}) == {
        "msg": "success", "auto_confirm": True, "message": "自动确认发货已开启",
    }  # fmt: skip
    assert await door.call("GET", path) == {"auto_confirm": True, "message": "自动确认发货当前开启"}
    assert (await door.compat("PUT", path, json={"auto_confirm": False}))["message"] == "自动确认发货已关闭"


async def test_remark_and_pause(door: Door) -> None:
    path = "/cookies/shop/remark"
    assert await door.compat("PUT", path, json={"remark": "旧手机"}) == {"message": "备注更新成功", "remark": "旧手机"}
    assert await door.call("GET", path) == {"remark": "旧手机", "message": "获取备注成功"}
    path = "/cookies/shop/pause-duration"
    assert await door.call("GET", path) == {"pause_duration": 10, "message": "获取暂停时间成功"}
    assert await door.compat("PUT", path, json={"pause_duration": 0}) == {
        "message": "暂停时间更新成功", "pause_duration": 0,
    }  # fmt: skip
    for minutes in (-1, 61):
        refused = await door.call("PUT", path, 400, json={"pause_duration": minutes})
        assert refused["detail"] == "暂停时间必须在0-60分钟之间（0表示不暂停）"


async def test_the_old_paths_of_one_account(door: Door) -> None:
    path = "/cookie/shop/account-info"
    assert await door.compat("POST", path, json={"value": cookie_of(1, secret="s2")}) == {
        "msg": "updated", "success": True,
    }  # fmt: skip
    accepted = {"username": "somebody", "password": "hunter2", "show_browser": True}
    body = await door.call("POST", path, json=accepted)
    assert (body["msg"], body["changed"]) == ("updated", False)
    await door.call("POST", path, 400, json={})
    row = await door.call("GET", "/cookie/shop/details")
    created_at = row.pop("created_at")
    assert created_at.endswith("Z")
    assert row == {
        "id": "shop", "value": "", "user_id": 1, "auto_confirm": False, "remark": "", "pause_duration": 10,
        "username": "", "password": "", "show_browser": False, "generation": 2,
        "fingerprint": door.account().fingerprint,
    }  # fmt: skip


def _without_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


async def test_the_three_lists_of_keywords(door: Door) -> None:
    sent = [
        {"keyword": " 在吗 ", "reply": " 在的 ", "item_id": ""},
        {"keyword": "尺寸", "reply": "20 厘米", "item_id": "700000000001"},
        {"keyword": "包邮", "reply": "", "item_id": None},
    ]
    path = "/keywords-with-item-id/shop"
    assert await door.compat("POST", path, json={"keywords": sent}) == {"msg": "updated", "count": 3}
    assert _without_ids(await door.call("GET", "/keywords/shop")) == [
        {"keyword": "在吗", "reply": "在的", "item_id": None, "type": "normal"},
        {"keyword": "尺寸", "reply": "20 厘米", "item_id": "700000000001", "type": "item"},
        {"keyword": "包邮", "reply": "", "item_id": None, "type": "normal"},
    ]
    assert _without_ids(await door.call("GET", path)) == [
        {"keyword": "在吗", "reply": "在的", "item_id": "", "type": "text", "image_url": None},
        {"keyword": "尺寸", "reply": "20 厘米", "item_id": "700000000001", "type": "text", "image_url": None},
        {"keyword": "包邮", "reply": "", "item_id": "", "type": "text", "image_url": None},
    ]
    assert _without_ids(await door.call("GET", "/keywords-with-type/shop")) == [
        {"keyword": "在吗", "reply": "在的", "item_id": None, "type": "text", "image_url": None},
        {"keyword": "尺寸", "reply": "20 厘米", "item_id": "700000000001", "type": "text", "image_url": None},
        {"keyword": "包邮", "reply": "", "item_id": None, "type": "text", "image_url": None},
    ]
    assert await door.compat("DELETE", "/keywords/shop/0") == {"msg": "删除成功"}
    for index in (2, -1):
        assert (await door.call("DELETE", f"/keywords/shop/{index}", 400))["detail"] == "关键词索引无效"


async def test_refused_keywords(door: Door) -> None:
    async def refused(*rows: tuple[str, str]) -> str:
        keywords = [{"keyword": keyword, "reply": "r", "item_id": item} for keyword, item in rows]
        body = await door.call("POST", "/keywords-with-item-id/shop", 400, json={"keywords": keywords})
        detail: str = body["detail"]
        return detail

    assert await refused((" ", "")) == "关键词不能为空"
    assert await refused(("x", ""), ("x", "")) == "关键词 'x' （通用关键词） 在当前提交中重复"
    assert await refused(("x", "42"), ("x", "42")) == "关键词 'x' （商品ID: 42） 在当前提交中重复"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "detail"),
    [
        ("PUT", "/cookies/{}", {"id": "x", "value": cookie_of(9)}, 403, "无权限操作该Cookie"),
        ("DELETE", "/cookies/{}", None, 403, "无权限操作该Cookie"),
        ("PUT", "/cookies/{}/status", {"enabled": True}, 403, "无权限操作该Cookie"),
        ("PUT", "/cookies/{}/auto-confirm", {"auto_confirm": True}, 403, "无权限操作该Cookie"),
        ("PUT", "/cookies/{}/remark", {"remark": ""}, 403, "无权限操作该Cookie"),
        ("PUT", "/cookies/{}/pause-duration", {"pause_duration": 1}, 403, "无权限操作该Cookie"),
        ("POST", "/cookie/{}/account-info", {"value": cookie_of(9)}, 403, "无权限操作该Cookie"),
        ("POST", "/keywords/{}", {"keywords": {}}, 403, "无权限操作该Cookie"),
        ("POST", "/keywords-with-item-id/{}", {"keywords": []}, 403, "无权限操作该Cookie"),
        ("GET", "/cookies/{}/auto-confirm", None, 403, "无权限访问该Cookie"),
        ("GET", "/cookies/{}/remark", None, 403, "无权限访问该Cookie"),
        ("GET", "/cookies/{}/pause-duration", None, 403, "无权限访问该Cookie"),
        ("GET", "/cookie/{}/details", None, 403, "无权限访问该Cookie"),
        ("GET", "/keywords/{}", None, 403, "无权限访问该Cookie"),
        ("GET", "/keywords-with-item-id/{}", None, 403, "无权限访问该Cookie"),
        ("GET", "/keywords-with-type/{}", None, 404, "账号不存在或无权限"),
        ("DELETE", "/keywords/{}/0", None, 404, "账号不存在或无权限"),
        ("DELETE", "/keywords/{}/rules/x", None, 404, "账号不存在或无权限"),
        ("GET", "/cookies/{}", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("POST", "/cookies/{}/resume", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("PATCH", "/cookies/{}/settings", {"remark": ""}, 404, "没有这个店铺，请检查店铺 ID"),
        ("GET", "/cookies/{}/items", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("GET", "/cookies/{}/items/1", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("PUT", "/cookies/{}/items/1", {}, 404, "没有这个店铺，请检查店铺 ID"),
        ("DELETE", "/cookies/{}/items/1", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("GET", "/cookies/{}/history", None, 404, "没有这个店铺，请检查店铺 ID"),
        ("GET", "/messages?cid={}", None, 404, "没有这个店铺，请检查店铺 ID"),
    ],
)
async def test_unknown_and_foreign_are_the_same_answer(
    door: Door, method: str, path: str, sent: object, status: int, detail: str
) -> None:
    before = door.account()
    async with another_person(door) as bob:
        for account_id in ("nobody", "shop"):
            body = await bob.call(method, path.format(account_id), status, json=sent)
            assert body == {"detail": detail, "code": "unknown_account", "params": {}}
    assert door.account() is before


async def test_an_id_of_somebody_else_cannot_be_added(door: Door) -> None:
    async with another_person(door) as bob:
        body = await bob.call("POST", "/cookies", 400, json={"id": "shop", "value": cookie_of(5)})
        assert body["detail"] == "该Cookie ID已被其他用户使用"
        assert await bob.call("GET", "/cookies") == []


async def test_health_and_reload(door: Door) -> None:
    async with client_of(door.app) as client:
        body = (await client.get("/health")).json()
    assert body["status"] == "healthy"
    assert body["services"] == {"cookie_manager": "ok", "database": "ok"}
    assert set(body["system"]) == {"cpu_percent", "memory_percent", "memory_available"}
    assert isinstance(body["timestamp"], float)
    reloaded = await door.call("POST", "/system/reload-cache")
    assert reloaded == {
        "message": "系统缓存已刷新", "success": True, "differed": 0, "dry_run": False, "differences": [],
    }  # fmt: skip
