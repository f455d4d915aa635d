"""An index of the actions of orders that are to be done, or are being done: what waits is counted often.

Revision ID: 0039
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None
kind = "additive"

_OPEN = "state IN ('pending', 'intended')"


def upgrade() -> None:
    op.create_index(
        "ix_intents_open",
        "intents",
        ["account_id", "created_at_ms"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
