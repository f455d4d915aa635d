"""The router of which every module of routes has one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute


class Routes(APIRouter):
    """Routes whose operations are called like their functions, ready for an application to take over as they are."""

    def __init__(self, **values: Any) -> None:
        super().__init__(generate_unique_id_function=_operation_id, **values)


def _operation_id(route: APIRoute) -> str:
    return route.name
