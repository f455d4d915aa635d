"""The living parts of one running server, together in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.accounts.account_counts import AccountCounter
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import EventBus
from shoal.accounts.reload import Reload
from shoal.accounts.store import AccountStore
from shoal.api.live_streams import LiveStreams
from shoal.auth.api_tokens import ApiTokens
from shoal.auth.audit_log import SecurityLog
from shoal.auth.authorization import Access
from shoal.auth.invitations import Invitations
from shoal.auth.login import SignIns
from shoal.auth.rate_limits import CallRates
from shoal.auth.sessions import Sessions
from shoal.auth.totp import SecondFactor
from shoal.auth.user_removal import Departures
from shoal.auth.users import Users
from shoal.concurrency.single_flight import SingleFlight
from shoal.config import Settings
from shoal.connection.qr_logins import QrLogins
from shoal.messages.chats import Chats
from shoal.messages.live_connections import Switchboard
from shoal.messages.message_log import MessageLog
from shoal.messages.pictures import Pictures
from shoal.messages.takeovers import ChatPauses
from shoal.network.outbound import Outbound
from shoal.orders.order_store import OrderBook
from shoal.rules.xlsx_processes import SheetProcesses
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.database_probe import DatabaseProbe
from shoal.storage.database_stats import StoreFigures
from shoal.storage.idempotency_keys import Answers
from shoal.storage.key_rotation import KeyRotation


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """What the routes may use. Made when the application starts, gone when it ends."""

    settings: Settings
    database: Database
    database_probe: DatabaseProbe
    store_figures: SingleFlight[StoreFigures]
    store: AccountStore
    manager: CookieManager
    account_counter: AccountCounter
    reload: Reload
    users: Users
    security_log: SecurityLog
    sessions: Sessions
    invitations: Invitations
    api_tokens: ApiTokens
    access: Access
    second_factor: SecondFactor
    sign_ins: SignIns
    call_rates: CallRates
    live_streams: LiveStreams
    departures: Departures
    message_log: MessageLog
    pauses: ChatPauses
    chats: Chats
    switchboard: Switchboard
    order_book: OrderBook
    credentials: Credentials
    answers: Answers
    pictures: Pictures
    sheets: SheetProcesses
    qr_logins: QrLogins
    key_rotation: KeyRotation
    outbound: Outbound
    started_at_ms: int

    @property
    def events(self) -> EventBus:
        """Where committed changes and new states are told."""
        return self.manager.events
