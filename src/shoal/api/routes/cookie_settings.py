"""An account's settings: automatic confirmation, remark, pause, and the rest."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel

from shoal.api.http.caller import (
    AccountToChange,
    AccountToRead,
    AccountToRenew,
    OperateAccount,
    TheCaller,
    ThePermission,
    TheServer,
)
from shoal.api.http.changes import changed, facts_of, made
from shoal.api.http.openapi_errors import CHANGING, CHANGING_COMPAT, READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.routes.cookies import require_secret
from shoal.api.schemas.account_requests import AccountInfoBody, PauseBody, RemarkBody, SettingsBody
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, DesiredBody, desired_body, example, rfc3339
from shoal.auth.permission import permission_missing, permission_to_change
from shoal.errors import InvalidInput

routes = Routes(tags=["account settings"])


class AutoConfirmAnswer(BaseModel):
    """Whether paid orders are confirmed automatically."""

    model_config = example(auto_confirm=False, message="自动确认发货当前关闭")
    auto_confirm: bool
    message: str


class RemarkAnswer(BaseModel):
    """The owner's note."""

    model_config = example(remark="phone cases", message="获取备注成功")
    remark: str
    message: str = "获取备注成功"


class RemarkChanged(ChangeFacts):
    """The note was changed."""

    model_config = example(message="备注更新成功", remark="phone cases", **CHANGE_EXAMPLE)
    message: str = "备注更新成功"
    remark: str


class PauseAnswer(BaseModel):
    """The minutes of pause after the owner answered."""

    model_config = example(pause_duration=10, message="获取暂停时间成功")
    pause_duration: int
    message: str = "获取暂停时间成功"


class PauseChanged(ChangeFacts):
    """The pause was changed."""

    model_config = example(message="暂停时间更新成功", pause_duration=10, **CHANGE_EXAMPLE)
    message: str = "暂停时间更新成功"
    pause_duration: int


class InfoChanged(ChangeFacts):
    """The account was updated."""

    model_config = example(msg="updated", success=True, **CHANGE_EXAMPLE)
    msg: str = "updated"
    success: bool = True


class FullRow(BaseModel):
    """One account's row. ``value``, ``username`` and ``password`` are always empty: answers contain no secrets."""

    model_config = example(
        id="my-shop", value="", user_id=1, auto_confirm=False, remark="", pause_duration=10, username="", password="",
        show_browser=False, created_at="2026-01-01T00:00:00.000Z", fingerprint="1f0e9a3c", generation=7,
    )  # fmt: skip
    id: str
    value: str = ""
    user_id: int
    auto_confirm: bool
    remark: str
    pause_duration: int
    username: str = ""
    password: str = ""
    show_browser: bool = False
    created_at: str
    fingerprint: str
    generation: int


class SettingsChanged(ChangeFacts):
    """The settings after the change."""

    settings: DesiredBody


@routes.get("/cookies/{cid}/auto-confirm", summary="Get whether confirmation is automatic", responses=READING_COMPAT)
async def get_auto_confirm(account: AccountToRead) -> AutoConfirmAnswer:
    """Return whether paid orders are confirmed as shipped automatically."""
    word = "开启" if account.auto_confirm else "关闭"
    return AutoConfirmAnswer(auto_confirm=account.auto_confirm, message=f"自动确认发货当前{word}")


@routes.get("/cookies/{cid}/remark", summary="Get the remark", responses=READING_COMPAT)
async def get_remark(account: AccountToRead) -> RemarkAnswer:
    """Return the owner's note."""
    return RemarkAnswer(remark=account.remark)


@routes.put("/cookies/{cid}/remark", summary="Change the remark", responses=CHANGING_COMPAT)
async def update_remark(
    body: RemarkBody, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> RemarkChanged:
    """Change the owner's note."""
    change = server.manager.update_settings(account.id, {"remark": body.remark}, caller=caller)
    return RemarkChanged(remark=body.remark, **await changed(server, response, account.id, change))


@routes.get("/cookies/{cid}/pause-duration", summary="Get the pause after the owner's reply", responses=READING_COMPAT)
async def get_pause_duration(account: AccountToRead) -> PauseAnswer:
    """Return the minutes of pause after the owner answered."""
    return PauseAnswer(pause_duration=account.pause_duration)


@routes.put(
    "/cookies/{cid}/pause-duration", summary="Change the pause after the owner's reply", responses=CHANGING_COMPAT
)
async def update_pause_duration(
    body: PauseBody, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> PauseChanged:
    """Change for how many minutes automatic replies pause after the owner answered; 0 means no pause."""
    change = server.manager.update_settings(account.id, {"pause_duration": body.pause_duration}, caller=caller)
    facts = await changed(server, response, account.id, change)
    return PauseChanged(pause_duration=body.pause_duration, **facts)


@routes.post("/cookie/{cid}/account-info", summary="Replace an account's cookie (old path)", responses=CHANGING_COMPAT)
async def update_account_info(
    body: AccountInfoBody, account: AccountToRenew, server: TheServer, caller: TheCaller, response: Response
) -> InfoChanged:
    """Replace the cookie. Platform name, password and `show_browser` are accepted but never stored."""
    given = {name: value for name, value in body.model_dump().items() if value is not None}
    if not given:
        raise InvalidInput("nothing was given", code="nothing_given")
    for name in ("value", "password"):
        if name in given:
            require_secret(given[name], name)
    if body.value is not None:
        change = server.manager.update_cookie(account.id, body.value, caller=caller)
    else:
        change = server.manager.update_settings(account.id, {}, caller=caller)
    return InfoChanged(**await changed(server, response, account.id, change))


@routes.get("/cookie/{cid}/details", summary="Get an account's row (old path)", responses=READING_COMPAT)
async def get_account_row(account: AccountToRead) -> FullRow:
    """Return one account's row, without its secrets."""
    return FullRow(
        id=account.id,
        user_id=account.owner_id,
        auto_confirm=account.auto_confirm,
        remark=account.remark,
        pause_duration=account.pause_duration,
        created_at=rfc3339(account.created_at_ms),
        fingerprint=account.fingerprint,
        generation=account.generation,
    )


@routes.patch("/cookies/{cid}/settings", summary="Change settings of an account", responses=CHANGING)
async def update_settings(
    body: SettingsBody,
    account: OperateAccount,
    permission: ThePermission,
    server: TheServer,
    caller: TheCaller,
    response: Response,
) -> SettingsChanged:
    """Change the settings that are sent, in one change; the others stay. Only the owner may change `proxy`.

    A new `proxy` makes a running account reconnect through it. A parked account stays parked.
    """
    values = body.model_dump(include=body.model_fields_set)
    if permission < permission_to_change(values):
        raise permission_missing(permission_to_change(values), permission)
    if body.proxy is not None:
        values["proxy"] = body.proxy.get_secret_value()
    change = server.manager.update_settings(account.id, values, caller=caller)
    outcome = await made(server, response, account.id, change)
    return SettingsChanged(settings=desired_body(outcome.account), **facts_of(outcome))
