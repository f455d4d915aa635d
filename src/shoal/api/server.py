"""The components of one running server, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.accounts.account_counts import AccountCounter
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import EventBus
from shoal.accounts.follower import Follower
from shoal.accounts.reload import Reload
from shoal.accounts.store import AccountStore
from shoal.api.live_streams import LiveStreams
from shoal.api.schemas.kept_accounts import KeptAccounts
from shoal.assistant.assistant_components import AssistantComponents
from shoal.auth.api_tokens import ApiTokens
from shoal.auth.audit_log import AuditLog
from shoal.auth.authorization import Authorization
from shoal.auth.invitations import Invitations
from shoal.auth.login import Login
from shoal.auth.rate_limits import RateLimits
from shoal.auth.sessions import Sessions
from shoal.auth.totp import Totp
from shoal.auth.user_removal import UserRemoval
from shoal.auth.users import Users
from shoal.clock import now_ms
from shoal.cluster.node_calls import NodeCalls
from shoal.cluster.nodes import Nodes
from shoal.concurrency.single_flight import SingleFlight
from shoal.config import Settings
from shoal.connection.push_counts import PushCounts
from shoal.connection.qr_logins import QrLogins
from shoal.goods.goods_components import GoodsComponents
from shoal.items.item_lists import ItemLists
from shoal.items.item_pages import ItemPages
from shoal.maintenance.backup.schedule import BackupSchedule
from shoal.maintenance.moving.kept_plans import KeptPlans
from shoal.maintenance.moving.moving import Moving
from shoal.maintenance.moving.uploads import Uploads
from shoal.maintenance.shop_file.file_reader import ShopFileReader
from shoal.messages.chat_desk import ChatDesk
from shoal.messages.chats import Chats
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import MessageLog
from shoal.messages.rule_hits import RuleHits
from shoal.messages.shop_counts import ShopCounts
from shoal.messages.takeovers import Takeovers
from shoal.network.outbound import Outbound
from shoal.notices.notice_components import NoticeComponents
from shoal.orders.order_store import OrderStore
from shoal.orders.sent_again import SentAgain
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.pictures import Pictures
from shoal.sheets.xlsx_processes import XlsxProcesses
from shoal.storage.credentials import Credentials
from shoal.storage.database import Database
from shoal.storage.database_probe import DatabaseProbe
from shoal.storage.database_stats import DatabaseStats
from shoal.storage.idempotency_keys import IdempotencyKeys
from shoal.storage.key_rotation import KeyRotation
from shoal.streams.event_links import EventLinks
from shoal.streams.published_ids import PublishedIds
from shoal.xianyu.site_time import SiteTime


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """All components that a route may use. Created at startup, closed at shutdown."""

    settings: Settings
    database: Database
    database_probe: DatabaseProbe
    database_stats: SingleFlight[DatabaseStats]
    store: AccountStore
    manager: CookieManager
    follower: Follower | None
    event_links: EventLinks | None
    account_counter: AccountCounter
    kept_accounts: KeptAccounts
    reload: Reload
    users: Users
    audit_log: AuditLog
    sessions: Sessions
    invitations: Invitations
    api_tokens: ApiTokens
    authorization: Authorization
    totp: Totp
    login: Login
    rate_limits: RateLimits
    live_streams: LiveStreams
    user_removal: UserRemoval
    message_log: MessageLog
    rule_hits: RuleHits
    shop_counts: ShopCounts
    takeovers: Takeovers
    chats: Chats
    chat_desk: ChatDesk
    spec_pages: SpecPages
    order_store: OrderStore
    sent_again: SentAgain
    goods: GoodsComponents
    notices: NoticeComponents
    assistant: AssistantComponents
    push_counts: PushCounts
    site_time: SiteTime
    credentials: Credentials
    idempotency_keys: IdempotencyKeys
    pictures: Pictures
    xlsx: XlsxProcesses
    qr_logins: QrLogins
    key_rotation: KeyRotation
    moving: Moving
    moving_plans: KeptPlans = field(default_factory=KeptPlans)
    moving_uploads: Uploads
    shop_files: ShopFileReader
    backups: BackupSchedule
    outbound: Outbound
    nodes: Nodes
    started_at_ms: int = field(default_factory=now_ms)

    @property
    def live_connections(self) -> LiveConnections:
        """Return the connections of the accounts that run here."""
        return self.item_lists.live_connections

    @property
    def item_pages(self) -> ItemPages:
        """Return what reads the site's pages of items."""
        return self.spec_pages.pages

    @property
    def item_lists(self) -> ItemLists:
        """Return the lists of the items on sale."""
        return self.item_pages.lists

    @property
    def node_calls(self) -> NodeCalls | None:
        """Return what asks the server that runs an account; ``None`` when a single server serves the database."""
        return self.nodes.calls

    @property
    def published_ids(self) -> PublishedIds | None:
        """Return what knows how far the events of all nodes were published; ``None`` on a single server."""
        return None if self.event_links is None else self.event_links.published_ids

    @property
    def events(self) -> EventBus:
        """Return the bus that publishes committed changes and new states."""
        return self.manager.events
