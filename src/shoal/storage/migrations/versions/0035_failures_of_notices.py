"""Why a service gave no answer, as a code: until now each notice had the sentence itself, in its channel's language.

Revision ID: 0035
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
kind = "additive"

_SAID = {
    "not_sent": ("没有发出：无法建立连接", "Nothing was sent: there was no connection"),
    "no_answer": ("已发出，但对方没有响应", "It was sent, but there was no answer", "no answer in time"),
    "busy": (
        "没有发出：您的其他通知渠道还没有响应",
        "Nothing was sent: your other channels have not answered yet",
    ),
    "gone": ("这个通知渠道已被删除", "The channel was removed"),
    "push_gone": (
        "浏览器已取消订阅，请在该浏览器中重新开启通知",
        "The browser ended its subscription: switch notices on again there",
    ),
}
_ALLOW = "an administrator can allow it with SHOAL_ALLOW_PRIVATE_TARGETS"
_SAID_OF_A_HOST = {
    "refused": (
        " 在服务器的内部网络，没有连接；如需允许，请管理员设置 SHOAL_ALLOW_PRIVATE_TARGETS",
        f" is inside the server's network, and no connection was made; {_ALLOW}",
    ),
    "unreached": ("连不上 ", " cannot be reached"),
}


def upgrade() -> None:
    """Add the columns, and replace the sentences in one pass: a service's own answer that begins alike stays."""
    for name in ("failure", "failure_host"):
        op.add_column("notices", sa.Column(name, sa.Text(), server_default="", nullable=False))
    notices = sa.table("notices", sa.column("last_error"), sa.column("failure"), sa.column("failure_host"))
    said = notices.c.last_error
    found: list[tuple[sa.ColumnElement[bool], str, sa.ColumnElement[str]]] = [
        (said.in_(texts), code, sa.literal("")) for code, texts in _SAID.items()
    ]
    for code, frames in _SAID_OF_A_HOST.items():
        for frame in frames:
            host = sa.func.replace(said, frame, "")
            around = said.startswith if frame.endswith(" ") else said.endswith
            found.append((around(frame, autoescape=True) & (host != "") & ~host.contains(" "), code, host))
    op.execute(
        sa.update(notices)
        .where(sa.or_(*(is_said for is_said, _, _ in found)))
        .values(
            failure=sa.case(*((is_said, code) for is_said, code, _ in found), else_=""),
            failure_host=sa.case(*((is_said, host) for is_said, _, host in found), else_=""),
            last_error="",
        )
    )
