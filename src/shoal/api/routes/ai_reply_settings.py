"""Settings of replies by a language model, as scripts for the older system ask for them: there are none yet."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import AccountToRead, WhoReads
from shoal.api.http.openapi_errors import READING, READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example

routes = Routes(tags=["replies"])


class AiReplySettings(BaseModel):
    """The settings of an account in the older system: off, with its default values. There is never a key."""

    model_config = example(
        ai_enabled=False, model_name="", api_key="", base_url="", max_discount_percent=10, max_discount_amount=100,
        max_bargain_rounds=3, custom_prompts="",
    )  # fmt: skip
    ai_enabled: bool = False
    model_name: str = ""
    api_key: str = ""
    base_url: str = ""
    max_discount_percent: int = 10
    max_discount_amount: int = 100
    max_bargain_rounds: int = 3
    custom_prompts: str = ""


@routes.get("/ai-reply-settings", summary="List AI reply settings (older system)", responses=READING)
async def list_ai_reply_settings(_: WhoReads) -> dict[str, AiReplySettings]:
    """List no settings: no account has any."""
    return {}


@routes.get("/ai-reply-settings/{cid}", summary="Get AI reply settings (older system)", responses=READING_COMPAT)
async def get_ai_reply_settings(_: AccountToRead) -> AiReplySettings:
    """Return that replies by a language model are off for the account."""
    return AiReplySettings()
