"""A web server for tests."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # a browser asks for many files at once, and a busy machine answers late


@contextlib.contextmanager
def serve(folder: Path, policy: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve a folder, with this Content-Security-Policy; the address, and the methods of the requests so far."""
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            requests.append(self.command)

        def end_headers(self) -> None:
            if policy:
                self.send_header("Content-Security-Policy", policy)
            super().end_headers()

    with Server(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", requests
        serving.shutdown()
