"""The two databases of a move, as a person names them: ``sqlite:…`` and ``postgresql:…``, without a password."""

from __future__ import annotations

from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shoal.errors import ConfigError
from shoal.maintenance.backup.place import Place
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.engines import database_url

_SQLITE: Final = "sqlite:"
_POSTGRESQL: Final = ("postgresql:", "postgresql+psycopg:")
_SECRETS: Final = frozenset({"password", "sslpassword"})


def named_store(name: str, place: Place) -> Place:
    """Return the database that a person named. ``place``: the data directory, and the database of the settings.

    ``sqlite:`` alone is the file in the data directory, ``sqlite:PATH`` another file, ``postgresql:`` alone the
    database of the settings. Raises ``ConfigError``, also for a password: other users of the machine see command lines.
    """
    if name.startswith(_SQLITE):
        path = name.removeprefix(_SQLITE)
        url = name if path.startswith("//") else f"sqlite:///{path}" if path else ""
        return _with(place, url)
    if not name.startswith(_POSTGRESQL):
        raise ConfigError("migrate_store.unknown_store", name=_without_secrets(name), code="unknown_store")
    if name.partition(":")[2] == "":
        if not place.url or place.is_sqlite:
            raise ConfigError("migrate_store.no_database_url", code="no_database_url")
        return place
    try:
        parsed = make_url(name)
    except (ArgumentError, ValueError):  # of a port
        raise ConfigError("startup.bad_database_url", code="bad_database_url") from None
    if parsed.password is not None or _SECRETS & set(parsed.query):
        raise ConfigError("migrate_store.password_given", code="password_given")
    return _with(place, name)


def shown(place: Place) -> str:
    """Return the address of a database without any secret."""
    url = database_url(place.url, place.data_dir)
    if place.is_sqlite:
        return str(place.file)
    return _plain(url)


def setting_of(place: Place) -> str:
    """Return the value of ``SHOAL_DATABASE_URL`` for a database, without any secret; empty when it must be unset."""
    if not place.is_sqlite:
        return shown(place)
    return "" if place.file == (place.data_dir / DATABASE_FILE).absolute() else f"sqlite:///{place.file}"


def _with(place: Place, url: str) -> Place:
    return Place(data_dir=place.data_dir, url=url, secret_key=place.secret_key, now_ms=place.now_ms)


def _plain(url: URL) -> str:
    plain = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    return plain.difference_update_query(sorted(_SECRETS)).render_as_string(hide_password=False)


def _without_secrets(name: str) -> str:
    """Return the beginning of a name that is shown: what comes after it may be a password."""
    return name.partition(":")[0]
