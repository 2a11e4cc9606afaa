"""A folder in which a document's commands are typed one after another, as a reader would."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import main
from harness.config.compose import compose_config
from tests.docs.blocks import ROOT, Block, Command, blocks, commands
from tests.docs.handled import exists, instead_of, smaller
from tests.docs.stand_ins import standing_in
from tests.figures import draw_only
from tests.report.synthetic import law_loss
from tests.signals import signals_given_back

PLACEHOLDERS = {"ENTITY/PROJECT": "local/isoflop"}
SHELL = re.compile(r"\$\(|[|&;<>]|^\s*(cd|export|source)\b")  # what only a shell can do
LANGUAGES = ("console", "bash", "sh", "python", "yaml", "text", "csv", "json", "diff", "")
LINKED = ("results", "scripts", "tests", "docs", "Makefile", "pyproject.toml")  # of the checkout
TEXT_BYTES = 8_000_000  # a reader's own text: enough that no run of the examples reads it twice
SECONDS = 120.0  # the longest that a command of a shell may take


class World:
    """The working directory of a reader, who has some text and tables of runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "work", folder / "home"
        self.failures: list[str] = []
        self.seconds: dict[str, float] = {}
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self.folder.mkdir()
        self.home.mkdir()
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        self.texts = list(_texts())
        for name in ("my_texts", "books"):
            (self.folder / name).mkdir()
            for number, text in enumerate(self.texts):
                (self.folder / name / f"{number}.py").write_text(f"# {name}\n{text}", encoding="utf-8")
        write_tables(self.folder)
        _write_parquet(self.folder / "web.parquet", self.texts)

    def put_corpus(self, name: str) -> None:
        """Text at the place where ``data=name`` looks for what was fetched."""
        place = self.home / ".cache" / "isoflop" / "text" / name / "text"
        place.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"text": f"{name}\n{text}"}) + "\n" for text in self.texts)
        (place / "0.jsonl").write_text(lines, encoding="utf-8")

    def block(self, block: Block) -> None:
        """Do what a block says; what goes wrong is kept in ``failures``."""
        assert block.language in LANGUAGES, f"{block.at}: nobody knows how to try '{block.language}'"
        if block.language == "python":
            self._try(block.at, "python", lambda: self._python(block))
        elif block.names:
            path = self.folder / block.names
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "yaml":
            self._try(block.at, "yaml", lambda: yaml.safe_load(block.text))
        for command in commands(block):
            self.command(command)

    def command(self, command: Command) -> None:
        """Type one command."""
        self._try(command.at, command.text, lambda: self._typed(command.text))

    def _typed(self, typed: str) -> None:
        text = typed
        for name, value in PLACEHOLDERS.items():
            text = text.replace(name, value)
        words = shlex.split(text, comments=True)
        plain = " ".join(words)
        if known := instead_of(plain):
            known.check(self, plain, words)
        elif words[0] == "isoflop" and not SHELL.search(plain):
            self.isoflop(text)
        else:
            self._shell(text)

    def isoflop(self, text: str) -> str:
        """Run a command of this project in this process, at small size; what it printed."""
        words = shlex.split(text, comments=True)[1:]
        more = [] if "--config" in words else smaller(" ".join(["isoflop", *words]))
        out = io.StringIO()
        status: Any = 0
        try:
            with signals_given_back(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                main([*words, *more])
        except SystemExit as left:
            status = left.code
        assert not status, f"exit status {status}: {out.getvalue().strip()[-600:]}"
        if not {"--config", "--help", "--version"} & set(words):
            exists(*(self.folder / path for path in promised(words)))
        return out.getvalue()

    def first_run(self, overrides: Sequence[str]) -> str:
        """The id of the first cell of a plan, which is made."""
        self.isoflop(shlex.join(["isoflop", "plan", *overrides]))
        name = next(one for one in reversed(overrides) if one.startswith("name=")).removeprefix("name=")
        plan = json.loads((self.folder / "runs" / name / "plan.json").read_text(encoding="utf-8"))
        return str(plan["cells"][0]["run_id"])

    def _shell(self, text: str) -> None:
        path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["bash", "-c", text],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
        said = f"exit status {done.returncode}: {(done.stdout + done.stderr)[-600:]}"
        assert done.returncode == 0, said
        # within $(…) its exit status is lost
        assert not re.search(r"^isoflop: |: command not found$", done.stderr, re.MULTILINE), said

    def _python(self, block: Block) -> None:
        # the lines of a traceback are those of the document
        code = compile("\n" * (block.line - 1) + block.text, str(ROOT / block.file), "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, self._names)

    def _try(self, at: str, what: str, action: Any) -> None:
        began = time.monotonic()
        try:
            action()
        except (Exception, SystemExit) as error:
            self.failures.append(f"{at}: {what}\n    {type(error).__name__}: {error}")
        self.seconds[f"{at} {what}"] = time.monotonic() - began


@contextmanager
def reader(folder: Path) -> Iterator[World]:
    """A world to type in, with the working directory in it."""
    world = World(folder)
    before, path = Path.cwd(), list(sys.path)
    with standing_in(world.home, world.texts), pytest.MonkeyPatch.context() as patch:
        # the first report has every figure: a real sweep's, where the document trains one
        draw_only(patch, "isoflop", "training_curves", first=True)
        os.chdir(world.folder)
        try:
            yield world
        finally:
            os.chdir(before)
            sys.path[:] = path


def follow(file: str, world: World) -> None:
    """Do all that a document says, in its order."""
    for block in blocks(file):
        world.block(block)


def promised(words: Sequence[str]) -> list[Path]:
    """The files that a command of this project says it writes."""
    command, overrides = words[0], [one for one in words[1:] if "=" in one]
    asked = dict(one.split("=", 1) for one in overrides)
    if command == "predict":
        return [Path(asked["figure"])] if "figure" in asked else []
    if command in ("status", "cancel", "clean", "completion", "next"):
        return []
    config, _ = compose_config(overrides)
    sweep = Path(config.runs_dir) / config.name
    folder = Path(config.out) if config.out else sweep
    fit = [folder / name for name in ("fit.json", "draws.npz")]
    report = [folder / name for name in ("report.html", "report.md", "figures/*.png", "figures/*.pdf")]
    if asked.get("launcher") == "slurm":
        return [sweep / "slurm"]
    if command == "compare" and config.fits:
        return [folder / "compare.json", folder / "compare.md"] if config.out else []
    if command == "report" and config.fit:
        folder = Path(config.out or config.fit)
        return [folder / name for name in ("report.html", "report.md", "figures/*.png", "figures/*.pdf")]
    if command == "fit" and config.by is not None:
        return [folder / "groups.json", folder / "*" / "fit.json"]
    if command == "fit" and config.source == "wandb":
        return [Path(config.runs_dir) / f"{config.group or 'demo'}-wandb" / "fit.json"]
    written = Path("configs") / {"tune": "recipe", "calibrate": "throughput"}.get(command, "")
    runs = [sweep / name for name in ("plan.json", "config.yaml", "runs.csv", "cells/*")]
    arms = [Path(config.runs_dir) / f"{config.name}-{arm}" / "report.html" for arm in config.arms]
    return {
        "plan": [sweep / "plan.json", sweep / "config.yaml"],
        "sweep": runs,
        "train": [sweep / "plan.json", sweep / "cells" / "*"],
        "tune": [sweep.with_name(f"{config.name}-tune") / "runs.csv"],
        "calibrate": [sweep / "calibration.json", written / "*.yaml"],
        "fit": fit,
        "report": report,
        "compare": [sweep / "compare.json", sweep / "compare.md", *arms],
        "validate": [sweep / "prediction.json"],
        "reproduce": [*fit, *report, *([] if config.points else runs)],
    }[command] + ([written / f"{config.write}.yaml"] if config.write else [])


def _texts() -> Iterator[str]:
    """Files of the standard library, each as a text, until there is enough."""
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("[a-z]*/*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if size < TEXT_BYTES and len(text) > 2_000:
            size += len(text)
            yield text


def write_tables(folder: Path) -> None:
    """``table.csv`` and its ``curves.csv``, as anyone has them, and the published points as their table has them."""
    published = os.environ.get("ISOFLOP_HOFFMANN_POINTS")
    grid = list(enumerate(_grid()))
    rows = [(f"run-{i}", n, d, 6 * n * d, law_loss(n, d), ("c4", "code")[i % 2]) for i, (n, d) in grid]
    text = "run,params,tokens,flops,loss,dataset\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "table.csv").write_text(text, encoding="utf-8")
    shares = [step / 20 for step in range(1, 21)]
    along = [(f"run-{i}", d * share, law_loss(n, d * share)) for i, (n, d) in grid for share in shares]
    lines = "".join(",".join(map(str, row)) + "\n" for row in along)
    (folder / "curves.csv").write_text("run,tokens,train_loss\n" + lines, encoding="utf-8")
    if published:
        shutil.copy(published, folder / "svg_extracted_data.csv")
    else:
        names = "Run,Model Size,Training Tokens,Training FLOP,loss,dataset"
        (folder / "svg_extracted_data.csv").write_text(text.replace(text.split("\n")[0], names))


def _grid() -> Iterator[tuple[float, float]]:
    for i in range(5):
        budget = 1e18 * 4**i
        for j in range(7):
            params = (budget / 6 / 45) ** 0.5 * 12 ** ((j - 3) / 6)
            yield params, budget / 6 / params


def _write_parquet(path: Path, texts: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([{"text": f"web\n{text}"} for text in texts]), path)
