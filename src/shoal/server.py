"""The living parts of one running server, together in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.access import Access
from shoal.account_counts import AccountCounter
from shoal.answers import Answers
from shoal.api_tokens import ApiTokens
from shoal.call_rates import CallRates
from shoal.chat_pauses import ChatPauses
from shoal.chats import Chats
from shoal.config import Settings
from shoal.cookie_manager import CookieManager
from shoal.credentials import Credentials
from shoal.database import Database
from shoal.database_probe import DatabaseProbe
from shoal.departures import Departures
from shoal.events import EventBus
from shoal.invitations import Invitations
from shoal.key_rotation import KeyRotation
from shoal.live_streams import LiveStreams
from shoal.message_log import MessageLog
from shoal.order_book import OrderBook
from shoal.outbound import Outbound
from shoal.pictures import Pictures
from shoal.qr_logins import QrLogins
from shoal.reload import Reload
from shoal.second_factor import SecondFactor
from shoal.security_log import SecurityLog
from shoal.sessions import Sessions
from shoal.sheet_processes import SheetProcesses
from shoal.sign_ins import SignIns
from shoal.single_flight import SingleFlight
from shoal.store import AccountStore
from shoal.store_figures import StoreFigures
from shoal.switchboard import Switchboard
from shoal.users import Users


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
