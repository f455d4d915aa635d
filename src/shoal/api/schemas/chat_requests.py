"""Request bodies about chats: messages to send and to try, pauses."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shoal.accounts.setting_models import takes
from shoal.accounts.shop_settings import FilterSettings, declared_by
from shoal.api.schemas.request_texts import Text, body_example
from shoal.messages.replies import LONGEST_RECEIVED
from shoal.rules.rule import MAX_REPLY_CHARACTERS

LONGEST_PAUSE_MINUTES = 7 * 24 * 60
SiteId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,128}$")]


class TakeOverBody(BaseModel):
    """How many minutes automatic replies pause in the chat: at most a week."""

    model_config = body_example(minutes=60)
    minutes: int = Field(60, ge=1, le=LONGEST_PAUSE_MINUTES)


class SendBody(BaseModel):
    """A text or a picture for a chat. ``to_user_id`` is the buyer's id; needed only in a chat without messages.

    ``image_url`` is a picture uploaded here, or one on the site (`*.alicdn.com`, `*.goofish.com`).
    A text in which the shop's output filter finds something is sent only with ``anyway``.
    """

    model_config = body_example(chat_id="59000001", text="您好，今天发货")
    chat_id: SiteId
    to_user_id: SiteId | None = None
    text: Annotated[Text, Field(max_length=MAX_REPLY_CHARACTERS)] = ""
    image_url: Annotated[Text, Field(max_length=2_000)] = ""
    take_over: bool = False
    anyway: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.text.strip()) == bool(self.image_url):
            raise ValueError("send either a text or a picture")
        return self


class OldSendBody(BaseModel):
    """The body of old scripts. ``api_key`` is a token of ``POST /login``, unless it is sent as a header."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "api_key": "…", "cookie_id": "my-shop", "chat_id": "59000001", "to_user_id": "2200000000099",
                    "message": "您好",
                }
            ]
        },
    )  # fmt: skip
    api_key: Text = ""
    cookie_id: Text = ""
    chat_id: Text = ""
    to_user_id: Text = ""
    message: Annotated[Text, Field(max_length=MAX_REPLY_CHARACTERS)] = ""


class TryBody(BaseModel):
    """A message to test, as if a buyer sent it. ``at`` (RFC 3339, default now) is the time for the hours of rules."""

    model_config = body_example(message="包邮吗", item_id="700000000001", buyer_id="2200000000009", buyer_name="小鱼")
    message: Text = Field(max_length=LONGEST_RECEIVED)
    item_id: Text | None = Field(None, max_length=64)
    buyer_id: Text = Field("", max_length=64)
    buyer_name: Text = Field("", max_length=200)
    chat_id: Text = Field("", max_length=64)
    at: Text | None = Field(None, max_length=40)


@takes(declared_by(FilterSettings), Text)
class TryFilterBody(BaseModel):
    """A text to test with the output filter. Settings that are left out are those of the shop."""

    model_config = body_example(text="加我微信聊", filter_contacts=True)
    text: Text = Field(max_length=LONGEST_RECEIVED)


class ReplyHookBody(BaseModel):
    """A message that a script received and wants reply texts for."""

    model_config = body_example(
        cookie_id="my-shop", msg_time="2026-01-02 03:04:05", user_url="", send_user_id="2200000000009",
        send_user_name="小鱼", item_id="700000000001", send_message="包邮吗", chat_id="50000000001",
    )  # fmt: skip
    cookie_id: Text
    msg_time: Text
    user_url: Text
    send_user_id: Text
    send_user_name: Text
    item_id: Text
    send_message: Text
    chat_id: Text
