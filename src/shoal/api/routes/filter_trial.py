"""Filter trials: what the output filter of a shop finds in a text, also by settings that are not saved yet."""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel

from shoal.accounts.shop_settings import SETTINGS
from shoal.api.http.caller import ReadAccount
from shoal.api.http.disconnects import while_here
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.chat_requests import TryFilterBody
from shoal.api.schemas.responses import example
from shoal.concurrency.fair_threads import beside_if
from shoal.rules.output_filter import OutputFilter

routes = Routes(tags=["rules"])


class FilterTried(BaseModel):
    """What the filter finds. Nothing: the text may be sent."""

    model_config = example(filtered_words=["加我微"])
    filtered_words: list[str]


@routes.post(
    "/cookies/{cid}/filter/try",
    summary="Test the output filter with a text",
    responses=problems(400, 401, 404, 413, 422, 503),
)
@ignores_keys
async def try_filter(request: Request, body: TryFilterBody, account: ReadAccount) -> FilterTried:
    """Return what the output filter finds in a text. Nothing is sent or stored.

    Settings that the body names stand for those of the shop, so that they can be tested before they are saved.
    """
    given = {
        name: SETTINGS[name].checked(value, name)
        for name, value in body.model_dump(exclude={"text"}, exclude_unset=True).items()
    }

    def found() -> tuple[str, ...]:
        of_shop = {name: getattr(account, name) for name in TryFilterBody.model_fields if name != "text"}
        asked = {**of_shop, **given}
        return OutputFilter(
            contacts=asked["filter_contacts"], links=asked["filter_links"], patterns=asked["filter_patterns"],
            floor_fen=asked["price_floor_fen"],
        ).words_in([body.text])  # fmt: skip

    lasting = bool(given)
    words = await while_here(request, beside_if(lasting, found), lasting=lasting)
    return FilterTried(filtered_words=list(words))
