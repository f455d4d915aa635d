"""The demo as a newcomer starts it: one command, one READY line, shops that answer, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from benchmarks.processes import KEPT, START_SECONDS
from support.runs.warm_start import ran

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]

T = TypeVar("T")


def environment_of(directory: Path) -> dict[str, str]:
    """The environment of a demo and of the commands that talk to it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SHOAL_", "LC_", "LANG"))}
    return {**plain, "SHOAL_PORT": "0", "XDG_CONFIG_HOME": str(directory / "config")}


def begun(directory: Path) -> subprocess.Popen[bytes]:
    """``python -m shoal demo``, which need not be ready."""
    with (directory / "stdout").open("wb") as output, (directory / "stderr").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "shoal", "demo"],
            cwd=directory, env=environment_of(directory), stdout=output, stderr=errors, start_new_session=True,
        )  # fmt: skip


class Demo:
    """A demo in a directory of its own, ready and signed in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.began = time.monotonic()
        self.environment = environment_of(directory)
        self.process = begun(directory)
        self.ready: dict[str, str] = json.loads(self._first_line().removeprefix("READY "))
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        self.http = httpx.Client(base_url=self.ready["url"], timeout=60, limits=KEPT)
        answer = self.http.post("/login", json={"username": self.ready["user"], "password": self.ready["password"]})
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        self.site = httpx.Client(base_url=f"{self.ready['sandbox']}/_sandbox", timeout=60, limits=KEPT)

    def lines(self) -> list[str]:
        """What it printed so far."""
        return (self.directory / "stdout").read_text().splitlines()

    def get(self, path: str) -> Any:
        """GET from the server."""
        response = self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def states(self) -> dict[str, str]:
        """Each shop's state."""
        return {row["id"]: row["state"] for row in self.get("/cookies/details")}

    def shell(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Another ``shoal`` command that talks to the demo's server, forked by what has imported it."""
        own = {**self.environment, "SHOAL_URL": self.ready["url"], **environment}
        return asyncio.run(ran(("-m", "shoal", *words), own))

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; returns the exit code."""
        self.http.close()
        self.site.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(START_SECONDS)
        finally:
            self.process.kill()

    def alive(self) -> list[psutil.Process]:
        """The children that still run."""
        return [child for child in self.children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    def _first_line(self) -> str:
        while time.monotonic() < self.began + START_SECONDS:
            lines = (self.directory / "stdout").read_text().splitlines()
            if lines:
                return lines[0]
            assert self.process.poll() is None, (self.directory / "stderr").read_text()
            time.sleep(0.05)
        raise TimeoutError((self.directory / "stderr").read_text())


def soon(question: Callable[[], T], *, seconds: float = 60.0) -> T:
    """The first true answer."""
    limit = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for the tests that only look at it."""
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    if running.process.poll() is None:  # the last test that has it ends it
        assert running.end(signal.SIGTERM) == 0
        assert running.alive() == []


def test_it_says_in_one_line_that_it_is_ready(demo: Demo) -> None:
    assert set(demo.ready) == {"url", "user", "password", "sandbox"}
    assert [line for line in demo.lines() if line.startswith("READY ")] == demo.lines()[:1]
    assert (demo.directory / ".demo" / "shoal.db").is_file()


def test_every_shop_that_shall_run_runs(demo: Demo) -> None:
    wanted = {row["id"]: row["enabled"] for row in demo.get("/cookies/details")}
    assert len(wanted) == 6
    assert list(wanted.values()).count(False) == 1
    expected = {name: "running" if enabled else "stopped" for name, enabled in wanted.items()}
    soon(lambda: demo.states() == expected)
    counts = demo.site.get("/sockets").json()
    assert sum(count["now"] for count in counts.values()) == 5


def test_a_buyer_sees_the_answer_of_the_shop(demo: Demo) -> None:
    unb = demo.get("/cookies/muzi")["unb"]
    said = {"account": unb, "buyer": "外面来的买家", "text": "请问包邮吗"}
    assert demo.site.post("/say", json=said).status_code == 200
    seen = soon(lambda: demo.site.get(f"/chats/{unb}/外面来的买家").json()["seen"])
    assert [line["text"] for line in seen] == ["全国包邮，偏远地区补 5 元。"]
    soon(lambda: any("外面来的买家: 全国包邮" in line for line in demo.lines()))


def test_a_paid_order_gets_its_message_and_is_confirmed_where_the_owner_wants_it(demo: Demo) -> None:
    unb = demo.get("/cookies/xiaoyu")["unb"]
    paid = demo.site.post("/pay", json={"account": unb, "buyer": "爽快的买家"}).json()
    order = soon(
        lambda: next(
            (
                order
                for order in demo.site.get("/orders", params={"account": unb}).json()["items"]
                if order["id"] == paid["order_id"] and order["status"] == "shipped"
            ),
            None,
        )
    )
    assert order is not None
    seen = demo.site.get(f"/chats/{unb}/爽快的买家").json()["seen"]
    assert any("提取码" in line["text"] for line in seen)


def test_a_buyer_of_codes_gets_his_of_his_spec_and_the_stock_shows_it(demo: Demo) -> None:
    unb = demo.get("/cookies/muzi")["unb"]
    rules = demo.get("/cookies/muzi/deliveries")["rules"]
    (year,) = (rule for rule in rules if rule["spec"] == "时长:年卡")
    wanted = {"buyer": "要年卡的买家", "item": year["item_id"], "spec": "时长:年卡", "quantity": 2}
    paid = demo.site.post("/pay", json={"account": unb, **wanted}).json()

    def received() -> list[str]:
        query = {"account": unb, "buyer": paid["buyer_id"]}
        rows = demo.site.get("/receipts", params=query).json()["items"]
        return [one["text"] for row in rows for one in row["received"]]

    soon(lambda: len(received()) == 2)
    codes = received()[0].splitlines()[1:]
    assert [code[:8] for code in codes] == ["MUZI-NK-"] * 2
    units = soon(lambda: demo.get(f"/goods/{year['goods_id']}/units?state=out")["items"])
    assert {unit["masked"] for unit in units} >= {f"{code[:2]}…{code[-2:]}" for code in codes}
    assert all("MUZI-" not in str(unit) for unit in units)


def test_an_open_incident_is_told_to_a_receiver_of_the_sandbox(demo: Demo) -> None:
    (incident,) = (one for one in demo.get("/incidents?open=1")["items"] if one["kind"] == "out_of_stock")
    titles = soon(lambda: [one["body"]["title"] for one in demo.site.get("/received").json()["items"]])
    assert incident["detail"] in titles


def test_a_strict_site_would_refuse_nothing_of_it(demo: Demo) -> None:
    assert len(demo.site.get("/state").json()["policy"]["rules"]) > 20
    assert demo.site.get("/refusals").json()["items"] == []


def test_the_shell_works_against_it(demo: Demo) -> None:
    refused = demo.shell("accounts", "list")
    assert refused.returncode == 1
    assert "shoal login" in refused.stderr
    wrong = demo.shell("login", SHOAL_PASSWORD="not the password")
    assert wrong.returncode == 1
    assert "wrong" in wrong.stderr
    assert demo.shell("login", SHOAL_PASSWORD=demo.ready["password"]).returncode == 0
    listed = demo.shell("accounts", "list")
    assert listed.returncode == 0, listed.stderr
    assert "jumao" in listed.stdout
    assert demo.shell("accounts", "disable", "nanfeng").stdout == "nanfeng: off\n"
    assert demo.states()["nanfeng"] == "stopped"
    assert demo.shell("accounts", "enable", "nanfeng").stdout == "nanfeng: running\n"
    rows = json.loads(demo.shell("accounts", "list", "--json").stdout)
    assert {row["id"]: row["state"] for row in rows} == demo.states()
    unknown = demo.shell("accounts", "show", "nobody", LANG="zh_CN.UTF-8")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("shoal: 没有店铺“nobody”。\n这里的店铺：")
    assert all(name in unknown.stderr for name in demo.states())
    assert "Signed out" in demo.shell("logout").stdout
    assert demo.shell("accounts", "list").returncode == 1


def test_an_account_is_added_from_standard_input_and_removed(demo: Demo) -> None:
    signed_in = {"SHOAL_PASSWORD": demo.ready["password"]}
    cookie = demo.site.post("/sellers", json={"nick": "新开的店"}).json()["cookie"]
    (demo.directory / "cookie").write_text(cookie)
    added = demo.shell("accounts", "add", "new", "--cookie-file", str(demo.directory / "cookie"), **signed_in)
    told = "new was added.\nnew: running, won't answer (no rule and no default reply; add one in the console)\n"
    assert added.stdout == told, added.stderr
    assert cookie not in added.stdout + added.stderr
    assert demo.shell("accounts", "remove", "new", **signed_in).returncode == 2
    assert demo.shell("accounts", "remove", "new", "--yes", **signed_in).stdout == "new was removed.\n"
    assert "new" not in demo.states()


def test_watching_prints_each_change_as_it_happens(demo: Demo) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "shoal", "accounts", "list", "--watch"],
        env={**demo.environment, "SHOAL_URL": demo.ready["url"], "SHOAL_PASSWORD": demo.ready["password"]},
        stdout=subprocess.PIPE, text=True,
        # A background job of a shell ignores SIGINT, and so do its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert watching.stdout is not None
    try:
        snapshot = [watching.stdout.readline() for _ in range(6)]
        assert "jumao: off\n" in snapshot
        demo.http.put("/cookies/afu/status", json={"enabled": False}).raise_for_status()
        while "afu: off" not in watching.stdout.readline():
            pass
        demo.http.put("/cookies/afu/status", json={"enabled": True}).raise_for_status()
    finally:
        watching.send_signal(signal.SIGINT)
        try:
            watching.communicate(timeout=START_SECONDS)
        finally:
            watching.kill()
            watching.communicate()
    assert watching.returncode == 0


def test_nothing_secret_is_in_the_logs(demo: Demo) -> None:
    secrets = [demo.ready["password"]]
    for seller in demo.site.get("/sellers").json()["items"]:
        pairs = dict(part.split("=", 1) for part in seller["cookie"].split("; "))
        secrets += [pairs["cookie2"], pairs["_m_h5_tk"]]
    for name in ("server.log", "sandbox.log"):
        text = (demo.directory / ".demo" / name).read_text()
        assert [secret for secret in [*secrets, "MUZI-"] if secret in text] == []


def test_ctrl_c_ends_both_children_and_the_next_demo_starts_afresh_and_names_a_child_that_dies(demo: Demo) -> None:
    assert len(demo.children) == 2
    assert demo.end() == 0
    assert demo.alive() == []
    left = demo.directory / ".demo" / "shoal.db-left"
    left.touch()
    second = begun(demo.directory)
    try:
        log = demo.directory / ".demo" / "server.log"
        soon(lambda: not left.exists() and log.exists() and log.stat().st_size)
        running = psutil.Process(second.pid).children(recursive=True)
        next(child for child in running if "serve" in child.cmdline()).kill()
        assert second.wait(START_SECONDS) == 1
    finally:
        second.kill()
        second.wait(START_SECONDS)
    soon(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in running))
    said = (demo.directory / "stderr").read_text()
    assert "the server has ended (exit code -9)" in said
    assert "server| " in said
    assert "Traceback" not in said


@pytest.mark.long
def test_sigterm_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    assert demo.end(signal.SIGTERM) == 0
    assert demo.alive() == []


def test_a_killed_demo_leaves_no_process_behind_also_when_its_server_has_only_begun(tmp_path: Path) -> None:
    demo = begun(tmp_path)
    try:
        children = soon(lambda: found if len(found := psutil.Process(demo.pid).children()) == 2 else [])
    finally:
        demo.kill()
        demo.wait(START_SECONDS)
    soon(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children))


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    done = asyncio.run(ran(("-m", "shoal", "demo"), {**plain, "SHOAL_DATA_DIR": str(tmp_path), "SHOAL_PORT": "0"}))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "does not touch" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
