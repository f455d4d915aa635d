"""The receivers of notices: what a sender of each service sees, and the faults that can be laid out."""

from __future__ import annotations

import aiohttp
import pytest

from sandbox_driver import Box, sandbox

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
