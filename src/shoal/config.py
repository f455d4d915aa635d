"""All settings: type, default, bounds, and a description with the unit. They are read once, at the start.

``scripts/settings_table.py`` copies the descriptions into docs/operating.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from shoal.errors import ConfigError
from shoal.network.addresses import DEFAULT_HOST, DEFAULT_PORT, parse_host_names, parse_networks
from shoal.network.outbound import Outbound

PREFIX = "SHOAL_"
_NOT_SETTINGS = {"SHOAL_URL", "SHOAL_USER", "SHOAL_PASSWORD", "SHOAL_CONFIG", "SHOAL_TOKEN"}
"""Variables that the command line reads as a client of a server; they are not settings of the server."""
_LENGTHS = {
    "too_short": ("startup.setting_too_short", "min_length"),
    "string_too_short": ("startup.setting_too_short", "min_length"),
    "too_long": ("startup.setting_too_long", "max_length"),
    "string_too_long": ("startup.setting_too_long", "max_length"),
}
"""The sentences of texts of a wrong length, with the names of the bounds, by the types of pydantic's errors."""
_EXAMPLES = {
    "node": "node-1",
    "node_address": "https://10.0.0.5:8080",
    "public_url": "https://shoal.example.com",
}
"""What settings of a certain form look like."""


_NARROWEST_TRUSTED = {4: 8, 6: 16}
"""The shortest prefix lengths, by IP version, of trusted proxy networks."""


class Settings(BaseSettings):
    """The server's settings, from the environment (``SHOAL_…``) over ``shoal.toml`` over the defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, toml_file=None)

    host: str = DEFAULT_HOST
    """IP address to listen on. Change it to serve other machines; then `tls_cert`, a trusted proxy on another machine,
    or `allow_plain_http` is also needed."""
    port: int = Field(DEFAULT_PORT, ge=0, le=65535)
    """TCP port to listen on; 0 takes any free port. Change it when the port is in use."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("shoal")))
    """Directory of the database, the key file and the lock file; created with mode 0700. Change it to keep the data on
    another disk."""
    database_url: SecretStr | None = None
    """PostgreSQL database (`postgresql+psycopg://user:password@host/name`) to use instead of the SQLite file in the
    data directory. Set it when you already run and back up PostgreSQL."""
    node: str | None = Field(None, min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Experimental: name of this server among several on one PostgreSQL database, each with a name and a data directory
    of its own. Read the page about several machines first. Unset, this server serves its database alone."""
    node_address: str = Field("", pattern=r"^(https?://[^\s?#/]+/?)?$")
    """Experimental: where the other nodes call this one, such as `https://10.0.0.5:8080`; a proxy must not stand before
    it. Without it they cannot send messages for shops that run here, nor tell what happens to them."""
    node_outgoing: str = Field("one", min_length=1, max_length=100)
    """Experimental: name of the address from which this node reaches the site. Nodes with the same name share the pace
    of starts and token calls. Name it only when the site sees this node under an address of its own."""
    node_lease_seconds: float = Field(15.0, ge=2, le=300)
    """Experimental: seconds after which the other nodes take over the shops of one that does not answer. Raise it when
    the database may be away for longer, such as while a standby takes over."""
    workers: int = Field(0, ge=0, le=64)
    """Experimental: number of processes of this node, which share its port and directory; each runs its share of the
    shops. 0 means one process without a parent. Set it to the number of cores when one is busy all the time."""
    secret_key: SecretStr | None = None
    """32 bytes in base64 or hex that encrypt all secrets. If unset, a key file in the data directory is used. Set it to
    keep the key away from the data. To replace a key, name the new one first, then a comma and the old one."""
    admin_password: SecretStr | None = Field(None, min_length=8)
    """Password of the first administrator, at least 8 characters. If unset, one is generated and printed once. Only
    read on an empty database."""
    backup_dir: Path | None = None
    """Directory for a backup every day, on another disk if possible. It must be there, and needs `backup_key` too.
    Older ones are deleted as `backup_keep_days`, `…_weeks` and `…_months` say. Set it so that no day is lost with the
    disk."""
    backup_key: str = Field("", max_length=200)
    """Public key that the daily backups are sealed to; `shoal backup keygen` makes one. Only its private half, which
    the server does not have, opens them. Set it together with `backup_dir`."""
    backup_hour: int = Field(4, ge=0, le=23)
    """Hour of the day, by the machine's clock, at which the daily backup is made. Change it when that hour is busy."""
    backup_keep_days: int = Field(7, ge=1, le=3650)
    """Number of days of which the newest backup is kept. Lower it when the disk is small."""
    backup_keep_weeks: int = Field(4, ge=0, le=520)
    """Number of weeks of which the newest backup is kept. Lower it when the disk is small."""
    backup_keep_months: int = Field(6, ge=0, le=120)
    """Number of months of which the newest backup is kept. Raise it when you may have to look back further."""
    site_mtop_url: str = "https://h5api.m.goofish.com"
    """URL of Xianyu's HTTP API. Change it only to use the sandbox."""
    site_ws_url: str = "wss://wss-goofish.dingtalk.com/"
    """URL of Xianyu's message socket. Change it only to use the sandbox."""
    site_passport_url: str = "https://passport.goofish.com"
    """URL of Xianyu's sign-in service. Change it only to use the sandbox."""
    site_upload_url: str = "https://stream-upload.goofish.com"
    """URL for uploads of pictures to Xianyu. Change it only to use the sandbox."""
    public_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    """URL at which phones and other machines reach this server, such as `https://shoal.example.com`. Notices have links
    only when it is set, and the link of the first start leads there; nothing is sent to it. Set it to open the right
    page from a notice."""
    heartbeat_url: SecretStr | None = None
    """URL that is called every 30 seconds while the server can store changes, such as a check of Uptime Kuma or
    healthchecks.io, which tells you when the calls stop. Set it because a server that is dead tells no one itself."""
    metrics_token: SecretStr | None = Field(None, min_length=16)
    """Token with which Prometheus reads `GET /metrics` (`Authorization: Bearer …`), at least 16 characters; without it
    there is no such route. Set it when Prometheus is on another machine; `openssl rand -hex 24` makes one."""
    metrics_port: int = Field(0, ge=0, le=65535)
    """TCP port at which `/metrics` is served without a token, on 127.0.0.1 only; 0 means none. Set it when Prometheus
    runs on this machine, and every user of the machine may read the figures."""
    otlp_endpoint: SecretStr | None = None
    """URL of your OpenTelemetry collector (OTLP over HTTP, such as `http://127.0.0.1:4318`), to which traces of
    changes, answers and orders are sent; `shoal[otel]` must be installed. Set it to find out where time is lost."""
    chrome_version: int = Field(151, ge=100, le=999)
    """Version of Chrome that a shop presents to the site when the browser of its cookie is not known, and after a QR
    login. 151 was seen at the site on 2026-08-28; each release renews it. Raise it when your own Chrome is newer."""
    lock_wait_seconds: float = Field(30.0, gt=0, le=300)
    """Seconds that a change waits for an earlier change of the same account; then it is refused with `lock_timeout`.
    Raise it when scripts change one account many times at once."""
    database_deadline_seconds: float = Field(10.0, gt=0, le=60)
    """Seconds that a change waits for the database to store it; then it is refused or its outcome is unknown. Raise it
    when the disk is slow."""
    start_wait_seconds: float = Field(5.0, ge=0, le=60)
    """Seconds that a request waits for the connection to start before it is answered. The start itself continues after
    that. Lower it when a script must not wait."""
    stop_wait_seconds: float = Field(10.0, ge=0, le=60)
    """Seconds that a request waits for the connection to stop before it is answered. The stop itself continues after
    that. Lower it when a script must not wait."""
    shops_per_owner: int = Field(1000, ge=0, le=1_000_000)
    """Largest number of shops per user; 0 means no limit. Existing shops stay when it is lowered. Administrators have
    no limit. Lower it when many users share the server."""
    import_max_mib: int = Field(100, ge=1, le=10_000)
    """Largest file of another system that can be moved in, in MiB. It is read in a process of its own, which uses 1 GiB
    of memory at most. Raise it for a database that is large because of its logs."""
    starts_per_second: float = Field(20.0, gt=0, le=1000)
    """Most first connections per second, all shops together. Lower it when the site refuses many connections after a
    restart of the server."""
    reconnects_per_second: float = Field(200.0, gt=0, le=5000)
    """Most reconnects per second, all shops together. Lower it when the site refuses many connections after an outage.
    """
    token_calls_per_second: float = Field(1.0, gt=0, le=1000)
    """Most requests per second for connection tokens, all shops together. The site answers too many of them with a
    verification; raise it with care."""
    orders_wait_seconds: float = Field(60.0, ge=10, le=86400)
    """Seconds after which a paid order that waits for its page, its turn, a supplier or Xianyu is reported, once per
    shop. Raise it when many orders come at once and an hour does not matter."""
    order_calls_per_second: float = Field(2.0, gt=0, le=100)
    """Most requests per second about the orders of one shop, after the first ten: so many that read, and so many that
    confirm. Lower it when the site asks for a verification after a busy day."""
    token_renewal_minutes: float = Field(110.0, ge=10, le=1440)
    """Minutes after which a connection token is renewed, even if it is still valid. Lower it when the site ends
    connections before that."""
    resync_seconds: float = Field(300.0, gt=0, le=3600)
    """Seconds between two checks of every account for a connection that does not match its settings. Changes take
    effect without this check. It rarely needs a change."""
    heartbeat_seconds: float = Field(15.0, gt=0, le=60)
    """Seconds between two heartbeats of a connection. It rarely needs a change."""
    heartbeat_timeout_seconds: float = Field(20.0, gt=0, le=120)
    """Seconds without an answer to a heartbeat after which the connection is replaced. Raise it on a slow network."""
    probe_seconds: float = Field(300.0, gt=0, le=3600)
    """Seconds after which a quiet connection is compared with the site's list of chats, to find missed messages. At
    most half of `message_age_seconds` is used. Lower it to find missed messages sooner."""
    login_check_seconds: float = Field(1800.0, gt=0, le=86400)
    """Seconds between two checks that the site still accepts the cookie. Each check also extends the login. Lower it
    when logins expire while the server runs."""
    site_timeout_seconds: float = Field(20.0, gt=0, le=120)
    """Seconds to wait for one answer of the site. Raise it on a slow network or proxy."""
    send_timeout_seconds: float = Field(10.0, gt=0, le=120)
    """Seconds to wait for the site's receipt of a sent message; without one the outcome is uncertain. Raise it on a
    slow network or proxy."""
    reply_debounce_seconds: float = Field(0.5, ge=0, le=30)
    """Seconds without a new message before a buyer is answered, so that several messages in a row get one reply. Each
    shop can override it. Raise it when buyers spread one question over several messages."""
    buyer_replies_per_hour: int = Field(60, ge=0, le=10_000)
    """Most automatic replies to one buyer per hour; 0 means no limit. Each shop can override it. Lower it when the site
    restricts a shop for sending too much."""
    shop_replies_per_minute: int = Field(60, ge=0, le=10_000)
    """Most automatic replies of one shop per minute; 0 means no limit. Each shop can override it. Lower it when the
    site restricts a shop for sending too much."""
    message_age_seconds: float = Field(300.0, gt=0, le=86400)
    """Age in seconds above which a message gets no automatic reply. Raise it to answer messages of a longer outage."""
    allow_private_targets: str = ""
    """Private networks where proxies of shops, suppliers of goods, receivers of webhooks and services for notices
    (ntfy, Gotify, a mail server) may be, separated by commas (`127.0.0.1, 10.0.0.0/8`), or `all`. Set it only when one
    runs there: every user can then connect to these networks."""
    official_senders: str = Field("", pattern=r"^[0-9, ]*$", max_length=4_000)
    """User IDs of Xianyu's own accounts, separated by commas, besides those known by an ID below six digits or by the
    kind of their chat. Their messages get no automatic reply. Add one when Shoal answers an account of Xianyu."""
    tls_cert: Path | None = None
    """File with the TLS certificate and its chain (PEM), to serve HTTPS without a reverse proxy. After a renewal,
    SIGHUP loads it again."""
    tls_key: Path | None = None
    """File with the private key of `tls_cert` (PEM, without a password, mode 0600)."""
    trusted_proxies: str = "127.0.0.1, ::1"
    """Addresses or networks of your reverse proxies, separated by commas; their `X-Forwarded-For` and
    `X-Forwarded-Proto` headers are used. Empty: none. Set it when the proxy runs on another machine."""
    allowed_hosts: str = ""
    """Host names under which browsers can reach the server, separated by commas (`nas.local, *.lan`), besides the one
    in `public_url`. Other names are refused; IP addresses and `localhost` are always accepted. Set it when you open the
    server by another name."""
    client_silence_seconds: float = Field(20.0, ge=1, le=300)
    """Seconds after which a slow client is disconnected: one that has not finished its TLS handshake or request
    headers, sends less than 1 KiB of a body per second, or does not read the response. Raise it for clients on very
    slow networks."""
    max_connections: int = Field(0, ge=0, le=100_000)
    """Most simultaneous connections to the server. 0, and also the upper limit, is half of the open-file limit; 0 means
    at most 4,096. Lower it on a small machine."""
    connections_per_address: int = Field(100, ge=4, le=100_000)
    """Most simultaneous connections from one IP address (one /64 network in IPv6), or simultaneous requests for one
    address through a trusted proxy. This machine has no such limit. Raise it when many users share one address."""
    streams_per_user: int = Field(40, ge=2, le=10_000)
    """Most open console pages and event streams per user. Raise it when users get `too_many_streams`."""
    allow_plain_http: bool = False
    """Serve other machines over HTTP without TLS. Passwords and cookies then cross the network unencrypted: use it only
    in a network that you trust."""
    session_hours: float = Field(24.0, gt=0, le=720)
    """Hours after which a user must sign in again. Lower it when users sign in on shared computers."""
    session_idle_hours: float = Field(12.0, ge=0, le=720)
    """Hours without use after which a user must sign in again; 0 means that only `session_hours` applies. Lower it when
    users sign in on shared computers."""
    session_calls_per_minute: int = Field(300_000, ge=0, le=10_000_000)
    """Most API requests per minute of one session; 0 means no limit. Ordinary scripts stay below it.
    """
    api_token_calls_per_minute: int = Field(300_000, ge=0, le=10_000_000)
    """Most API requests per minute of one API token; 0 means no limit. Lower it for a machine that many scripts share.
    """
    open_registration: bool = False
    """Let everyone who can reach the server become an owner (`POST /register`). Leave it off and invite users instead.
    """
    journal_days: int = Field(180, ge=1, le=36500)
    """Days for which the history of changes is kept. Raise it to be able to undo older changes."""
    op_days: int = Field(180, ge=1, le=36500)
    """Days for which the outcome of a request can be looked up by its operation ID. Raise it when scripts repeat
    requests after a longer time."""
    state_history_days: int = Field(30, ge=1, le=36500)
    """Days for which past states of accounts (timeline, uptime) are kept. Raise it for a longer record of uptime."""
    security_log_days: int = Field(180, ge=1, le=36500)
    """Days for which the audit log is kept. Raise it when your rules require a longer record."""
    message_days: int = Field(90, ge=1, le=36500)
    """Days for which messages are kept. Lower it to save disk space."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least important log lines that are written: `DEBUG`, `INFO`, `WARNING` or `ERROR`. Use `DEBUG` to find the cause
    of a problem."""
    log_format: str = Field("text", pattern="^(text|json)$")
    """Format of log lines: `text` for people, `json` for log collectors."""

    @property
    def site_page_url(self) -> str:
        """URL of the site's own pages; the sandbox has them where it has its passport."""
        usual = type(self).model_fields["site_passport_url"].default
        return "https://www.goofish.com" if self.site_passport_url == usual else self.site_passport_url.rstrip("/")

    @property
    def look_seconds(self) -> float:
        """How often a quiet connection is checked, in seconds.

        Half of ``message_age_seconds`` at most: a message that a deaf connection held back is then still young enough
        for a reply. The other half is for the check itself, a new connection and the messages pulled over it.
        """
        return min(self.probe_seconds, self.message_age_seconds / 2)

    @field_validator("data_dir", mode="before")
    @classmethod
    def _check_named(cls, value: object) -> object:
        if value == "":  # the directory one stands in, which would get the mode 0700: of a service it is /
            raise PydanticCustomError("string_too_short", "no directory", {"min_length": 1})
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        for network in parse_networks(value):
            if network.prefixlen < _NARROWEST_TRUSTED[network.version]:
                raise ValueError(f"{network} is too large: each machine in it could claim any address")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: str) -> str:
        parse_host_names(value)
        return value

    @field_validator("heartbeat_url", "otlp_endpoint")
    @classmethod
    def _check_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"https?://[^\s#]+", value.get_secret_value()):
            raise ValueError("it is no http:// or https:// URL")  # which is not repeated: it is a secret
        return value

    @field_validator("allow_private_targets")
    @classmethod
    def _check_targets(cls, value: str) -> str:
        Outbound.of(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  fixed by pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: arguments, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def _config_file() -> Path | None:
    named = os.environ.get("SHOAL_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigError("startup.config_not_a_file", path=named)
        return Path(named)
    return Path("shoal.toml") if Path("shoal.toml").is_file() else None


def load_settings(**overrides: Any) -> Settings:
    """Read and check the settings. Overrides that are ``None`` are left out.

    Raises ``ConfigError`` with a sentence that names the setting: unknown, of the wrong type or out of bounds.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _NOT_SETTINGS
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise ConfigError("startup.unknown_setting", name=unknown[0])
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError("startup.unknown_setting_in_file", name=name) from None
        variable = f"{PREFIX}{name.upper()}"
        if first["type"] in _LENGTHS:  # pydantic counts the "items" of a secret, which are its characters
            sentence, bound = _LENGTHS[first["type"]]
            raise ConfigError(sentence, name=name, variable=variable, limit=first["ctx"][bound]) from None
        if name in _EXAMPLES:
            raise ConfigError("startup.setting_form", name=name, variable=variable, example=_EXAMPLES[name]) from None
        raise ConfigError("startup.bad_setting", name=name, variable=variable, why=first["msg"]) from None
    except ValueError as error:  # a shoal.toml that is not TOML
        raise ConfigError("startup.unreadable_config", why=error) from None
