"""A web server on this machine that fails in every way in which a network does.

`FileServer.responses` is the answer to each path; the functions below it make the responses. No
time limit of the client ends a response that comes, however busy this machine is: `limit_waiting`
shortens the limits only of those that never come.
"""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.util import connection

CONTENT = bytes(range(256)) * 800  # 204,800 bytes: several chunks of a download
WRONG_CONTENT = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
CLOSED_PORT = "http://127.0.0.1:9/none"  # no server listens there
SHORT_WAIT_SECONDS = 0.05  # for what never comes


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

    def next_response(self, path):
        """The function that responds to the next request, or None for a path without responses."""
        responses, count = self.responses.get(path), self.requests.get(path, 0)
        return responses[min(count, len(responses) - 1)] if responses else None

    def respond(self, request):
        response = self.next_response(request.path)
        self.requests[request.path] = self.requests.get(request.path, 0) + 1
        # the client may have closed the connection, as some tests require
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            response(self, request)

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
    server.closing.wait()


def stalls(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    server.closing.wait()


def truncates(server, request):
    send(request, CONTENT[:70_000], length=len(CONTENT))
    request.close_connection = True


def responds_to_two_at_once():
    """A response that ends only when a second client has received its first part, too."""
    both_have_the_first_part = threading.Barrier(2)

    def respond(server, request):
        send(request, CONTENT[:100_000], length=len(CONTENT))
        both_have_the_first_part.wait()
        request.wfile.write(CONTENT[100_000:])

    return respond


def limit_waiting(server, monkeypatch):
    """Make clients of this process give up at once what the server never sends.

    These are all of a `silent` response, and what follows the headers of one that `stalls`.
    """
    get, connect, sockets = requests.get, connection.create_connection, []

    def connect_and_record(*arguments, **options):
        sockets.append(connect(*arguments, **options))
        return sockets[-1]

    def get_with_limits(url, *, timeout, **options):
        expected = server.next_response(urlsplit(url).path)
        if expected is silent:
            timeout = (timeout[0], SHORT_WAIT_SECONDS)
        response = get(url, timeout=timeout, **options)
        if expected is stalls:
            sockets[-1].settimeout(SHORT_WAIT_SECONDS)
        return response

    monkeypatch.setattr(connection, "create_connection", connect_and_record)
    monkeypatch.setattr(requests, "get", get_with_limits)


def file_entry(path, content, url=CLOSED_PORT):
    """The entry of the registry for a file with this content."""
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "url": url, "bytes": len(content), "sha256": digest}


def file_names(folder: Path) -> list[str]:
    """The names of all files below a folder."""
    return [path.name for path in folder.rglob("*") if path.is_file()]
