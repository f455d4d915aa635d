"""Request bodies about users: sign-in, password, TOTP, invitations, tokens, permissions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shoal.api.schemas.request_texts import MAX_BATCH, Secret, Text, body_example
from shoal.auth.api_tokens import DEFAULT_DAYS, LONGEST_DAYS
from shoal.auth.invitations import MOST_INVITED_SHOPS


class LoginBody(BaseModel):
    """User name or e-mail address, and password; with TOTP on also a code, as ``totp`` or ``verification_code``.

    A verification code without a password is accepted but never correct, because the server sends none.
    """

    model_config = body_example(username="admin", password="correct horse battery")  # noqa: S106  an example
    username: Text | None = None
    email: Text | None = None
    password: Secret | None = None
    verification_code: Text | None = None
    totp: Text | None = None


class ConsoleLoginBody(BaseModel):
    """User name or e-mail address, and password; with TOTP on also a code of the app, or a recovery code."""

    model_config = body_example(name="admin", password="correct horse battery")  # noqa: S106  an example
    name: Text = Field(min_length=1, max_length=300)
    password: Secret
    totp: Text | None = None


class ChangePasswordBody(BaseModel):
    """The current password and the new one."""

    model_config = body_example(
        current_password="correct horse battery",  # noqa: S106  an example
        new_password="staple battery horse",  # noqa: S106  an example
    )
    current_password: Secret
    new_password: Secret


class RegisterBody(BaseModel):
    """A new user, in the form of other systems. A verification code is not needed, because the server sends none."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"username": "ann", "password": "correct horse battery"}]},
        hide_input_in_errors=True,
    )
    username: Text = ""
    email: Text | None = None
    password: Secret = SecretStr("")


RoleName = Literal["admin", "owner", "staff"]


class NewUserBody(BaseModel):
    """A new user with a first password. With an invitation, users choose their own."""

    model_config = body_example(username="ann", password="correct horse battery", role="owner")  # noqa: S106  an example
    username: Text
    password: Secret
    role: RoleName = "owner"
    email: Text | None = None


class UserChangeBody(BaseModel):
    """The fields of a user to change; fields that are left out stay."""

    model_config = body_example(role="staff", active=True)
    role: RoleName = "owner"
    active: bool = True
    email: Text | None = None


class NewTokenBody(BaseModel):
    """What an API token may do, on which accounts (left out: all accounts of its user), and for how long."""

    model_config = body_example(name="nightly report", scope="read", accounts=["my-shop"], expires_days=90)
    name: Text = Field(min_length=1, max_length=100)
    scope: Literal["read", "reply", "operate", "manage"] = "read"
    accounts: Annotated[list[Text], Field(min_length=1, max_length=1000)] | None = None
    expires_days: int = Field(default=DEFAULT_DAYS, ge=1, le=LONGEST_DAYS)


class StaffBody(BaseModel):
    """The permission of another user on an account."""

    model_config = body_example(permission="reply")
    permission: Literal["read", "reply", "operate"]


class SharedShopBody(BaseModel):
    """One account of the caller, and the permission of another user on it; ``null``: it is shared no more."""

    model_config = body_example(account="my-shop", permission="reply")
    account: Text
    permission: Literal["read", "reply", "operate"] | None


class SharesBody(BaseModel):
    """Another user, and what that user may do with each of some accounts."""

    model_config = body_example(username="ann", shops=[{"account": "my-shop", "permission": "reply"}])
    username: Text
    shops: list[SharedShopBody] = Field(max_length=MAX_BATCH)


class InvitedShopBody(BaseModel):
    """One account of the administrator who invites, and the permission that the new user gets on it."""

    model_config = body_example(account="my-shop", permission="reply")
    account: Text
    permission: Literal["read", "reply", "operate"] = "reply"


class InvitationBody(BaseModel):
    """The role of the invited user, the accounts that are shared with that user, and how long the link is valid."""

    model_config = body_example(
        role="staff",
        email="ann@example.com",
        expires_hours=72,
        shops=[{"account": "my-shop", "permission": "reply"}],
    )
    role: RoleName = "owner"
    email: Text | None = None
    expires_hours: float = Field(default=72, ge=0.1, le=720, allow_inf_nan=False, strict=False)
    shops: list[InvitedShopBody] = Field(default=[], max_length=MOST_INVITED_SHOPS)


class PasswordLinkBody(BaseModel):
    """How long the link is valid."""

    model_config = body_example(expires_hours=24)
    expires_hours: float = Field(default=24, ge=0.1, le=720, allow_inf_nan=False, strict=False)


class LinkBody(BaseModel):
    """The token of a link: the part after its ``#``."""

    model_config = body_example(token="x3C9…")  # noqa: S106  an example
    token: Secret


class JoinBody(BaseModel):
    """The token of a link, and the name and password that its user chooses. A password link needs no name."""

    model_config = body_example(token="x3C9…", username="ann", password="correct horse battery")  # noqa: S106  an example
    token: Secret
    username: Text = ""
    password: Secret
    email: Text | None = None


class ProofBody(BaseModel):
    """The caller's own password."""

    model_config = body_example(password="correct horse battery")  # noqa: S106  an example
    password: Secret


class CodeBody(BaseModel):
    """A code of the authenticator app."""

    model_config = body_example(code="492039")
    code: Text


class ProofAndCodeBody(BaseModel):
    """The caller's own password, and a code of the authenticator app or a recovery code."""

    model_config = body_example(password="correct horse battery", code="492039")  # noqa: S106  an example
    password: Secret
    code: Text
