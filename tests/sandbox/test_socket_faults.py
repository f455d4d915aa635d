"""How sockets of the sandbox fail: kicked, ended, zombies, slow, pushes twice or broken."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from sandbox.strict_client import BUYER
from support.site.sandbox_driver import Im, sandbox, unpack


async def ended(im: Im) -> aiohttp.WSMessage:
    """Read until the socket ends."""
    async with asyncio.timeout(60):
        while (message := await im.websocket.receive()).type is aiohttp.WSMsgType.TEXT:
            im.unread.append(json.loads(message.data))
    return message


async def test_a_second_socket_with_the_same_token_kicks_the_first() -> None:
    async with sandbox() as box:
        shop = box.shop()
        token = await shop.token()
        async with shop.online(token) as first, shop.online(token) as second:
            await ended(first)
            assert first.unread[-1]["lwp"] == "/push/kickout"
            assert (await second.ask("/!"))["code"] == 200
        async with shop.online(token) as one, shop.online(device_id=f"other-{shop.unb}") as two:
            await box.post("say", account=shop.unb, buyer=BUYER, text="在吗")
            assert (await one.payload())[1][3] == (await two.payload())[1][3]
            assert (await box.get("sockets"))[shop.unb]["max"] == 2


@pytest.mark.parametrize("code", [1000, 1001, 1006])
async def test_sockets_end_with_the_code_that_was_asked_for(code: int) -> None:
    async with sandbox() as box, box.shop().online() as im:
        await box.fault("close", im.shop, code=code)
        message = await ended(im)
        if code == 1006:
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            assert im.websocket.close_code == 1006
        else:
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)
        assert (await box.get("sockets"))[im.shop.unb]["now"] == 0


async def test_a_socket_may_end_right_after_registering() -> None:
    async with sandbox() as box, box.shop().socket() as im:
        await box.fault("close", im.shop, when="reg", code=1000, times=1)
        assert (await im.register(await im.shop.token()))["code"] == 200
        assert (await ended(im)).data == 1000


async def test_kickout_ends_every_socket_of_the_account() -> None:
    async with sandbox() as box, box.shop().online() as im, box.shop(1).online() as other:
        await box.fault("kickout", im.shop)
        await ended(im)
        assert im.unread[-1]["lwp"] == "/push/kickout"
        assert (await other.ask("/!"))["code"] == 200


@pytest.mark.parametrize("heartbeats", [True, False])
async def test_a_zombie_gets_no_pushes(heartbeats: bool) -> None:
    async with sandbox() as box:
        shop = box.shop()
        token = await shop.token()
        async with shop.online(token) as im:
            await box.fault("silent_zombie", shop, heartbeats=heartbeats)
            await box.post("say", account=shop.unb, buyer=BUYER, text="在吗")
            if heartbeats:
                assert await im.silence()
            else:
                await im.send("/!")
                with pytest.raises(TimeoutError):
                    await im.frame(0.2)  # a socket that answers nothing tells in no other way that nothing will come
        async with shop.online(token) as im:
            await im.position(1)
            assert (await im.payload())[1][10]["reminderContent"] == "在吗"


async def test_an_old_token_makes_a_zombie() -> None:
    async with sandbox() as box:
        shop = box.shop()
        async with shop.online() as im:
            await shop.token()
            await box.post("say", account=shop.unb, buyer=BUYER, text="在吗")
            assert await im.silence()
            assert (await box.get("sockets"))[shop.unb]["zombies"] == 1
        async with shop.online() as im:
            box.world.clock.advance(box.world.policy.im_token_seconds)  # it ends in that very moment
            await box.post("say", account=shop.unb, buyer=BUYER, text="在吗")
            assert await im.silence()
            assert (await im.ask("/!"))["code"] == 200


async def test_pushes_may_come_twice_together_or_broken() -> None:
    async with sandbox() as box, box.shop().online() as im:
        shop = im.shop
        await box.fault("duplicate_push", shop)
        await box.post("say", account=shop.unb, buyer=BUYER, text="在吗")
        first, second = await im.push(), await im.push()
        assert first["headers"]["mid"] != second["headers"]["mid"]
        assert first["body"]["syncPushPackage"]["data"] == second["body"]["syncPushPackage"]["data"]
        await box.fault("batch_push", shop, size=3)
        for text in ("一", "二", "三"):
            await box.post("say", account=shop.unb, buyer=BUYER, text=text)
        data = (await im.push())["body"]["syncPushPackage"]["data"]
        assert [unpack(entry["data"])[1][10]["reminderContent"] for entry in data] == ["一", "二", "三"]
        await box.fault("undecodable_push", shop)
        assert (await im.push())["body"]["syncPushPackage"]["data"][0]["data"] == "/////w=="
        await box.post("say", account=shop.unb, buyer=BUYER, text="还在")
        assert (await im.payload())[1][10]["reminderContent"] == "还在"


async def test_answers_of_the_socket_may_be_slow_or_held() -> None:
    async with sandbox() as box, box.shop().online() as im:
        await box.fault("delay", im.shop, which="heartbeat", seconds=0.3, times=1)
        began = time.monotonic()
        await im.ask("/!")
        assert time.monotonic() - began >= 0.29  # timers of a loop are a millisecond early
        await box.fault("hold", im.shop, which="heartbeat")
        await im.send("/!")
        assert await im.silence("/r/SyncStatus/getState")
        await box.post("faults/clear")
        assert (await im.frame())["code"] == 200


async def test_the_site_says_farewell_to_old_sockets() -> None:
    async with sandbox() as box:
        await box.post("policy", socket_seconds=900)
        async with box.shop().online() as im:
            await box.post("clock", advance=899.0)
            assert await im.silence()
            await box.post("clock", advance=1.0)
            assert (await im.websocket.receive(30)).data == 1001
        await box.post("policy", socket_seconds=0)
        async with box.shop().online() as im:
            await box.post("clock", advance=90_000.0)
            assert await im.silence()
