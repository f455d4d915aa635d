"""Makes the plan of an import from what the old system holds and what is here. A pure function; it may take seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shoal.maintenance.moving.contract import COLUMN_UNKNOWN, COLUMNS_UNUSED, TABLE_UNUSED
from shoal.maintenance.moving.old_shop import Fate, Oddity, OldShop
from shoal.maintenance.moving.plan import FORBIDS, Here, Kind, Plan, Tally
from shoal.maintenance.moving.plan_accounts import AccountPlans
from shoal.maintenance.moving.plan_channels import plan_channels
from shoal.maintenance.moving.plan_goods import GoodsPlans
from shoal.maintenance.moving.plan_models import ModelPlans
from shoal.maintenance.moving.plan_pictures import Pictures
from shoal.maintenance.moving.plan_users import plan_users
from shoal.maintenance.moving.tables import TABLE_UNKNOWN


def make_plan(old: OldShop, here: Here, *, only_user: str = "", pictures: Mapping[str, Path] | None = None) -> Plan:
    """Return the plan. ``only_user``: the one old user whose rows are taken. ``pictures``: the files that came, by
    name. Raises as ``plan_users``."""
    tally = Tally(old.oddities)
    users, owners = plan_users(old, here, tally, only_user)
    images = Pictures(pictures or {})
    goods_plans = GoodsPlans(here, owners, tally, images)
    goods = goods_plans.cards(old)
    models = ModelPlans(here, tally, old.waiting)
    account_plans = AccountPlans(here, owners, tally, images, models)
    accounts = goods_plans.rules(old, account_plans.of(old))
    channels, channels_on = plan_channels(old, here, owners, tally, {one.draft.id for one in accounts})
    system = {} if models.used_system else dict(old.waiting)
    if system:
        tally.note("system_settings", "", "system_ai_waits", Fate.WAITING, count=len(system))
        tally.count(Kind.AI, Fate.WAITING)
    waiting = {"accounts": account_plans.waiting, "system": system} if account_plans.waiting or system else {}
    return Plan(
        source=old.source,
        version=old.version,
        users=users,
        goods=goods,
        providers=models.providers,
        accounts=accounts,
        channels=channels,
        pictures=images.taken,
        waiting=waiting,
        was_on=(*account_plans.was_on, *channels_on),
        counts=tally.counts,
        oddities=tuple(sorted(tally.oddities, key=_rank)),
    )


def _rank(odd: Oddity) -> int:
    """Return the place of a line of the report: what forbids comes first, what nobody misses comes last."""
    if odd.code in {COLUMNS_UNUSED, TABLE_UNUSED}:
        return 4
    if odd.code in FORBIDS:
        return 0
    if odd.code in {COLUMN_UNKNOWN, TABLE_UNKNOWN}:
        return 1
    return 2 if odd.row else 3  # whole tables after single rows
