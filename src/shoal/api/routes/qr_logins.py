"""QR logins: the seller scans a code with the app to add an account or renew its cookie."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import segno
from fastapi import Path
from pydantic import BaseModel

from shoal.api.http.caller import (
    AcceptLanguage,
    AccountToRead,
    Origin,
    TheServer,
    WhoAddsNamed,
    WhoAddsShops,
    WhoManages,
    actor_of,
    most_shops,
)
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import OF_ONE, POSTING, READING_COMPAT
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.routes.cookies import require_all_shops, require_own
from shoal.api.routes.qr_logins_anywhere import all_logins, cancel_login, find_login
from shoal.api.schemas.account_requests import QrLoginBody
from shoal.api.schemas.filled import filled
from shoal.api.schemas.op_ids import new_op_id
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.connection.qr_logins import QrLoginView, unknown_qr_login
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import InvalidInput, ShoalError
from shoal.language.catalogue import translate
from shoal.language.choice import Language, language_of

routes = Routes(tags=["QR login"])

LoginId = Annotated[str, Path(description="The login's id.", examples=["Zk3q…"])]
_BORDER_MODULES = 4
_PICTURES_KEPT = 16
_NO_COOLDOWN = "没有冷却时间"


class QrLoginAnswer(BaseModel):
    """One QR login. ``content`` and ``picture`` (a data URI) are the code, for the owner only; empty after its end."""

    model_config = example(
        id="Zk3q0v7Wc2yJ5n8b1XrTfg", account="my-shop", state="waiting", detail="请用闲鱼 App 扫码", code="",
        action_url="", action_text="",
        content="https://passport.goofish.com/qrcodeCheck.htm?lgToken=…", picture="data:image/svg+xml;…",
        is_new_account=False, created_at="2026-01-02T03:04:05.000Z", expires_at="2026-01-02T03:09:05.000Z",
    )  # fmt: skip
    id: str
    account: str
    state: QrLoginState
    detail: str
    code: str
    action_url: str
    """A page of the site, safe to show as a link."""
    action_text: str
    """The site's text when it is not a known page of the site: show it as text, not as a link."""
    content: str
    picture: str
    is_new_account: bool
    created_at: str
    expires_at: str


class QrLoginList(BaseModel):
    """The caller's QR logins, newest first."""

    items: list[QrLoginAnswer]
    next: str | None = None


class OldQrCode(BaseModel):
    """A code in the form of old scripts: ``session_id`` and a picture, or the reason for its absence."""

    model_config = example(success=True, session_id="Zk3q0v7Wc2yJ5n8b1XrTfg", qr_code_url="data:image/png;base64,…")
    success: bool
    session_id: str = ""
    qr_code_url: str = ""
    message: str = ""


class OldQrStatus(BaseModel):
    """The state of a QR login in the form of old scripts."""

    model_config = example(
        status="success", session_id="Zk3q0v7Wc2yJ5n8b1XrTfg", message="登录成功",
        account_info={"account_id": "my-shop", "is_new_account": True}, verification_url="",
    )  # fmt: skip
    status: str
    session_id: str
    message: str = ""
    account_info: dict[str, Any] = {}
    verification_url: str = ""


class OldCooldown(BaseModel):
    """How long an account waits after a QR login in the older system. It never waits here."""

    model_config = example(
        success=True, cookie_id="my-shop", remaining_time=0, cooldown_duration=0, last_refresh_time=0,
        is_in_cooldown=False, message=_NO_COOLDOWN,
    )  # fmt: skip
    success: bool = True
    cookie_id: str
    remaining_time: int = 0
    cooldown_duration: int = 0
    last_refresh_time: int = 0
    is_in_cooldown: bool = False
    message: str = _NO_COOLDOWN


class OldCooldownReset(BaseModel):
    """There was nothing to wait for."""

    model_config = example(success=True, message=_NO_COOLDOWN, cookie_id="my-shop", previous_remaining_time=0)
    success: bool = True
    message: str = _NO_COOLDOWN
    cookie_id: str
    previous_remaining_time: int = 0


@routes.post("/qr-logins", summary="Start a QR login", responses=POSTING)
@ignores_keys
async def begin_qr_login(
    body: QrLoginBody, server: TheServer, who: WhoAddsNamed, origin: Origin, accept_language: AcceptLanguage = None
) -> QrLoginAnswer:
    """Ask the site for a code that the seller scans with the app.

    `account` names the account to add or renew. Left out: the caller's account of the seller who scans is renewed, or a
    new one is added under the seller's number. The server follows the login by itself; poll until `state` is none of
    `waiting`, `scanned` and `face_check`. In `face_check` the site wants to see the seller's face: `content` and
    `picture` are then its second code, to be scanned with the same app. A user can have at most three
    logins in progress.
    """
    require_all_shops(who) if body.account is None else require_own(server, who, body.account)
    view = await server.qr_logins.begin(
        who.id,
        actor=actor_of(who.user),
        op_id=new_op_id(who.id),
        origin=origin,
        most_shops=most_shops(server, who),
        account_id=body.account or "",
        proxy=body.proxy.get_secret_value() if body.proxy is not None else None,
        keep_signed_in=body.keep_signed_in,
    )
    return _answer(server, view, language_of(accept_language))


@routes.get("/qr-logins", summary="List QR logins", responses=READING_COMPAT)
async def list_qr_logins(server: TheServer, who: WhoManages, accept_language: AcceptLanguage = None) -> QrLoginList:
    """List the caller's QR logins that are in progress or ended within the last ten minutes."""
    language = language_of(accept_language)
    return QrLoginList(items=[_answer(server, view, language) for view in await _logins(server, who)])


@routes.get("/qr-logins/{login_id}", summary="Get a QR login", responses=OF_ONE)
async def get_qr_login(
    login_id: LoginId, server: TheServer, who: WhoManages, accept_language: AcceptLanguage = None
) -> QrLoginAnswer:
    """Return the state of a QR login. `needs_owner`: the site wants a check that Shoal cannot show.

    Then open `action_url` and begin another login.
    """
    return _answer(server, await _login(server, who, login_id), language_of(accept_language))


@routes.delete("/qr-logins/{login_id}", summary="Cancel a QR login", responses=OF_ONE)
async def cancel_qr_login(
    login_id: LoginId, server: TheServer, who: WhoManages, accept_language: AcceptLanguage = None
) -> QrLoginAnswer:
    """Cancel a QR login. An ended one stays as it is; a cookie that is being stored is still stored."""
    await _login(server, who, login_id)
    return _answer(server, await cancel_login(server, who.id, login_id), language_of(accept_language))


# ── the paths of the system that sellers come from ──────────────────────────────────────────────────────────────────


@routes.post("/qr-login/generate", summary="Start a QR login (old path)", responses=READING_COMPAT)
@ignores_keys
async def generate_qr_code(
    server: TheServer, who: WhoAddsShops, origin: Origin, accept_language: AcceptLanguage = None
) -> OldQrCode:
    """Begin a QR login like `POST /qr-logins` without a body. A failure is answered with 200 and `success: false`."""
    require_all_shops(who)
    try:
        view = await server.qr_logins.begin(
            who.id,
            actor=actor_of(who.user),
            op_id=new_op_id(who.id),
            origin=origin,
            most_shops=most_shops(server, who),
        )
    except ShoalError as error:
        return OldQrCode(success=False, message=_sentence(error, language_of(accept_language)))
    picture = segno.make(view.content).png_data_uri(scale=10, border=_BORDER_MODULES) if view.content else ""
    return OldQrCode(success=True, session_id=view.id, qr_code_url=picture)


@routes.get("/qr-login/check/{session_id}", summary="Get a QR login (old path)", responses=READING_COMPAT)
async def check_qr_code(
    session_id: Annotated[str, Path(description="The `session_id` from POST /qr-login/generate.")],
    server: TheServer,
    who: WhoManages,
    accept_language: AcceptLanguage = None,
) -> OldQrStatus:
    """Return the state like `GET /qr-logins/{login_id}`, in the form of old scripts.

    An unknown login is answered with 200 and `not_found`.
    """
    try:
        found = await _login(server, who, session_id)
    except InvalidInput:
        return OldQrStatus(status="not_found", session_id=session_id)
    done = found.state is QrLoginState.DONE
    account = {"account_id": found.account_id, "is_new_account": found.is_new_account} if done else {}
    return OldQrStatus(
        status=_OLD_WORDS[found.state],
        session_id=session_id,
        message=_detail(found, language_of(accept_language)),
        account_info=account,
        verification_url=server.manager.site_pages.split(found.action_url)[0],
    )


@routes.get(
    "/qr-login/cooldown-status/{cid}", summary="Get the wait after a QR login (old path)", responses=READING_COMPAT
)
async def get_qr_cooldown(account: AccountToRead) -> OldCooldown:
    """Return that the account does not wait: a QR login stores its cookie at once."""
    return OldCooldown(cookie_id=account.id)


@routes.post(
    "/qr-login/reset-cooldown/{cid}", summary="End the wait after a QR login (old path)", responses=READING_COMPAT
)
async def reset_qr_cooldown(account: AccountToRead) -> OldCooldownReset:
    """Say that there was nothing to wait for. Nothing is changed."""
    return OldCooldownReset(cookie_id=account.id)


_OLD_WORDS = {
    QrLoginState.WAITING: "waiting",
    QrLoginState.SCANNED: "scanned",
    QrLoginState.FACE_CHECK: "scanned",
    QrLoginState.DONE: "success",
    QrLoginState.EXPIRED: "expired",
    QrLoginState.CANCELLED: "cancelled",
    QrLoginState.NEEDS_OWNER: "verification_required",
    QrLoginState.FAILED: "error",
}


async def _logins(server: Server, who: Principal) -> list[QrLoginView]:
    """Return the caller's QR logins; for a token limited to some accounts, only those of these accounts."""
    return [view for view in await all_logins(server, who.id) if who.covers(view.account_id)]


async def _login(server: Server, who: Principal, login_id: str) -> QrLoginView:
    view = await find_login(server, who.id, login_id)
    if not who.covers(view.account_id):
        raise unknown_qr_login()
    return view


def _answer(server: Server, view: QrLoginView, language: Language) -> QrLoginAnswer:
    link, text = server.manager.site_pages.split(view.action_url)
    return filled(
        QrLoginAnswer,
        view,
        account=view.account_id,
        detail=_detail(view, language),
        code=view.error.code if view.error is not None else "",
        action_url=link,
        action_text=text,
        picture=_picture(view.content) if view.content else "",
    )


@lru_cache(maxsize=_PICTURES_KEPT)
def _picture(content: str) -> str:
    """Return the QR code as a picture. To make it takes 15 ms, and the console asks every second or two."""
    return segno.make(content).svg_data_uri(scale=4, border=_BORDER_MODULES)


def _detail(view: QrLoginView, language: Language) -> str:
    if view.state is QrLoginState.FAILED and view.error is not None:
        return _sentence(view.error, language)
    if view.state is QrLoginState.DONE and view.is_new_account:
        return translate("qr_login.added", language)
    return translate(f"qr_login.{view.state.value}", language)


def _sentence(error: ShoalError, language: Language) -> str:
    return problem_of(error).sentence(language, error.params)
