"""Carries out a plan, step by step. Each step can be done twice: a run that was cut off goes on with the same file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.edits import deliveries
from shoal.assistant.provider_store import ProviderStore
from shoal.assistant.providers import UnknownProvider
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.audit_log import AuditLog
from shoal.auth.users import Role, User, Users
from shoal.clock import now_ms
from shoal.errors import AccountExists, Conflict, UnknownAccount
from shoal.goods.goods_components import GoodsComponents
from shoal.goods.stock_history import By
from shoal.goods.unit_lines import SentLines
from shoal.language.folding import folded
from shoal.maintenance.moving.old_shop import OldOrder
from shoal.maintenance.moving.plan import Kind, NewAccount, NewChannel, NewGoods, NewProvider, NewUser, Plan
from shoal.maintenance.moving.plan_orders import STATUSES, time_of
from shoal.maintenance.moving.run_store import Run, RunStore, note_taken
from shoal.notices.channels import Channel, ChannelStore
from shoal.notices.subscriptions import Subscription
from shoal.orders.order_actions import Action, ActionState, Why
from shoal.pictures.pictures import Pictures
from shoal.rules.keywords import Rules, next_position
from shoal.rules.rule import MAX_RULES, Rule
from shoal.storage.database import Database
from shoal.storage.order_tables import order_actions, orders
from shoal.storage.schema import once_replies
from shoal.storage.upserts import insert_new

log = structlog.get_logger("shoal.moving")

_SLICE: Final = 500
"""How many orders one transaction stores."""
_SITE_SUFFIX: Final = "@goofish"

Progress = Callable[[int], None]
"""Is called with how many further steps are done."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What an import writes with."""

    database: Database
    manager: CookieManager
    users: Users
    goods: GoodsComponents
    channels: ChannelStore
    providers: ProviderStore
    pictures: Pictures
    audit_log: AuditLog
    runs: RunStore


class CarryOut:
    """One run of one plan, for the user who asked for it."""

    def __init__(self, tools: Tools, run: Run, plan: Plan, me: User, *, origin: str, progress: Progress) -> None:
        self._tools = tools
        self._run = run
        self._plan = plan
        self._actor = f"user:{me.username}"
        self._origin = origin
        self._progress = progress
        self._owners: dict[str, int] = {folded(me.username): me.id}
        self._goods: dict[tuple[str, str], int] = {}
        self._providers: dict[tuple[str, str], int] = {}

    async def everything(self) -> None:
        """Do every step. Raises ``StoreError`` and the errors of the stores; what was done stays done."""
        for user in self._plan.users:
            await self._add_user(user)
        for picture in self._plan.pictures:
            await self._tools.pictures.keep_as(picture.name, picture.data)
        taken = await self._tools.runs.taken()
        for goods in self._plan.goods:
            await self._add_goods(goods, taken)
        for provider in self._plan.providers:
            await self._add_provider(provider, taken)
        for account in self._plan.accounts:
            await self._add_account(account)
        for channel in self._plan.channels:
            await self._add_channel(channel)

    # ── users ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _add_user(self, new: NewUser) -> None:
        """Add a user with the old password's hash, wrapped; without one the user gets in by a link only."""

        def noted(connection: Connection, made: User) -> None:
            note_taken(
                connection, user_id=made.id, kind=Kind.USERS, key=new.key, new_id=str(made.id), run_id=self._run.id
            )

        made = await self._tools.users.add_moved(
            new.name, email=new.email, active=new.active, sha256=new.sha256, also=noted
        )
        if made is not None:
            await self._tools.audit_log.record(
                AuditEvent.PERSON_MADE, actor=self._actor, origin=self._origin, username=new.name,
                role=Role.OWNER.value,
            )  # fmt: skip
        self._progress(1)

    async def _owner_id(self, owner: str) -> int:
        if owner not in self._owners:
            user = await self._tools.users.by_name(owner)
            if user is None:  # removed while the import ran
                raise Conflict("a user is gone", code="moving_user_gone", name=owner)
            self._owners[owner] = user.id
        return self._owners[owner]

    # ── goods ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _add_goods(self, new: NewGoods, taken: Mapping[tuple[int, str], Mapping[str, str]]) -> None:
        owner_id = await self._owner_id(new.owner)
        store = self._tools.goods.store
        known = taken.get((owner_id, Kind.CARDS.value), {}).get(new.key)
        goods = None if known is None else await store.get(int(known))
        if goods is None or goods.owner_id != owner_id:
            op = f"import:{owner_id}:{new.key}" + ("" if known is None else f":{self._run.id}")
            sealed = None
            if new.supplier is not None:
                sealed, _ = self._tools.goods.suppliers.sealed(None, new.supplier, owner_id)
            goods = await store.create(owner_id, new.values, self._by(op), supplier=sealed)
            await self._tools.goods.cards.keep(goods.id, new.card)
            await self._tools.runs.note_taken(owner_id, Kind.CARDS, new.key, str(goods.id), self._run.id)
        self._goods[new.owner, new.key] = goods.id
        self._progress(1)
        for number, lines in enumerate(new.lines):
            text = "\n".join(line.text for line in lines.lines).encode()
            op = f"import:{goods.id}:{number}:{_digest(text)}"
            await self._tools.goods.imports.run(
                goods, SentLines(lines=lines.lines), self._by(op), file_name=self._run.file_name, data=text
            )
            self._progress(len(lines.lines))

    def _by(self, op_id: str) -> By:
        return By(actor=self._actor, op_id=op_id, repeats=True)

    # ── language models ─────────────────────────────────────────────────────────────────────────────────────────

    async def _add_provider(self, new: NewProvider, taken: Mapping[tuple[int, str], Mapping[str, str]]) -> None:
        """Add a provider to which its owner has not agreed: nothing is sent there. One that was removed comes again."""
        owner_id = await self._owner_id(new.owner)
        known = taken.get((owner_id, Kind.PROVIDERS.value), {}).get(new.key)
        try:
            provider_id = None if known is None else (await self._tools.providers.get(owner_id, int(known))).id
        except UnknownProvider:
            provider_id = None
        if provider_id is None:

            def noted(connection: Connection, made_id: int) -> None:
                note_taken(
                    connection, user_id=owner_id, kind=Kind.PROVIDERS, key=new.key, new_id=str(made_id),
                    run_id=self._run.id,
                )  # fmt: skip

            provider_id = (await self._tools.providers.create(owner_id, new.values, also=noted)).id
        self._providers[new.owner, new.key] = provider_id
        self._progress(1)

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _add_account(self, new: NewAccount) -> None:
        """Add an account with all that belongs to it in one change, off; then its orders."""
        account_id = new.draft.id
        if not new.exists:
            owner_id = await self._owner_id(new.owner)
            # first the note: an account that is here counts as brought only if the note says so
            await self._tools.runs.note_taken(owner_id, Kind.ACCOUNTS, account_id, account_id, self._run.id)
            caller = Caller(
                actor=self._actor, op_id=f"import:{self._run.id}:{account_id}", repeats=True, origin=self._origin
            )
            try:
                await self._tools.manager.add_account(self._whole(new, owner_id), caller)
            except AccountExists:
                log.warning("an account was added while it was imported", account=account_id)
                return
        elif new.late_rules:
            await self._add_late_rules(new)
        self._progress(1 + len(new.draft.keywords))
        for start in range(0, len(new.orders), _SLICE):
            part = new.orders[start : start + _SLICE]
            await self._tools.database.write(partial(_add_orders, account_id=account_id, part=part, at_ms=now_ms()))
            self._progress(len(part))
        if new.answered_chats:
            await self._tools.database.write(partial(_note_answered, account_id=account_id, chats=new.answered_chats))

    async def _add_late_rules(self, new: NewAccount) -> None:
        """Add rules to an account that is here. The notes come after them: a rule that is there is not added twice."""
        owner_id, account_id = await self._owner_id(new.owner), new.draft.id
        op_id = f"import:{self._run.id}:{account_id}:rules"
        caller = Caller(
            actor=self._actor, owner_id=owner_id, op_id=op_id, repeats=True, origin=self._origin, wait_seconds=0.0
        )
        late = [rule for _, rule in new.late_rules]
        try:
            await self._tools.manager.apply_edit(
                account_id, edits.rules(partial(_with_late, late=late), sent=len(late)), caller
            )
        except UnknownAccount:  # removed, or another owner's by now
            return
        for label, rule in new.late_rules:
            await self._tools.runs.note_taken(owner_id, Kind.RULES, label, rule.id, self._run.id)

    def _whole(self, new: NewAccount, owner_id: int) -> Account:
        provider_id = self._providers.get((new.owner, new.provider), 0)
        account = new.draft.evolve(owner_id=owner_id, created_at_ms=now_ms(), ai_provider_id=provider_id)
        if not new.deliveries:
            return account
        wanted = [{**rule.values, "goods_id": self._goods[new.owner, rule.goods_key]} for rule in new.deliveries]
        return deliveries(wanted, merge=True)(account)

    # ── channels ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _add_channel(self, new: NewChannel) -> None:
        owner_id = await self._owner_id(new.owner)

        def noted(connection: Connection, made: Channel) -> None:
            note_taken(
                connection, user_id=owner_id, kind=Kind.CHANNELS, key=new.key, new_id=str(made.id), run_id=self._run.id
            )

        subscription = Subscription(accounts=new.account_ids) if new.account_ids else Subscription(nothing=True)
        values: dict[str, Any] = {"name": new.name, "active": False}
        made = await self._tools.channels.create(
            owner_id, new.service, new.fields, values, subscription=subscription, also=noted
        )
        await self._tools.audit_log.record(
            AuditEvent.CHANNEL_ADDED, actor=self._actor, user_id=owner_id, origin=self._origin, channel=made.name,
            service=made.service,
        )  # fmt: skip
        self._progress(1)


def _with_late(rules: Rules, *, late: Sequence[Rule]) -> Rules:
    """Return the rules with those after them that are not there yet, as far as there is room."""
    known = {rule.key for rule in rules}
    added = [rule for rule in late if rule.key not in known][: MAX_RULES - len(rules)]
    first = next_position(rules)
    return (*rules, *(msgspec.structs.replace(rule, position=first + at) for at, rule in enumerate(added)))


def _add_orders(connection: Connection, *, account_id: str, part: tuple[OldOrder, ...], at_ms: int) -> None:
    """Store orders that are not known yet, each with the note that it is not served here.

    They have no time line and notify no listener: nothing happened now.
    """
    rows, settled = [], []
    for order in part:
        created = time_of(order.created_at) or at_ms
        row = {"account_id": account_id, "order_id": order.order_id}
        rows.append(
            {
                **row,
                "item_id": order.item_id or None,
                "buyer_id": order.buyer_id,
                "status": STATUSES.get(order.status, STATUSES[""]).value,
                "amount": order.amount,
                "quantity": order.quantity,
                "spec_name": order.spec_name,
                "spec_value": order.spec_value,
                "created_at_ms": created,
                "updated_at_ms": created,
            }
        )
        settled += [
            {
                **row,
                "action": action.value,
                "state": ActionState.NOT_NEEDED.value,
                "detail": str(Why.BEFORE_ACCOUNT),
                "created_at_ms": created,
                "settled_at_ms": at_ms,
            }
            for action in Action
        ]
    connection.execute(insert_new(connection, orders), rows)
    connection.execute(insert_new(connection, order_actions), settled)


def _note_answered(connection: Connection, *, account_id: str, chats: tuple[str, ...]) -> None:
    """Note which chats got the default reply that each gets once."""
    ids = sorted({chat.removesuffix(_SITE_SUFFIX) for chat in chats if chat})
    rows = [{"account_id": account_id, "chat_id": chat_id, "at_ms": now_ms()} for chat_id in ids]
    for start in range(0, len(rows), 1_000):
        connection.execute(insert_new(connection, once_replies), rows[start : start + 1_000])


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]
