"""The parent of several workers ends them, also those that would not."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shoal.config import Settings
from shoal.server import workers
from shoal.server.worker import Worker
from shoal.server.workers import Workers
from support.network.certificates import certificate
from support.site.standins import quick_settings


@pytest.mark.slow
def test_a_worker_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "END_SECONDS", 0.1)
    settings = quick_settings(
        data_dir=tmp_path / "data", node="one", workers=1, port=0, database_url="postgresql://nobody@127.0.0.1:1/none"
    )
    heard, said = os.pipe()

    def stubborn(_settings: Settings, _taken: socket.socket, _worker: Worker) -> int:
        os.write(said, str(os.getpid()).encode())
        time.sleep(600)
        return 0

    parent = os.fork()
    if parent == 0:
        status = 1
        try:
            status = Workers(settings, stubborn, lambda _: None).run()
        finally:
            os._exit(status)
    os.close(said)
    left = [int(os.read(heard, 32)), parent]
    try:
        os.kill(parent, signal.SIGTERM)
        _, status = os.waitpid(parent, 0)
        left.remove(parent)
        assert os.waitstatus_to_exitcode(status) == 0
        assert os.read(heard, 1) == b"", "nobody is left who could write"
        left.clear()
    finally:
        os.close(heard)
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


@pytest.mark.slow
def test_the_service_manager_hears_that_the_server_is_ready_once_all_workers_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "END_SECONDS", 0.1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    settings = quick_settings(
        data_dir=tmp_path / "data", node="one", workers=2, port=0, database_url="postgresql://nobody@127.0.0.1:1/none"
    )
    (numbers, number), (begun, begin), (freed, free) = os.pipe(), os.pipe(), os.pipe()
    os.write(number, b"12")

    def serves(_settings: Settings, _taken: socket.socket, worker: Worker) -> int:
        if os.read(numbers, 1) == b"2":  # it begins after the first one is ready
            os.write(begin, b"2")
            os.read(freed, 1)
        worker.ready()
        time.sleep(600)
        return 0

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        parent = os.fork()
        if parent == 0:
            try:
                Workers(settings, serves, lambda _: None).run()
            finally:
                os._exit(0)
        try:
            assert os.read(begun, 1) == b"2"
            with pytest.raises(BlockingIOError):
                manager.recv(64, socket.MSG_DONTWAIT)
            os.write(free, b"2")
            manager.settimeout(60)
            assert manager.recv(64) == b"READY=1"
        finally:
            os.kill(parent, signal.SIGTERM)
            os.waitpid(parent, 0)
            for handle in (numbers, number, begun, begin, freed, free):
                os.close(handle)


@pytest.mark.slow
def test_a_worker_that_starts_while_the_certificate_is_renewed_reads_it_once_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handler of the signal may not be there yet, and its files may be read already."""
    monkeypatch.setattr(workers, "END_SECONDS", 0.1)
    certificate(tmp_path, "localhost")
    (tmp_path / "localhost.pem").chmod(0o600)
    settings = quick_settings(
        data_dir=tmp_path / "data", node="one", workers=1, port=0, database_url="postgresql://nobody@127.0.0.1:1/none",
        tls_cert=tmp_path / "localhost.pem", tls_key=tmp_path / "localhost.pem",
    )  # fmt: skip
    (begun, begin), (freed, free), (heard, hear) = os.pipe(), os.pipe(), os.pipe()

    def starts(_settings: Settings, _taken: socket.socket, worker: Worker) -> int:
        os.write(begin, b"1")
        os.read(freed, 1)
        signal.signal(signal.SIGHUP, lambda *_: os.write(hear, b"H"))
        worker.ready()
        time.sleep(600)
        return 0

    parent = os.fork()
    if parent == 0:
        try:
            Workers(settings, starts, lambda _: None).run()
        finally:
            os._exit(0)
    try:
        assert os.read(begun, 1) == b"1"
        os.kill(parent, signal.SIGHUP)
        time.sleep(0.2)
        os.write(free, b"1")
        assert select.select([heard], [], [], 60)[0], "the signal came before the worker could hear it"
    finally:
        os.kill(parent, signal.SIGTERM)
        os.waitpid(parent, 0)
        for handle in (begun, begin, freed, free, heard, hear):
            os.close(handle)
