"""The page on which one draws, served to this machine alone."""

import contextlib
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import numpy as np

from experiments._command import OptionError
from experiments._network import Network
from functional_nets.data import DataError
from functional_nets.data.drawing import MOST_BYTES, SIDE, read_drawing
from functional_nets.report.drawing import drawing_page

ADDRESS = "127.0.0.1"
HEARD_OUT = 64 << 20
"""Bytes of a refused upload that are taken in, since a browser reads no answer before it has sent all."""
SECONDS = 30
"""Patience with a connection that says nothing."""
CONNECTIONS, QUEUE = 32, 128
"""Connections that are answered at once, each by a thread, and those that may wait for their turn."""


class Refused(Exception):
    """A request that gets no answer but a reason.

    Attributes:
        status: HTTP's.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def serve(network: Network, title: str, port: int) -> None:
    """Serves the page until the process is interrupted.

    Raises:
        OptionError: When the port is taken.
    """
    with make_server(network, title, port) as server:
        print(f"draw at http://{ADDRESS}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def make_server(network: Network, title: str, port: int) -> ThreadingHTTPServer:
    """Returns a server that listens on the loopback address and has its answers compiled."""
    network.look(np.zeros((SIDE, SIDE), np.uint8))
    page, policy = drawing_page(title, network.class_names, MOST_BYTES)

    class Handler(DrawingHandler):
        """The handler of this network's page."""

    Handler.network, Handler.page, Handler.policy = network, page, policy
    try:
        return DrawingServer((ADDRESS, port), Handler)
    except OSError as error:
        raise OptionError(
            f"Expected --port to be free, found {port} in use ({error.strerror}): choose another, or 0 for any."
        ) from None


class DrawingServer(ThreadingHTTPServer):
    """A server that answers some connections at once, lets others wait, and takes no offence at those that end."""

    daemon_threads = True
    request_queue_size = QUEUE

    def __init__(self, *args: Any):
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Has a thread answer, as soon as one is free."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:  # No thread could be started.
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers, in a thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports what went wrong, unless it is that a tab has been closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class DrawingHandler(BaseHTTPRequestHandler):
    """Answers `GET /` with the page and `POST /look?label=N` of an image file with what the network sees in it."""

    network: Network
    page: bytes
    policy: str
    protocol_version = "HTTP/1.1"
    server_version = "functional_nets"
    sys_version = ""
    timeout = SECONDS

    def do_GET(self) -> None:
        """Sends the page."""
        self._answering(self._page)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Sends what the network makes of the image that was sent."""
        self._answering(self._look)

    def _answering(self, answer: Callable[[], tuple[str, bytes]]) -> None:
        try:
            self._check_origin()
            self._send(200, *answer())
        except Refused as refusal:
            self.send_error(refusal.status, str(refusal))
        except DataError as error:
            self._send(400, "application/json", _json({"error": str(error)}))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Sends why there is no answer; what is wrong with the request itself, the standard library tells."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, f"Expected GET, HEAD or POST, found {self.command[:80]!r}."
        self._send(code, "application/json", _json({"error": message or HTTPStatus(code).phrase}))

    def _check_origin(self) -> None:
        """A page of another site may neither ask by a name of its own for this address, nor send anything here."""
        host, origin = self.headers.get("Host", "").lower(), self.headers.get("Origin")
        # Whatever the port: browsers leave out 80, and one that is forwarded has another number outside.
        if not re.fullmatch(rf"({re.escape(ADDRESS)}|localhost)(:[0-9]{{1,5}})?", host, re.ASCII):
            raise Refused(421, f"Expected the host {ADDRESS}, found {host[:80]!r}: open that address.")
        if origin is not None and origin.lower() != f"http://{host}":
            raise Refused(403, f"Expected a request of this page, found one of {origin[:80]!r}.")

    def _page(self) -> tuple[str, bytes]:
        if self._address().path != "/":
            raise Refused(404, f"Expected the page at /, found {self.path[:80]!r}.")
        return "text/html; charset=utf-8", self.page

    def _look(self) -> tuple[str, bytes]:
        content = self._body()
        address = self._address()
        if address.path != "/look":
            raise Refused(404, f"Expected a request of /look, found {self.path[:80]!r}.")
        image = read_drawing(content, self.network.dataset)
        return "application/json", _json(_plain(self.network, image, self._label(address.query)))

    def _address(self) -> SplitResult:
        with contextlib.suppress(ValueError):
            return urlsplit(self.path)
        raise Refused(400, f"Expected an address, found {self.path[:80]!r}.")

    def _label(self, query: str) -> int | None:
        (label, *_) = parse_qs(query).get("label", [None])
        if label is None:
            return None
        count = len(self.network.class_names)
        if label not in map(str, range(count)):
            raise Refused(400, f"Expected a label from 0 to {count - 1}, found {label[:80]!r}.")
        return int(label)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            raise Refused(411, "Expected the length of what is sent, found none.")
        if int(length) <= MOST_BYTES:
            return self.rfile.read(int(length))
        left = min(int(length), HEARD_OUT)
        while left and (chunk := self.rfile.read(min(left, 1 << 20))):
            left -= len(chunk)
        raise Refused(
            413,
            f"Expected an image file of at most {MOST_BYTES >> 20} MB, found {int(length) / 2**20:.1f} MB: "
            "make it smaller.",
        )

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", self.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps the terminal quiet: a stroke asks dozens of times."""


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _plain(network: Network, image: np.ndarray, label: int | None) -> dict[str, Any]:
    """What the page shows, in numbers that JSON can hold; arrays are flat, in the order of their shape."""
    seen = network.look(image, label)
    limit = float(np.abs(seen.gradient).max())
    return {
        "image": image.ravel().tolist(),
        "probabilities": [round(float(each), 6) for each in seen.probabilities],
        "hidden": [
            {"name": name, "shape": list(values.shape), "values": np.round(values, 4).ravel().tolist()}
            for name, values in seen.hidden.items()
        ],
        "label": seen.label,
        "loss": seen.loss,
        "gradient": np.round(seen.gradient / (limit or 1), 4).ravel().tolist(),
        "limit": limit,
    }
