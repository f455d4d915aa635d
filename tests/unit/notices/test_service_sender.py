"""Every service is reached by its own name through the guard, and its own answer decides whether it took the notice."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shoal.notices.services import SERVICES
from shoal.notices.transport import Failure, Level, Message, Outcome, Sent
from support.notices.notice_services import FIELDS, FORMS, HOSTS, Sending, sending
from support.site.standins import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
MESSAGE = Message(
    title="小鱼的店需要处理", body="平台要求验证，请在手机上完成", url="https://shop.example/console/a",
    level=Level.URGENT, language="zh", dedupe_id="n-7",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sending]:
    """One sender and its services for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        async with sending(tmp_path_factory.mktemp("services"), patch) as made:
            yield made


@pytest.fixture
def made(shared: Sending) -> Sending:
    """It, with nothing laid out."""
    services = shared.services
    services.fault("none")
    services.receivers.notices.clear()
    for left in (services.asked, services.moved, services.gone):
        left.clear()
    return shared


async def _send(made: Sending, name: str, message: Message = MESSAGE) -> Sent:
    service = SERVICES[name]
    return await made.sender.send(service, service.checked(FIELDS[name]), message)


async def _started(made: Sending) -> int:
    """Let the process run, and return its number."""
    assert (await _send(made, "bark")).outcome is Outcome.SENT
    made.services.receivers.notices.clear()
    assert made.apprise.pid is not None
    return made.apprise.pid


async def _ended(made: Sending) -> None:
    """Let no process run."""
    if made.apprise._child is not None:
        made.apprise._end(made.apprise._child)
    await until(lambda: made.apprise.pid is None)


async def test_each_service_gets_the_notice_and_a_refusal_with_http_200_is_one(
    made: Sending,
) -> None:
    await _ended(made)
    starts = made.apprise.starts
    for name, sent in zip(FIELDS, await asyncio.gather(*(_send(made, name) for name in FIELDS)), strict=True):
        assert sent.outcome is Outcome.SENT, (name, sent)
    arrived = {notice.service: notice for notice in made.services.receivers.notices}
    assert set(arrived) == set(FIELDS)
    for name, notice in arrived.items():
        assert notice.host.partition(":")[0] == HOSTS[name]
        text = json.dumps(notice.body, ensure_ascii=False) + json.dumps(notice.headers, ensure_ascii=False)
        assert all(part in text for part in (MESSAGE.title, MESSAGE.body, MESSAGE.url)), (name, notice)
    assert arrived["webhook"].headers["idempotency-key"] == "n-7"
    assert arrived["webhook"].target == "/hook/shoal?a=1"
    assert arrived["bark"].body["id"] == "n-7"
    long = replace(MESSAGE, title="标题" * 40, body="字" * 9_000)
    assert (await _send(made, "wecom", long)).outcome is Outcome.SENT
    text = made.services.receivers.notices[-1].body["text"]["content"]
    assert len(text.encode()) <= 2_048, "WeCom refuses more bytes"
    assert text.endswith(f"…\n{MESSAGE.url}")
    made.services.fault("slow", "wecom", seconds=600.0)
    hanging = [asyncio.create_task(_send(made, "wecom")) for _ in range(8)]
    others = await asyncio.gather(*(_send(made, "bark") for _ in range(20)))
    assert {one.outcome for one in others} == {Outcome.SENT}, "what hangs delays no other"
    assert not any(task.done() for task in hanging)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    made.services.fault("error_body")
    for name, sent in zip(FIELDS, await asyncio.gather(*(_send(made, name) for name in FIELDS)), strict=True):
        refused = name != "webhook"  # of which only the status is known
        assert (sent.outcome is Outcome.FAILED) is refused, (name, sent)
    made.services.fault("page")
    sent = await _send(made, "bark")
    assert (sent.outcome, sent.answer) == (Outcome.FAILED, "HTTP 200 <html>Please log in to the network</html>")
    assert {host for host, _ in made.services.asked} == set(HOSTS.values())
    assert made.apprise.starts == starts + 1


async def test_a_name_and_a_password_with_signs_of_addresses_open_a_server_of_ones_own(made: Sending) -> None:
    service, name, password = SERVICES["ntfy"], "me%41@home", "a%2Fb:c@d/?"
    fields = service.checked({**FIELDS["ntfy"], "token": "", "user": name, "password": password})
    assert (await made.sender.send(service, fields, MESSAGE)).outcome is Outcome.SENT
    (notice,) = made.services.receivers.notices
    assert b64decode(notice.headers["authorization"].removeprefix("Basic ")).decode() == f"{name}:{password}"


async def test_every_other_form_of_a_service_is_posted_as_the_service_documents_it(made: Sending) -> None:
    await _started(made)
    arrived = {}
    for form, (name, fields, host) in FORMS.items():
        service = SERVICES[name]
        sent = await made.sender.send(service, service.checked(fields), MESSAGE)
        assert sent.outcome is Outcome.SENT, (name, sent)
        last = made.services.receivers.notices[-1]
        assert (last.service, last.host.partition(":")[0]) == (name, host)
        assert all(part in json.dumps(last.body, ensure_ascii=False) for part in (MESSAGE.title, MESSAGE.body))
        arrived[form] = last.body
    assert arrived["signed feishu"]["content"]["text"].endswith(MESSAGE.url)
    assert arrived["newer serverchan"]["title"] == MESSAGE.title
    reader = arrived["one reader of wxpusher"]
    assert (reader["spt"], reader["summary"]) == ("SPT_wxpusherReader", MESSAGE.title)
    made.services.fault("error_body", "wxpusher")
    wxpusher = SERVICES["wxpusher"]
    assert (await made.sender.send(wxpusher, FORMS["one reader of wxpusher"][1], MESSAGE)).outcome is Outcome.FAILED


@pytest.mark.parametrize("name", ["dingtalk", "feishu", "lark"])
async def test_g9_a_bot_takes_a_notice_that_is_signed_with_its_secret_and_no_other(made: Sending, name: str) -> None:
    service, bots = SERVICES[name], made.services.receivers.secrets
    for secret in ("", "SECsecret1", "SECsecret2"):
        token = f"g9{secret}"
        if secret:
            bots[name, token] = secret
        fields = service.checked({"token": token, "secret": secret})
        sent = await made.sender.send(service, fields, MESSAGE)
        assert sent.outcome is Outcome.SENT, (secret, sent)
        wrong = await made.sender.send(service, {**fields, "secret": f"{secret}x"}, MESSAGE)
        assert wrong.outcome is Outcome.FAILED
        assert "sign" in wrong.answer, "the seller reads the service's own words"


async def test_what_a_service_does_wrong_is_told_apart(made: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certainly not taken (to be sent again), how long to wait, and perhaps taken (to be sent again marked)."""
    services, pid = made.services, await _started(made)

    async def outcome(kind: str, name: str = "wecom", **more: Any) -> tuple[Outcome, str, float | None]:
        services.fault(kind, **more)
        sent = await _send(made, name)
        return sent.outcome, sent.failure or sent.answer, sent.retry_after

    assert (await outcome("too_many", seconds=37.0))[::2] == (Outcome.FAILED, 37.0)
    assert (await outcome("http_500"))[:2] == (Outcome.FAILED, 'HTTP 500 {"error":"internal"}')
    assert (await outcome("redirect"))[0] is Outcome.FAILED
    assert "169.254.169.254" not in {host for host, _ in services.asked}, "it is not followed"
    assert (await outcome("closing"))[:2] == (Outcome.UNCERTAIN, Failure.NO_ANSWER)
    assert (await outcome("huge", "webhook"))[0] is Outcome.SENT, "only its beginning is read"
    with monkeypatch.context() as hurried:
        hurried.setattr(made.apprise, "_send_seconds", 0.5)
        assert (await outcome("slow", seconds=600.0))[0] is Outcome.UNCERTAIN
    assert [notice.status for notice in services.receivers.notices] == [429, 500, 307, 0, 200]
    services.fault("none")
    services.gone.add(HOSTS["wecom"])
    assert await _send(made, "wecom") == Sent(
        outcome=Outcome.FAILED, failure=Failure.UNREACHED, host="qyapi.weixin.qq.com"
    )
    services.moved[HOSTS["gotify"]] = "192.168.1.7"
    inside = await _send(made, "gotify")
    assert (inside.outcome, inside.failure, inside.host) == (Outcome.FAILED, Failure.REFUSED, HOSTS["gotify"])
    monkeypatch.setitem(services.ports, 443, services.ports[8080])  # no encryption is spoken there
    assert (await outcome("none", "dingtalk"))[:2] == (Outcome.FAILED, Failure.NOT_SENT)
    assert made.apprise.pid == pid, "none of it ended the process"


async def test_an_answer_that_repeats_the_request_shows_no_secret(made: Sending) -> None:
    made.services.fault("echo")
    for name in ("dingtalk", "telegram", "webhook", "gotify", "serverchan", "qq"):
        sent = await _send(made, name)
        assert sent.outcome is Outcome.FAILED
        assert sent.answer.startswith('HTTP 400 {"bad request":')
        kept = SERVICES[name].checked(FIELDS[name])
        secrets = [kept[field.name] for field in SERVICES[name].fields if field.secret and field.name in kept]
        assert secrets
        assert not [secret for secret in secrets if secret in sent.answer], sent.answer
    hook = {"url": "https://hooks.shop.example/hook/long%20word?key=other-long-word", "authorization": "x" * 400}
    sent = await made.sender.send(SERVICES["webhook"], SERVICES["webhook"].checked(hook), MESSAGE)
    assert not [part for part in ("long", "key=", "xxxx") if part in sent.answer], sent.answer


async def test_a_small_answer_that_unpacks_to_much_takes_no_memory(
    made: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made.apprise, "_send_seconds", 60.0)
    before = _most_memory(await _started(made))
    made.services.fault("packed")
    assert (await _send(made, "webhook")).answer == "HTTP 200"
    assert _most_memory(made.apprise.pid) - before < 32 << 10


def _most_memory(pid: int | None) -> int:
    """The most memory that a process ever had, in KB."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("only Linux tells")
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


@pytest.mark.slow
async def test_the_process_starts_for_the_first_message_and_ends_when_unused(
    made: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ended(made)
    starts = made.apprise.starts
    monkeypatch.setattr(made.apprise, "_idle_seconds", 0.001)
    with monkeypatch.context() as hurried:
        hurried.setattr(made.apprise, "_ready_seconds", 0.001)
        sent = await _send(made, "bark")
    assert (sent.outcome, sent.failure) == (Outcome.FAILED, Failure.NOT_SENT), "it waits no longer"
    assert (await _send(made, "bark")).outcome is Outcome.SENT
    assert made.apprise.starts == starts + 1, "the start went on without the one who waited for it"
    await until(lambda: made.apprise.pid is None)


async def test_a_process_that_hangs_or_dies_is_replaced_and_what_it_had_begun_is_uncertain(
    made: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _started(made)
    starts = made.apprise.starts
    os.kill(first, signal.SIGSTOP)
    with monkeypatch.context() as hurried:
        for limit in ("_send_seconds", "_grace_seconds"):
            hurried.setattr(made.apprise, limit, 0.2)
        stopped = await _send(made, "bark")
    assert stopped.outcome is Outcome.FAILED, "its request never left"
    monkeypatch.setattr(made.apprise, "_send_seconds", 60.0)
    assert (await _send(made, "bark")).outcome is Outcome.SENT
    assert made.apprise.pid not in {None, first}
    made.services.fault("slow", seconds=600.0)
    asked = made.services.receivers.asked_now
    task = asyncio.create_task(_send(made, "bark"))
    await until(lambda: made.services.receivers.asked_now == asked + 1)
    os.kill(made.apprise.pid or 0, signal.SIGKILL)
    assert (await task).outcome is Outcome.UNCERTAIN
    assert made.apprise.starts == starts + 1


@pytest.mark.parametrize("page", ["notices.md", "notices.en.md"])
async def test_g21_the_page_names_each_field_that_an_address_of_ones_own_gets(made: Sending, page: str) -> None:
    """It named three of five."""
    types = set()
    for level in Level:
        assert (await _send(made, "webhook", replace(MESSAGE, level=level))).outcome is Outcome.SENT
        body = made.services.receivers.notices[-1].body
        types.add(body["type"])
    text = (Path(__file__).parents[3] / "docs" / "howto" / page).read_text(encoding="utf-8")
    told = text.split("{ #address }")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z]+)`", told)) == {*body, *types}
    assert f"`{body['version']}`" in told
    assert body["attachments"] == []
