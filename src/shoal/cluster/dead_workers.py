"""Declares a worker dead whose end its parent has seen: the others claim its shards without waiting for its lease."""

from __future__ import annotations

import structlog
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shoal.cluster.last_life import LifeFile
from shoal.cluster.node_rows import end_life
from shoal.config import Settings
from shoal.storage.engines import database_url

log = structlog.get_logger("shoal.workers")

SECONDS = 3
"""How long the database may take, each for the connection and the statement. The worker's next start tries again."""


def end_worker(settings: Settings, node: str) -> bool:
    """Declare the last life of a worker dead, by a connection of its own. Return whether it was not dead yet.

    Its process certainly has ended, and the kernel has closed its sockets. Without an answer of the database its lease
    runs out, unless it starts again before.
    """
    life = LifeFile(settings.data_dir, node).read()
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if life is None:
        return False
    limits = {"connect_timeout": SECONDS, "options": f"-c statement_timeout={SECONDS}s", "tcp_user_timeout": 4000}
    engine = create_engine(database_url(url, settings.data_dir), poolclass=NullPool, connect_args=limits)
    try:
        with engine.connect() as connection, connection.begin():
            return end_life(connection, life)
    except SQLAlchemyError as error:
        log.warning("a worker could not be declared dead: its lease runs out", node=node, why=type(error).__name__)
        return False
    finally:
        engine.dispose()
