"""The receivers of notices: what a sender of each service sees, and the faults that can be laid out."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from shoal.sandbox.bot_signatures import dingtalk_signature, feishu_signature
from support.site.sandbox_driver import Box, sandbox

PLACES = {
    "dingtalk": "/robot/send?access_token=a", "feishu": "/open-apis/bot/v2/hook/a", "wecom": "/cgi-bin/webhook/send",
    "bark": "/push", "pushplus": "/send", "serverchan": "/SCT1.send", "wxpusher": "/api/send/message",
    "telegram": "/bot1:a/sendMessage", "qq": "/send/a", "ntfy": "/", "gotify": "/message", "webhook": "/hook/a",
}  # fmt: skip


async def _post(box: Box, service: str) -> tuple[int, str]:
    async with box.http.post(f"{box.url}{PLACES[service]}", json={"text": "你好"}) as answer:
        return answer.status, await answer.text()


async def test_each_service_answers_as_itself_and_tells_what_arrived() -> None:
    async with sandbox() as box:
        for service in PLACES:
            status, text = await _post(box, service)
            assert (status, text.startswith("{")) == (200, True)
        arrived = await box.get("received")
        assert [one["service"] for one in arrived["items"]] == list(PLACES)
        assert arrived["items"][0]["target"] == PLACES["dingtalk"]
        assert arrived["items"][0]["body"] == {"text": "你好"}
        assert (await box.get(f"received?after={arrived['last_seq']}"))["items"] == []


async def test_a_fault_is_of_one_service_or_all_plays_so_often_and_is_taken_away() -> None:
    async with sandbox() as box:
        await box.post("receiver", kind="http_500", service="bark", times=2)
        await box.post("receiver", kind="error_body", service="wecom")
        assert [(await _post(box, "bark"))[0] for _ in range(3)] == [500, 500, 200]
        assert "errcode" in (await _post(box, "wecom"))[1]
        assert '"errcode":0' not in (await _post(box, "wecom"))[1]
        assert '"errcode":0' in (await _post(box, "dingtalk"))[1]
        await box.post("receiver", kind="closing")
        for service in ("bark", "wecom", "dingtalk"):
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await _post(box, service)
        await box.post("receiver", kind="none")
        assert (await _post(box, "dingtalk"))[0] == 200
        assert [one["status"] for one in (await box.get("received"))["items"]][-4:] == [0, 0, 0, 200]


async def test_a_wrong_lever_is_refused() -> None:
    async with sandbox() as box:
        assert "kind" in (await box.post("receiver", expect=422, kind="rain"))["detail"]


def test_g9_the_signatures_are_those_of_the_services_documentation() -> None:
    """The secret and time of DingTalk's example code, and of Feishu's page; computed by others from their texts."""
    of_dingtalk = dingtalk_signature("this is secret", "1577262236757")
    assert quote(of_dingtalk, safe="") == "hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D"
    assert feishu_signature("demo", "1599360473") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


@pytest.mark.parametrize("host", ["oapi.dingtalk.com", "open.feishu.cn", "open.larksuite.com"])
async def test_g9_a_bot_with_a_secret_takes_its_signature_of_this_hour_and_nothing_else(host: str) -> None:
    service = {"oapi.dingtalk.com": "dingtalk", "open.feishu.cn": "feishu", "open.larksuite.com": "lark"}[host]
    per_second = 1_000 if service == "dingtalk" else 1
    sign = dingtalk_signature if service == "dingtalk" else feishu_signature

    async with sandbox() as box:

        async def taken(fields: dict[str, Any], bot: str = "a") -> bool:
            """Post as the service documents it: to DingTalk with fields in the query, encoded once."""
            if service == "dingtalk":
                query = "".join(f"&{name}={value}" for name, value in fields.items())
                url, body = f"{box.url}/robot/send?access_token={bot}{query}", {"text": {"content": "你好"}}
            else:
                url, body = f"{box.url}/open-apis/bot/v2/hook/{bot}", {"content": {"text": "你好"}, **fields}
            async with box.http.post(URL(url, encoded=True), json=body, headers={"Host": host}) as answer:
                told = json.loads(await answer.text())
            assert answer.status == 200
            assert told.get("errcode", told.get("code")) in {0, 310000, 19021}
            return bool(told.get("errcode", told.get("code")) == 0)

        def signed(at: float, secret: str = "SECa", times: int = 1) -> dict[str, str]:
            moment = str(int(at * per_second))
            text = sign(secret, moment)
            for _ in range(times if service == "dingtalk" else 0):
                text = quote(text, safe="")
            return {"timestamp": moment, "sign": text}

        now = time.time()
        assert await taken({})
        assert not await taken(signed(now)), "nothing can check the signature of a bot without a secret"
        await box.post("bot", service=service, token="a", secret="SECa")
        assert [await taken(signed(at)) for at in (now, now - 3_500, now + 3_500)] == [True] * 3
        assert not await taken(signed(now - 3_700))
        assert not await taken(signed(now + 3_700))
        assert not await taken(signed(now, "SECb"))
        assert not await taken({})
        assert not await taken({"timestamp": "soon", "sign": signed(now)["sign"]})
        assert not await taken(signed(now + 1) | {"timestamp": signed(now)["timestamp"]})
        assert await taken({}, bot="b"), "another bot wants none"
        if service == "dingtalk":
            assert not await taken(signed(now, times=2)), "encoded twice"
