"""Which servers of an older version live when a newer one brings the database to its schema."""

from __future__ import annotations

from sqlalchemy import Connection

from shoal.cluster.node_rows import decide_alone, older_nodes
from shoal.cluster.server_lease import is_leased
from shoal.errors import ConfigError
from shoal.storage.migrations import newest


def older_servers(connection: Connection) -> list[str]:
    """Return their names; none joins until this transaction ends. Raises ``ConfigError`` beside a single server."""
    decide_alone(connection)
    if is_leased(connection):
        raise ConfigError("startup.one_server_runs", code="database_taken")
    return older_nodes(connection, newest())
