"""The fault ``answer``: the sandbox can give each answer of the site that is known, at its door."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.strict_client import Page, strict, text
from support.site.sandbox_driver import CONSIGN_API, TOKEN_API

USER_API = "mtop.taobao.idlemessage.pc.loginuser.get"
FREE_API = "mtop.idle.groupon.activity.seller.freeshipping"
CROWDED = "哎哟喂,被挤爆啦,请稍后重试!"

MTOP = [
    ("token", TOKEN_API, "FAIL_SYS_USER_VALIDATE"),
    ("token", TOKEN_API, "FAIL_SYS_USER_VALIDATE::需要验证"),
    ("token", TOKEN_API, "FAIL_SYS_USER_VALIDATE::用户校验失败"),
    ("token", TOKEN_API, f"RGV587_ERROR::SM::{CROWDED}"),
    ("loginuser", USER_API, f"RRXVv_ERROR::SM::{CROWDED}"),
    ("loginuser", USER_API, "FAIL_SYS_RGV587_ERROR"),
    ("loginuser", USER_API, "FAIL_SYS_RGV587_ERROR::SM"),
    ("loginuser", USER_API, "FAIL_SYS_ILLEGAL_ACCESS::非法请求"),
    ("loginuser", USER_API, "FAIL_BIZ_WUA_IS_MACHINE"),
    ("token", TOKEN_API, "FAIL_SYS_TOKEN_EMPTY::令牌为空"),
    ("token", TOKEN_API, "FAIL_SYS_TOKEN_EXOIRED::令牌过期"),
    ("token", TOKEN_API, "FAIL_SYS_TOKEN_EXPIRED::令牌过期"),
    ("token", TOKEN_API, "FAIL_SYS_TOKEN_ILLEGAL::非法令牌"),
    ("loginuser", USER_API, "FAIL_SYS_SESSION_EXPIRED::Session过期"),
    ("loginuser", USER_API, "FAIL_BIZ_USER_NOT_LOGIN::用户未登录"),
    ("loginuser", USER_API, "FAIL_SYS_TRAFFIC_LIMIT::限流"),
    ("loginuser", USER_API, "FAIL_SYS_USER_LIMIT::限流"),
    ("loginuser", USER_API, "FAIL_SYS_API_NOT_FOUNDED::请求API不存在"),
    ("loginuser", USER_API, "FAIL_SYS_SERVICE_NOT_EXIST::服务不存在"),
    ("consign", CONSIGN_API, "ORDER_ALREADY_DELIVERY::已发货成功，请勿重复操作"),
    ("consign", CONSIGN_API, "BUYER_CONFIRM_INFO::买家确认信息后才能发货"),
    ("consign", CONSIGN_API, "FAIL_BIZ_ORDER_STATUS_ERROR::订单状态错误"),
    ("freeshipping", FREE_API, "GROUPON_ACTIVITY_ITEM_CHECK_ERROR::活动商品校验失败"),
]


@pytest.mark.parametrize(("which", "api", "ret"), MTOP)
async def test_a_call_is_answered_with_any_code_once(which: str, api: str, ret: str) -> None:
    async with strict() as box:
        page = Page(box)
        await box.fault("answer", account=page.unb, which=which, ret=[ret], set_cookies={"_m_h5_tk": "a_1"})
        answer = await page.call(api, {})
        assert (answer["api"], answer["ret"]) == (api, [ret])
        assert (await page.call(api, {}))["ret"] != [ret]


async def test_a_call_is_answered_with_an_address_and_no_code() -> None:
    async with strict() as box:
        page = Page(box)
        body = {"rgv587_flag": "sm", "url": "//h5api.m.goofish.com/h5/x/1.0/_____tmd_____/punish?x5secdata=1"}
        await box.fault("answer", account=page.unb, which="token", body=body)
        assert await page.token() == body


PASSPORT = [
    ("haslogin", "/newlogin/hasLogin.do", {"content": {"success": False, "data": {}}, "hasError": False}),
    ("silent", "/newlogin/silentHasLogin.do", {"content": {"success": False, "data": {"resultCode": 100}}}),
    ("qr_query", "/newlogin/qrcode/query.do", {"content": {"data": {"qrCodeStatus": "ERROR"}, "success": True}}),
    ("qr_query", "/newlogin/qrcode/query.do", {"content": {}, "hasError": True}),
    ("face_check", "/iv/photoVerify/check.do", {"content": {"code": 7}}),
    ("upload", "/api/upload.api", {"success": False, "errorCode": "IMAGE_FORBIDDEN"}),
]


@pytest.mark.parametrize(("which", "path", "body"), PASSPORT)
async def test_another_door_is_answered_with_any_body_cookie_and_redirect(
    which: str, path: str, body: dict[str, Any]
) -> None:
    async with strict() as box:
        page = Page(box)
        method = "GET" if which == "face_check" else "POST"
        ask: dict[str, Any] = {"headers": page.headers | {"Cookie": page.cookie}, "allow_redirects": False}
        await box.fault("answer", which=which, body=body, set_cookies={"sgcookie": "new"})
        async with box.http.request(method, box.url + path, **ask) as reply:
            assert await reply.json() == body
            assert "sgcookie=new" in reply.headers["set-cookie"]
        await box.fault("answer", which=which, location="https://passport.goofish.com/punish?x5secdata=1")
        async with box.http.request(method, box.url + path, **ask) as reply:
            assert (reply.status, reply.headers["location"].count("punish")) == (302, 1)
        await box.fault("answer", which=which, status=503)
        async with box.http.request(method, box.url + path, **ask) as reply:
            assert reply.status == 503


@pytest.mark.parametrize(
    "reason", ["invalid token", "token invalid", "not auth", "device id or appkey is not equal", "connect limit"]
)
async def test_a_registration_is_answered_with_any_reason(reason: str) -> None:
    async with strict() as box:
        page = Page(box)
        token = (await page.token())["data"]["accessToken"]
        async with page.socket() as socket:
            await box.fault("answer", account=page.unb, which="reg", status=401, body={"reason": reason})
            refused = await socket.register(token)
            assert (refused["code"], refused["body"]) == (401, {"reason": reason})
            assert (await socket.register(token))["code"] == 200


async def test_a_new_chat_and_a_message_are_answered_with_any_reason() -> None:
    async with strict() as box:
        page = Page(box)
        said = await box.post("say", account=page.unb, buyer="小鱼", text="在吗")
        async with page.online() as socket:
            await box.fault("answer", account=page.unb, which="create", status=400, body={"reason": "param error"})
            body = [{"pairFirst": said["buyer_id"], "pairSecond": page.unb, "bizType": "1"}]
            assert (await socket.ask("/r/SingleChatConversation/create", body))["code"] == 400
            forbidden = {"reason": "CSI_FORBID||安全拦截", "code": "400"}
            await box.fault("answer", account=page.unb, which="send", body=forbidden)
            assert await socket.send(said["cid"], text("在的")) == forbidden


async def test_an_answer_needs_its_door() -> None:
    async with strict() as box:
        assert "needs which" in (await box.post("fault", expect=422, kind="answer"))["detail"]
