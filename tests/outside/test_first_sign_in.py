"""Who starts a server for a test or a benchmark signs in: again when it is busy; else the failure says what it said."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.processes import ServerProcess

_STUB = """
import http.server, json, os
ANSWERS = json.loads(os.environ["ANSWERS"])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200, {"ready": True})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.say(*ANSWERS.pop(0))

    def say(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

http.server.HTTPServer(("127.0.0.1", int(os.environ["SHOAL_PORT"])), Handler).serve_forever()
"""
_BUSY = '[503, {"code": "store_error"}]'
_REFUSED = '[429, {"code": "too_many_calls"}]'
_SIGNED_IN = '[200, {"success": true, "token": "t1"}]'


class _Stub(ServerProcess):
    command = ("-c", _STUB)


async def test_a_server_that_is_busy_after_its_start_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = _Stub(tmp_path / "data", "http://127.0.0.1:1", ANSWERS=f"[{_BUSY}, {_SIGNED_IN}]")
    try:
        await server.start()
        assert server.http.headers["Authorization"] == "Bearer t1"
        assert '/login: 503 {"code": "store_error"}' in capsys.readouterr().err
    finally:
        await server.close()


async def test_another_refusal_is_in_the_failure(tmp_path: Path) -> None:
    server = _Stub(tmp_path / "data", "http://127.0.0.1:1", ANSWERS=f"[{_REFUSED}]")
    try:
        with pytest.raises(AssertionError, match=r"429.*too_many_calls"):
            await server.start()
    finally:
        await server.close()
