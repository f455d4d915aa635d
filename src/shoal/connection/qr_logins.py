"""QR logins in progress: a limited number, each with an owner, an end, and a task."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import aiohttp
import structlog

from shoal.accounts.account import Account, check_account_id
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.new_cookies import add_or_renew
from shoal.clock import now_ms
from shoal.config import Settings
from shoal.connection.qr_login_register import BegunLogin, QrLoginRegister
from shoal.connection.qr_steps import QrLoginState, confirmed, persistently
from shoal.connection.xianyu_live import proxy_timeout_seconds
from shoal.errors import (
    AccountExists,
    ActionRequired,
    Conflict,
    InvalidInput,
    ShoalError,
    StoreError,
    UnknownAccount,
)
from shoal.network.outbound import Outbound
from shoal.xianyu.browser import OWN, browser_of, chrome
from shoal.xianyu.cookie_string import require_cookie
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.proxy import parse_proxy
from shoal.xianyu.qr_login import QrLogin

log = structlog.get_logger("shoal.qr_login")

LIFETIME_SECONDS = 300.0
"""How long a code waits for confirmation. The site drops it at about that time."""
POLL_SECONDS = 1.5
MOST_OF_ONE_OWNER = 3
MOST_AT_ONCE = 50
KEPT_SECONDS = 600.0
"""How long the result of a login can be read."""
MOST_STORE_TRIES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class QrLoginView:
    """One login as its owner may see it.

    ``account_id`` is the requested account, and at the end the account that has the cookie; empty while it depends on
    the seller who scans. ``content`` is the text of the QR code: for the owner only, and empty after the end.
    """

    id: str
    owner_id: int
    account_id: str
    content: str = field(default="", repr=False)
    state: QrLoginState = QrLoginState.WAITING
    action_url: str = ""
    error: ShoalError | None = None
    is_new_account: bool = False
    created_at_ms: int = 0
    expires_at_ms: int = 0
    ended_at_ms: int | None = None


@dataclass(slots=True, eq=False)
class _Running:
    """A login with its task. ``shown`` is set when there is a code, or when there will be none."""

    view: QrLoginView
    caller: Caller
    proxy: str | None = field(repr=False)
    browser: str
    """The browser that the login presents, in its stored form."""
    keep_signed_in: bool
    shown: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class QrLogins:
    """Begins, follows and ends logins. They exist in memory: a restart ends them and leaves no partial change.

    The manager's change path stores the cookie of a confirmed login, like any other change.
    """

    def __init__(
        self,
        manager: CookieManager,
        session: aiohttp.ClientSession,
        settings: Settings,
        *,
        outbound: Outbound,
        register: QrLoginRegister | None = None,
        poll_seconds: float = POLL_SECONDS,
        lifetime_seconds: float = LIFETIME_SECONDS,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._manager = manager
        self._session = session
        self._settings = settings
        self._outbound = outbound
        self._register = register
        self._poll_seconds = poll_seconds
        self._lifetime_seconds = lifetime_seconds
        self._now_ms = clock_ms
        self._logins: dict[str, _Running] = {}

    async def begin(
        self,
        owner_id: int,
        *,
        actor: str,
        op_id: str,
        origin: str = "",
        account_id: str = "",
        proxy: str | None = None,
        most_shops: int | None = None,
        keep_signed_in: bool = False,
    ) -> QrLoginView:
        """Begin a login and return it with its code.

        ``account_id`` names the account to add, or the owner's account to renew. If it is empty, the seller who scans
        decides: the owner's account of that seller is renewed, or a new one is added under the seller's number.
        ``proxy`` is for an account that is added; an account that is renewed uses its own. ``most_shops``: see
        ``Caller``. With ``keep_signed_in`` the site is asked to keep the login for long.

        Raise ``InvalidInput`` (id, proxy), ``Conflict`` (``too_many_qr_logins``), ``UnknownAccount`` for another
        owner's account, ``ActionRequired`` or ``TemporaryFailure`` when the site gives no code.
        """
        known = self._checked(owner_id, account_id)
        through = known.proxy if known is not None and proxy is None else parse_proxy(proxy).url if proxy else ""
        self._make_room(owner_id)
        now = self._now_ms()
        view = QrLoginView(
            id=(self._register.prefix if self._register is not None else "") + secrets.token_urlsafe(16),
            owner_id=owner_id,
            account_id=account_id,
            created_at_ms=now,
            expires_at_ms=now + round(self._lifetime_seconds * 1000),
        )
        caller = Caller(
            actor=actor, owner_id=owner_id, most_shops=most_shops, op_id=op_id, origin=origin, wait_seconds=0
        )
        browser = (known.browser if known is not None else None) or OWN
        running = self._logins[view.id] = _Running(view, caller, proxy, browser, keep_signed_in)
        await self._take(running)
        running.task = asyncio.create_task(self._follow(running, through), name=f"qr login:{view.id[:6]}")
        try:
            await running.shown.wait()
        except asyncio.CancelledError:  # the client left and does not see the code
            await self._end(running)
            del self._logins[view.id]
            raise
        if running.view.error is not None and not running.view.content:
            del self._logins[view.id]
            raise running.view.error
        return running.view

    def get(self, owner_id: int, login_id: str) -> QrLoginView:
        """Return one login of that owner. Raise ``InvalidInput`` (``unknown_qr_login``)."""
        self._forget_old()
        return self._own(owner_id, login_id).view

    def of(self, owner_id: int) -> list[QrLoginView]:
        """Return all known logins of that owner that had a code, newest first."""
        self._forget_old()
        shown = [running.view for running in self._logins.values() if running.shown.is_set()]
        return [view for view in reversed(shown) if view.owner_id == owner_id]

    async def cancel(self, owner_id: int, login_id: str) -> QrLoginView:
        """Cancel a login; an ended one stays as it is. Raise like ``get``."""
        running = self._own(owner_id, login_id)
        await self._end(running)
        self._move(running, QrLoginState.CANCELLED)
        return running.view

    async def close(self) -> None:
        """End all logins."""
        for running in list(self._logins.values()):
            await self._end(running)
        if self._register is not None:
            await self._register.close()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _checked(self, owner_id: int, account_id: str) -> Account | None:
        if not account_id:
            return None
        check_account_id(account_id)
        known = self._manager.accounts.get(account_id)
        if known is not None and known.owner_id != owner_id:
            raise UnknownAccount(account_id)
        return known

    def _make_room(self, owner_id: int) -> None:
        self._forget_old()
        under_way = [running.view for running in self._logins.values() if not running.view.state.is_over]
        mine = sum(view.owner_id == owner_id for view in under_way)
        if mine >= MOST_OF_ONE_OWNER or len(under_way) >= MOST_AT_ONCE:
            raise _too_many()

    async def _take(self, running: _Running) -> None:
        """Note a login for the other servers; it is no login when its owner has too many on all of them together."""
        if self._register is None:
            return
        view, is_taken = running.view, False
        begun = BegunLogin(view.id, view.owner_id, view.account_id, view.created_at_ms, view.expires_at_ms)
        try:
            is_taken = await self._register.take(begun, MOST_OF_ONE_OWNER)
        finally:
            if not is_taken:
                del self._logins[view.id]
        if not is_taken:
            raise _too_many()

    def _forget_old(self) -> None:
        before = self._now_ms() - round(KEPT_SECONDS * 1000)
        for login_id, running in list(self._logins.items()):
            if running.view.ended_at_ms is not None and running.view.ended_at_ms <= before:
                del self._logins[login_id]

    def _own(self, owner_id: int, login_id: str) -> _Running:
        running = self._logins.get(login_id)
        if running is None or running.view.owner_id != owner_id:
            raise unknown_qr_login()
        return running

    async def _end(self, running: _Running) -> None:
        """End the task. If the cookie is being stored, it is stored, and the login is done, not cancelled."""
        if running.task is not None and not running.task.done():
            running.task.cancel()
            await asyncio.wait({running.task})

    def _move(self, running: _Running, state: QrLoginState, **changes: Any) -> None:
        """Change the state; a final state stays. No other code changes it."""
        if running.view.state.is_over:
            return
        if state.is_over:
            changes |= {"content": "", "ended_at_ms": self._now_ms()}
        if state is not running.view.state:
            error = changes.get("error")
            log.info("qr login", login=running.view.id[:6], state=state.value, why=error.code if error else "")
        running.view = view = replace(running.view, state=state, **changes)
        if state.is_over and self._register is not None:
            self._register.note(view.id, account_id=view.account_id, state=state, ended_at_ms=view.ended_at_ms)

    async def _follow(self, running: _Running, proxy: str) -> None:
        try:
            await self._log_in(running, proxy)
        except ActionRequired as why:
            self._move(running, QrLoginState.NEEDS_OWNER, action_url=why.action_url, error=why)
        except ShoalError as error:
            self._move(running, QrLoginState.FAILED, error=error)
        except Exception as error:
            log.exception("qr login met a defect", login=running.view.id[:6])
            self._move(running, QrLoginState.FAILED, error=ShoalError(type(error).__name__))
        finally:
            self._move(running, QrLoginState.CANCELLED)
            running.shown.set()

    async def _log_in(self, running: _Running, proxy: str) -> None:
        settings = self._settings
        limit = proxy_timeout_seconds(settings)
        async with session_through(
            proxy, self._session, connect_timeout_seconds=limit, outbound=self._outbound
        ) as session:
            site = QrLogin(
                session,
                settings.site_passport_url,
                mtop_url=settings.site_mtop_url,
                page_url=settings.site_page_url,
                browser=browser_of(running.browser, chrome(settings.chrome_version)),
                timeout_seconds=settings.site_timeout_seconds,
            )
            running.view = replace(running.view, content=await site.begin())
            running.shown.set()

            def note(state: QrLoginState, *, content: str = "", seconds: float = 0.0) -> None:
                shown = {"content": content, "expires_at_ms": self._now_ms() + round(seconds * 1000)} if content else {}
                self._move(running, state, **shown)

            if await confirmed(site, note, poll_seconds=self._poll_seconds, lifetime_seconds=self._lifetime_seconds):
                finish = partial(site.finish, keep_signed_in=running.keep_signed_in)
                await persistently(finish, poll_seconds=self._poll_seconds)
                await self._take_in(running, site.cookie)

    async def _take_in(self, running: _Running, cookie: str) -> None:
        """Store the cookie in its account. The seller confirmed it by hand, so a database error is retried."""
        storing = asyncio.create_task(self._store(running, cookie), name=f"qr cookie:{running.view.id[:6]}")
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.wait({storing})
            if storing.exception() is not None:
                raise
        self._move(running, QrLoginState.DONE)

    async def _store(self, running: _Running, cookie: str) -> None:
        checked = require_cookie(cookie)
        owner_id, caller, asked = running.view.owner_id, running.caller, running.view.account_id
        is_new = (asked or self._account_of(owner_id, checked.unb)) not in self._manager.accounts
        for tries_left in reversed(range(MOST_STORE_TRIES)):
            account_id = asked or self._account_of(owner_id, checked.unb)
            try:
                await add_or_renew(
                    self._manager,
                    account_id,
                    checked.header,
                    owner_id=owner_id,
                    caller=caller,
                    proxy=running.proxy,
                    browser=running.browser,
                )
                break
            except StoreError:
                if not tries_left:
                    raise
                caller = replace(caller, repeats=True)
                await asyncio.sleep(self._poll_seconds)
            except AccountExists:  # another owner took that id first
                if not tries_left or asked:
                    raise
        running.view = replace(running.view, account_id=account_id, is_new_account=is_new)

    def _account_of(self, owner_id: int, unb: str) -> str:
        """Return the owner's account of that seller, or the new account's id: the number, or the next free name."""
        mine = (one.id for one in self._manager.accounts_of_number(unb) if one.owner_id == owner_id)
        free = (name for name in _names(unb) if name not in self._manager.accounts)
        return next(mine, "") or next(free)


def _names(number: str) -> Iterator[str]:
    yield number
    yield from (f"{number}-{count}" for count in itertools.count(2))


def _too_many() -> Conflict:
    return Conflict("too many QR logins are under way", code="too_many_qr_logins", limit=MOST_OF_ONE_OWNER)


def unknown_qr_login() -> InvalidInput:
    """Return the error for a login that does not exist or belongs to another user."""
    return InvalidInput("there is no such QR login", code="unknown_qr_login")
