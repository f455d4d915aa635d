"""Ask the server of this container whether it can store a change now. Exit 0 when it can.

It is the health check of the image, and needs nothing but Python: the whole program would take ten times as long.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys

SECONDS = 8


def main() -> int:
    """Print the answer of ``/health/ready``, and return the exit code."""
    port = int(os.environ.get("SHOAL_PORT") or 8080)
    connection: http.client.HTTPConnection
    if os.environ.get("SHOAL_TLS_CERT"):
        context = ssl.create_default_context()
        context.check_hostname = False  # the certificate is for the name that browsers use
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        sys.stdout.write(f"{answer.status} {answer.read(500).decode(errors='replace')}\n")
    except OSError as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
