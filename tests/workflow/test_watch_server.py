"""The server of one page: the loopback alone, nobody by another name, nothing but GET and HEAD."""

import socket
import threading
from collections.abc import Iterator

import pytest

from harness.workflow.watch_server import HOST, Answer, LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(0, {"/": Answer("text/html", lambda: "<p>here</p>")}) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()


def say(server: LoopbackServer, request: str) -> tuple[int, dict[str, str], str]:
    """The status, the headers and the body of the answer to what is typed, line by line."""
    with socket.create_connection((HOST, server.port), timeout=10) as line:
        line.sendall(request.replace("\n", "\r\n").encode("latin-1") + b"\r\n")
        line.shutdown(socket.SHUT_WR)
        heard = b""
        while more := line.recv(65536):
            heard += more
    head, _, body = heard.decode().partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    return int(first.split()[1]), dict(one.split(": ", 1) for one in rest), body


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LocalHost:9000", "127.0.0.1:1", "[::1]:8765", " localhost "]
)
def test_who_comes_by_the_loopback_is_served(server: LoopbackServer, host: str) -> None:
    status, headers, body = say(server, f"GET /?x=1 HTTP/1.1\nHost: {host}\n")
    assert (status, body) == (200, "<p>here</p>")
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src 'self'" in policy
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "head",
    [
        *(
            f"GET / HTTP/1.1\nHost: {host}\n"
            for host in (
                *("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example"),
                *(
                    "127.0.0.1@evil.example",
                    "0.0.0.0",
                    "",
                    "localhost:evil.example",
                    "evil.example#localhost",
                ),
            )
        ),
        "GET / HTTP/1.0\n",
        "GET / HTTP/1.1\nHost: localhost\nHost: evil.example\n",
        "HEAD / HTTP/1.1\nHost: evil.example\n",
        "GET /other HTTP/1.1\nHost: evil.example\n",
    ],
)
def test_who_comes_by_another_name_is_refused(server: LoopbackServer, head: str) -> None:
    status, headers, body = say(server, head)
    assert status == 403
    assert "here" not in body
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        *((f"GET {path} HTTP/1.1", 404) for path in ("/x", "/..", "/../etc/passwd", "/%2e%2e/", "x")),
        *((f"{method} / HTTP/1.1", 501) for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE")),
        ("GET / / HTTP/1.1", 400),
    ],
)
def test_everything_else_is_refused(server: LoopbackServer, request_line: str, status: int) -> None:
    answered, headers, body = say(server, f"{request_line}\nHost: localhost\n")
    assert answered == status
    assert body.startswith(f"{status} ")
    assert "script-src" in headers["Content-Security-Policy"]


def test_head_has_the_headers_alone(server: LoopbackServer) -> None:
    status, headers, body = say(server, "HEAD / HTTP/1.1\nHost: localhost\n")
    assert (status, headers["Content-Length"], body) == (200, "11", "")


def test_it_listens_on_the_loopback_alone(server: LoopbackServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_connection_that_says_nothing_keeps_nobody_waiting(server: LoopbackServer) -> None:
    with socket.create_connection((HOST, server.port)), socket.create_connection((HOST, server.port)) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        assert say(server, "GET / HTTP/1.1\nHost: localhost\n")[0] == 200
