"""The strict rules of the HTTP doors: refused by name when broken, accepted as a browser sends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.strict_client import AGENT, OK, Page, bitten, strict
from shoal.sandbox.strict.rules import MANNERS, RULES, STRICT
from support.site.sandbox_driver import Box

USER_API = "mtop.taobao.idlemessage.pc.loginuser.get"
CONSIGN = "mtop.taobao.idle.logistic.consign.dummy"
FREE = "mtop.idle.groupon.activity.seller.freeshipping"
VALIDATE = "FAIL_SYS_USER_VALIDATE"
OLD = AGENT.replace("146", "133")
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
HINTS: dict[str, str | None] = {"sec-ch-ua": None, "sec-ch-ua-mobile": None, "sec-ch-ua-platform": None}


def code(answer: Any) -> str:
    return str(answer["ret"][0]).partition("::")[0]


async def test_what_a_browser_sends_breaks_no_rule() -> None:
    async with strict() as box:
        page = Page(box)
        assert (await page.token())["ret"] == OK
        assert (await page.call(USER_API, {}))["ret"] == OK
        assert await bitten(box) == []


@pytest.mark.parametrize(
    ("rule", "headers"),
    [
        ("page_headers", {"Origin": None}),
        ("page_headers", {"Referer": None}),
        ("page_headers", {"Origin": "https://example.test"}),
        ("browser_agent", {"User-Agent": None}),
        ("browser_agent", {"User-Agent": "python-requests/2.32"}),
        ("stale_agent", {"User-Agent": OLD, "sec-ch-ua": '"Chromium";v="133", "Google Chrome";v="133"'}),
        ("client_hints", HINTS),
        ("client_hints", {"sec-ch-ua-platform": None}),
        ("client_hints", {"User-Agent": FIREFOX}),
        ("hints_match", {"sec-ch-ua": '"Chromium";v="145", "Google Chrome";v="145"'}),
        ("hints_match", {"sec-ch-ua-platform": '"macOS"'}),
    ],
)
async def test_headers_of_no_browser_are_refused_at_the_token_call_and_recorded_elsewhere(
    rule: str, headers: dict[str, str | None]
) -> None:
    async with strict() as box:
        page = Page(box)
        refused = await page.token(headers=headers)
        assert code(refused) == VALIDATE
        assert "punish" in refused["data"]["url"]
        assert await bitten(box) == [rule]
        assert (await page.call(USER_API, {}, headers=headers))["ret"] == OK
        seen = (await box.get("refusals"))["items"]
        assert [(line["rule"], line["refused"]) for line in seen] == [(rule, True), (rule, False)]
        assert (await page.token())["ret"] == OK
    async with strict(rule) as box:
        assert (await Page(box).token(headers=headers))["ret"] == OK, "without the rule it is accepted"


async def test_a_browser_without_client_hints_is_one_too() -> None:
    async with strict() as box:
        assert (await Page(box).token(headers={"User-Agent": FIREFOX, **HINTS}))["ret"] == OK
        assert await bitten(box) == []


async def test_requests_without_fetch_metadata_are_recorded() -> None:
    async with strict() as box:
        assert (await Page(box).token(headers={"sec-fetch-mode": None}))["ret"] == OK
        assert await bitten(box) == ["fetch_metadata"]


async def test_a_page_that_is_opened_by_its_address_has_no_referer() -> None:
    opened = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-site": "none"}
    async with strict() as box:
        page = Page(box)
        headers = {name: value for name, value in page.headers.items() if name not in ("Origin", "Referer")}
        async with box.http.get(f"{box.url}/im", headers=headers | opened) as reply:
            assert reply.status == 200
        assert await bitten(box) == []


async def test_one_login_has_one_browser_at_every_door() -> None:
    other = {"User-Agent": FIREFOX, **HINTS}
    async with strict(also=("one_browser",)) as box:
        page = Page(box)
        await page.call(USER_API, {})
        assert code(await page.token(headers=other)) == VALIDATE
        newer = {"User-Agent": AGENT.replace("146", "147"), "sec-ch-ua": '"Chromium";v="147", "Google Chrome";v="147"'}
        assert (await page.token(headers=newer))["ret"] == OK, "a browser renews itself"
        assert code(await page.token()) == VALIDATE, "and is not old again at another door"
        assert await bitten(box) == ["one_browser", "one_browser"]
        assert (await Page(box, 1).token(headers=other))["ret"] == OK, "another login, another browser"


async def test_a_cookie_is_of_the_browser_that_it_was_given_to() -> None:
    async with strict(also=("one_browser",)) as box:
        page = Page(box)
        await box.post("sellers", unb=page.unb, headers={"User-Agent": FIREFOX, "Accept-Language": "zh-CN,zh;q=0.9"})
        page = Page(box)
        assert code(await page.token()) == VALIDATE
        assert (await page.token(headers={"User-Agent": FIREFOX, **HINTS}))["ret"] == OK
        assert await bitten(box) == ["one_browser"]


async def test_the_clock_of_a_browser_is_right_to_ten_minutes() -> None:
    async with strict() as box:
        page = Page(box)
        assert (await page.call(USER_API, {}, late_ms=-599_000))["ret"] == OK
        for off in (-86_400_000, 601_000):
            assert code(await page.call(USER_API, {}, late_ms=off)) == "FAIL_SYS_ILLEGAL_ACCESS"
        assert await bitten(box) == ["time", "time"]


@pytest.mark.parametrize("query", [{"api": "mtop.other"}, {"v": "2.0"}])
async def test_path_and_query_name_the_same_api(query: dict[str, str | None]) -> None:
    async with strict() as box:
        assert code(await Page(box).call(USER_API, {}, query=query)) == "FAIL_SYS_API_NOT_FOUNDED"
        assert await bitten(box) == ["api"]


async def test_a_version_that_there_is_not_is_refused() -> None:
    async with strict() as box:
        assert code(await Page(box).call(USER_API, {}, version="9.9")) == "FAIL_SYS_API_NOT_FOUNDED"
        assert await bitten(box) == ["api"]
        assert (await Page(box).call("mtop.taobao.idlemessage.pc.session.sync", {}, version="3.0"))["ret"] == OK


@pytest.mark.parametrize("key", ["jsv", "type", "accountSite", "dataType", "timeout", "sessionOption"])
async def test_the_query_has_all_its_keys(key: str) -> None:
    async with strict() as box:
        assert code(await Page(box).call(USER_API, {}, query={key: None})) == "FAIL_SYS_ILLEGAL_ACCESS"
        assert await bitten(box) == ["query_keys"]


async def test_a_device_is_the_accounts_own_and_stays() -> None:
    async with strict(also=("few_devices",)) as box:
        page, other = Page(box), Page(box, 1)
        assert code(await page.token(other.device_id)) == VALIDATE
        assert (await page.token())["ret"] == OK
        assert (await page.token())["ret"] == OK
        second, third = (f"{digit}{page.device_id[1:]}" for digit in "BC")
        assert (await page.token(second))["ret"] == OK
        assert code(await page.token(third)) == VALIDATE
        assert await bitten(box) == ["own_device", "few_devices"]


async def test_pace_is_a_guess_and_refused_only_when_it_is_named() -> None:
    assert not {"token_pace", "send_pace", "text_length"} & STRICT
    async with strict() as box:
        page = Page(box)
        for _ in range(12):
            assert (await page.token())["ret"] == OK
        await box.post("policy", also=["token_pace"])
        assert [code(await page.token()) for _ in range(4)] == ["SUCCESS"] * 3 + [VALIDATE]
        await box.post("clock", advance=61.0)
        assert code(await page.token()) == "SUCCESS"
        await box.post("policy", tokens_an_hour=5)
        assert code(await page.token()) == VALIDATE
        assert await bitten(box) == ["token_pace", "token_pace"]


async def test_a_check_ends_with_a_fresh_proof_from_the_browser_that_passed_it() -> None:
    async with strict() as box:
        page = Page(box)
        await page.token()
        await box.fault("risk_control", account=page.unb, times=1)
        assert code(await page.call(USER_API, {})) == VALIDATE
        await box.post("faults/clear")
        assert code(await page.call(USER_API, {})) == VALIDATE, "neither time nor the control route ends it"
        page.jar["x5sec"] = "invented"
        assert code(await page.call(USER_API, {})) == VALIDATE
        for agent, is_accepted in ((FIREFOX, False), (AGENT, True)):
            passed = await box.post("check", account=page.unb, user_agent=agent)
            page.jar["x5sec"] = passed["x5sec"]
            assert passed["open"]
            assert f"x5sec={passed['x5sec']}" in passed["cookie"]
            assert ((await page.call(USER_API, {}))["ret"] == OK) is is_accepted
        await box.fault("risk_control", account=page.unb, times=1)
        assert code(await page.call(USER_API, {})) == VALIDATE
        await box.post("clock", advance=1.0)
        assert code(await page.call(USER_API, {})) == VALIDATE, "an old proof is not a fresh one"
        await box.post("policy", without=["proof"])
        assert (await page.call(USER_API, {}))["ret"] == OK
        assert set(await bitten(box)) == {"proof"}


async def bargain(box: Box, page: Page) -> tuple[str, dict[str, Any]]:
    paid = await box.post("pay", account=page.unb, buyer="小鱼", card="group")
    order = box.world.orders[paid["order_id"]]
    return order.id, {"bizOrderId": order.id, "itemId": int(order.item_id), "buyerId": int(order.buyer_id)}


async def test_a_bargain_is_shipped_after_its_ready_card() -> None:
    async with strict(ready_seconds=-1.0) as box:
        page = Page(box)
        order_id, free = await bargain(box, page)
        assert (await page.call(FREE, free))["ret"] == OK
        assert code(await page.call(CONSIGN, {"orderId": order_id})) == "BUYER_CONFIRM_INFO"
        assert code(await page.call(FREE, free)) == "FAIL_BIZ_ORDER_STATUS_ERROR"
        await box.post("pay", account=page.unb, buyer="小鱼", card="group_ready", order_id=order_id)
        assert (await page.call(CONSIGN, {"orderId": order_id}))["ret"] == OK
        assert await bitten(box) == ["ready_card"]


async def test_the_site_pushes_the_ready_card_by_itself() -> None:
    async with strict(ready_seconds=0.1) as box:
        page = Page(box)
        order_id, free = await bargain(box, page)
        assert (await page.call(FREE, free))["ret"] == OK
        events = await box.get("events?wait=60&after=" + str((await box.get("state"))["last_seq"]["events"]))
        assert [line["kind"] for line in events["items"]] == ["paid"]
        assert (await page.call(CONSIGN, {"orderId": order_id}))["ret"] == OK


async def upload(page: Page, data: bytes, headers: dict[str, str | None] | None = None) -> Any:
    form = aiohttp.FormData()
    form.add_field("file", data, filename="p.png", content_type="image/png")
    sent = {name: value for name, value in (page.headers | (headers or {})).items() if value} | {"Cookie": page.cookie}
    async with page.box.http.post(f"{page.box.url}/api/upload.api", data=form, headers=sent) as reply:
        return await reply.json()


async def test_an_upload_is_a_picture() -> None:
    async with strict() as box:
        page = Page(box)
        assert (await upload(page, b"\x89PNG\r\n\x1a\n" + bytes(24)))["success"] is True
        assert (await upload(page, b"no picture at all"))["success"] is False
        assert await bitten(box) == ["picture_file"]
        await upload(page, b"\x89PNG\r\n\x1a\n" + bytes(24), {"sec-ch-ua": None})
        assert await bitten(box) == ["picture_file", "client_hints"]


@pytest.mark.parametrize(
    "path", ["/newlogin/hasLogin.do", "/ac/account/queryLoginSettings.do", "/newlogin/qrcode/query.do"]
)
async def test_the_passport_sees_the_same_browser(path: str) -> None:
    async with strict() as box:
        page = Page(box)
        await page.token()
        for headers in (page.headers, page.headers | {"User-Agent": "python-requests/2.32"}):
            async with box.http.post(box.url + path, headers=headers | {"Cookie": page.cookie}) as reply:
                assert reply.status == 200
        assert await bitten(box) == ["browser_agent"]


async def test_a_silent_renewal_is_asked_as_the_page_asks() -> None:
    query = {"documentReferer": "https://www.goofish.com/im", "appName": "xianyu", "appEntrance": "xianyu_sdkSilent"}
    async with strict() as box:
        page = Page(box)
        for asked, good in ((query | {"fromSite": "0"}, True), (query, False)):
            url = f"{box.url}/newlogin/silentHasLogin.do"
            headers = page.headers | {"Cookie": page.cookie}
            async with box.http.post(url, params=asked, headers=headers) as reply:
                assert (await reply.json())["content"]["success"] is good
        assert await bitten(box) == ["silent_query"]
        headers = page.headers | {"Cookie": page.cookie, "User-Agent": "python-requests/2.32"}
        await box.http.post(url, params=query | {"fromSite": "0"}, headers=headers)
        assert await bitten(box) == ["silent_query", "browser_agent"]


async def test_rules_are_levers_by_name() -> None:
    async with strict() as box:
        policy = await box.post("policy", without=["time"], also=["send_pace"])
        assert "time" not in policy["rules"]
        assert "send_pace" in policy["rules"]
        assert (await box.post("policy", strict=False))["rules"] == []
        assert (await box.post("policy", strict=True))["rules"] == sorted(STRICT)
        assert (await box.post("policy", rules=["time"]))["rules"] == ["time"]
        wrong = await box.post("policy", expect=422, without=["nothing"])
        assert "must be one of" in wrong["detail"]


def test_every_rule_stands_in_the_docs_as_in_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs/sandbox.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        witness = f"{rule.witness}: {rule.seen}" if rule.seen else str(rule.witness)
        off = "; off" if name in MANNERS else ""
        assert f"| `{name}` | {rule.door} | {rule.refuses} | {rule.answer} | {witness}{off} |\n" in page


def test_a_rule_bites_in_some_test_of_this_directory() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in RULES if f'"{name}"' not in text] == []
