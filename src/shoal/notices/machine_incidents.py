"""What is noted of the machine of one server: of several servers each notes its own, under its own name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, exists, select, text

from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import SERVER, close_incidents
from shoal.storage.node_tables import nodes
from shoal.storage.notice_tables import LIVE, incidents

OF_MACHINES: Final = [IncidentKind.DISK_LOW, IncidentKind.CLOCK_WRONG]
_OF_ONE: Final = f"{SERVER}:"


def subject_of(server: str) -> str:
    """Return the subject of a machine; ``server``: the name of its server as one of several, else empty."""
    return f"{_OF_ONE}{server}" if server else SERVER


def is_live(connection: Connection, *, subject: str, kind: IncidentKind) -> bool:
    """Return whether an incident of that kind may still go on."""
    mine = (text(LIVE), incidents.c.subject == subject, incidents.c.kind == kind.value)
    return bool(connection.scalar(select(exists().where(*mine))))


def close_of_gone_servers(connection: Connection, at_ms: int) -> int:
    """Close what was noted of the machines of servers whose rows were deleted. Return how many there were."""
    is_open = (incidents.c.closed_at_ms.is_(None), incidents.c.kind.in_([kind.value for kind in OF_MACHINES]))
    noted = connection.scalars(select(incidents.c.subject).where(text(LIVE), *is_open)).all()
    known = {f"{_OF_ONE}{name.partition('/')[0]}" for name in connection.scalars(select(nodes.c.name))}
    gone = {subject for subject in noted if subject.startswith(_OF_ONE)} - known
    return close_incidents(connection, gone, OF_MACHINES, at_ms, is_well=False)
