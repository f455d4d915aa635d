"""What the process that runs Apprise cannot do: it has one way out, and services of the list only."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from shoal.concurrency.child_process import child_environment

WAYS = {
    "another address": "socket.create_connection(('127.0.0.2', 9), 1)",
    "another port of the proxy's address": "socket.create_connection(('127.0.0.1', 9), 1)",
    "an address without a look-up": "socket.socket().connect(('203.0.113.7', 443))",
    "IPv6": "socket.socket(socket.AF_INET6).connect(('2001:db8::7', 443))",
    "a datagram": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.1', 8125))",
    "a name": "socket.getaddrinfo('statistics.example', 443)",
    "a name in the old way": "socket.gethostbyname('statistics.example')",
    "the system's log": "syslog.syslog('x')",
    "the system's log by its socket": "socket.socket(socket.AF_UNIX).connect('/dev/log')",
    "listening": "socket.socket().bind(('127.0.0.1', 0))",
    "a program": "subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a copy of itself": "os.fork()",
    "mail": "smtplib.SMTP('203.0.113.7', 25, timeout=1)",
    "a request of its own": "urllib.request.urlopen('http://203.0.113.7/', timeout=1)",
}
SCRIPT = """
import json, os, smtplib, socket, subprocess, sys, syslog, urllib.request
from shoal.notices.apprise_worker import close_every_other_way
import socketserver
with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as proxy:
    close_every_other_way(proxy.server_address[1])
    outcomes = {}
    for name, way in json.loads(sys.stdin.read()).items():
        try:
            eval(way)
            outcomes[name] = "went out"
        except BaseException as error:
            outcomes[name] = "refused" if "not for this process" in str(error) else repr(error)
    socket.create_connection(proxy.server_address).close()
    print(json.dumps(outcomes))
"""


@pytest.mark.outside
def test_every_way_out_but_the_proxy_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(WAYS), env=child_environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {name: said for name, said in json.loads(done.stdout).items() if said != "refused"} == {}
    assert len(json.loads(done.stdout)) == len(WAYS)
