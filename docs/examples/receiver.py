"""Receives webhooks, checks their signatures, and prints what they are about.

pip install standardwebhooks
KIZASHI_WEBHOOK_SECRET=whsec_… python receiver.py 9000
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["KIZASHI_WEBHOOK_SECRET"])
seen: set[str] = set()  # keep these ids where your leads are kept: retries carry the same one


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.answer(401)
            return
        id_ = self.headers["webhook-id"]
        if id_ not in seen:
            seen.add(id_)
            lead = event["data"].get("lead", {})
            print(id_, event["type"], lead.get("identifiers", {}).get("email", "-"), flush=True)
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
