"""Migration 0035: the sentence that a notice stored becomes a code, and is read in the language of its reader."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import Connection, column, insert, select, table

from shoal.language.choice import Language
from shoal.notices.transport import answer_text
from shoal.storage.notice_tables import channels, notices
from shoal.storage.user_tables import users
from support.databases.store_steps import Place

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")

TOLD = {
    "连不上 qyapi.weixin.qq.com": "qyapi.weixin.qq.com cannot be reached",
    "hooks.example.com cannot be reached": "hooks.example.com cannot be reached",
    "10.0.0.9 在服务器的内部网络，没有连接；如需允许，请管理员设置 SHOAL_ALLOW_PRIVATE_TARGETS": (
        "10.0.0.9 is inside the server's network, and no connection was made; an administrator can allow it with "
        "SHOAL_ALLOW_PRIVATE_TARGETS"
    ),
    "已发出，但对方没有响应": "It was sent, but there was no answer",
    "The channel was removed": "The channel was removed",
    "SMTP 550 the mailbox cannot be reached": "SMTP 550 the mailbox cannot be reached",
    "HTTP 500 100% of it": "HTTP 500 100% of it",
    "": "",
}


@pytest.fixture
def migrated() -> bool:
    """The test migrates."""
    return False


def store_sentences(connection: Connection) -> None:
    """Store notices as the version before did."""
    connection.execute(insert(users).values(id=1, username="a", name_key="a", password_hash="x"))
    connection.execute(insert(channels).values(id=1, user_id=1, address_sealed=b"x"))
    names = ("channel_id", "phase", "last_error", "dedupe_id")
    old = table("notices", *(column(name) for name in names))
    rows = [(1, "start", said, f"n-{number}") for number, said in enumerate(TOLD)]
    connection.execute(old.insert(), [dict(zip(names, row, strict=True)) for row in rows])


async def test_own_sentences_become_codes_and_answers_of_services_stay(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0034"))
        database = await place.open_again()
        await database.write(store_sentences)
        await database.close()
    database = await place.open_again()
    query = select(notices.c.last_error, notices.c.failure, notices.c.failure_host).order_by(notices.c.id)
    rows = await database.read(lambda connection: connection.execute(query).all())
    assert [answer_text(*row, Language.EN) for row in rows] == list(TOLD.values())
    assert [row.failure for row in rows] == ["unreached", "unreached", "refused", "no_answer", "gone", "", "", ""]
    assert answer_text(*rows[1], Language.ZH) == "连不上 hooks.example.com"
