"""The incident of a shop whose delivery rules name specs that their items do not have, by the pages last read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, and_, select, text

from shoal.accounts.delivery_rule import folded_spec
from shoal.accounts.item_specs import taken_for
from shoal.storage.among import among
from shoal.storage.assistant_tables import item_pages
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from shoal.storage.notice_tables import LIVE, incidents
from shoal.storage.schema import accounts, delivery_rules

MOST_NAMED: Final = 10
"""How many specs of the item the incident names."""
MOST_RULES: Final = 3
"""How many specs of rules it names."""
_BY_SPEC: Final = (delivery_rules.c.item_id != "", delivery_rules.c.spec != "")
_READ: Final = (
    select(
        *(delivery_rules.c[name] for name in ("account_id", "item_id", "spec")),
        *(item_pages.c[name] for name in ("title", "specs", "has_specs")),
    )
    .join(accounts, accounts.c.id == delivery_rules.c.account_id)
    .join(
        item_pages,
        and_(
            item_pages.c.account_id == delivery_rules.c.account_id,
            item_pages.c.item_id == delivery_rules.c.item_id,
            item_pages.c.unb == accounts.c.unb,
        ),
    )
    .where(*_BY_SPEC, item_pages.c.read_at_ms.is_not(None), item_pages.c.title != "")
    .order_by(delivery_rules.c.account_id, delivery_rules.c.item_id, delivery_rules.c.spec)
)


def note_specs(connection: Connection, account_ids: Collection[str], at_ms: int, *, item_id: str = "") -> None:
    """Open the incident of each account with such a rule, and close that of the others.

    ``item_id``: only its page is new, so nothing changes unless a rule names a spec of it.
    """
    if item_id:
        if not _is_named(connection, account_ids, item_id):
            return
        _hold_rules(connection, account_ids)
    wrong: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(_READ.where(among(delivery_rules.c.account_id, account_ids))).mappings():
        names = [str(name) for name, *_ in json.loads(row["specs"])]
        specs = {folded_spec(name) for name in names}
        if (names or not row["has_specs"]) and taken_for(row["spec"], specs) not in specs:
            item = f"{row['title']} · {row['item_id']}"
            wrong[row["account_id"]].append({"spec": row["spec"], "item": item, "specs": names[:MOST_NAMED]})
    open_facts = _open_facts(connection, wrong)
    facts = {
        name: {**rules[0], "named": [rule["spec"] for rule in rules[:MOST_RULES]], "rules": len(rules)}
        for name, rules in wrong.items()
    }
    openings = [
        Opening(
            subject=account_subject(name),
            kind=IncidentKind.NO_SUCH_SPEC,
            at_ms=at_ms,
            account_id=name,
            facts=facts[name],
        )
        for name in wrong
        if open_facts.get(account_subject(name)) != facts[name]
    ]
    open_incidents(connection, openings)
    well = [account_subject(name) for name in account_ids if name not in wrong]
    close_incidents(connection, well, [IncidentKind.NO_SUCH_SPEC], at_ms)


def _open_facts(connection: Connection, account_ids: Collection[str]) -> dict[str, Any]:
    """Return what the incidents that are open say, by their subjects: the same once more is no further time."""
    if not account_ids:
        return {}
    mine = incidents.c.subject.in_([account_subject(name) for name in account_ids])
    is_open = (incidents.c.kind == IncidentKind.NO_SUCH_SPEC.value, incidents.c.closed_at_ms.is_(None))
    found = connection.execute(select(incidents.c.subject, incidents.c.facts).where(text(LIVE), mine, *is_open))
    return {subject: json.loads(facts) for subject, facts in found}


def _is_named(connection: Connection, account_ids: Collection[str], item_id: str) -> bool:
    of_item = (*_BY_SPEC, delivery_rules.c.item_id == item_id, among(delivery_rules.c.account_id, account_ids))
    return connection.scalar(select(delivery_rules.c.item_id).where(*of_item).limit(1)) is not None


def _hold_rules(connection: Connection, account_ids: Collection[str]) -> None:
    """Let no other server change the rules until the transaction ends, or wait until it has."""
    connection.execute(select(accounts.c.id).where(among(accounts.c.id, account_ids)).with_for_update(read=True))
