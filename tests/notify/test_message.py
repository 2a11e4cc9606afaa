"""A message reaches a program and services as they are told to be reached, and no fault of theirs is one of ours."""

import http.server
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.notify.config import URLS, NotifyConfig, hide_addresses
from harness.notify.message import Message, send

SECRET = "hunter2secret"
TOLD = Message("demo", "sweep", "finished", "demo: sweep finished; 6 of 6 runs")


@pytest.fixture(autouse=True)
def _no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URLS, raising=False)


def program(folder: Path, body: str) -> str:
    """A command line that runs ``body`` as Python."""
    path = folder / "a hook.py"
    path.write_text(f"import os, sys, time, subprocess\n{body}\n")
    return shlex.join([sys.executable, str(path)])


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    """A service on this machine, and what it was sent."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if "refuse" not in self.path else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_address[1], got
    made.shutdown()
    made.server_close()


def test_a_program_gets_the_message_and_no_shell_reads_it(tmp_path: Path) -> None:
    body = "open(sys.argv[1], 'w').write(sys.stdin.read() + repr(dict(os.environ)))"
    where = tmp_path / "got $(touch here); x"
    command = f"{program(tmp_path, body)} {shlex.quote(str(where))}"
    assert send(TOLD, NotifyConfig(command=command)) == []
    got = where.read_text()
    assert got.startswith(f"{TOLD.text}\n")
    for name, value in (
        ("NAME", "demo"),
        ("STATUS", "finished"),
        ("COMMAND", "sweep"),
        ("MESSAGE", TOLD.text),
    ):
        assert f"'ISOFLOP_{name}': '{value}'" in got
    assert not list(tmp_path.glob("here*"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(3)", "notify.command: exit status 3"),
        ("os.kill(os.getpid(), 9)", "notify.command: exit status -9"),
        ("sys.stdin.close(); sys.exit(0)", ""),
        ("print('x' * 10**7); print('y' * 10**7, file=sys.stderr)", ""),
        ("time.sleep(60)", "notify.command: not done after 1 s"),
        (
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)",
            "notify.command: not done after 1 s",
        ),
    ],
)
def test_whatever_it_does_is_a_sentence(
    body: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    problems = send(TOLD, NotifyConfig(command=program(tmp_path, body), seconds=1))
    assert " ".join(problems).startswith(said)
    assert bool(problems) == bool(said)
    assert time.monotonic() - began < 30
    assert capfd.readouterr() == ("", "")


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    body = f"""
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
open({str(pid)!r}, 'w').write(str(child.pid))
time.sleep(600)"""
    assert send(TOLD, NotifyConfig(command=program(tmp_path, body), seconds=2))
    state = Path(f"/proc/{pid.read_text()}/stat")
    deadline = time.monotonic() + 20
    while state.exists() and state.read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.02)


def test_a_program_that_is_gone_by_then(tmp_path: Path) -> None:
    (problem,) = send(TOLD, NotifyConfig(command=str(tmp_path / "gone")))
    assert problem.startswith("notify.command: No such file or directory")


def test_what_it_prints_is_not_passed_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = f"print('{SECRET}'); print('{SECRET}', file=sys.stderr); sys.exit(1)"
    problems = send(TOLD, NotifyConfig(command=program(tmp_path, body)))
    assert SECRET not in "".join([*problems, *capfd.readouterr()])


def test_the_program_does_not_get_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URLS, "json://127.0.0.1:1/x")
    body = f"sys.exit({URLS!r} in os.environ)"
    problems = send(TOLD, NotifyConfig(command=program(tmp_path, body)))
    assert not any(one.startswith("notify.command") for one in problems)


def test_services_are_told_once_each(
    server: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, got = server
    monkeypatch.setenv(URLS, f"json://127.0.0.1:{port}/one json://127.0.0.1:{port}/two")
    config = NotifyConfig(urls=[f"json://127.0.0.1:{port}/one", f"json://127.0.0.1:{port}/three"])
    config.check(here=True)
    assert send(TOLD, config) == []
    assert len(got) == 3
    assert all(TOLD.text.encode() in one for one in got)


def test_a_service_that_refuses_or_is_not_there(
    server: tuple[int, list[bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    port, got = server
    for address in (f"json://user:{SECRET}@127.0.0.1:{port}/refuse", f"json://user:{SECRET}@127.0.0.1:1"):
        (problem,) = send(TOLD, NotifyConfig(urls=[address, f"json://127.0.0.1:{port}/fine"]))
        assert problem == "notify.urls: not all of 2 were told: exit status 1"
    assert sum(TOLD.text.encode() in one for one in got) >= 2, "the others are told"
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("config", "here", "said"),
    [
        (NotifyConfig(command="no-such-program x"), True, "notify.command: no-such-program: no such program"),
        (NotifyConfig(command="/etc"), True, "notify.command: /etc: no such program"),
        (NotifyConfig(command="mail 'x"), True, "notify.command: no closing quotation"),
        (NotifyConfig(urls=["json://host"]), False, "notify.urls: jobs of a cluster"),
        (NotifyConfig(urls=[f"nosuch://{SECRET}"]), True, "notify.urls: number 1 of 1"),
        (NotifyConfig(urls=["json://host", SECRET]), True, "notify.urls: number 2 of 2"),
    ],
)
def test_what_can_tell_nobody_is_refused_before(
    config: NotifyConfig, here: bool, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError) as refused:
        config.check(here)
    assert str(refused.value).startswith(said)
    assert SECRET not in str(refused.value) + "".join(capfd.readouterr())
    assert SECRET not in repr(config)
    NotifyConfig(command=config.command, urls=config.urls, send=False).check(here)


def test_without_apprise_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.notify.config.find_spec", lambda _: None)
    NotifyConfig(command="true").check(here=True)
    with pytest.raises(UserError, match="pip install apprise"):
        NotifyConfig(urls=["json://host"]).check(here=True)


def test_addresses_are_hidden_only_where_they_are_these() -> None:
    assert hide_addresses("data: see https://x.org/y") == "data: see https://x.org/y"
    assert SECRET not in hide_addresses(f"notify.urls: [tgram://1:{SECRET}/2,json:///{SECRET}]")
