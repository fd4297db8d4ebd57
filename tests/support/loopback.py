"""A small web server on 127.0.0.1 for tests of downloads; no test leaves this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests += 1
        if self.server.requests <= self.server.failures:
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *args) -> None:
        pass


@contextmanager
def serve(folder: Path, failures: int = 0) -> Iterator[ThreadingHTTPServer]:
    """Serve `folder`; the first `failures` requests get status 503, `server.requests` counts them all."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        server.requests, server.failures = 0, failures
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def address(server: ThreadingHTTPServer, file: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{file}"
