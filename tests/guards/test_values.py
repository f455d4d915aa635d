"""Values are frozen and have no attributes but their fields; what does change is named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import shoal

SOURCE = Path(shoal.__file__).parent

CHANGING = {
    "accounts/account_locks.py:_Wait",
    "api/http/published_events.py:PublishedEvent",
    "assistant/assistant.py:_Run",
    "assistant/trial.py:_Costs",
    "auth/audit_entries.py:AuditEntry",
    "connection/push_counts.py:AccountPushes",
    "connection/push_counts.py:Count",
    "connection/qr_logins.py:_Running",
    "goods/imports.py:Imported",
    "maintenance/backup/loading.py:Loaded",
    "maintenance/backup/records.py:Tally",
    "maintenance/moving/contract.py:_Rows",
    "maintenance/shop_file/yaml_values.py:_Open",
    "messages/bursts.py:Burst",
    "network/guarded_proxy.py:Pass",
    "notices/apprise_process.py:_Child",
    "orders/group_prices.py:_Wait",
    "sandbox/faults.py:Fault",
    "sandbox/im_socket.py:Socket",
    "sandbox/mail_receiver.py:MailReceiver",
    "sandbox/model_provider.py:ModelProvider",
    "sandbox/mtop_apis.py:Call",
    "sandbox/qr_logins.py:QrLogin",
    "sandbox/receipts.py:Receipts",
    "sandbox/receivers.py:LaidFault",
    "sandbox/receivers.py:Receivers",
    "sandbox/site.py:Entry",
    "sandbox/site.py:Feed",
    "sandbox/supplier.py:Counter",
    "sandbox/supplier.py:Sale",
    "sandbox/things.py:Attempt",
    "sandbox/things.py:Buyer",
    "sandbox/things.py:Chat",
    "sandbox/things.py:ImToken",
    "sandbox/things.py:Item",
    "sandbox/things.py:Message",
    "sandbox/things.py:Order",
    "sandbox/things.py:Seller",
    "sandbox/things.py:Session",
    "storage/change_rows.py:Draft",
    "storage/group_work.py:Changes",
    "storage/group_work.py:Job",
    "storage/group_work.py:Mark",
    "storage/token_cache.py:TokenSlot",
}


_DATACLASS = re.compile(r"^ *@dataclass(?:\((.*)\))?\n(?: *@.*\n)* *class (\w+)", re.MULTILINE)


def dataclasses() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        for options, name in _DATACLASS.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(SOURCE).as_posix()}:{name}", options


def test_a_value_is_frozen_and_has_slots() -> None:
    said = dict(dataclasses())
    assert len(said) > 150
    assert {name for name, options in said.items() if "slots=True" not in options} == set()
    assert {name for name, options in said.items() if "frozen=True" not in options} == CHANGING
