"""The OpenAPI document is complete, and the server answers as it says."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shoal.api.http.problem_table import PROBLEMS
from shoal.auth import passwords
from shoal.server.reply_server import build_app
from support.runs.quick_start import cheap_hasher
from support.servers.api_document import api_document
from support.site.standins import FakeSite, cookie_of, quick_settings

PASSWORD = "correct horse battery"
MANY, FEW = (30, 10) if os.environ.get("SHOAL_PROVE") else (2, 1)
"""How many bodies each operation is sent, by who may call it and by who may not; `make prove` sends the more."""
LEFT_OUT = {"get_events", "logout", "change_admin_password", "begin_qr_login"}
"""An endless answer, two calls that would sign the test out, and one that asks a site which is not there."""

Callers = tuple[dict[str, str], ...]
"""The headers of those who call."""

WITHOUT_JSON = {
    "get_events", "get_metrics", "register", "export_keywords", "export_deliveries", "export_orders", "export_shops",
    "get_shop_schema",
}  # fmt: skip
"""What is answered with a stream, a text or a file, or never with 200."""

STATUSES = {200, 207, 307, 400, 422} | {problem.status for problem in PROBLEMS.values()}


@pytest.fixture
def document() -> dict[str, Any]:
    return api_document()


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def test_every_operation_has_a_readable_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    names = Counter(operation["operationId"] for operation in _operations(document))
    assert max(names.values()) == 1
    for operation in _operations(document):
        assert operation["operationId"].isidentifier()
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_every_body_that_is_sent_has_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for operation in _operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        if content and not set(content) <= {"multipart/form-data", "application/octet-stream"}:
            reference = content["application/json"]["schema"]["$ref"]
            assert schemas[reference.rpartition("/")[2]]["examples"], operation["operationId"]


def test_every_success_has_a_shape(document: dict[str, Any]) -> None:
    for operation in _operations(document):
        if operation["operationId"] not in WITHOUT_JSON:
            assert operation["responses"]["200"]["content"]["application/json"]["schema"], operation["operationId"]


def test_every_failure_has_the_shape_of_a_problem(document: dict[str, Any]) -> None:
    for operation in _operations(document):
        for status, answer in operation["responses"].items():
            assert int(status) in STATUSES, operation["operationId"]
            if status >= "400" and operation["operationId"] not in {"get_health", "get_ready"}:
                reference = answer["content"]["application/json"]["schema"]["$ref"]
                assert reference.endswith("/InvalidBody" if status == "422" else "/ProblemBody")


def test_every_body_may_be_unreadable_too_large_or_of_the_wrong_shape(document: dict[str, Any]) -> None:
    for operation in _operations(document):
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= operation["responses"].keys(), operation["operationId"]


def test_every_operation_but_the_open_ones_asks_for_a_token(document: dict[str, Any]) -> None:
    open_ones = {operation["operationId"] for operation in _operations(document) if "security" not in operation}
    assert open_ones == {
        *("login", "register", "get_health", "get_live", "get_ready"),
        *("open_console_session", "close_console_session"),
        *("look_at_link", "join"),
        *("get_registration_status", "get_login_info_status", "get_shop_schema"),
    }


@contextmanager
def _running(data_dir: Path) -> Iterator[str]:
    """The server in a thread of its own, with one account."""
    quick = quick_settings(data_dir=data_dir, admin_password=PASSWORD, site_passport_url="http://127.0.0.1:9")
    app = build_app(quick, connect=FakeSite().connect)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1, timeout_keep_alive=3600)
    )
    thread = threading.Thread(target=server.run, name="served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", cheap_hasher)
        thread.start()
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)


def test_the_server_answers_as_its_document_says(tmp_path: Path) -> None:
    with _running(tmp_path) as url, requests.Session() as session:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # nobody is signed in by an earlier answer
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", timeout=60)
        login = schema["/login"]["POST"].Case(body={"username": "admin", "password": PASSWORD}).call(timeout=60)
        headers = {"Authorization": f"Bearer {login.json()['token']}"}
        schema["/cookies"]["POST"].Case(body={"id": "my-shop", "value": cookie_of(1)}).call(headers=headers, timeout=60)
        operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]
        reader = {"Authorization": f"Bearer {_token_of_staff(url, headers)}"}
        for operation in operations:
            name = operation.definition.raw["operationId"]
            _check(
                operation,
                session,
                refused=({}, reader) if name != "get_events" else ({},),
                admitted=(headers,) if name not in LEFT_OUT else (),
            )


def _token_of_staff(url: str, headers: dict[str, str]) -> str:
    """A token that reads, of somebody with whom the shop is shared: for everything else it is refused."""
    with httpx.Client(base_url=url, headers=headers, timeout=60) as admin:
        user = {"username": "sam", "password": f"{PASSWORD} of sam", "role": "staff"}
        assert admin.post("/users", json=user).is_success
        assert admin.put("/cookies/my-shop/staff/sam", json={"permission": "read"}).is_success
        signed_in = admin.post("/login", json={"username": "sam", "password": user["password"]}).json()
        sam = {"Authorization": f"Bearer {signed_in['token']}"}
        token: str = admin.post("/tokens", json={"name": "reader"}, headers=sam).json()["token"]
        return token


def _check(operation: Any, session: requests.Session, *, refused: Callers, admitted: Callers) -> None:
    """Send bodies as those who may call it, and the first of them also as the others."""
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    sent = Counter[str]()

    @given(case=operation.as_strategy())
    @seed(0)
    @settings(
        max_examples=MANY if admitted else FEW,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Any) -> None:
        sent["bodies"] += 1
        for headers in (*(refused if sent["bodies"] <= FEW else ()), *admitted):
            case.call_and_validate(headers=headers, session=session, checks=checks, timeout=60)

    answers()
    assert sent["bodies"]
