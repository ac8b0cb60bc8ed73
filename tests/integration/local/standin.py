"""A stand-in for a service, as a program: /readyz on the port it is told, its environment and descriptors on /self."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"pid": os.getpid(), "env": dict(os.environ), "descriptors": descriptors()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Silent."""


def descriptors() -> list[str]:
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    return [str(path.readlink()) for path in folder.iterdir() if path.is_symlink()] if folder.exists() else []


if __name__ == "__main__":
    if "--fail" in sys.argv:
        sys.exit("sources.yaml: webhooks.x: expected a known adapter")
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["KIZASHI_HTTP__PORT"])), Answers).serve_forever()
