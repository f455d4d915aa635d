"""Web push to browsers, and what an open page of the console does when a buyer waits."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import Me, TheServer
from shoal.api.http.openapi_errors import ASKING, TRYING
from shoal.api.http.routing import Routes
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.notices.page_alerts import PageAlerts

routes = Routes(tags=["notices"])


class PushKeyAnswer(BaseModel):
    """The server's public key for web push, as a browser takes it (`applicationServerKey`, base64url)."""

    model_config = example(
        key="BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
    )
    key: str


class PageAlertsBody(BaseModel):
    """What an open page does when a buyer's question waits: `title` counts them, `sound` sounds, `notify` shows a
    notice of the browser. `accounts`: only of these; empty: of all.
    """

    model_config = body_example(title=True, sound=True, notify=False, accounts=["my-shop"])
    title: bool
    sound: bool
    notify: bool
    accounts: list[Text] = []


class PageAlertsShape(BaseModel):
    """What an open page does when a buyer's question waits. `accounts`: only of these; empty: of all."""

    model_config = example(title=True, sound=True, notify=False, accounts=["my-shop"])
    title: bool
    sound: bool
    notify: bool
    accounts: list[str]


@routes.get("/push/key", summary="Get the key for web push", responses=ASKING)
async def get_push_key(server: TheServer, _: Me) -> PushKeyAnswer:
    """Return the key with which a browser subscribes to this server's pushes. The subscription is then added as a
    channel of the service `webpush`.
    """
    return PushKeyAnswer(key=await server.notices.push_key.public())


@routes.get("/me/alerts", summary="Get what an open page does", responses=ASKING)
async def get_page_alerts(server: TheServer, me: Me) -> PageAlertsShape:
    """Return what the caller's open pages do when a buyer's question waits."""
    return _shape(await server.notices.page_alerts.get(me.id))


@routes.put("/me/alerts", summary="Set what an open page does", responses=TRYING)
async def set_page_alerts(body: PageAlertsBody, server: TheServer, me: Me) -> PageAlertsShape:
    """Set what the caller's open pages do when a buyer's question waits.

    Accounts that were named before may be gone.
    """
    before = await server.notices.page_alerts.get(me.id)
    for account_id in set(body.accounts).difference(before.accounts):
        server.authorization.require(Principal(user=me), account_id, Permission.READ)
    chosen = PageAlerts(
        title=body.title, sound=body.sound, notify=body.notify, accounts=tuple(sorted(set(body.accounts)))
    )
    await server.notices.page_alerts.put(me.id, chosen)
    return _shape(chosen)


def _shape(chosen: PageAlerts) -> PageAlertsShape:
    return PageAlertsShape(title=chosen.title, sound=chosen.sound, notify=chosen.notify, accounts=list(chosen.accounts))
