"""From a state to a sweep's folder with fit, figures, report and ``evidence.md``, which name no folder of a machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.files import seal_text, unseal, unseal_text, write_json
from scripts.evidence import aims
from scripts.evidence.machine import ROOT
from scripts.evidence.stages import NAME

DOCUMENT = "evidence.md"
CHECKED = re.compile(r"^checks-.*\.json$")
# An absolute path of two folders or more. What is behind a folder of the project, or of a package, is kept.
PATH = re.compile(r"(?<![\w:/.~…])/(?!dev/|proc/)(?:[\w.+@~-]+/)+[\w.+@~-]*")
KNOWN = re.compile(r"^.*/(?=(?:harness|scripts|tests|configs)/)|^.*/(?:site|dist)-packages/")


class CollectError(Exception):
    """The folder has something that was not collected."""


def collect(source: Path, folder: Path, say: Callable[[str], None] = print) -> None:
    """Put what ``source`` (a state, or a packed one) has into ``folder``, in place of what was collected before.

    Raises:
        CollectError: ``folder`` has something else.
    """
    check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        _unpacked(source) as state,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".collect-") as name,
    ):
        part = Path(name) / NAME
        _copy(state, part)
        fitted = (
            (part / "plan.json").exists() and _harness(part, "fit", say) and _harness(part, "report", say)
        )
        for file in part.glob("figures/*"):  # the same as PNG is a tenth of it
            if file.suffix != ".png":
                file.unlink()
        (part / DOCUMENT).write_text(document(state, part, fitted), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    say(f"evidence: {folder / DOCUMENT}")


def check(folder: Path) -> None:
    """Refuse a folder that was not made by collecting.

    Raises:
        CollectError: it has something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / DOCUMENT).exists():
        raise CollectError(f"{folder} was not made by collecting: name another with --out, or move it away")


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory() as name, tarfile.open(source) as tar:
        tar.extractall(name, filter=_plain)
        yield Path(name)


def _plain(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Files and folders, and neither links nor devices."""
    return tarfile.data_filter(member, path) if member.isfile() or member.isdir() else None


def _copy(state: Path, part: Path) -> None:
    """Records, curves, plan and configuration; beside them in ``evidence/`` what every stage printed and measured."""
    evidence = part / "evidence"
    evidence.mkdir(parents=True)
    sweep = state / "results" / NAME
    for file in (
        *(sweep / name for name in ("plan.json", "runs.csv", "controls.json")),
        *sweep.glob("cells/*/*"),
    ):
        if (
            file.name in ("plan.json", "runs.csv", "controls.json", "record.json", "curve.csv")
            and file.is_file()
        ):
            _write(file, part / file.relative_to(sweep))
    if (sweep / "config.yaml").exists():
        text = unseal_text((sweep / "config.yaml").read_text(encoding="utf-8"))
        cache = re.search(r"^cache_dir: (.*)$", text, re.MULTILINE)
        text = text.replace(cache[1], "~/.cache/isoflop") if cache else text
        text = re.sub(r"^runs_dir: .*$", "runs_dir: results", text, flags=re.MULTILINE)
        (part / "config.yaml").write_text(seal_text(shortened(text)), encoding="utf-8")
    for file in (
        *state.glob("log/*.txt"),
        *state.glob("*.json"),
        *state.glob("work/configs/throughput/*.yaml"),
        *sweep.glob("calibration.json"),  # what the rates were fitted to
    ):
        _write(file, evidence / file.name)


def _write(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".json" and (found := read_json(source)) is not None:
        write_json(target, _shortened_leaves(found))  # its SHA-256 is of the paths as they were
        return
    text = source.read_text(encoding="utf-8", errors="replace")
    target.write_text(text if source.suffix == ".csv" else shortened(text), encoding="utf-8")


def shortened(text: str) -> str:
    """``text`` with every path of a machine cut: to the project's or package's part of it, else to its last name."""

    def cut(match: re.Match[str]) -> str:
        path = match[0]
        found = KNOWN.match(path)
        return path[found.end() :] if found else f"…/{path.rstrip('/').rpartition('/')[2]}"

    return PATH.sub(cut, text)


def _shortened_leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened_leaves(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shortened_leaves(inner) for inner in value]
    return shortened(value) if isinstance(value, str) else value


def _harness(part: Path, command: str, say: Callable[[str], None]) -> bool:
    """``isoflop fit`` or ``report`` of the folder; what it says where it cannot is said, and the rest goes on."""
    arguments = (command, f"name={part.name}", f"runs_dir={part.parent.resolve()}", "tracker=none")
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
    )
    (part / "evidence" / f"{command}.txt").write_text(shortened(done.stdout + done.stderr), encoding="utf-8")
    if done.returncode != 0:
        say(f"no {command}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return done.returncode == 0


def document(state: Path, part: Path, fitted: bool) -> str:
    """``evidence.md``: where, which aims, and of every stage its commands, how it ended and what it found."""
    setting = read_json(state / "setting.json") or {}
    lines = [f"# {NAME}: evidence from a GPU", "\n".join(_machines(setting))]
    lines += ["## Aims", aims.table(aims.verdicts(state, part / "fit.json"))]
    if fitted:
        lines.append("The sweep's own account is in [report.md](report.md), its fit in `fit.json`.")
    lines += [
        "## Stages",
        "What each printed is in `evidence/NAME.txt`; STATE was the folder of the state.",
        "\n".join(_stages(state, setting.get("stages", []))),
    ]
    for path in sorted(path for path in state.glob("*.json") if CHECKED.match(path.name)):
        lines += [f"## {path.stem}", "\n".join(_checks(read_json(path) or {}))]
    for name in ("bench", "packing"):
        text = (part / "evidence" / f"{name}.txt").read_text(encoding="utf-8") if _log(state, name) else ""
        rows = [
            line
            for line in text.rpartition("\n$ ")[2].splitlines()
            if line.startswith("| ") or line[:4] == "|---"
        ]
        if rows:
            head = [
                line for line in text.splitlines() if "batches of" in line or line.startswith("a column of")
            ]
            lines += [f"## {name}", *head[-1:], "\n".join(rows)]
    return shortened("\n\n".join(lines)) + "\n"


def _machines(setting: dict[str, Any]) -> Iterator[str]:
    for machine in setting.get("machines", []):
        known = {name: value for name, value in machine.items() if value is not None}
        yield "- " + "; ".join(f"{name} {value}" for name, value in known.items())
    if setting.get("overrides"):
        yield f"- overrides: `{' '.join(setting['overrides'])}`"


def _stages(state: Path, names: Sequence[str]) -> Iterator[str]:
    yield "| stage | | command |"
    yield "|---|---|---|"
    for name in names:
        done, failed = state / "done" / name, state / "done" / f"{name}.failed"
        how = "not begun" if not _log(state, name) else "not ended"
        if done.exists():
            how = f"done in {done.read_text(encoding='utf-8').strip()}"
        elif failed.exists():
            how = f"**failed**: {failed.read_text(encoding='utf-8').strip()}"
        commands = [line[2:] for line in _log(state, name).splitlines() if line.startswith("$ ")]
        turns = f" ({len(commands)} turns)" if len(commands) > 1 else ""
        yield f"| {name} | {how}{turns} | {f'`{shortened(commands[-1])}`' if commands else ''} |"


def _checks(found: dict[str, Any]) -> Iterator[str]:
    for name, entry in found.items():
        yield f"- **{name}**: {'ok' if entry['ok'] else 'FAILED'} in {entry['seconds']:.1f} s on {entry['device']}"
        if entry["problem"]:
            yield f"  `{entry['problem']}`"
        if entry["said"]:
            yield "\n".join(["", "  ```text", *(f"  {line}" for line in entry["said"]), "  ```"])


def _log(state: Path, name: str) -> str:
    path = state / "log" / f"{name}.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def read_json(path: Path) -> dict[str, Any] | None:
    """What is in a file; None where there is none, or it is not as it was written."""
    try:
        return unseal(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
