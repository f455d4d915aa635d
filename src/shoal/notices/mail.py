"""Sends a notice as e-mail, over a connection of the guard."""

from __future__ import annotations

import asyncio
import re
import ssl
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from typing import Final

from shoal.network.guarded_sockets import Connect
from shoal.notices.services import Fields
from shoal.notices.transport import Failure, Message, Outcome, Sent

SEND_SECONDS: Final = 18.0
"""The longest time for one mail, from the connection on."""
_OURSELVES: Final = "[127.0.0.1]"
"""The name in the greeting: the machine's own name would be looked up, and sent to the mail server."""


def mail_of(fields: Fields, message: Message) -> EmailMessage:
    """Return the mail: the same ``Message-ID`` whenever the same notice is sent again."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = f"Shoal <{fields['sender']}>"
    mail["To"] = fields["to"]
    mail["Subject"] = " ".join(message.title.split())
    mail["Date"] = formatdate()
    if message.dedupe_id:
        name = re.sub(r"[^A-Za-z0-9.-]", "-", message.dedupe_id)
        mail["Message-ID"] = f"<{name}@{fields['sender'].partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # so that no absence note answers
    mail.set_content(f"{message.body}\n\n{message.url}" if message.url else message.body, cte="base64")
    return mail


async def send_mail(connect: Connect, fields: Fields, message: Message, *, context: ssl.SSLContext) -> Sent:
    """Send one mail. Raises what ``connect`` raises; everything else is in the outcome."""
    import aiosmtplib  # noqa: PLC0415  most servers send no mail

    opened = await connect(fields["host"], int(fields["port"]))
    left = False
    try:
        async with asyncio.timeout(SEND_SECONDS):
            client = aiosmtplib.SMTP(
                hostname=fields["host"],
                sock=opened,
                local_hostname=_OURSELVES,
                use_tls=fields["security"] == "tls",
                start_tls=fields["security"] == "starttls",
                tls_context=context,
                timeout=SEND_SECONDS,
            )
            try:
                await client.connect()
                if "user" in fields:
                    await client.login(fields["user"], fields.get("password", ""))
                await client.mail(fields["sender"])
                await client.rcpt(fields["to"])
                left = True
                answer = await client.data(mail_of(fields, message).as_bytes())
            finally:
                client.close()
    except aiosmtplib.SMTPResponseException as error:
        return Sent(outcome=Outcome.FAILED, answer=f"SMTP {error.code} {error.message}")
    except (aiosmtplib.SMTPException, OSError) as error:  # a late one too
        outcome, failure = (Outcome.UNCERTAIN, Failure.NO_ANSWER) if left else (Outcome.FAILED, Failure.NOT_SENT)
        return Sent(outcome=outcome, answer=str(error)) if str(error) else Sent(outcome=outcome, failure=failure)
    return Sent(outcome=Outcome.SENT, answer=f"SMTP {answer.code} {answer.message}")
