"""A fake W&B server on the loopback: what the real client needs of one, kept in memory, and the ways one fails.

It keeps what a server keeps: history by line, as the client's file stream sends it with an offset (a step sent twice
is two lines, so that a test can see it), configs, summaries, files and artifacts.
"""

import base64
import gzip
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ENTITY = "local"
KEY = "k" * 40


@dataclass
class StoredRun:
    """One run as the server knows it; ``lines`` of history are JSON by offset."""

    project: str
    name: str
    display_name: str = ""
    group: str | None = None
    job_type: str | None = None
    state: str = "running"
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return _id("Run", self.project, self.name)

    @property
    def history(self) -> list[dict[str, Any]]:
        return [self.lines[offset] for offset in sorted(self.lines)]


@dataclass
class StoredArtifact:
    """An artifact's version."""

    name: str
    type: str
    digest: str
    run: str
    version: int
    state: str = "PENDING"

    @property
    def id(self) -> str:
        return _id("Artifact", self.name, str(self.version))


@dataclass
class FakeServer:
    """The server's memory, and how it behaves: ``answering``, ``silent`` (never does) or ``broken`` (500)."""

    url: str = ""
    mode: str = "answering"
    runs: dict[tuple[str, str], StoredRun] = field(default_factory=dict)
    artifacts: list[StoredArtifact] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    requests: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def run(self, project: str, name: str, make: bool = False) -> StoredRun | None:
        if make:
            self.runs.setdefault((project, name), StoredRun(project, name, name))
        return self.runs.get((project, name))

    def only(self, name: str) -> StoredRun:
        """The run of that id, whatever its project."""
        return next(run for (_, key), run in self.runs.items() if key == name)


@contextmanager
def serving(mode: str = "answering") -> Iterator[FakeServer]:
    """A server on a free port of the loopback while the context lasts; a client's environment is the caller's."""
    fake = FakeServer(mode=mode)
    server = _Server(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that left is no error."""

    block_on_close = False


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            if self._fails():
                return
            if self.path.startswith("/store/"):
                blob = fake.blobs.get(unquote(self.path[len("/store/") :]))
                self._answer(blob if blob is not None else b"", 200 if blob is not None else 404)
            else:
                self._answer({})

        def do_PUT(self) -> None:
            body = self._body()
            if not self._fails():
                fake.blobs[unquote(self.path[len("/store/") :])] = body
                self._answer({})

        def do_POST(self) -> None:
            body = self._body()
            if self._fails():
                return
            stream = re.match(r"/files/[^/]+/([^/]+)/([^/]+)/file_stream", self.path)
            if self.path.endswith("/graphql"):
                call = json.loads(body)
                self._answer({"data": answer(fake, call["query"], call.get("variables") or {})})
            elif stream:
                file_stream(fake, stream[1], stream[2], json.loads(body))
                self._answer({"exitcode": None, "limits": {}})
            else:
                self._answer({}, 404)

        def _fails(self) -> bool:
            fake.requests += 1
            if fake.mode == "broken":
                self._answer({"errors": [{"message": "broken"}]}, 500)
            elif fake.mode == "silent":
                while not fake.closing.is_set() and fake.mode == "silent":
                    time.sleep(0.05)
                self.close_connection = True
            else:
                return False
            return True

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        def _answer(self, value: Any, status: int = 200) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def file_stream(fake: FakeServer, project: str, name: str, body: dict[str, Any]) -> None:
    """Keep what one request of a run's file stream carries."""
    run = fake.run(project, name, make=True)
    assert run is not None
    for file, chunk in (body.get("files") or {}).items():
        for i, line in enumerate(chunk.get("content", [])):
            if file == "wandb-history.jsonl":
                run.lines[chunk["offset"] + i] = json.loads(line)
            elif file == "wandb-summary.json":
                run.summary = json.loads(line)
    if body.get("complete"):
        run.state = "failed" if body.get("exitcode") else "finished"


def answer(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """What a server answers to one GraphQL operation; one that is not known is noted and answered with nothing."""
    found = re.search(r"(?:query|mutation)\s+(\w+)", query)
    operation = found[1] if found else "?"
    try:
        return OPERATIONS[operation](fake, query, {**variables, **(variables.get("input") or {})})
    except (KeyError, TypeError, StopIteration) as error:
        fake.unknown.append(f"{operation} {error!r} {json.dumps(variables)} {query}")
        return {}


def _id(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


def _project(name: str) -> dict[str, Any]:
    entity = {"id": _id("Entity", ENTITY), "name": ENTITY}
    return {"id": _id("Project", name), "internalId": "1", "name": name, "entity": entity, "readOnly": False}


def _viewer(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    teams = {"edges": [{"node": {"name": ENTITY}}]}
    me = {"id": "VXNlcjox", "entity": ENTITY, "username": "t", "email": "t@t", "name": "t", "admin": False}
    return {"viewer": {**me, "flags": "{}", "teams": teams}}


def _resume(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    project, name = variables["project"], variables["name"]
    run, bucket = fake.run(project, name), None
    if run:
        telemetry = ((run.config.get("_wandb") or {}).get("value") or {}).get("t", {})
        bucket = {
            "id": run.id,
            "name": name,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.display_name,
            "logLineCount": 0,
            "historyLineCount": len(run.lines),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run.history[-1:]]),
            "eventsTail": "[]",
            "config": json.dumps(run.config),
            "tags": [],
            "notes": None,
            "wandbConfig": json.dumps({"t": telemetry}),
        }
    return {"model": {**_project(project), "bucket": bucket}}


def _upsert(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    if project := variables.get("project"):
        run = fake.run(project, variables["name"], make=True)
    else:
        run = next(run for run in fake.runs.values() if run.id == variables["id"])
    assert run is not None
    new = not run.config
    run.config.update(json.loads(variables.get("config") or "{}"))
    run.summary.update(json.loads(variables.get("summaryMetrics") or "{}"))
    run.display_name = variables.get("displayName") or run.display_name
    run.group = variables.get("groupName") or run.group
    run.job_type = variables.get("jobType") or run.job_type
    run.state = variables.get("state") or "running"
    bucket = {
        "id": run.id,
        "name": run.name,
        "displayName": run.display_name,
        "description": None,
        "config": json.dumps(run.config),
        "sweepName": None,
        "project": _project(run.project),
        "historyLineCount": len(run.lines),
    }
    return {"upsertBucket": {"bucket": bucket, "inserted": new}}


def _run_files(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    run = variables.get("run") or variables["name"]
    files = [
        {"name": file, "uploadUrl": f"{fake.url}/store/{variables['project']}/{run}/{file}"}
        for file in variables["files"]
    ]
    return {"createRunFiles": {"runID": _id("Run", run), "uploadHeaders": [], "files": files}}


def _organization(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {"entity": {"organization": None}}


def _matches(run: StoredRun, wanted: dict[str, Any]) -> bool:
    """The filters that this project sends: equality of fields, and of configuration values."""
    fields = {"group": run.group, "state": run.state, "jobType": run.job_type, "name": run.name}
    for key, value in wanted.items():
        if key == "$and":
            if not all(_matches(run, part) for part in value):
                return False
            continue
        held = fields.get(key)
        if isinstance(value, dict):
            ok = all({"$ne": held != v, "$eq": held == v, "$in": held in v}[op] for op, v in value.items())
        else:
            ok = held == value
        if not ok:
            return False
    return True


def _node(run: StoredRun) -> dict[str, Any]:
    history = run.history
    keys: dict[str, Any] = {}
    for line in history:
        for key in line:
            entry = keys.setdefault(key, {"typeCounts": [{"count": 0, "type": "number"}], "monotonic": False})
            entry["typeCounts"][0]["count"] += 1
    last = history[-1]["_step"] if history else -1
    return {
        "id": run.id,
        "projectId": "1",
        "tags": [],
        "name": run.name,
        "displayName": run.display_name,
        "sweepName": None,
        "state": run.state,
        "config": json.dumps(run.config),
        "group": run.group,
        "jobType": run.job_type,
        "commit": None,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00Z",
        "heartbeatAt": "2026-01-01T00:00:00Z",
        "description": None,
        "notes": None,
        "systemMetrics": "{}",
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(history),
        "user": {"name": "t", "username": "t"},
        "historyKeys": {"lastStep": last, "sets": [], "keys": keys},
    }


def _runs(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    name = variables["project"]
    if not any(project == name for project, _ in fake.runs):
        return {"project": None}
    wanted = json.loads(variables.get("filters") or "{}")
    runs = [run for (project, _), run in fake.runs.items() if project == name and _matches(run, wanted)]
    first, count = int(variables.get("cursor") or 0), int(variables.get("perPage") or 50)
    page = runs[first : first + count]
    edges = [{"node": _node(run), "cursor": str(first + i + 1)} for i, run in enumerate(page)]
    info = {"endCursor": str(first + len(page)), "hasNextPage": first + count < len(runs)}
    return {"project": {**_project(name), "runCount": len(runs), "runs": {"edges": edges, "pageInfo": info}}}


def _first(variables: dict[str, Any], *names: str) -> str:
    """The first of these variables that the client sent: each operation has its own name for the same thing."""
    return next(str(variables[name]) for name in names if variables.get(name))


def _one_run(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    project = _first(variables, "project", "projectName")
    run = fake.run(project, _first(variables, "name", "run", "runName"))
    if run is None:
        return {"project": {"run": None}}
    node = _node(run)
    if "parquetHistory" in query:
        node["parquetHistory"] = {"parquetUrls": [], "liveData": []}
    if re.search(r"\bhistory\(", query):
        low, high = int(variables.get("minStep") or 0), variables.get("maxStep")
        lines = [
            line for line in run.history if low <= line["_step"] and (high is None or line["_step"] < high)
        ]
        node["history"] = [json.dumps(line) for line in lines[: int(variables.get("pageSize") or len(lines))]]
    return {"project": {**_project(project), "run": node}}


def _artifact_type(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {"project": {"artifact": None}}


def _create_artifact(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    name, digest = variables["artifactCollectionName"], variables["digest"]
    same = [one for one in fake.artifacts if one.name == name]
    artifact = next((one for one in same if one.digest == digest), None)
    if artifact is None:
        artifact = StoredArtifact(
            name, variables["artifactTypeName"], digest, variables["runName"], len(same)
        )
        fake.artifacts.append(artifact)
    sequence = {"id": _id("Sequence", name), "latestArtifact": None, "name": name}
    made = {"id": artifact.id, "digest": digest, "state": artifact.state, "artifactSequence": sequence}
    return {"createArtifact": {"artifact": made}}


def _manifest(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    artifact = variables.get("artifactID") or variables.get("artifactManifestID")
    url = f"{fake.url}/store/manifest/{artifact}"
    file = {"id": "file", "name": "m", "displayName": "m", "uploadUrl": url, "uploadHeaders": []}
    made = {"artifactManifest": {"id": artifact, "file": file}}
    return {"createArtifactManifest": made, "updateArtifactManifest": made}


def _artifact_files(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    edges = []
    for spec in variables["artifactFiles"]:
        name, artifact = spec["name"], spec["artifactID"]
        node = {
            "id": _id("File", name),
            "name": name,
            "displayName": name,
            "uploadUrl": f"{fake.url}/store/artifact/{artifact}/{name}",
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
            "storagePath": f"store/{name}",
            "artifact": {"id": artifact},
        }
        edges.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _commit_artifact(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    artifact = next(one for one in fake.artifacts if one.id == variables["artifactID"])
    artifact.state = "COMMITTED"
    return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}


def _features(fake: FakeServer, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {"serverInfo": {"features": []}}


OPERATIONS = {
    "ServerFeaturesQuery": _features,
    "OrganizationCoreWeaveOrganizationID": _organization,
    "ArtifactType": _artifact_type,
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _manifest,
    "UpdateArtifactManifest": _manifest,
    "CreateArtifactFiles": _artifact_files,
    "CommitArtifact": _commit_artifact,
    "Viewer": _viewer,
    "GetDefaultEntity": _viewer,
    "RunResumeStatus": _resume,
    "UpsertBucket": _upsert,
    "CreateRunFiles": _run_files,
    **dict.fromkeys(("Runs", "RunsPage", "GetRuns", "GetLightRuns", "LightRuns"), _runs),
    **dict.fromkeys(
        (
            "Run",
            "RunFull",
            "GetRun",
            "RunState",
            "RunFullHistory",
            "HistoryPage",
            "RunHistoryKeys",
            "LightRun",
        ),
        _one_run,
    ),
    "RunParquetHistory": _one_run,
}
