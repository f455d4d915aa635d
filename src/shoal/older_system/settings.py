"""Settings of the server and of users, as scripts for the older system ask for them."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import Administrator, TheServer, WhoReads
from shoal.api.http.openapi_errors import READING, problems
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.schemas.request_texts import body_example
from shoal.api.schemas.responses import example
from shoal.errors import Conflict

routes = Routes(tags=["system"])

_CHANGING = problems(400, 401, 403, 409, 413, 422, 503)
_WORD = {True: "true", False: "false"}


class RegistrationStatus(BaseModel):
    """Whether anyone may register."""

    model_config = example(enabled=False, message="注册功能已关闭")
    enabled: bool
    message: str


class LoginInfoStatus(BaseModel):
    """Whether the sign-in page shows a default password. It never does: there is none."""

    model_config = example(enabled=False)
    enabled: bool = False


class SwitchBody(BaseModel):
    """A switch."""

    model_config = body_example(enabled=False)
    enabled: bool


class SwitchAnswer(BaseModel):
    """The switch is as asked for."""

    model_config = example(success=True, enabled=False, message="注册功能已关闭")
    success: bool = True
    enabled: bool
    message: str


@routes.get("/system-settings", summary="List settings of the server (older system)", responses=READING)
async def list_system_settings(server: TheServer, _: WhoReads) -> dict[str, str]:
    """List the settings of the older system that mean something here, none of them secret."""
    return {
        "registration_enabled": _WORD[server.settings.open_registration],
        "show_default_login_info": _WORD[False],
    }


@routes.get("/registration-status", summary="Tell whether anyone may register", dependencies=[ANYBODY])
async def get_registration_status(server: TheServer) -> RegistrationStatus:
    """Return whether `POST /register` is open, which is a setting of the server: `open_registration`."""
    is_open = server.settings.open_registration
    return RegistrationStatus(enabled=is_open, message=_registration(is_open=is_open))


@routes.put("/registration-settings", summary="Open or close registration (older system)", responses=_CHANGING)
async def change_registration(body: SwitchBody, server: TheServer, _: Administrator) -> SwitchAnswer:
    """Say whether anyone may register. It can only be as it is: the server reads `open_registration` when it starts."""
    if body.enabled is not server.settings.open_registration:
        raise Conflict("it is read at the start", code="setting_of_start", setting="SHOAL_OPEN_REGISTRATION")
    return SwitchAnswer(enabled=body.enabled, message=_registration(is_open=body.enabled))


@routes.get("/login-info-status", summary="Tell whether a default password is shown", dependencies=[ANYBODY])
async def get_login_info_status() -> LoginInfoStatus:
    """Return that the sign-in page shows no default password: there is none."""
    return LoginInfoStatus()


@routes.put("/login-info-settings", summary="Show no default password (older system)", responses=_CHANGING)
async def change_login_info(body: SwitchBody, _: Administrator) -> SwitchAnswer:
    """Say that no default password is shown. There is none that could be."""
    if body.enabled:
        raise Conflict("there is no default password", code="no_default_password")
    return SwitchAnswer(enabled=False, message="默认登录信息显示已关闭")


@routes.get("/user-settings", summary="List settings of the caller (older system)", responses=READING)
async def list_user_settings(_: WhoReads) -> dict[str, dict[str, str]]:
    """List no settings: what a page of the older system kept for its user is kept by the browser here."""
    return {}


def _registration(*, is_open: bool) -> str:
    return "注册功能已开启" if is_open else "注册功能已关闭"
