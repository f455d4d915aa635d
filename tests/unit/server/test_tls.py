"""The certificate of our own door, and where one may listen without."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import Message, Scope

from shoal.api.http.request_checks import RequestChecks
from shoal.errors import ConfigError
from shoal.server.listener import usable_certificate
from shoal.server.tls import Certificate
from support.network.certificates import certificate
from support.site.standins import quick_settings


def pair(directory: Path, name: str = "shop.example") -> Certificate:
    """A certificate and its key, in one file, which only its owner may read."""
    certificate(directory, name)
    file = directory / f"{name}.pem"
    file.chmod(0o600)
    return Certificate(file, file)


def refusal(made: Certificate) -> str:
    with pytest.raises(ConfigError) as caught:
        made.context()
    return str(caught.value)


def test_a_right_pair_serves_nothing_older_than_tls_12(tmp_path: Path) -> None:
    context = pair(tmp_path).context()
    assert context.minimum_version.name == "TLSv1_2"


def test_what_is_wrong_with_a_certificate_is_said_in_a_sentence(tmp_path: Path) -> None:
    good, other = pair(tmp_path), pair(tmp_path, "other.example")
    assert "does not belong to the certificate" in refusal(Certificate(good.cert, other.key))
    assert "cannot be read (No such file" in refusal(Certificate(good.cert, tmp_path / "none"))
    assert "cannot be read (No such file" in refusal(Certificate(tmp_path / "none", good.key))
    empty = tmp_path / "empty.pem"
    empty.touch(mode=0o600)
    assert "cannot be read as PEM" in refusal(Certificate(empty, good.key))
    assert "cannot be read as PEM" in refusal(Certificate(good.cert, empty))
    good.key.chmod(0o640)
    assert f"can be used by others (mode 0640); run: chmod 600 {good.key}" in refusal(good)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a password"),
        )
    )
    locked.chmod(0o600)
    assert "must not have a password" in refusal(Certificate(pair(tmp_path).cert, locked))


def served(context: ssl.SSLContext) -> bytes | None:
    """The certificate that a client is shown."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    client = trusting.wrap_bio(back, there)
    server = context.wrap_bio(there, back, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.getpeercert(binary_form=True)


@pytest.mark.parametrize("broken", ["half", "of another key"])
def test_half_a_renewal_leaves_the_certificate_as_it_was(broken: str, tmp_path: Path) -> None:
    good, other = pair(tmp_path), pair(tmp_path, "other.example")
    context = good.context()
    before = served(context)
    renewed = Certificate(tmp_path / "renewed.pem", good.key)
    renewed.cert.write_bytes(b"half" if broken == "half" else other.cert.read_bytes())
    with pytest.raises(ConfigError):
        renewed.load_into(context)
    assert before is not None
    assert served(context) == before
    other.load_into(context)
    assert served(context) not in {before, None}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_nothing_is_needed(host: str) -> None:
    assert usable_certificate(quick_settings(host=host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "shop.example", "::ffff:192.0.2.1"])  # noqa: S104
@pytest.mark.parametrize("trusted", ["127.0.0.1, ::1", ""])
def test_elsewhere_plain_http_is_refused_with_the_ways_out(host: str, trusted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        usable_certificate(quick_settings(host=host, trusted_proxies=trusted))
    for way in ("127.0.0.1", "--tls-cert", "SHOAL_TRUSTED_PROXIES", "SHOAL_ALLOW_PLAIN_HTTP"):
        assert way in str(caught.value)


@pytest.mark.parametrize("values", [{"allow_plain_http": True}, {"trusted_proxies": "127.0.0.1, 10.0.0.2"}])
def test_elsewhere_it_is_allowed_by_name(values: dict[str, Any]) -> None:
    assert usable_certificate(quick_settings(host="0.0.0.0", **values)) is None  # noqa: S104


def test_tls_opens_the_door_elsewhere_and_needs_both_files(tmp_path: Path) -> None:
    good = pair(tmp_path)
    assert usable_certificate(quick_settings(host="0.0.0.0", tls_cert=good.cert, tls_key=good.key)) == good  # noqa: S104
    for half in ({"tls_cert": good.cert}, {"tls_key": good.key}):
        with pytest.raises(ConfigError, match="needs both files"):
            usable_certificate(quick_settings(**half))


@pytest.mark.parametrize(("kind", "scheme"), [("http", "http"), ("websocket", "ws")])
async def test_a_secret_in_clear_from_elsewhere_is_refused_by_requests_and_by_sockets(kind: str, scheme: str) -> None:
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {
        "type": kind, "scheme": scheme, "method": "GET", "path": "/events", "client": ("192.0.2.9", 5),
        "headers": [(b"authorization", b"Bearer x")],
    }  # fmt: skip
    checks = RequestChecks(allow_plain_http=False)
    assert await checks.look(scope, receive, send) is None
    assert answers[0].get("code", answers[0].get("status")) in {1008, 403}
    for allowed in ({"client": ("127.0.0.1", 5)}, {"scheme": f"{scheme}s"}):
        assert await checks.look({**scope, **allowed}, receive, send) is not None
