"""A small server for one page on this machine alone: it answers GET and HEAD, and nobody who came by another name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Hosts by which a browser may have come here. Another name that leads here is a web page's, which has no business with
what is on this machine (DNS rebinding). Ports are not compared: a tunnel has its own."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
IDLE_SECONDS = 30.0  # a connection on which nothing comes is closed


@dataclass(frozen=True)
class Answer:
    """What is served at an address: the type of the content, and the content as it is now."""

    kind: str
    make: Callable[[], str]


class LoopbackServer(ThreadingHTTPServer):
    """Serves ``answers``, by path, on the loopback."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, answers: Mapping[str, Answer]) -> None:
        """Take ``port``, or a free one for 0; raises OSError where it cannot be had."""
        self.answers = answers
        super().__init__((HOST, port), _Handler)

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "isoflop", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """The content at the path."""
        if not self._came_by_loopback():
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._reply(HTTPStatus.OK, answer.kind, answer.make())

    do_HEAD = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A line of text, with the headers that everything has; the connection ends."""
        self.close_connection = True
        status = HTTPStatus(code)
        self._reply(status, "text/plain", f"{status.value} {status.phrase}\n")

    def _came_by_loopback(self) -> bool:
        hosts = self.headers.get_all("Host") or []
        return len(hosts) == 1 and _without_port(hosts[0]) in LOOPBACK

    def _reply(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests come every few seconds: none is printed."""


def _without_port(host: str) -> str:
    """``localhost`` of ``LocalHost:8765``."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and port.isdigit() else host.strip().lower()
