"""Migration 0015: what shops and items said about paid orders becomes delivery rules that say the same."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import Connection, column, select, table

from contract.test_migrations import insert_as_at_first
from shoal.accounts.item_setting import ItemSetting
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.schema import item_settings
from support.databases.store_steps import Place, an_account, committed, edit

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")


@pytest.fixture
def migrated() -> bool:
    """The test migrates."""
    return False


OLD_ITEMS = (
    ItemSetting(item_id="1", reply="在", paid_message="网盘 “甲”\n🐟"),
    ItemSetting(item_id="2", paid_message="x", nothing_to_send=True),
    ItemSetting(item_id="3", reply="在", nothing_to_send=True),
    ItemSetting(item_id="4", reply="在"),
    ItemSetting(item_id="5"),
    ItemSetting(item_id="6", nothing_to_send=True),
)


def insert_old_messages(connection: Connection) -> None:
    names = ("item_id", "reply", "paid_message", "nothing_to_send")
    old = table("item_settings", column("account_id"), *(column(name) for name in names))
    rows = [{name: getattr(item, name) for name in names} for item in OLD_ITEMS]
    connection.execute(old.insert(), [{"account_id": "shop", **row} for row in rows])
    shop = table("accounts", column("id"), column("paid_message"))
    connection.execute(shop.update().where(shop.c.id == "shop").values(paid_message="货 {order_id}"))


async def test_paid_messages_become_delivery_rules_and_no_switch_flips(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", lambda config, _revision: upgrade(config, "0012"))
        database = await place.open_again()
        account = an_account().evolve(generation=1, rev=1)
        await database.write(lambda connection: insert_as_at_first(connection, account, place.data_dir / "secret.key"))
        await database.write(insert_old_messages)
        await database.close()
    database = await place.open_again()
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    stored = await manager.get_cookie_details("shop")
    assert (stored.paid_message, stored.items) == ("货 {order_id}", OLD_ITEMS)
    assert [(rule.item_id, rule.text, rule.nothing_to_send) for rule in stored.deliveries] == [
        ("1", "网盘 “甲”\n🐟", False), ("2", "x", True), ("3", "", True), ("6", "", True), ("", "货 {order_id}", False),
    ]  # fmt: skip
    assert stored == account.evolve(paid_message="货 {order_id}", items=OLD_ITEMS)
    assert (stored.replies, stored.delivery, stored.auto_confirm) == (True, True, False)
    left = await database.read(lambda connection: connection.scalars(select(item_settings.c.item_id)).all())
    assert sorted(left) == ["1", "3", "4", "5"]
    await committed(manager, edit(stored, items=OLD_ITEMS[2:], paid_message=""))
    assert (await manager.get_cookie_details("shop")).items == OLD_ITEMS[2:]
