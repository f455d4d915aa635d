"""The people who may sign in: for administrators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from shoal.api.bodies import NewUserBody, PasswordLinkBody, UserChangeBody
from shoal.api.caller import Administrator, TheServer
from shoal.api.documented import problems
from shoal.api.invitations import NewLinkAnswer, NoStore, new_link
from shoal.api.shapes import example, maybe_rfc3339, rfc3339
from shoal.errors import Conflict
from shoal.server import Server
from shoal.users import Role, User

routes = APIRouter(tags=["people"])

UserId = Annotated[int, Path(description="The person's number.", ge=1, le=2**63 - 1, examples=[2])]

PERSON_EXAMPLE: dict[str, Any] = {
    "id": 2, "username": "ann", "email": "ann@example.com", "role": "owner", "active": True, "leaving": False,
    "has_totp": False, "shops": 3, "created_at": "2026-01-02T03:04:05.000Z", "signed_in_at": None,
}  # fmt: skip


class PersonShape(BaseModel):
    """One person. ``shops``: how many they own. ``leaving``: being removed, with every shop."""

    model_config = example(**PERSON_EXAMPLE)
    id: int
    username: str
    email: str | None
    role: Role
    active: bool
    leaving: bool
    has_totp: bool
    shops: int
    created_at: str
    signed_in_at: str | None


class PersonList(BaseModel):
    """Everybody, by number."""

    model_config = example(items=[PERSON_EXAMPLE], next=None)
    items: list[PersonShape]
    next: str | None = None


@routes.get("/users", summary="List the people", responses=problems(401, 403, 503))
async def get_users(server: TheServer, _: Administrator) -> PersonList:
    """Everybody who may sign in, or might again. For administrators."""
    shops = _shops(server)
    return PersonList(items=[person_shape(user, shops) for user in await server.users.list_users()])


@routes.post("/users", summary="Add a person", responses=problems(400, 401, 403, 409, 413, 422, 429, 503))
async def create_user(body: NewUserBody, server: TheServer, _: Administrator) -> PersonShape:
    """Add a person with a first password. Better invite them: then nobody but they know it."""
    user = await server.users.create(
        body.username, body.password.get_secret_value(), role=Role(body.role), email=body.email
    )
    return person_shape(user, {})


@routes.patch("/users/{user_id}", summary="Change a person", responses=problems(400, 401, 403, 404, 409, 413, 422, 503))
async def update_user(user_id: UserId, body: UserChangeBody, server: TheServer, _: Administrator) -> PersonShape:
    """Change a person's role, address, or whether they may sign in. Who may not is signed out everywhere.

    Their shops go on as they are. The last administrator who may sign in stays one.
    """
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if changes.get("role") == Role.STAFF.value:
        _check_owns_nothing(server, user_id)
    user = await server.users.update(user_id, changes)
    if not user.active:
        server.sessions.look_again(user_id)
    return person_shape(user, _shops(server))


@routes.post(
    "/users/{user_id}/password-link",
    summary="Let a person choose a new password",
    responses=problems(400, 401, 403, 404, 413, 422, 503),
)
async def create_password_link(
    user_id: UserId, body: PasswordLinkBody, server: TheServer, me: Administrator, _: NoStore
) -> NewLinkAnswer:
    """Make a link, shown once, by which a person who forgot the password chooses a new one. An earlier one is over.

    Their second factor stays. Using the link ends every session of theirs.
    """
    link, token = await server.invitations.password_link(user_id, hours=body.expires_hours, invited_by=me.id)
    return new_link(link, token)


def person_shape(user: User, shops: Mapping[int, int]) -> PersonShape:
    """A person as JSON."""
    return PersonShape(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        active=user.active,
        leaving=user.leaving,
        has_totp=user.has_totp,
        shops=shops.get(user.id, 0),
        created_at=rfc3339(user.created_at_ms),
        signed_in_at=maybe_rfc3339(user.signed_in_at_ms),
    )


def _shops(server: Server) -> Counter[int]:
    return Counter(account.owner_id for account in server.manager.accounts.values())


def _check_owns_nothing(server: Server, user_id: int) -> None:
    shops = sorted(account.id for account in server.manager.accounts.values() if account.owner_id == user_id)
    if shops:
        raise Conflict("staff own no shops", code="owns_shops", shops=shops)
