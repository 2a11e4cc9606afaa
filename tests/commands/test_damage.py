"""A file of a finished sweep that is damaged: the same answer as before, or one line that names it; no other number."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import main
from harness.compare.arm import load_arm
from harness.config.compose import compose_config
from harness.config.frozen import config_at
from harness.errors import UserError
from harness.files import write_json
from harness.fit import load_fit
from harness.launch.ledger import write_task
from harness.runs.ablations import read_ablations
from harness.runs.curve import read_curves
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.table import check_table, whole_records
from harness.train.run import train_cell
from harness.workflow.training import mend_corpora
from tests.figures import draw_only
from tests.report.synthetic import make_sweep
from tests.train.small import overrides, small_jobs
from tests.tune.synthetic import Truth
from tests.tune.test_fit import fitted

Damage = Callable[[bytes], bytes]


def flipped(share: float) -> Damage:
    def flip(data: bytes) -> bytes:
        place = int(share * (len(data) - 1))
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    return flip


DAMAGES: dict[str, Damage] = {
    "null": lambda _: b"null",
    "list": lambda _: b"[]",
    "empty": lambda _: b"",
    "half": lambda data: data[: len(data) // 2],
    "binary": lambda data: bytes(range(256)) * 4,
    **{f"flipped at {share}": flipped(share) for share in (0.03, 0.4, 0.97)},
}
READERS = {
    "fit.json": ("predict", "report"),
    "draws.npz": ("predict", "report"),
    "plan.json": ("predict", "fit", "report", "status"),
    "config.yaml": ("predict", "report", "status"),
    "runs.csv": ("fit", "report"),
    "controls.json": ("report",),
    "cells/RUN/record.json": ("fit", "report"),
    "../synthetic-tune/tune.json": ("report",),
}


def told(command: str, folder: Path) -> list[str]:
    if command == "predict":
        return ["predict", "--json", f"fit={folder}", "budget=1e13"]
    return [command, "experiment=demo", f"runs_dir={folder.parent}", "name=synthetic", "analysis.draws=25"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted sweep beside its tuning."""
    folder = make_sweep(tmp_path_factory.mktemp("runs") / "synthetic").path
    write_json(SweepFolder(folder).tuned_in.tuning, fitted(Truth()).to_json())
    main(told("fit", folder))
    return folder


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_only(monkeypatch)


def answer(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Everything that the command answers, in print and in files; raises SystemExit where it refuses."""
    capsys.readouterr()
    main(told(command, folder))
    if command == "fit":
        return "".join((folder / name).read_text() for name in ("fit.json", "runs.csv"))
    if command == "report":
        return (folder / "report.md").read_text()
    return capsys.readouterr().out.replace(str(folder.parent), "")


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """By command, of the sweep as it was written."""
    return {}


@pytest.mark.parametrize(
    ("name", "damage"),
    # an earlier version wrote an empty list where there were no ablations
    [(name, damage) for name in READERS for damage in DAMAGES if (name, damage) != ("controls.json", "list")],
)
def test_the_same_answer_or_one_line(
    name: str,
    damage: str,
    finished: Path,
    answers: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in READERS[name]:
        if command not in answers:
            answers[command] = answer(command, finished, capsys)
    shutil.copytree(finished.parent, tmp_path / "runs")
    folder = tmp_path / "runs" / "synthetic"
    run = frozen_plan(SweepFolder(folder)).cells[3].run_id
    path = (folder / name.replace("RUN", run)).resolve()
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    damaged = path.read_bytes()
    for command in READERS[name]:
        path.write_bytes(damaged)  # a command before this one may have mended it
        code: object = 0
        try:
            given = answer(command, folder, capsys)
        except SystemExit as left:
            code = left.code
        if code == 0:
            assert without_size(given) == without_size(answers[command]), f"{command} answers otherwise"
        else:
            said = capsys.readouterr().err
            assert code == 2, f"{command}: {said}"
            assert re.fullmatch(r"isoflop: [^\n]*\n", said), f"{command}: {said}"
            assert str(path) in said or str(folder / name) in said or path.name in said, f"{command}: {said}"
            assert path.read_bytes() == damaged


def without_size(said: str) -> str:
    """Without what the sweep takes on disk: damage changes that."""
    return re.sub(r"^disk: .*\n", "", said, flags=re.M)


RESULTS = Path(__file__).parents[2] / "results"
WITH_CURVES = ("cpu_frontier", "cpu_validation", "demo", "one_gpu")  # not tunings, arms, and rounds


@pytest.mark.parametrize("name", sorted(path.parent.name for path in RESULTS.glob("*/plan.json")))
def test_results_of_earlier_versions_are_no_damage(name: str) -> None:
    sweep = SweepFolder(RESULTS / name)
    found = whole_records(sweep, frozen_plan(sweep))
    assert found
    check_table(sweep.table, found)
    if name in WITH_CURVES:
        curves, left_out = read_curves(sweep, found)
        assert (curves.keys(), left_out) == (found.keys(), ())
    else:
        assert not list(sweep.path.glob("cells/*/curve.csv")), (
            "all of a sweep's curves are published, or none"
        )
    assert config_at(sweep.config)
    read_ablations(sweep.ablations)
    if sweep.fit.exists():
        assert load_fit(sweep.fit).approaches


def test_draws_of_another_fit_are_refused(finished: Path, tmp_path: Path) -> None:
    """By their digest, and without one, as in earlier versions, because its intervals do not follow from them."""
    other = tmp_path / "other"
    main([*told("fit", finished), f"out={other}", "analysis.seed=1"])
    mine = tmp_path / "mine"
    mine.mkdir()
    for folder, name in ((finished, "fit.json"), (other, "draws.npz")):
        shutil.copy(folder / name, mine / name)
    with pytest.raises(
        UserError, match=r"draws\.npz: not what was written \(it is not what was written with"
    ):
        load_fit(mine)
    old = json.loads((mine / "fit.json").read_text())
    del old["sha256"], old["draws_sha256"]
    (mine / "fit.json").write_text(json.dumps(old))
    with pytest.raises(
        UserError, match=r"draws\.npz: not what was written \(the interval of a of approach_1"
    ):
        load_fit(mine)
    shutil.copy(finished / "draws.npz", mine / "draws.npz")
    assert load_fit(mine).predict(1e13) == load_fit(finished).predict(1e13)


@pytest.mark.parametrize("name", ["fit.json", "draws.npz", "plan.json", "cells/RUN/record.json"])
def test_an_arm_of_a_comparison_is_read_as_strictly(name: str, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "arm")
    sweep = SweepFolder(tmp_path / "arm")
    plan = frozen_plan(sweep)
    assert (
        load_arm("one", sweep, plan).bits_per_nat == load_arm("one", SweepFolder(finished), plan).bits_per_nat
    )
    assert load_arm("one", sweep, plan).family == plan.cells[0].spec.shape.family
    path = sweep.path / name.replace("RUN", plan.cells[3].run_id)
    path.write_bytes(flipped(0.5)(path.read_bytes()))
    with pytest.raises(UserError, match=path.name):
        load_arm("one", sweep, frozen_plan(sweep))


def test_a_table_that_loses_runs_is_kept(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished.parent, tmp_path / "runs")
    sweep = SweepFolder(tmp_path / "runs" / "synthetic")
    before = sweep.table.read_bytes()
    shutil.rmtree(sweep.cell(frozen_plan(sweep).cells[3].run_id).path)
    main(told("fit", sweep.path))
    kept = sweep.path / "runs.csv.before-1"
    assert (
        f"1 run of the table before is not in {sweep.table}; that table is kept as {kept}"
        in capsys.readouterr().out
    )
    assert kept.read_bytes() == before


def test_results_of_other_runs_do_not_replace_a_sweeps(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "elsewhere.csv"
    shutil.copy(finished / "runs.csv", table)
    before = (finished / "fit.json").read_bytes()
    for command in ("fit", "report"):
        with pytest.raises(SystemExit) as left:
            main([command, f"points={table}", f"out={finished}"])
        assert left.value.code == 2
        assert "has a sweep's own runs and results; name another folder" in capsys.readouterr().err
    assert (finished / "fit.json").read_bytes() == before


def test_a_damaged_corpus_is_made_anew_by_the_next_command(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that plans, and an array task, which has the tokens' folder only beside its configuration."""
    _, jobs = small_jobs(tmp_path, text_folder)
    tokens = jobs[0].corpus / "train.bin"
    before = tokens.read_bytes()

    def damage() -> None:
        tokens.write_bytes(before[: len(before) // 2] + bytes(len(before) - len(before) // 2))
        capsys.readouterr()

    damage()
    main(["plan", *overrides(tmp_path, text_folder)])
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"{jobs[0].corpus}: no complete corpus there (train.bin is not as written): it is made anew" in said
    )
    assert tokens.read_bytes() == before

    submission = tmp_path / "0001"
    write_task(submission, 0, jobs, {"workers": 1})
    (submission / "config.yaml").write_text(compose_config(overrides(tmp_path, text_folder))[1])
    damage()
    mend_corpora(submission, 0, Console(width=200))
    assert "it is made anew" in " ".join(capsys.readouterr().out.split())
    assert tokens.read_bytes() == before

    shutil.move(submission / "config.yaml", submission / "gone.yaml")
    damage()
    mend_corpora(submission, 0, Console(width=200))
    assert "not made anew: " in capsys.readouterr().out
    with pytest.raises(UserError, match=r"train\.bin is not as written"):
        train_cell(jobs[0])


def test_a_throughput_file_that_is_no_text_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs" / "throughput").mkdir(parents=True)
    (tmp_path / "configs" / "throughput" / "mine.yaml").write_bytes(bytes(range(128, 256)))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["plan", "experiment=demo", "throughput=mine"])
    assert left.value.code == 2
    assert re.fullmatch(
        r"isoflop: configs/throughput/mine.yaml:1: no UTF-8 text[^\n]*\n", capsys.readouterr().err
    )
