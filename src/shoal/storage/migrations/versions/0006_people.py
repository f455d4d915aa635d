"""People: names that are compared folded, second factors, recovery codes, invitations.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shoal.language.folding import folded

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _user(name: str, *, nullable: bool) -> sa.Column[int]:
    return sa.Column(name, _RowId, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=nullable)


def upgrade() -> None:
    op.add_column("users", sa.Column("name_key", sa.Text(), server_default="", nullable=False))
    op.add_column("users", sa.Column("leaving", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("users", sa.Column("signed_in_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("users", sa.Column("totp_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("users", sa.Column("new_totp_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("users", sa.Column("totp_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    _fill_name_keys()
    op.create_index("uq_users_name_key", "users", ["name_key"], unique=True)
    op.create_table(
        "recovery_codes",
        _user("user_id", nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        _user("for_user_id", nullable=True),
        _user("invited_by", nullable=True),
        _user("used_by", nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("used_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index("ix_invitations_expires_at_ms", "invitations", ["expires_at_ms"])


def _fill_name_keys() -> None:
    """The earliest of those whose names fold alike keeps the plain key; the others sign in by their e-mail address."""
    users = sa.table("users", sa.column("id"), sa.column("username"), sa.column("name_key"))
    connection = op.get_bind()
    taken: set[str] = set()
    for row in connection.execute(sa.select(users).order_by(users.c.id)).all():
        key = folded(row.username)
        key = f"{key}@{row.id}" if key in taken else key
        taken.add(key)
        connection.execute(sa.update(users).where(users.c.id == row.id).values(name_key=key))
