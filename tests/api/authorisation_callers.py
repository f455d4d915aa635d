"""Every kind of caller of the API, on a server with a shop of theirs, a shared one, and one of somebody else."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.messages.quick_replies import QuickReply
from support.models.model_runs import a_run
from support.servers.doors import Door, open_door
from support.site.standins import cookie_of

MINE, THEIRS, NOBODYS = "shop", "foreign", "nowhere"
"""A shop of the owner's, shared with staff; one of a stranger's; one that is not there."""


@dataclass(frozen=True, kw_only=True)
class Somebody:
    """One kind of caller. ``permissions``: what they have on which shop."""

    name: str
    token: str = ""
    user_id: int = 0
    by_token: bool = False
    scope: Permission = Permission.OWN
    role: Role = Role.OWNER
    permissions: dict[str, Permission] = field(default_factory=dict)
    only: frozenset[str] | None = None

    def permission(self, account_id: str) -> Permission | None:
        given = self.permissions.get(account_id)
        return None if given is None else min(given, self.scope)


@dataclass(frozen=True, kw_only=True)
class World:
    """The server with its callers; ``revs`` and ``runs``: a change, and a run of a model, of each shop."""

    door: Door
    callers: list[Somebody]
    revs: dict[str, int]
    runs: dict[str, int]


async def quick_reply_of(world: World, account_id: str) -> int:
    """A quick reply of the shop; one that was deleted is added again."""
    account = world.door.server.manager.accounts.get(account_id)
    if account is None:
        return 999_999
    new = QuickReply(owner_id=account.owner_id, account_id=account_id, shortcut="", text=f"canary of {account_id}")
    replies = world.door.server.chat_desk.quick_replies
    if found := await replies.of([], [account_id]):
        return found[0].id
    return (await replies.add(new, None, secrets.token_hex(8))).id


@asynccontextmanager
async def open_world(data_dir: Path) -> AsyncIterator[World]:
    nowhere = {f"site_{name}_url": "http://127.0.0.1:9" for name in ("mtop", "passport", "upload")}
    settings: dict[str, Any] = {"session_calls_per_minute": 0, "api_token_calls_per_minute": 0, **nowhere}
    async with open_door(data_dir, **settings) as door:
        server = door.server
        callers = [
            Somebody(name="nobody"),
            Somebody(name="administrator", token=await server.sessions.open(1, 3600), user_id=1, role=Role.ADMIN),
        ]

        async def person(name: str, role: Role, permissions: dict[str, Permission]) -> Somebody:
            user = await server.users.create(name, "a password of theirs", role=role)
            token = await server.sessions.open(user.id, 3600)
            one = Somebody(name=name, token=token, user_id=user.id, role=role, permissions=permissions)
            callers.append(one)
            return one

        owner = await person("owner", Role.OWNER, {MINE: Permission.OWN})
        stranger = await person("stranger", Role.OWNER, {THEIRS: Permission.OWN})
        revs: dict[str, int] = {}
        runs: dict[str, int] = {NOBODYS: 999_999}
        for number, (one, account_id) in enumerate([(owner, MINE), (stranger, THEIRS)], 1):
            headers = {"Authorization": f"Bearer {one.token}"}
            await door.call("POST", "/cookies", json={"id": account_id, "value": cookie_of(number)}, headers=headers)
            body = {"remark": f"canary of {account_id}"}
            await door.call("PUT", f"/cookies/{account_id}/remark", json=body, headers=headers)
            revs[account_id] = door.account(account_id).rev
            text = f"canary of {account_id}"
            runs[account_id] = await a_run(server.database, account_id, state="answered", text=text)
        partner = await person("partner", Role.OWNER, {MINE: Permission.OPERATE})
        await person("staff-none", Role.STAFF, {})
        given = (Permission.READ, Permission.REPLY, Permission.OPERATE)
        staff = [await person(f"staff-{permission.word}", Role.STAFF, {MINE: permission}) for permission in given]
        for one in [partner, *staff]:
            await server.authorization.give(door.account(MINE), one.user_id, one.permissions[MINE], given_by="test")
        for scope in Permission:
            token, _ = await server.api_tokens.make(owner.user_id, "x", scope, days=1)
            callers.append(
                Somebody(
                    name=f"token-{scope.word}", token=token, user_id=owner.user_id, by_token=True, scope=scope,
                    permissions=owner.permissions,
                )
            )  # fmt: skip
        token, _ = await server.api_tokens.make(owner.user_id, "x", Permission.OWN, days=1, only_accounts=[THEIRS])
        callers.append(
            Somebody(
                name="token-for-others", token=token, user_id=owner.user_id, by_token=True, only=frozenset({THEIRS})
            )
        )
        token, _ = await server.api_tokens.make(staff[-1].user_id, "x", Permission.OWN, days=1)
        callers.append(
            Somebody(
                name="token-of-staff", token=token, user_id=staff[-1].user_id, by_token=True, role=Role.STAFF,
                permissions=staff[-1].permissions,
            )
        )  # fmt: skip
        yield World(door=door, callers=callers, revs={**revs, NOBODYS: 999_999}, runs=runs)
