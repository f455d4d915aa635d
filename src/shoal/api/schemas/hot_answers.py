"""Answers of the hot routes, as the document shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, example


class StatusAnswer(ChangeFacts):
    """The account was enabled or disabled."""

    model_config = example(msg="status updated", enabled=True, **CHANGE_EXAMPLE)
    msg: str = "status updated"
    enabled: bool


class AutoConfirmChanged(ChangeFacts):
    """Automatic confirmation was switched on or off."""

    model_config = example(msg="success", auto_confirm=True, message="自动确认发货已开启", **CHANGE_EXAMPLE)
    msg: str = "success"
    auto_confirm: bool
    message: str


class VerifyAnswer(BaseModel):
    """The signed-in user."""

    model_config = example(authenticated=True, user_id=1, username="admin", is_admin=True)
    authenticated: bool
    user_id: int | None = None
    username: str | None = None
    is_admin: bool | None = None


class LiveAnswer(BaseModel):
    """The process responds."""

    model_config = example(status="alive", started_at="2026-01-01T00:00:00.000Z")
    status: Literal["alive"] = "alive"
    started_at: str


class ReplyWords(BaseModel):
    """The reply: several messages are on separate lines. Empty: the rule has no reply."""

    send_msg: str
    image_urls: list[str]


class ReplyHookAnswer(BaseModel):
    """The reply in the other system's form."""

    model_config = example(code=200, data={"send_msg": "全国包邮", "image_urls": []})
    code: Literal[200] = 200
    data: ReplyWords
