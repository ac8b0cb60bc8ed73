"""A company's web site of a test's own, on loopback and so of another origin than the service."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """What the site serves, by path; `hits` are the paths asked for, with their queries."""

    origin: str
    pages: dict[str, tuple[bytes, Mapping[str, str]]] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def put(self, path: str, html: str | bytes, **headers: str) -> str:
        """Serve a page; `content_security_policy="…"` is a header. Returns its address."""
        body = html.encode() if isinstance(html, str) else html
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (body, {"content-type": "text/html; charset=utf-8", **named})
        return self.origin + path


@contextmanager
def serving() -> Iterator[Site]:
    """A running site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hits.append(self.path)
            found = site.pages.get(self.path.partition("?")[0])
            body, headers = found or (b"nothing here", {"content-type": "text/plain"})
            self.send_response(int(headers.get("status", 200)) if found else 404)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
