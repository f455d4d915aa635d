"""What each service asks for, what people may paste, and what of an address is shown or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.notices.apprise_wire import POST
from shoal.notices.apprise_worker import _CLASSES
from shoal.notices.services import EMAIL, SERVICES, WEBPUSH, cut, service_of
from shoal.notices.transport import Message
from support.notices.notice_services import FIELDS

MAIL = {"host": "smtp.example.com", "sender": "shoal@example.com", "to": "me@example.com"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {EMAIL, WEBPUSH}))
def test_every_service_makes_an_address_of_a_class_that_is_loaded(name: str) -> None:
    service = SERVICES[name]
    kept = service.checked(FIELDS[name])
    assert service.address(kept, Message(title="t", body="b"))["schema"] in {POST, *_CLASSES}
    assert service.checked(kept) == kept


@pytest.mark.parametrize(("scheme", "name"), [("http", "json"), ("https", "jsons")])
def test_the_address_of_a_server_of_ones_own_says_whether_it_is_encrypted(scheme: str, name: str) -> None:
    address = SERVICES["webhook"].address({"url": f"{scheme}://a.example/x"}, Message(title="t", body="b"))
    assert (address["schema"], address["secure"]) == (name, scheme == "https")


@pytest.mark.parametrize(
    ("name", "field", "pasted", "kept"),
    [
        ("dingtalk", "token", "https://oapi.dingtalk.com/robot/send?access_token=0a1b", "0a1b"),
        ("feishu", "token", "https://open.feishu.cn/open-apis/bot/v2/hook/1b2c-3d", "1b2c-3d"),
        ("wecom", "key", " https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=69-x_1 ", "69-x_1"),
        ("bark", "device_key", "https://api.day.app/AbC123/标题", "AbC123"),
        ("serverchan", "token", "https://sctapi.ftqq.com/SCT12Tx.send", "SCT12Tx"),
        ("serverchan", "token", "https://7.push.ft07.com/send/sctp7tA.send", "sctp7tA"),
        ("wxpusher", "app_token", "https://wxpusher.zjiecode.com/api/send/message/SPT_aB1/words", "SPT_aB1"),
        ("qq", "token", "https://qmsg.zendee.cn/send/0123456789abcdef01234567", "0123456789abcdef01234567"),
    ],
)
def test_the_address_that_a_service_shows_may_be_pasted(name: str, field: str, pasted: str, kept: str) -> None:
    assert SERVICES[name].checked({**FIELDS[name], field: pasted})[field] == kept


@pytest.mark.parametrize(
    ("name", "fields", "code", "named"),
    [
        ("dingtalk", {}, "channel_field_missing", "token"),
        ("wxpusher", {"app_token": "AT_x"}, "channel_field_missing", "target"),
        ("serverchan", {"token": "sctpt.evil.example"}, "channel_field", "token"),
        ("dingtalk", {"token": "a/../b"}, "channel_field", "token"),
        ("dingtalk", {"token": "ab", "verify": "no"}, "channel_field_unknown", "verify"),
        ("gotify", {"server": "file:///etc/passwd", "token": "t"}, "channel_field", "server"),
        ("gotify", {"server": "http://user:word@host", "token": "t"}, "channel_field", "server"),
        ("ntfy", {"server": "https://ntfy.sh/?a", "topic": "t"}, "channel_field", "server"),
        ("webhook", {"url": "syslog://localhost"}, "channel_field", "url"),
        ("webhook", {"url": "https://a.example/", "authorization": "a\r\nHost: b"}, "channel_field", "authorization"),
        ("email", {**MAIL, "to": "a@b.example\r\nBcc: c@d.example"}, "channel_field", "to"),
        ("webhook", {"url": "https://a.example:99999/"}, "channel_address", None),
        ("webhook", {"url": "http://[fd00::9"}, "channel_address", None),
        ("gotify", {"server": "http://[fd00::9", "token": "t"}, "channel_address", None),
        ("email", {**MAIL, "port": "0"}, "channel_field", "port"),
        ("email", {**MAIL, "port": "65536"}, "channel_field", "port"),
        ("email", {**MAIL, "host": "smtp..example.com"}, "channel_field", "host"),
        ("email", {**MAIL, "host": f"{'x' * 64}.example.com"}, "channel_field", "host"),
        ("email", {**MAIL, "sender": "鱼@example.com"}, "channel_field", "sender"),
        ("email", {**MAIL, "security": "perhaps"}, "channel_field", "security"),
        ("email", {**MAIL, "security": "none", "user": "u", "password": "p"}, "channel_password_in_clear", None),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(name: str, fields: dict[str, str], code: str, named: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        SERVICES[name].checked(fields)
    assert (refused.value.code, refused.value.params.get("field")) == (code, named)


@pytest.mark.parametrize("name", ["syslog", "mailto", "json", "", "x" * 500])
def test_what_is_not_on_the_list_is_no_service(name: str) -> None:
    with pytest.raises(InvalidInput, match="no such service"):
        service_of(name)


@given(st.text(max_size=200), st.integers(3, 300))
def test_a_text_is_cut_between_characters(text: str, most: int) -> None:
    short = cut(text, most)
    assert len(short.encode()) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@given(st.sampled_from(sorted(SERVICES)), st.dictionaries(st.text(max_size=12), st.text(max_size=80), max_size=4))
def test_whatever_is_typed_is_kept_whole_or_refused(name: str, more: dict[str, str]) -> None:
    service = SERVICES[name]
    try:
        kept = service.checked({**FIELDS.get(name, MAIL), **more})
    except InvalidInput:
        return
    if name != EMAIL:
        service.address(kept, Message(title="t", body="b"))
    assert all("\n" not in value and "\r" not in value for value in kept.values())
    assert service.checked(kept) == kept
