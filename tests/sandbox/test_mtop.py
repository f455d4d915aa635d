"""The sandbox answers mtop, passport and uploads as the site does (docs/protocol.md §1 and §2)."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp
import aiohttp.abc
import pytest

from shoal.sandbox import mtop_site
from shoal.sandbox.world import World
from support.site.sandbox_driver import CONSIGN_API, IM_APP_KEY, TOKEN_API, Shop, sandbox

SUCCESS = ["SUCCESS::调用成功"]
USER_API = "mtop.taobao.idlemessage.pc.loginuser.get"
FREE_API = "mtop.idle.groupon.activity.seller.freeshipping"


def test_the_signature_is_that_of_the_worked_example() -> None:
    data = (
        '{"appKey":"444e9908a51d1cb236a27862abc769c9","deviceId":"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D-2200000000002"}'
    )
    signed = mtop_site.sign("0123456789abcdef0123456789abcdef", "1750000000123", data)
    assert signed == "4e85dcc908edcbd715f0188820599a80"


def test_a_world_repeats_with_its_seed() -> None:
    one, same, other = World(seed=7), World(seed=7), World(seed=8)
    names = {"_m_h5_tk"}
    for unb, seller in one.sellers.items():
        assert {k: v for k, v in seller.jar.items() if k not in names} == {
            k: v for k, v in same.sellers[unb].jar.items() if k not in names
        }
        assert seller.jar["cookie2"] != other.sellers[unb].jar["cookie2"]
    header = one.cookie_header("2200000000002")
    named = {pair.partition("=")[0] for pair in header.split("; ")}
    assert named >= {"unb", "cookie2", "_m_h5_tk", "_m_h5_tk_enc", "sgcookie", "t", "cna"}
    assert named >= {"_tb_token_", "csg", "tracknick", "XSRF-TOKEN"}


async def test_a_good_call_has_the_envelope() -> None:
    async with sandbox() as box:
        shop = box.shop()
        reply = await shop.raw_mtop(USER_API, "{}")
        assert reply.content_type == "application/json"
        body = await reply.json()
        assert body["ret"] == SUCCESS
        assert (body["api"], body["v"]) == (USER_API, "1.0")
        assert body["data"]["userId"] == shop.unb


@pytest.mark.parametrize(("missing", "ret"), [(True, "FAIL_SYS_TOKEN_EMPTY"), (False, "FAIL_SYS_TOKEN_EXOIRED")])
async def test_a_bad_tk_is_renewed_by_set_cookie_and_the_second_try_passes(missing: bool, ret: str) -> None:
    async with sandbox() as box:
        shop = box.shop()
        if missing:
            del shop.jar["_m_h5_tk"], shop.jar["_m_h5_tk_enc"]
        else:
            box.world.clock.advance(86_401)
        first = await shop.raw_mtop(USER_API, "{}")
        assert ret in (await first.json())["ret"][0]
        names = [line.partition("=")[0] for line in first.headers.getall("set-cookie")]
        assert names == ["_m_h5_tk", "_m_h5_tk_enc"]
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_two_calls_that_fail_together_learn_the_same_tk() -> None:
    async with sandbox() as box:
        one, two = box.shop(), box.shop()
        await box.post("expire", account=one.unb, what="tk")
        await asyncio.gather(one.mtop(USER_API, {}), two.mtop(USER_API, {}))
        assert one.jar["_m_h5_tk"] == two.jar["_m_h5_tk"]
        assert (await one.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_a_wrong_signature_and_an_unknown_api_are_told() -> None:
    async with sandbox() as box:
        shop = box.shop()
        assert "ILLEGAL_REQUEST" in (await shop.mtop(USER_API, {}, sign="0" * 32))["ret"][0]
        assert "API_NOT_FOUND" in (await shop.mtop("mtop.no.such", {}))["ret"][0]


async def test_a_token_needs_the_app_key_and_a_living_login() -> None:
    async with sandbox() as box:
        shop = box.shop()
        assert "PARAM_ERROR" in (await shop.mtop(TOKEN_API, {"deviceId": shop.device_id}))["ret"][0]
        reply = await shop.mtop(TOKEN_API, {"appKey": IM_APP_KEY, "deviceId": shop.device_id})
        assert reply["data"]["accessTokenExpiredTime"] == "86400000"
        await box.post("expire", account=shop.unb, what="login")
        for _ in range(2):  # the tk of the dead login is not known either: the first answer renews it
            reply = await shop.mtop(TOKEN_API, {"appKey": IM_APP_KEY, "deviceId": shop.device_id})
        assert "FAIL_SYS_SESSION_EXPIRED" in reply["ret"][0]


async def test_session_expired_ends_with_a_new_login() -> None:
    async with sandbox() as box:
        shop = box.shop()
        await box.fault("session_expired", shop)
        for _ in range(3):
            assert "FAIL_SYS_SESSION_EXPIRED::Session过期" in (await shop.mtop(USER_API, {}))["ret"]
        cookie = (await box.post("sellers", unb=shop.unb))["cookie"]
        shop.jar = mtop_site.parse_cookies(cookie)
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


@pytest.mark.parametrize("order", ["validate_first", "rgv_first"])
async def test_risk_control_carries_both_codes_and_the_page_to_visit(order: str) -> None:
    async with sandbox() as box:
        shop, other = box.shop(), box.shop(1)
        await box.fault("risk_control", shop, order=order, times=1)
        reply = await shop.mtop(TOKEN_API, {})
        assert {ret.partition("::")[0] for ret in reply["ret"]} == {"FAIL_SYS_USER_VALIDATE", "RGV587_ERROR"}
        assert reply["ret"][0].startswith("FAIL_SYS" if order == "validate_first" else "RGV587")
        assert "punish" in reply["data"]["url"]
        assert (await other.mtop(USER_API, {}))["ret"] == SUCCESS
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_token_expired_asks_for_one_renewal() -> None:
    async with sandbox() as box:
        shop = box.shop()
        await box.fault("token_expired", shop)
        old = shop.jar["_m_h5_tk"]
        assert "FAIL_SYS_TOKEN_EXOIRED::令牌过期" in (await shop.mtop(USER_API, {}))["ret"]
        assert shop.jar["_m_h5_tk"] != old
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_a_rotated_cookie_comes_with_the_next_reply() -> None:
    async with sandbox() as box:
        shop = box.shop()
        old = dict(shop.jar)
        await box.fault("rotate_cookie", shop, which="consign", drop_old=True)
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS
        assert shop.jar == old
        await shop.mtop(CONSIGN_API, {"orderId": "1"})
        assert shop.jar["cookie2"] != old["cookie2"]
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS
        assert box.world.cookie_header(shop.unb) == shop.cookie
        stale = Shop(box, shop.seller)
        stale.jar = old
        assert (await stale.mtop(USER_API, {}))["ret"] != SUCCESS


async def test_http_500_and_html_come_instead_of_an_answer() -> None:
    async with sandbox() as box:
        shop = box.shop()
        await box.fault("http_500", shop)
        assert (await shop.raw_mtop(USER_API, "{}")).status == 500
        await box.fault("html_answer", shop)
        assert (await shop.raw_mtop(USER_API, "{}")).content_type == "text/html"
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_a_held_reply_waits_for_its_release_and_a_delayed_one_for_its_time() -> None:
    async with sandbox() as box:
        shop, other = box.shop(), box.shop(1)
        hold = await box.fault("hold", shop, which="token", times=1)
        waiting = asyncio.create_task(shop.token())
        await other.token()
        while not (await box.get("state"))["faults"][0]["held"]:
            await asyncio.sleep(0.01)
        assert not waiting.done()
        assert (await box.post("fault/release", id=hold["id"]))["released"] == [hold["id"]]
        assert await waiting
        assert (await box.get("state"))["faults"] == []
        await box.fault("delay", shop, which="token", seconds=0.3, times=1)
        began = time.monotonic()
        await shop.token()
        assert time.monotonic() - began >= 0.29  # timers of a loop are a millisecond early


async def test_shipping_takes_a_paid_order_of_ones_own_once() -> None:
    async with sandbox() as box:
        shop, other = box.shop(), box.shop(1)
        paid = await box.post("pay", account=shop.unb, buyer="豆豆妈")
        text = f'{{"orderId":"{paid["order_id"]}", "tradeText":"","picList":[],"newUnconsign":true}}'
        assert "ORDER_NOT_FOUND" in (await (await other.raw_mtop(CONSIGN_API, text)).json())["ret"][0]
        assert (await (await shop.raw_mtop(CONSIGN_API, text)).json())["ret"] == SUCCESS
        assert "FAIL_BIZ" in (await (await shop.raw_mtop(CONSIGN_API, text)).json())["ret"][0]
        (order,) = (await box.get("orders"))["items"]
        assert [status for status, _ in order["history"]] == ["processing", "pending_ship", "shipped"]
        assert order["consign_calls"] == 2
        unpaid = await box.post("pay", account=shop.unb, buyer="豆豆妈", card="not_paid")
        assert "FAIL_BIZ" in (await shop.mtop(CONSIGN_API, {"orderId": unpaid["order_id"]}))["ret"][0]


async def test_a_group_price_is_freed_before_it_is_shipped() -> None:
    async with sandbox() as box:
        shop = box.shop()
        order = await box.post("pay", account=shop.unb, buyer="豆豆妈", card="group")
        item_id = next(iter(shop.seller.items))
        assert "FAIL_BIZ" in (await shop.mtop(CONSIGN_API, {"orderId": order["order_id"]}))["ret"][0]
        text = f'{{"bizOrderId":"{order["order_id"]}", "itemId":{item_id},"buyerId":{order["buyer_id"]}}}'
        assert (await (await shop.raw_mtop(FREE_API, text)).json())["ret"] == SUCCESS
        assert (await shop.mtop(CONSIGN_API, {"orderId": order["order_id"]}))["ret"] == SUCCESS
        (seen,) = (await box.get(f"orders?account={shop.unb}"))["items"]
        assert (seen["freeshipping_calls"], seen["consign_calls"], seen["status"]) == (1, 2, "shipped")


async def test_items_are_listed_and_described() -> None:
    async with sandbox() as box:
        shop = box.shop()
        data = {"pageNumber": 1, "pageSize": 2, "groupName": "在售", "userId": shop.unb}
        listed = await shop.mtop("mtop.idle.web.xyh.item.list", data)
        cards = [card["cardData"] for card in listed["data"]["cardList"]]
        assert [card["id"] for card in cards] == list(shop.seller.items)[:2]
        assert listed["data"]["nextPage"] is True
        detail = await shop.mtop("mtop.taobao.idle.pc.detail", {"itemId": cards[0]["id"]})
        assert detail["data"]["itemDO"]["title"] == cards[0]["title"]
        specs: dict[str, Any] = {
            "specs": ["时长:月卡", "时长:年卡"],
            "spec_prices": [2_500, 20_000],
            "desc": "长" * 9_000,
        }
        await box.post("item", account=shop.unb, item=cards[0]["id"], status="卖掉了", **specs)
        page = (await shop.mtop("mtop.taobao.idle.pc.detail", {"itemId": cards[0]["id"]}))["data"]
        assert [(sku["price"], sku["propertyList"][0]["valueText"]) for sku in page["itemDO"]["skuList"]] == [
            (2_500, "月卡"), (20_000, "年卡"),
        ]  # fmt: skip
        assert (page["itemDO"]["itemStatusStr"], len(page["itemDO"]["desc"])) == ("卖掉了", 9_000)
        assert str(page["sellerDO"]["sellerId"]) == shop.unb
        missing = await shop.mtop("mtop.taobao.idle.pc.detail", {"itemId": "1"})
        assert "FAIL_BIZ_ITEM_NOT_FOUND" in missing["ret"][0]


async def test_has_login_tells_a_living_login_and_renews_small_cookies() -> None:
    async with sandbox() as box:
        shop = box.shop()
        url = f"{box.url}/newlogin/hasLogin.do?appName=xianyu&fromSite=77"
        form = {"hid": shop.unb, "hsiz": shop.jar["cookie2"]}
        async with box.http.post(url, data=form, headers={"cookie": shop.cookie}) as reply:
            assert (await reply.json())["content"]["success"] is True
            assert reply.headers["set-cookie"].startswith("_tb_token_=")
        async with box.http.post(url, data=form | {"hsiz": "x"}, headers={"cookie": shop.cookie}) as reply:
            assert (await reply.json())["content"]["success"] is False


async def test_cookies_are_for_all_names_of_the_site_or_for_the_one_it_answers_to() -> None:
    async with sandbox() as box:
        shop = box.shop()
        await box.post("expire", account=shop.unb, what="tk")
        domains = {}
        for host in ("h5api.m.goofish.com", "passport.goofish.com:8443", "notgoofish.com", "127.0.0.1"):
            headers = {"cookie": shop.cookie, "host": host}
            async with box.http.post(f"{box.url}/h5/{USER_API}/1.0/", data={"data": "{}"}, headers=headers) as reply:
                domains[host] = {
                    line.partition(";Path")[0].partition(";")[2] for line in reply.headers.getall("set-cookie")
                }
        assert domains == {
            "h5api.m.goofish.com": {"Domain=.goofish.com"},
            "passport.goofish.com:8443": {"Domain=.goofish.com"},
            "notgoofish.com": {""},
            "127.0.0.1": {""},
        }


async def test_a_browser_that_knows_the_site_by_its_names_takes_the_cookies_from_one_to_the_other() -> None:
    async with sandbox() as box:
        shop, port = box.shop(), box.url.rpartition(":")[2]
        passport, gateway = f"http://passport.goofish.com:{port}", f"http://h5api.m.goofish.com:{port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=_Loopback())) as browser:
            async with browser.get(f"{passport}/newlogin/qrcode/generate.do") as reply:
                data = (await reply.json())["content"]["data"]
            await box.post("qr", ck=data["ck"], status="CONFIRMED", account=shop.unb)
            ask = {"t": data["t"], "ck": data["ck"]}
            async with browser.post(f"{passport}/newlogin/qrcode/query.do", data=ask) as reply:
                assert (await reply.json())["content"]["data"]["qrCodeStatus"] == "CONFIRMED"
            tk = next(cookie.value for cookie in browser.cookie_jar if cookie.key == "_m_h5_tk").partition("_")[0]
            query = {"appKey": "34839810", "t": "1", "sign": mtop_site.sign(tk, "1", "{}")}
            async with browser.post(f"{gateway}/h5/{USER_API}/1.0/", params=query, data={"data": "{}"}) as reply:
                assert (await reply.json())["ret"] == SUCCESS


class _Loopback(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        flags = socket.AI_NUMERICHOST
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": flags}]

    async def close(self) -> None:
        """Nothing to close."""


async def test_the_chats_are_listed_with_what_was_said_last() -> None:
    async with sandbox() as box:
        shop = box.shop()
        api = "mtop.taobao.idlemessage.pc.session.sync"
        assert (await shop.mtop(api, {"fetchNum": 5}))["data"] == {"sessions": [], "hasMore": False}
        for buyer in ("豆豆妈", "晚安喵"):
            await box.post("say", account=shop.unb, buyer=buyer, text=f"{buyer}在问", times=2)
            box.world.clock.advance(1)
        both = (await shop.mtop(api, {"fetchNum": 5}))["data"]
        assert [entry["session"]["userInfo"]["nick"] for entry in both["sessions"]] == ["晚安喵", "豆豆妈"]
        chat = box.world.chats_of(shop.unb)[0]
        assert both["sessions"][0] == {
            "session": {
                "sessionId": chat.cid,
                "sessionType": 1,
                "userInfo": {"userId": chat.buyer.id, "nick": "晚安喵"},
                "ownerInfo": {"userId": shop.unb, "nick": shop.seller.nick},
            },
            "message": {"summary": {"unread": 2, "summary": "晚安喵在问", "ts": chat.lines[-1].at}},
        }
        one = (await shop.mtop(api, {"fetchNum": 1}))["data"]
        assert (len(one["sessions"]), one["hasMore"]) == (1, True)


async def test_a_login_learns_its_own_name() -> None:
    async with sandbox() as box:
        shop = box.shop()
        nav = await shop.mtop("mtop.idle.web.user.page.nav", {})
        assert nav["data"]["module"]["base"]["displayName"] == shop.seller.nick


async def test_a_picture_comes_back_as_it_went_up() -> None:
    jpeg = b"\xff\xd8\xff\xc0\x00\x11\x08\x01\x40\x02\x80\x03" + bytes(range(256)) * 3 + b"\r\n\xff\xd9"
    async with sandbox() as box:
        shop = box.shop()
        form = aiohttp.FormData()
        form.add_field("file", jpeg, filename="x.jpg", content_type="image/jpeg")
        url = f"{box.url}/api/upload.api?floderId=0&appkey=xy_chat&_input_charset=utf-8"
        async with box.http.post(url, data=form, headers={"cookie": shop.cookie}) as reply:
            up = (await reply.json())["object"]
        assert up["pix"] == "640x320"
        async with box.http.get(up["url"]) as reply:
            assert await reply.read() == jpeg
        async with box.http.post(url, data={"file": "x"}) as reply:
            assert (await reply.json())["success"] is False


async def test_a_qr_login_gives_cookies_once_confirmed() -> None:
    async with sandbox() as box:
        shop = box.shop()
        async with box.http.get(f"{box.url}/mini_login.htm") as reply:
            assert "window.viewData = {" in await reply.text()
        async with box.http.get(f"{box.url}/newlogin/qrcode/generate.do") as reply:
            data = (await reply.json())["content"]["data"]
        ask = {"t": data["t"], "ck": data["ck"]}
        seen = []
        for status in (None, "SCANNED", "CONFIRMED"):
            if status:
                await box.post("qr", ck=data["ck"], status=status, account=shop.unb)
            async with box.http.post(f"{box.url}/newlogin/qrcode/query.do", data=ask) as reply:
                seen.append((await reply.json())["content"]["data"]["qrCodeStatus"])
                cookies = [line.partition(";")[0] for line in reply.headers.getall("set-cookie", [])]
        assert seen == ["NEW", "SCANED", "CONFIRMED"], "the site's spelling"
        shop.jar = mtop_site.parse_cookies("; ".join(cookies))
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_somebody_without_a_login_gets_a_first_tk() -> None:
    async with sandbox() as box:
        shop = box.shop()
        logged_in, shop.jar = shop.jar, {}
        api = "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"
        assert "FAIL_SYS_TOKEN_EMPTY" in (await shop.mtop(api, {}))["ret"][0]
        assert (await shop.mtop(api, {}))["ret"] == SUCCESS
        shop.jar = logged_in | shop.jar
        assert (await shop.mtop(USER_API, {}))["ret"] == SUCCESS


async def test_calls_are_logged_with_their_answer() -> None:
    async with sandbox() as box:
        shop = box.shop()
        await shop.mtop(USER_API, {})
        await shop.mtop(CONSIGN_API, {"orderId": "1"})
        lines = (await box.get(f"calls?account={shop.unb}"))["items"]
        assert [line["api"] for line in lines] == [USER_API, CONSIGN_API]
        assert lines[0]["ret"] == SUCCESS
        assert (await box.get(f"calls?after={lines[0]['seq']}"))["items"] == lines[1:]
