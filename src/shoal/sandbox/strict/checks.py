"""Risk control that ends only with a new proof: a cookie with a fresh ``x5sec`` from the browser that passed."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.sandbox.faults import Fault
from shoal.sandbox.site import Site
from shoal.sandbox.things import Proof


def at_risk(site: Site, account: str, which: str, cookies: Mapping[str, str], agent: str) -> Fault | bool:
    """Return whether risk control refuses this call: the fault that plays, or ``True`` for an open check."""
    fault = site.faults.take("risk_control", account, which)
    if not site.strict.has("proof"):
        return fault or False
    if fault:
        site.checks.setdefault(account, site.clock.now_ms())
        return fault
    since = site.checks.get(account)
    if since is None:
        return False
    x5sec = cookies.get("x5sec", "")
    if _is_fresh(site.proofs.get(x5sec), account, since, agent):
        del site.checks[account], site.proofs[x5sec]
        return False
    site.strict.add("proof", which, account, "no fresh x5sec of the browser that passed the check", refused=True)
    return True


def _is_fresh(proof: Proof | None, account: str, since_ms: int, agent: str) -> bool:
    return proof is not None and proof.unb == account and proof.at_ms >= since_ms and proof.agent in ("", agent)


def pass_check(site: Site, account: str, agent: str | None) -> str:
    """Let the owner pass the check in the browser; return the ``x5sec``, which is in the newest cookie now."""
    world = site.world
    seller = world.seller(account)
    session = world.sessions.get(seller.jar["cookie2"])
    known = session.browser.agent if session and session.browser else ""
    value = world.hex(64)
    site.proofs[value] = Proof(account, known if agent is None else agent, site.clock.now_ms())
    seller.jar["x5sec"] = value
    return value
