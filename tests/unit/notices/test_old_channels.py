"""Configurations as the older system's page wrote them, led to our fields, and shown back without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.notices.old_channels import changed_fields, fields_of_old, old_type, shown_config
from shoal.notices.services import SERVICES

HOOK = "https://open.feishu.cn/open-apis/bot/v2/hook/1b2c-3d"
MAIL = {
    "smtp_server": "smtp.qq.com", "smtp_port": 587, "email_user": "me@qq.com", "email_password": "secret word",
    "recipient_email": "you@example.com",
}  # fmt: skip
CONFIGS: list[tuple[str, Any, str, dict[str, str]]] = [
    (
        "ding_talk",
        {"webhook_url": "https://oapi.dingtalk.com/robot/send?access_token=0a1b", "secret": "SEC1"},
        "dingtalk",
        {"token": "0a1b", "secret": "SEC1"},
    ),
    (
        "dingtalk",
        "https://oapi.dingtalk.com/robot/send?access_token=0a1b",
        "dingtalk",
        {"token": "0a1b"},
    ),
    ("feishu", {"webhook_url": HOOK, "secret": "s3cret"}, "feishu", {"token": "1b2c-3d", "secret": "s3cret"}),
    ("lark", {"webhook_url": HOOK, "secret": ""}, "feishu", {"token": "1b2c-3d"}),
    ("feishu", {"webhook_url": HOOK.replace("feishu.cn", "larksuite.com")}, "lark", {"token": "1b2c-3d"}),
    (
        "bark",
        {"device_key": "AbC123", "server_url": "https://bark.example.com", "title": "t", "sound": "bell", "group": "g"},
        "bark",
        {"server": "https://bark.example.com", "device_key": "AbC123"},
    ),
    ("bark", {"device_key": "AbC123"}, "bark", {"server": "https://api.day.app", "device_key": "AbC123"}),
    (
        "email",
        MAIL,
        "email",
        {
            "host": "smtp.qq.com", "port": "587", "security": "starttls", "user": "me@qq.com",
            "password": "secret word", "sender": "me@qq.com", "to": "you@example.com",
        },
    ),
    (
        "email",
        {**MAIL, "smtp_port": "465", "smtp_from": "我的店"},
        "email",
        {
            "host": "smtp.qq.com", "port": "465", "security": "tls", "user": "me@qq.com",
            "password": "secret word", "sender": "me@qq.com", "to": "you@example.com",
        },
    ),
    (
        "webhook",
        {
            "webhook_url": "https://hooks.example.com/a?b=1", "http_method": "POST",
            "headers": '{"Content-Type": "application/json", "Authorization": "Bearer word"}',
        },
        "webhook",
        {"url": "https://hooks.example.com/a?b=1", "authorization": "Bearer word"},
    ),
    (
        "wechat",
        {"webhook_url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=69-x"},
        "wecom",
        {"key": "69-x"},
    ),
    ("telegram", {"bot_token": "1:a", "chat_id": 42}, "telegram", {"bot_token": "1:a", "chat_id": "42"}),
    ("qq", {"qq_number": "0123456789abcdef01234567"}, "qq", {"token": "0123456789abcdef01234567"}),
    ("gotify", {"server": "https://g.example", "token": "t"}, "gotify", {"server": "https://g.example", "token": "t"}),
]  # fmt: skip


def _kept(kind: str, config: str) -> dict[str, str]:
    service, fields = fields_of_old(kind, config)
    return service.checked(fields)


def _text(config: Any) -> str:
    return config if isinstance(config, str) else json.dumps(config)


@pytest.mark.parametrize(("kind", "config", "name", "kept"), CONFIGS)
def test_a_configuration_becomes_fields_and_is_shown_back_without_secrets(
    kind: str, config: Any, name: str, kept: dict[str, str]
) -> None:
    service, fields = fields_of_old(kind, _text(config))
    assert (service.name, service.checked(fields)) == (name, kept)
    shown = shown_config(service, kept)
    secrets = [kept[field.name] for field in service.fields if field.secret and field.name in kept]
    assert not [secret for secret in secrets if f'"{secret}"' in shown]
    assert service.checked(changed_fields(service, shown, kept)) == kept, "what is sent back as it was shown stays"


def test_a_change_keeps_what_is_hidden_and_takes_the_rest() -> None:
    service = SERVICES["email"]
    kept = service.checked(fields_of_old("email", json.dumps(MAIL))[1])
    shown = json.loads(shown_config(service, kept))
    after = service.checked(changed_fields(service, json.dumps({**shown, "recipient_email": "b@example.com"}), kept))
    assert after == {**kept, "to": "b@example.com"}
    after = service.checked(changed_fields(service, json.dumps({**shown, "email_password": "new"}), kept))
    assert after == {**kept, "password": "new"}
    assert changed_fields(service, "***", kept) == kept


@pytest.mark.parametrize(
    ("kind", "config", "moved"),
    [
        ("email", MAIL, {"smtp_server": "smtp.thief.example"}),
        ("email", MAIL, {"smtp_port": "2525"}),
        ("bark", {"device_key": "k1", "server_url": "https://a.example"}, {"server_url": "https://thief.example"}),
        (
            "webhook",
            {"webhook_url": "https://a.example/x", "headers": '{"Authorization": "Bearer s"}'},
            {"webhook_url": "https://thief.example/x"},
        ),
    ],
)
def test_a_secret_that_is_kept_goes_to_no_other_server(kind: str, config: Any, moved: dict[str, str]) -> None:
    service, fields = fields_of_old(kind, json.dumps(config))
    kept = service.checked(fields)
    shown = json.loads(shown_config(service, kept))
    with pytest.raises(InvalidInput, match="another server"):
        changed_fields(service, json.dumps({**shown, **moved}), kept)
    assert service.checked(changed_fields(service, json.dumps({**shown, **config, **moved}), kept))


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("qq", {"qq_number": "10001"}, "channel_of_qq_number"),
        ("qq", "10001", "channel_of_qq_number"),
        ("syslog", {"webhook_url": "syslog://"}, "unknown_service"),
        ("dingtalk", {}, "channel_field_missing"),
        ("webhook", {"webhook_url": "https://a.example/", "http_method": "PUT"}, "channel_config"),
        ("webhook", {"webhook_url": "https://a.example/", "headers": '{"X-Key": "1"}'}, "channel_config"),
        ("webhook", {"webhook_url": "https://a.example/", "headers": "["}, "channel_config"),
    ],
)
def test_what_cannot_be_sent_alike_is_refused(kind: str, config: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        _kept(kind, _text(config))
    assert refused.value.code == code


def test_types_have_the_older_systems_names() -> None:
    assert [old_type(name) for name in ("wecom", "dingtalk", "ntfy")] == ["wechat", "dingtalk", "ntfy"]


@given(st.sampled_from(sorted(SERVICES)), st.text(max_size=80))
def test_no_configuration_breaks_the_reader(kind: str, config: str) -> None:
    try:
        _kept(kind, config)
    except InvalidInput as error:
        assert error.code in {  # noqa: PT017
            "channel_field", "channel_field_missing", "channel_config", "channel_of_qq_number",
        }  # fmt: skip


def test_an_address_that_cannot_be_read_is_refused_also_beside_a_kept_secret() -> None:
    kept = {"url": "https://a.example/", "authorization": "Bearer x"}
    config = json.dumps({"webhook_url": "http://[fd00::9", "headers": json.dumps({"Authorization": "***"})})
    with pytest.raises(InvalidInput, match="no address"):
        changed_fields(SERVICES["webhook"], config, kept)
