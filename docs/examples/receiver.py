"""Receives webhooks, checks their signatures, and prints what they are about.

pip install standardwebhooks
KIZASHI_WEBHOOK_SECRET=whsec_… python receiver.py 9000
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["KIZASHI_WEBHOOK_SECRET"])
done: set[str] = set()  # keep these ids where your leads are kept, in one transaction: retries carry the same one


def handle(id_: str, event: dict[str, Any]) -> None:
    """Your work; it may fail."""
    lead = event["data"].get("lead", {})
    print(id_, event["type"], lead.get("identifiers", {}).get("email", "-"), flush=True)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.answer(401)
            return
        id_ = self.headers["webhook-id"]
        if id_ not in done:
            try:
                handle(id_, event)
            except Exception as error:  # whatever it is: answered with 5xx, the event comes again
                print("failed", id_, type(error).__name__, file=sys.stderr, flush=True)
                self.answer(500)
                return
            done.add(id_)  # only now: noted before, the retry of what failed would be passed over
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: addresses may hold secrets."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()
