"""What administrators ask about users, accounts and the server by the paths of the older system."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from shoal import __version__
from shoal.accounts.account import Account
from shoal.api.http.caller import Administrator, Origin, TheServer
from shoal.api.http.openapi_errors import ASKING, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.users import UserId, remove_user
from shoal.api.schemas.responses import example, old_time
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import InvalidInput

routes = Routes(tags=["users"])

_DAY_MS = 86_400_000
_READING = ASKING
_USER: dict[str, Any] = {
    "id": 2, "username": "ann", "email": "ann@example.com", "is_active": True, "created_at": "2026-01-02 03:04:05",
    "cookie_count": 3, "card_count": 1,
}  # fmt: skip
_ACCOUNT: dict[str, Any] = {
    "cookie_id": "my-shop", "user_id": 1, "username": "admin", "nickname": "主店", "enabled": True,
}  # fmt: skip


class OldUser(BaseModel):
    """One user, with the numbers of their accounts and goods."""

    model_config = example(**_USER)
    id: int
    username: str
    email: str
    is_active: bool
    created_at: str
    cookie_count: int
    card_count: int


class OldUsers(BaseModel):
    """All users."""

    model_config = example(users=[_USER])
    users: list[OldUser]


class UserGone(BaseModel):
    """The user was removed, or will be once their accounts have stopped."""

    model_config = example(message="用户 ann 删除成功")
    message: str


class AccountOfUser(BaseModel):
    """One account and its owner. ``nickname`` is the owner's note."""

    model_config = example(**_ACCOUNT)
    cookie_id: str
    user_id: int
    username: str
    nickname: str
    enabled: bool


class AccountsOfUsers(BaseModel):
    """Accounts, without cookies."""

    model_config = example(success=True, cookies=[_ACCOUNT], total=1)
    success: bool = True
    cookies: list[AccountOfUser]
    total: int


class UserCounts(BaseModel):
    """How many users there are, and how many signed in within a day."""

    total: int
    active_today: int


class EnabledCounts(BaseModel):
    """How many there are, and how many are enabled."""

    total: int
    enabled: int


class VersionAndUptime(BaseModel):
    """How long this process runs (days, hours, minutes), and its version."""

    uptime: str
    version: str


class OldStats(BaseModel):
    """Figures of the whole server: ``cookies`` are accounts, ``cards`` goods."""

    model_config = example(
        users={"total": 3, "active_today": 2}, cookies={"total": 12, "enabled": 10}, cards={"total": 5, "enabled": 5},
        system={"uptime": "3d 4h 12m", "version": "0.1.0"},
    )  # fmt: skip
    users: UserCounts
    cookies: EnabledCounts
    cards: EnabledCounts
    system: VersionAndUptime


@routes.get("/admin/users", summary="List users (older system)", responses=_READING)
async def list_old_users(server: TheServer, _: Administrator) -> OldUsers:
    """List all users, as `GET /users`."""
    shops = Counter(account.owner_id for account in server.manager.accounts.values())
    goods = await server.goods.store.counts_by_owner()
    return OldUsers(
        users=[
            OldUser(
                id=user.id,
                username=user.username,
                email=user.email or "",
                is_active=user.active,
                created_at=old_time(user.created_at_ms),
                cookie_count=shops[user.id],
                card_count=goods.get(user.id, (0, 0))[0],
            )
            for user in await server.users.list_users()
        ]
    )


@routes.delete(
    "/admin/users/{user_id}",
    summary="Delete a user (older system)",
    responses=problems(400, 401, 403, 404, 409, 422, 503),
)
async def delete_old_user(user_id: UserId, server: TheServer, me: Administrator, origin: Origin) -> UserGone:
    """Remove another user and everything they own, as `DELETE /users/{user_id}`."""
    if user_id == me.id:
        raise InvalidInput("one's own user stays", code="own_user")
    user, _ = await remove_user(server, me, user_id, origin)
    is_gone = await server.user_removal.gone(user_id, within_seconds=server.settings.stop_wait_seconds)
    outcome = "删除成功" if is_gone else "正在删除：其店铺全部停止后完成"
    return UserGone(message=f"用户 {user.username} {outcome}")


@routes.get("/admin/cookies", summary="List accounts with their owners (older system)", responses=_READING)
async def list_old_accounts(server: TheServer, me: Administrator) -> AccountsOfUsers:
    """List the accounts that the caller may see, which an administrator's role does not extend. No cookie is shown."""
    names = {user.id: user.username for user in await server.users.list_users()}
    found = [_account(account, names) for account in server.authorization.accounts_of(Principal(user=me))]
    return AccountsOfUsers(cookies=found, total=len(found))


@routes.get("/admin/stats", summary="Count users, accounts and goods (older system)", responses=_READING)
async def get_old_stats(server: TheServer, _: Administrator) -> OldStats:
    """Count the users, accounts and goods of the whole server."""
    users, accounts = await server.users.list_users(), server.manager.accounts.values()
    goods = (await server.goods.store.counts_by_owner()).values()
    return OldStats(
        users=UserCounts(total=len(users), active_today=sum(_was_active(user) for user in users)),
        cookies=EnabledCounts(total=len(accounts), enabled=sum(account.enabled for account in accounts)),
        cards=EnabledCounts(total=sum(total for total, _ in goods), enabled=sum(active for _, active in goods)),
        system=VersionAndUptime(uptime=_uptime(server), version=__version__),
    )


def _was_active(user: User) -> bool:
    return user.signed_in_at_ms is not None and user.signed_in_at_ms > now_ms() - _DAY_MS


def _uptime(server: Server) -> str:
    ran = timedelta(milliseconds=max(0, now_ms() - server.started_at_ms))
    return f"{ran.days}d {ran.seconds // 3600}h {ran.seconds // 60 % 60}m"


def _account(account: Account, names: dict[int, str]) -> AccountOfUser:
    return AccountOfUser(
        cookie_id=account.id,
        user_id=account.owner_id,
        username=names.get(account.owner_id, ""),
        nickname=account.remark,
        enabled=account.enabled,
    )
