"""What data of the first hours lacks: columns that its steps were given later, and its chats in their list.

Steps 0001 and 0003 were changed after data had been written by them, and what was said before 0003 stood in no list.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LONGEST_EXCERPT = 200


def upgrade() -> None:
    context.script.get_revision("0003").module.complete()
    _let_accounts_have_the_same_numbers()
    _list_chats()


def _let_accounts_have_the_same_numbers() -> None:
    """The first form of 0001 held the number of a sending to be unique among all accounts."""
    held = {tuple(entry["column_names"]) for entry in sa.inspect(op.get_bind()).get_unique_constraints("outbox")}
    if ("uuid",) not in held:
        return
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_constraint(op.f("uq_outbox_uuid"), type_="unique")
        outbox.create_unique_constraint(op.f("uq_outbox_account_id_uuid"), ["account_id", "uuid"])


def _list_chats() -> None:
    op.execute(f"""
        INSERT INTO chats (account_id, chat_id, buyer_id, buyer_name, item_id, last_at_ms, last_text, last_direction)
        SELECT known.account_id, known.chat_id,
               {_newest("sender_id", "direction = 'in' AND sender_id <> ''")},
               {_newest("sender_name", "direction = 'in' AND sender_name <> ''")},
               {_newest("item_id", "item_id IS NOT NULL", missing="NULL")},
               {_newest("created_at_ms", missing="0")},
               {_newest(f"substr(text, 1, {_LONGEST_EXCERPT})")},
               {_newest("direction")}
        FROM (SELECT DISTINCT account_id, chat_id FROM messages) AS known
        WHERE NOT EXISTS (SELECT 1 FROM chats
                          WHERE chats.account_id = known.account_id AND chats.chat_id = known.chat_id)
    """)  # noqa: S608  no value from a request is in it


def _newest(column: str, condition: str = "1 = 1", *, missing: str = "''") -> str:
    """The value in the newest message of the chat that meets the condition."""
    return f"""coalesce((SELECT {column} FROM messages
        WHERE messages.account_id = known.account_id AND messages.chat_id = known.chat_id AND {condition}
        ORDER BY created_at_ms DESC, id DESC LIMIT 1), {missing})"""  # noqa: S608
