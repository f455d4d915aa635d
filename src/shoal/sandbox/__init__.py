"""A faithful local Xianyu: mtop, passport, upload and the IM socket on one port, with controls that cause failures.

Existing open clients run against it with only their URLs changed. It imports nothing from the rest of the package, so
that shared code cannot hide a mistake of the client.
"""

from shoal.sandbox.clock import Clock
from shoal.sandbox.policy import Policy, strict_policy
from shoal.sandbox.script import Script
from shoal.sandbox.server import build_sandbox, serve_sandbox
from shoal.sandbox.world import World

__all__ = [
    "Clock",
    "Policy",
    "Script",
    "World",
    "build_sandbox",
    "serve_sandbox",
    "strict_policy",
]
