"""server.py - aiosmtpd on loopback, with STARTTLS and AUTH, which keeps mails as a maildir for each recipient.

   server.py FOLDER CERTIFICATE KEY USER PASSWORD

Prints its port on one line, then serves until its standard input ends. Without TLS, and without AUTH, it takes no mail.
"""
import asyncio
import itertools
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Boxes:
    """The handler: accepts mail for folders that exist, as a delivering server would leave it there."""

    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if not os.path.isdir(os.path.join(self.folder, address)):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        number = next(self.numbers)
        text = envelope.original_content.replace(b"\r\n", b"\n")
        for address in envelope.rcpt_tos:
            head = f"Return-Path: <{envelope.mail_from}>\nDelivered-To: {address}\n".encode()
            box = os.path.join(self.folder, address)
            name = f"{number:06d}"
            with open(os.path.join(box, "tmp", name), "wb") as file:
                file.write(head + text)
            os.rename(os.path.join(box, "tmp", name), os.path.join(box, "new", name))
        return f"250 2.0.0 kept as {number}"


async def main():
    folder, certificate, key, user, password = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = data.login == user.encode() and data.password == password.encode()
        print(mechanism, "good" if good else "bad", file=sys.stderr, flush=True)
        return AuthResult(success=good, handled=False)

    def session():
        return SMTP(boxes, hostname="mail.example.org", tls_context=context, require_starttls=True,
                    auth_required=True, auth_require_tls=True, authenticator=authenticate, enable_SMTPUTF8=False)

    boxes = Boxes(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
