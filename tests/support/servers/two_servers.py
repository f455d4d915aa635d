"""The tests of the contract at two servers on one PostgreSQL: a plugin of pytest. Nothing of the tests changes for it.

    pytest --two-servers SEED tests/api tests/console tests/contract

``one_server.toml`` names the tests that hold of one server only, with the reason: they are left out, and counted.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from inspect import isfunction, unwrap
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from support.databases.postgres_server import Postgres
from support.servers import doors
from support.servers.cluster_doors import Spread, open_spread_door
from support.servers.doors import Door, Ways
from support.site.standins import FakeSite

LISTED = Path(__file__).with_name("one_server.toml")
_LOOKS = {"server", "account"}
"""The ways from a door into the memory of a server."""


def listed() -> dict[str, str]:
    """Return each test that is named, with the reason."""
    groups = tomllib.loads(LISTED.read_text(encoding="utf-8"))["group"]
    return {test: group["why"] for group in groups for test in group["tests"]}


def named_in(names: dict[str, str], nodeid: str) -> str:
    """Return the reason for which a test is named, by itself, with its parameters or its file; none if it is not."""
    test = nodeid.removeprefix("tests/")
    return names.get(test) or names.get(test.partition("[")[0]) or names.get(test.partition("::")[0], "")


def looks_into_memory(function: Any) -> bool:
    """Return whether a test, or a step of the tests that it takes, looks into the memory of a door's server."""
    seen, todo = set[CodeType](), [(unwrap(function).__code__, unwrap(function).__globals__)]
    while todo:
        code, around = todo.pop()
        if code in seen:
            continue
        seen.add(code)
        if _LOOKS & set(code.co_names):
            return True
        todo += [(inner, around) for inner in code.co_consts if isinstance(inner, CodeType)]
        steps = [unwrap(around[name]) for name in code.co_names if isfunction(around.get(name))]
        todo += [(step.__code__, step.__globals__) for step in steps if step.__module__ != doors.__name__]
    return False


class TwoServers:
    """The plugin of pytest behind ``--two-servers``."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._asked = [0, 0]
        self._tests = 0
        self._met_one_only = 0
        self._behind = 0
        self._looked = 0
        self._names = listed()
        self._left_out = Counter[str]()

    def pytest_report_header(self) -> str:
        """Print the seed."""
        return f"two servers on one PostgreSQL: each request meets one of them by chance, --two-servers {self._seed}"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what holds of one server only."""
        for item in items:
            if why := named_in(self._names, item.nodeid):
                item.add_marker(pytest.mark.skip(reason=why))

    @pytest.fixture(autouse=True)
    def _two_servers(
        self, request: pytest.FixtureRequest, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        looks = looks_into_memory(request.function)
        spread = Spread(f"{self._seed} {request.node.nodeid}", followed=looks)
        urls = dict[Path, str]()
        with ExitStack() as databases:

            @asynccontextmanager
            async def several(data_dir: Path, site: FakeSite, **settings: Any) -> AsyncIterator[Door]:
                if data_dir not in urls:  # otherwise a server is started again
                    urls[data_dir] = databases.enter_context(postgres.database(migrated=True))
                async with open_spread_door(data_dir, site, url=urls[data_dir], spread=spread, **settings) as door:
                    yield door

            monkeypatch.setattr(Ways, "several", staticmethod(several))
            yield
        request.node.user_properties.append(("asked", spread.asked))
        request.node.user_properties.append(("behind", spread.behind))
        request.node.user_properties.append(("looks", looks))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what a test asked."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self._left_out[report.longrepr[2].removeprefix("Skipped: ")] += 1
        if report.when != "teardown" or report.skipped:
            return
        found = dict(report.user_properties)
        asked: Any = found.get("asked", [0, 0])
        self._tests += 1
        self._behind += int(str(found.get("behind", 0)))
        self._met_one_only += not asked[1]
        self._looked += bool(found.get("looks"))
        self._asked = [one + more for one, more in zip(self._asked, asked, strict=True)]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print how many requests met which server."""
        one, two = self._asked
        terminalreporter.write_line(
            f"two servers: {one} requests met the one that runs the shops, {two} the other; {self._behind} met one "
            f"that was behind and were repeated; {self._met_one_only} of {self._tests} tests met only one"
        )
        terminalreporter.write_line(
            f"  {self._looked} looked into the memory of the first server, once that knew what the other had changed"
        )
        for why, count in self._left_out.most_common():
            terminalreporter.write_line(f"  {count} left out: {why}")
