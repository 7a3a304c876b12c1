"""A web server on this machine that fails in every way in which a network does.

`FileServer.responses` is the answer to each path; the functions below it make the responses.
"""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT = bytes(range(256)) * 800  # 204,800 bytes: several chunks of a download
WRONG_CONTENT = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
CLOSED_PORT = "http://127.0.0.1:9/none"  # no server listens there


class FileServer:
    """Serves on 127.0.0.1; `responses` maps a path to a list of functions, the last one repeated.

    `requests` counts how often each path was requested.
    """

    def __init__(self):
        self.responses: dict[str, list] = {}
        self.requests: dict[str, int] = {}
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.respond(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"

    def respond(self, request):
        path, count = request.path, self.requests.get(request.path, 0)
        self.requests[path] = count + 1
        responses = self.responses[path]
        # the client may have closed the connection, as some tests require
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            responses[min(count, len(responses) - 1)](self, request)

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()


def send(request, body, *, status=200, length=None, media_type="application/octet-stream", **extra):
    """Send a response; `length` is what its header claims, False for no such header."""
    request.send_response(status)
    request.send_header("Content-Type", media_type)
    if length is not False:
        request.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in extra.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def correct(server, request):
    send(request, CONTENT)


def responds(body, **options):
    return lambda server, request: send(request, body, **options)


def status(code):
    return responds(b"sorry", status=code)


def redirects(path):
    return responds(b"", status=302, Location=path)


def login_page(server, request):
    html = b"<html>Welcome to the hotel network</html>"
    send(request, html, media_type="text/html; charset=utf-8")


def silent(server, request):
    server.closing.wait(20)


def stalls(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    server.closing.wait(20)


def truncates(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    request.close_connection = True


def slow(server, request):
    send(request, CONTENT[:100_000], length=len(CONTENT))
    server.closing.wait(0.4)
    request.wfile.write(CONTENT[100_000:])


def file_entry(path, content, url=CLOSED_PORT):
    """The entry of the registry for a file with this content."""
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "url": url, "bytes": len(content), "sha256": digest}


def file_names(folder: Path) -> list[str]:
    """The names of all files below a folder."""
    return [path.name for path in folder.rglob("*") if path.is_file()]
