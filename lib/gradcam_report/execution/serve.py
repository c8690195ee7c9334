"""A built site on this machine's own address: browsers refuse some of a page's files when it is opened as a file."""

from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from ..config import ReportError, input_path
from .site import INDEX


def find_site(folder: str) -> str:
    """The folder of the pages that `folder` holds: itself, or the site built in it; raises `ReportError` for none."""
    top = input_path(folder)
    for place in (top, (top / INDEX).parent):
        if (place / "index.html").is_file():
            return str(place)
    raise ReportError(f"{folder} holds no built site; run make book, or gradcam-report run, or name the folder of one.")


def serve(folder: str, port: int) -> None:
    """Serve the site in `folder` on 127.0.0.1 until Ctrl-C; port 0 takes a free one."""
    handler = partial(SimpleHTTPRequestHandler, directory=find_site(folder))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ReportError(f"The port {port} cannot be used ({error.strerror}); choose another --port.") from None
    with server, suppress(KeyboardInterrupt):
        print(f"Open http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        server.serve_forever()
