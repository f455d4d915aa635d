"""A reply with a picture: brought to the site once, shown by the site's address, and never at the cost of the rest."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from sqlalchemy import update

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.messages.outbox_rows import SendOutcome
from shoal.rules.keywords import with_image
from shoal.rules.rule import Part
from shoal.storage.schema import uploads
from support.files.picture_files import a_png
from support.orders.order_steps import held
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until


async def give_picture(shoal: Shoal, data: bytes = a_png(30, 20), *, account: str = "shop", word: str = "图") -> str:
    """A rule that answers a word with a picture."""
    url = await shoal.pictures.keep(data)
    await shoal.manager._change(
        account, "add_image_keyword",
        lambda before: before.evolve(keywords=with_image(before.keywords, word, None, Part(image_url=url))), ANN,
    )  # fmt: skip
    return url


async def shown(shoal: Shoal, unb: str) -> list[dict[str, Any]]:
    """The pictures that the account sent, as they stood in its frames."""
    frames = [line["frame"] for line in (await shoal.sandbox.get("frames", account=unb))["items"]]
    bodies = [frame["body"][0] for frame in frames if frame.get("lwp") == "/r/MessageSend/sendByReceiverScope"]
    contents = [json.loads(base64.b64decode(body["content"]["custom"]["data"])) for body in bodies]
    return [content["image"]["pics"][0] for content in contents if content["contentType"] == 2]


async def uploads_of(shoal: Shoal, unb: str) -> list[str]:
    """How each upload of the account ended."""
    return [call["ret"][0] for call in await shoal.sandbox.calls("upload.api", unb)]


async def outcome_of(shoal: Shoal) -> tuple[SendOutcome, str]:
    """What became of the account's newest sending, once it is settled."""
    async with asyncio.timeout(60):
        while True:
            sendings = await shoal.log.outbox.list_sendings(("shop",))
            if sendings and sendings[0].outcome is not SendOutcome.SENDING:
                return sendings[0].outcome, sendings[0].reason
            await asyncio.sleep(0.02)


async def test_a_picture_is_uploaded_when_a_reply_needs_it_and_only_once(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    assert await uploads_of(shoal, unb) == [], "not before"
    for buyer in ("小鱼", "小虾"):
        await shoal.sandbox.do("say", account=unb, buyer=buyer, text="有图吗")
        (line,) = await shoal.sandbox.seen_soon(unb, buyer, 1)
        assert line.startswith(f"[图片] {shoal.sandbox.url}/_sandbox/images/")
    assert [(pic["width"], pic["height"]) for pic in await shown(shoal, unb)] == [(30, 20)] * 2
    assert await uploads_of(shoal, unb) == ["SUCCESS"]
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("say", account=unb, buyer="阿强", text="有图吗")
    await shoal.sandbox.seen_soon(unb, "阿强", 1)
    assert await uploads_of(shoal, unb) == ["SUCCESS"], "it is still known after a restart"


async def test_two_chats_that_need_it_at_once_make_one_upload(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="delay", which="upload", seconds=0.3)
    for buyer in ("小鱼", "小虾", "阿强"):
        await shoal.sandbox.do("say", account=unb, buyer=buyer, text="图")
    for buyer in ("小鱼", "小虾", "阿强"):
        await shoal.sandbox.seen_soon(unb, buyer, 1)
    assert await uploads_of(shoal, unb) == ["SUCCESS"]


async def test_each_account_brings_its_own(shoal: Shoal) -> None:
    one, two = await shoal.add(), await shoal.add("two", number=1)
    for account, unb in (("shop", one), ("two", two)):
        await give_picture(shoal, account=account)
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
        await shoal.sandbox.seen_soon(unb, "小鱼", 1)
        assert await uploads_of(shoal, unb) == ["SUCCESS"]


async def test_an_address_that_is_too_old_is_not_trusted(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.database.write(lambda connection: connection.execute(update(uploads).values(uploaded_at_ms=1)).rowcount)
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="图")
    await shoal.sandbox.seen_soon(unb, "小虾", 1)
    assert await uploads_of(shoal, unb) == ["SUCCESS"] * 2


async def test_after_a_refused_message_the_picture_is_brought_anew_and_the_message_not_repeated(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="图片已失效", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    assert await outcome_of(shoal) == (SendOutcome.REFUSED, "图片已失效")
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="图")
    await shoal.sandbox.seen_soon(unb, "小虾", 1)
    assert await uploads_of(shoal, unb) == ["SUCCESS"] * 2
    assert await shoal.sandbox.seen(unb, "小鱼") == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "upload_refused", "reason": "图片违规"}, "upload_refused: IMAGE_FORBIDDEN 图片违规"),
        ({"kind": "http_500", "which": "upload", "times": 2}, "upload_failed"),
        ({"kind": "html_answer", "which": "upload", "times": 2}, "upload_failed"),
    ],
)
async def test_a_picture_that_cannot_be_brought_is_told_and_the_shop_goes_on(
    shoal: Shoal, fault: dict[str, Any], reason: str
) -> None:
    unb = await shoal.add(keywords={"在吗": "在的"})
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, **fault)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    assert await outcome_of(shoal) == (SendOutcome.REFUSED, reason)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["在的"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 1, "the connection stayed"


async def test_one_failure_is_tried_again(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="upload", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)


async def test_a_picture_whose_file_is_gone_is_told(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    for path in (shoal.data_dir / "uploads/images").iterdir():
        path.unlink()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    assert await outcome_of(shoal) == (SendOutcome.REFUSED, "picture_missing")


async def test_risk_control_at_an_upload_parks_with_the_link_and_no_further_call(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="upload")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    seen = shoal.manager.observation("shop")
    assert seen.reason == "risk_control"
    assert "punish" in seen.action_url
    calls = len((await shoal.sandbox.get("calls", account=unb))["items"])
    await shoal.is_out()
    assert len((await shoal.sandbox.get("calls", account=unb))["items"]) == calls
    assert await uploads_of(shoal, unb) == ["RISK"]
    await shoal.pass_check(unb)
    assert len(await shoal.sandbox.seen_soon(unb, "小鱼", 1)) == 1, "the buyer is answered after all"


async def test_an_account_that_is_switched_off_during_an_upload_sends_nothing(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 60.0)
    unb = await shoal.add()
    await give_picture(shoal)
    fault = await shoal.sandbox.do("fault", account=unb, kind="hold", which="upload")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    await held(shoal, "upload")
    await shoal.manager.update_cookie_status("shop", False, caller=Caller(actor="user:ann", wait_seconds=0))
    await shoal.sandbox.do("fault/release", id=fault["id"])
    await shoal.is_out()
    assert await shoal.sandbox.seen(unb, "小鱼") == []


async def test_cookies_that_an_upload_rotates_are_kept(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_picture(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", which="upload", name="sgcookie", value="fresh1")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    async with asyncio.timeout(60):
        while (await shoal.credentials.jar(shoal.manager.account("shop")) or {}).get("sgcookie") != "fresh1":
            await asyncio.sleep(0.02)
