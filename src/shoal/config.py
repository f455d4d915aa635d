"""Every setting, declared once: unit, default, bounds and a sentence. Read at the start, never later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from shoal.errors import ConfigError
from shoal.network.addresses import parse_host_names, parse_networks
from shoal.network.outbound import Outbound

PREFIX = "SHOAL_"
_NOT_SETTINGS = {"SHOAL_URL", "SHOAL_USER", "SHOAL_PASSWORD", "SHOAL_CONFIG", "SHOAL_TOKEN"}
"""Variables that the command line reads as a client of a server; they are not settings of the server."""


_NARROWEST_TRUSTED = {4: 8, 6: 16}
"""The shortest prefix lengths, by IP version, of trusted proxy networks."""


class Settings(BaseSettings):
    """The server's settings, from the environment (``SHOAL_…``) over ``shoal.toml`` over the defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, toml_file=None)

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Another than loopback needs `tls_cert`, a trusted proxy elsewhere, or "
        "`allow_plain_http`.",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("shoal")),
        description="Directory of the database, the key file and the lock. Made with mode 0700.",
    )
    database_url: SecretStr | None = Field(
        None, description="postgresql+psycopg://… instead of the SQLite file in the data directory."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="32 bytes in base64 or hex that encrypt secrets (several: the newest first, with commas); else a "
        "key file in the data directory.",
    )
    admin_password: SecretStr | None = Field(
        None, min_length=8, description="First administrator's password; generated and printed once when unset."
    )
    site_mtop_url: str = Field("https://h5api.m.goofish.com", description="Where mtop calls go.")
    site_ws_url: str = Field("wss://wss-goofish.dingtalk.com/", description="Where the message socket is.")
    site_passport_url: str = Field("https://passport.goofish.com", description="Where the login keep-alive is.")
    site_upload_url: str = Field("https://stream-upload.goofish.com", description="Where pictures are uploaded.")
    lock_wait_seconds: float = Field(30.0, gt=0, le=300, description="Longest wait for an account's turn.")
    database_deadline_seconds: float = Field(10.0, gt=0, le=60, description="Longest wait for a commit.")
    start_wait_seconds: float = Field(5.0, ge=0, le=60, description="How long an answer waits for a start.")
    stop_wait_seconds: float = Field(10.0, ge=0, le=60, description="How long an answer waits for a stop.")
    shops_per_owner: int = Field(
        1000, ge=0, le=1_000_000, description="Shops that one person may have; more cannot be added, those that are "
        "there stay. Administrators have no limit; 0 is none for anybody."
    )  # fmt: skip
    starts_per_second: float = Field(20.0, gt=0, le=1000, description="First connections per second.")
    reconnects_per_second: float = Field(200.0, gt=0, le=5000, description="Reconnects per second.")
    token_calls_per_second: float = Field(1.0, gt=0, le=1000, description="Risk-sensitive token calls per second.")
    order_calls_per_second: float = Field(
        2.0, gt=0, le=100, description="Calls about orders of one shop per second, after the first ten: who comes back "
        "to a hundred orders does not ask about all at once."
    )  # fmt: skip
    token_renewal_minutes: float = Field(
        110.0, ge=10, le=1440, description="Longest use of one socket token before it is renewed, in minutes."
    )
    resync_seconds: float = Field(300.0, gt=0, le=3600, description="How often every account is looked at again.")
    heartbeat_seconds: float = Field(15.0, gt=0, le=60, description="Heartbeat interval.")
    heartbeat_timeout_seconds: float = Field(20.0, gt=0, le=120, description="Longest wait for a heartbeat's answer.")
    probe_seconds: float = Field(
        300.0, gt=0, le=3600, description="How often a quiet connection is compared with what the site lists: at least "
        "twice within `message_age_seconds`, whatever is set here."
    )  # fmt: skip
    login_check_seconds: float = Field(
        1800.0, gt=0, le=86400, description="How often the site is asked whether the login lives, which keeps it alive."
    )
    site_timeout_seconds: float = Field(20.0, gt=0, le=120, description="Longest wait for one answer of the site.")
    send_timeout_seconds: float = Field(10.0, gt=0, le=120, description="Longest wait for a message's receipt.")
    reply_debounce_seconds: float = Field(
        0.5, ge=0, le=30, description="How long a shop waits for a burst to end, unless the shop says otherwise."
    )
    buyer_replies_per_hour: int = Field(
        60, ge=0, le=10_000, description="Automatic replies to one buyer per hour at most, unless the shop says "
        "otherwise; 0 is no limit."
    )  # fmt: skip
    shop_replies_per_minute: int = Field(
        60, ge=0, le=10_000, description="Automatic replies of one shop per minute at most, unless the shop says "
        "otherwise; 0 is no limit."
    )  # fmt: skip
    message_age_seconds: float = Field(300.0, gt=0, le=86400, description="Older messages get no automatic reply.")
    allow_private_targets: str = Field(
        "",
        description="Networks besides the public ones in which proxies may be, with commas (`127.0.0.1, 10.0.0.0/8`), "
        "or `all`. Who owns a shop could reach into them.",
    )
    tls_cert: Path | None = Field(
        None, description="Certificate (PEM, with its chain) for TLS of our own; SIGHUP reads it and the key again."
    )
    tls_key: Path | None = Field(None, description="Its key (PEM, without a password, mode 0600).")
    trusted_proxies: str = Field(
        "127.0.0.1, ::1",
        description="Reverse proxies (addresses or networks, with commas) whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed; empty: nobody's.",
    )
    allowed_hosts: str = Field(
        "",
        description="Names under which browsers may reach the server, with commas (`shop.example.org, *.lan`); others "
        "are refused, addresses and `localhost` never. Empty: every name.",
    )
    client_silence_seconds: float = Field(
        20.0,
        ge=1,
        le=300,
        description="Longest that a client may take for a TLS handshake or the head of a request, may send nothing of "
        "a body (or less than 1 KiB a second), or may read nothing of an answer.",
    )
    max_connections: int = Field(
        0, ge=0, le=100_000, description="Connections to the server at once; 0, and at most, is half of the limit of "
        "open files, and 0 no more than 4,096."
    )  # fmt: skip
    connections_per_address: int = Field(
        100, ge=4, le=100_000, description="Connections at once from one address (one /64 network of IPv6), or "
        "requests at once that a trusted proxy passes on for one. This machine itself has no such limit."
    )  # fmt: skip
    streams_per_user: int = Field(
        40, ge=2, le=10_000, description="Open pages of the console, and streams of events, of one person at once."
    )
    allow_plain_http: bool = Field(
        False, description="Serve other machines without TLS: only in a network that you trust."
    )
    session_hours: float = Field(24.0, gt=0, le=720, description="How long a sign-in lasts at most.")
    session_idle_hours: float = Field(
        12.0, ge=0, le=720, description="A sign-in that nobody used for so long is over; 0 heeds session_hours alone."
    )
    session_calls_per_minute: int = Field(
        6000, ge=0, le=10_000_000, description="Calls of one sign-in per minute at most; 0 is no limit."
    )
    api_token_calls_per_minute: int = Field(
        600, ge=0, le=10_000_000, description="Calls of one API token per minute at most; 0 is no limit."
    )
    open_registration: bool = Field(
        False,
        description="Let anybody who reaches the server become an owner by POST /register; else invite them.",
    )
    journal_days: int = Field(180, ge=1, le=36500, description="How long changes are kept in the history, in days.")
    op_days: int = Field(
        180, ge=1, le=36500, description="How long the outcome of a request can be looked up by its id, in days."
    )
    state_history_days: int = Field(
        30, ge=1, le=36500, description="How long an account's past states (time line, uptime) are kept, in days."
    )
    security_log_days: int = Field(180, ge=1, le=36500, description="How long the security log is kept, in days.")
    message_days: int = Field(90, ge=1, le=36500, description="How long messages are kept, in days.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What is logged.")
    log_format: str = Field("text", pattern="^(text|json)$", description="How it is logged.")

    @property
    def look_seconds(self) -> float:
        """How often a quiet connection is checked, in seconds.

        Half of ``message_age_seconds`` at most: a message that a deaf connection held back is then still young enough
        for a reply. The other half is for the check itself, a new connection and the messages pulled over it.
        """
        return min(self.probe_seconds, self.message_age_seconds / 2)

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        for network in parse_networks(value):
            if network.prefixlen < _NARROWEST_TRUSTED[network.version]:
                raise ValueError(f"{network} is more than your own proxies: who is in it may claim any address")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: str) -> str:
        parse_host_names(value)
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
        raise ConfigError(
            "startup.bad_setting", name=name, variable=f"{PREFIX}{name.upper()}", why=first["msg"]
        ) from None
    except ValueError as error:  # a shoal.toml that is not TOML
        raise ConfigError("startup.unreadable_config", why=error) from None
