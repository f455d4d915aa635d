"""A server that was started with few open files allowed takes as many as it may."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, socket
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
hard = 4_000 if hard == resource.RLIM_INFINITY else min(hard, 4_000)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
from shoal.server.listener import allow_many_open_files
limit = allow_many_open_files()
assert limit == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
assert allow_many_open_files() == limit
print(len([socket.socket() for _ in range(limit - 20)]) > 100)
"""


def test_the_own_limit_is_raised_as_far_as_it_may_be() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert told.stdout.strip() == "True", told.stderr
