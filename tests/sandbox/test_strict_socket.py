"""The strict rules of the message socket: refused by name when broken, accepted as a browser sends it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sandbox.strict_client import AGENT, REG, Page, bitten, picture, strict, text
from support.site.sandbox_driver import Box


async def chat_with(box: Box, page: Page, buyer: str = "小鱼") -> str:
    said = await box.post("say", account=page.unb, buyer=buyer, text="在吗")
    return str(said["cid"])


@pytest.mark.parametrize(
    "headers", [{"Origin": None}, {"Origin": "https://example.test"}, {"User-Agent": None}, {"User-Agent": "curl/8"}]
)
async def test_a_handshake_that_no_page_makes_is_closed(headers: dict[str, str | None]) -> None:
    async with strict() as box:
        page = Page(box)
        async with page.socket(headers) as socket:
            message = await socket.websocket.receive(timeout=60)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 1008
        assert await bitten(box) == ["handshake"]


async def test_a_heartbeat_before_registering_closes_the_socket() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.socket() as socket:
            await socket.websocket.send_json({"lwp": "/!", "headers": {"mid": "1 0"}})
            assert (await socket.websocket.receive(timeout=60)).data == 1008
        async with page.online() as socket:
            assert (await socket.ask("/!"))["code"] == 200
        assert await bitten(box) == ["early_heartbeat"]


@pytest.mark.parametrize("name", ["cache-header", "ua", "dt", "wv", "sync", "did", "app-key"])
async def test_a_thin_registration_is_refused(name: str) -> None:
    async with strict() as box:
        page = Page(box)
        token = (await page.token())["data"]["accessToken"]
        async with page.socket() as socket:
            refused = await socket.register(token, **{name: None})
            assert (refused["code"], refused["body"]["reason"]) == (401, f"param {name} is missing")
            assert (await socket.register(token))["code"] == 200
        assert await bitten(box) == ["thin_reg"]


@pytest.mark.parametrize(
    "ua",
    [
        AGENT,
        REG["ua"].replace("146", "145"),
        REG["ua"].replace("Browser(Chrome/146", "Browser(Chrome/140"),
        REG["ua"].replace(" IMPaaS", ""),
    ],
)
async def test_a_registration_names_the_browser_of_the_token(ua: str) -> None:
    async with strict(also=("reg_agent",)) as box:
        page = Page(box)
        token = (await page.token())["data"]["accessToken"]
        async with page.socket() as socket:
            refused = await socket.register(token, ua=ua)
            assert (refused["code"], refused["body"]["reason"]) == (401, "ua is not equal")
        assert await bitten(box) == ["reg_agent"]


async def test_the_newer_version_of_the_dingtalk_client_is_one_too() -> None:
    async with strict(also=("reg_agent",)) as box:
        page = Page(box)
        token = (await page.token())["data"]["accessToken"]
        async with page.socket() as socket:
            assert (await socket.register(token, ua=REG["ua"].replace("2.1.5", "2.2.0")))["code"] == 200


async def test_another_browser_at_the_socket_is_recorded() -> None:
    async with strict(also=("one_browser",)) as box:
        page = Page(box)
        token = (await page.token())["data"]["accessToken"]
        async with page.socket(
            {"User-Agent": AGENT.replace("Windows NT 10.0; Win64; x64", "X11; Linux x86_64")}
        ) as socket:
            await socket.register(token)
        assert await bitten(box) == ["one_browser"]


async def test_a_message_as_the_page_sends_it_breaks_no_rule() -> None:
    async with strict() as box:
        page = Page(box)
        cid = await chat_with(box, page)
        async with page.online() as socket:
            sent = await socket.send(cid, text("在的"))
            assert "reason" not in sent
            for host in ("img.alicdn.com", "goofish.com"):
                assert "reason" not in await socket.send(cid, picture(f"https://{host}/a.jpg"))
        assert await bitten(box) == []


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("receivers", {"receivers": ["{buyer}@goofish"]}),
        ("message_types", {"conversationType": 2}),
        ("message_types", {"content": {"contentType": 1, "custom": None}}),
        ("message_types", {"inner": {"contentType": 26, "dxCard": {}}}),
        ("message_parts", {"uuid": ""}),
        ("message_parts", {"ctx": None}),
        ("message_parts", {"mtags": None}),
        ("picture_host", {"inner": picture("https://example.test/a.jpg")}),
        ("picture_host", {"inner": picture("https://evil-alicdn.com/a.jpg")}),
    ],
)
async def test_a_message_that_no_page_sends_is_refused_with_a_reason(rule: str, changes: dict[str, Any]) -> None:
    changes = dict(changes)
    async with strict() as box:
        page = Page(box)
        cid = await chat_with(box, page)
        buyer = box.world.chats[cid].buyer.id
        receivers = [one.format(buyer=buyer) for one in changes.pop("receivers", [])] or None
        inner = changes.pop("inner", text("在的"))
        async with page.online() as socket:
            if "content" in changes:
                changes["content"] = changes["content"] | {"custom": socket.custom(inner)}
            assert (await socket.send(cid, inner, receivers, **changes))["reason"]
            assert await bitten(box) == [rule]
            assert (await box.get(f"chats/{page.unb}/小鱼"))["seen"] == []
            assert "reason" not in await socket.send(cid, text("在的"))


async def test_pace_and_length_are_guesses_and_off() -> None:
    async with strict() as box:
        page = Page(box)
        cid = await chat_with(box, page)
        async with page.online() as socket:
            for number in range(11):
                assert "reason" not in await socket.send(cid, text("长" * 2_001 if number == 0 else "在的"))
            await box.post("policy", also=["send_pace", "text_length"])
            assert "CSI_FORBID" in (await socket.send(cid, text("长" * 2_001)))["reason"]
            for _ in range(9):
                assert "reason" not in await socket.send(cid, text("在的"))
            assert "CSI_FORBID" in (await socket.send(cid, text("在的")))["reason"]
        assert await bitten(box) == ["text_length", "send_pace"]
