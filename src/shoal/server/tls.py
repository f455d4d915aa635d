"""TLS of the server: a certificate and its key, checked before the start, and loaded again when they change."""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.errors import ConfigError

_USABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""The ciphers below TLS 1.3, in order of preference: only forward secrecy and authenticated encryption.

The defaults of Python builds differ: some leave it to OpenSSL, which offers keys without forward secrecy.
"""


@dataclass(frozen=True, slots=True)  # no msgspec: tests ask Pythons without our packages for its ciphers
class Certificate:
    """The files: the certificate with its chain, and the key, both in PEM."""

    cert: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return a server's context: TLS 1.2 or newer, with ``CIPHERS``. Raises ``ConfigError`` that says what is
        wrong."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(CIPHERS)
        made.set_alpn_protocols(["http/1.1"])
        self.load_into(made)
        return made

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load the files into a context that may be in use: later connections get the new certificate.

        Raises ``ConfigError``; the context then keeps the old certificate.
        """
        self._check_key()
        # First into an unused context: half a pair would break the used one.
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._load(context)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.cert, self.key, password=lambda: b"")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise _bad("startup.tls_mismatch", key=self.key, cert=self.cert) from None
            raise _bad("startup.tls_not_pem", cert=self.cert, key=self.key, why=error.reason or "no PEM") from None
        except OSError as error:
            raise _bad("startup.tls_cert_unreadable", cert=self.cert, why=error.strerror) from None

    def _check_key(self) -> None:
        try:
            mode = self.key.stat().st_mode
        except OSError as error:
            raise _bad("startup.tls_key_unreadable", key=self.key, why=error.strerror) from None
        if mode & _USABLE_BY_OTHERS:
            raise _bad("startup.tls_key_open", key=self.key, mode=f"{stat.S_IMODE(mode):04o}")


def _bad(key: str, /, **params: Any) -> ConfigError:
    return ConfigError(key, code="bad_certificate", **params)
