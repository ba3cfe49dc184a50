"""A local server that speaks the part of the Hub's protocol that a download needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answering(BaseHTTPRequestHandler):
    """GET and HEAD of what `answer` gives; 404 where it gives no headers."""

    def answer(self) -> tuple[bytes, Mapping[str, str]]:
        """Body and headers for `self.path`."""
        raise NotImplementedError

    def do_HEAD(self) -> None:
        self._send(whole=False)

    def do_GET(self) -> None:
        self._send(whole=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, *, whole: bool) -> None:
        body, headers = self.answer()
        self.send_response(200 if headers else 404)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if whole:
            self.wfile.write(body)


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    """The address of a running server, stopped on leaving."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
