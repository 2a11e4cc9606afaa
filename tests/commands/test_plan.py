"""What ``plan`` and ``sweep`` say of time: hours of cores and of GPUs, and what speaks against them."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import main
from harness.config.compose import compose_config
from harness.text import data_size
from harness.workflow.experiment import plan_experiment, prepare_corpus
from harness.workflow.resources import print_cost, runs_per_device
from tests.data.texts import write_texts
from tests.train.small import overrides

LONG = ("experiment=demo", "ladder=small", "grid.budgets=[1e15]", "grid.params=[1e6,2e6,4e6]")
DECLARED = ("data=declared", "data.unique_tokens=1e12", "data.vocab_size=256")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def cost(folder: Path, workers: int, *more: str) -> tuple[float, str]:
    """Seconds of all runs by their estimates, and what is said of the cost of training them."""
    config, _ = compose_config([*LONG, *DECLARED, f"cache_dir={folder}", *more])
    plan = plan_experiment(config, prepare_corpus(config, Console(quiet=True)))
    console = Console(file=io.StringIO(), width=200)
    print_cost(plan, workers, config, console)
    assert isinstance(console.file, io.StringIO)
    return sum(cell.estimate_seconds for cell in plan.cells), console.file.getvalue()


def test_what_a_corpus_is_without_is_said_at_every_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("main", "other"):
        write_texts(tmp_path / name, 60)
        for i in range(30):
            (tmp_path / name / f"{i}.txt").write_bytes(f"{i}: Grüße ".encode("latin-1") * 50)
    arguments = [
        *("plan", "experiment=demo", "data=text", f"path={tmp_path / 'main'}", "data.max_epochs=1e9"),
        *(f"+data.domains.other={tmp_path / 'other'}", f"cache_dir={tmp_path}", f"runs_dir={tmp_path}"),
    ]
    for _ in ("made", "from the cache"):
        main(arguments)
        out, err = capsys.readouterr()
        assert not err
        for name in ("text", "other"):
            (line,) = (line for line in out.splitlines() if line.startswith(f"corpus {name}: left out: "))
            assert "WARNING: 30 of 90 files" in line
            assert "data.encoding=latin-1" in line


def hours(text: str, unit: str) -> float:
    found = re.search(rf"([\d.,]+) {unit}", text)
    assert found, text
    return float(found.group(1).replace(",", ""))


@pytest.mark.parametrize(
    ("more", "cores"),
    [
        (("launcher.workers=1",), 1),
        (("launcher.workers=2",), 1),
        (("launcher.workers=1", "train.threads=4"), 4),
    ],
)
def test_every_run_has_cores_of_its_own(
    more: tuple[str, ...], cores: int, tmp_path: Path, alone: None
) -> None:
    seconds, text = cost(tmp_path, 2, *more)
    assert hours(text, "core-hours") == pytest.approx(cores * seconds / 3600, rel=0.05)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_the_optimizer_costs_stands_beside_c_where_it_is_more_than_rounding(
    optimizer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_texts(tmp_path / "text", 60)
    more = (*DECLARED, f"optimizer={optimizer}", f"cache_dir={tmp_path}", f"runs_dir={tmp_path}")
    main(["plan", "experiment=demo", *more])
    shown, _ = capsys.readouterr()
    heading = next(line for line in shown.splitlines() if line.split()[:2] == ["run", "budget"])
    assert ("optimizer" in heading.split()) == (optimizer == "muon")
    said = "the optimizer's own steps take"
    assert (said in shown) == (optimizer == "muon")
    main(["status", "experiment=demo", "name=demo", f"runs_dir={tmp_path}"])
    assert (said in capsys.readouterr().out) == (optimizer == "muon")
    if optimizer == "muon":
        assert "of C, which no budget pays for (grid.count_optimizer=true charges them)" in shown
        main(["plan", "experiment=demo", *more, "grid.count_optimizer=true", "name=charged"])
        assert "of C, the budget pays for them" in capsys.readouterr().out


def test_a_torch_without_muon_is_refused_before_a_sweep_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it runs here; a job may run with another torch."""
    monkeypatch.setattr("harness.plan.recipe_rules.version_of", lambda package: "2.8.0")
    more = (*DECLARED, "optimizer=muon", f"cache_dir={tmp_path}", f"runs_dir={tmp_path}", "tracker=none")

    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        assert stopped.value.code == 2
        return capsys.readouterr().err

    said = refused("sweep", "experiment=demo", *more)
    assert "optimizer=muon: needs torch 2.9 or later, and 2.8.0 is installed" in said
    assert "only declared" in refused("sweep", "experiment=demo", *more, "launcher=slurm")
    main(["plan", "experiment=demo", *more])


def test_runs_that_share_a_gpu_share_its_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    gpu = ("throughput=h100", "train.compile=off")
    one, text = cost(tmp_path, 2, *gpu)
    assert hours(text, "GPU-hours") == pytest.approx(one / 3600, rel=0.05)
    four, text = cost(tmp_path, 8, *gpu, "launcher.per_gpu=4")
    assert four > one
    assert hours(text, "GPU-hours") == pytest.approx(four / 4 / 3600, rel=0.05)
    both, text = cost(tmp_path, 1, *gpu, "launcher.processes=2")
    assert hours(text, "GPU-hours") == pytest.approx(2 * both / 3600, rel=0.05)


def test_little_time_is_not_none(tmp_path: Path, alone: None) -> None:
    _, text = cost(tmp_path, 1, "throughput=h100", "grid.budgets=[1e12]")
    assert 0 < hours(text, "GPU-hours") < 0.05


def test_what_speaks_against_the_times_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "none is here" in cost(tmp_path, 1, "throughput=h100")[1]
    assert "none is here" not in cost(tmp_path, 1, "throughput=h100", "launcher=slurm")[1]
    assert "these are of eager ones" in cost(tmp_path, 1, "train.compile=on")[1]
    assert "eager" not in cost(tmp_path, 1)[1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "a GPU is here" in cost(tmp_path, 1)[1]


@pytest.mark.parametrize(
    ("more", "runs"),
    [
        (("launcher.gres=gpu:1", "throughput=h100"), 1),
        (("launcher.gres=gpu:1", "throughput=h100", "launcher.per_gpu=3"), 3),
        (("launcher.gres=gpu:2", "throughput=h100", "launcher.workers=8"), 4),
        (("launcher.gres=gpu:4", "throughput=h100", "launcher.processes=2"), 1),
        (("launcher.cpus=8",), 2),  # as many as the time model was measured with
        (("launcher.cpus=1",), 1),
        (("launcher.gres=gpu:1", "train.device=cpu", "launcher.cpus=1", "launcher.workers=2"), 2),
    ],
)
def test_a_task_of_slurm_counts_the_runs_that_share_its_devices(more: tuple[str, ...], runs: int) -> None:
    config, _ = compose_config(["experiment=demo", "launcher=slurm", *more])
    assert runs_per_device(config) == runs


def test_the_models_take_no_more_than_the_plan_says(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = overrides(
        tmp_path, text_folder, "grid.budgets=[2e8]", "followup.rates=[0.9]", "launcher.workers=2"
    )

    def said(export: str) -> str:
        main(["plan", *told, f"train.export={export}"])
        return capsys.readouterr().out

    assert "export" not in said("none")
    number, stay = r"([\d.]+) kB at most", r", of which ([\d.]+) kB at most stay, one model for each budget"
    every = re.search(rf"exported models: {number} \(train.export=all\)\n", said("all"))
    best = re.search(rf"exported models: {number}{stay} \(train.export=best\)\n", said("best"))
    main(["sweep", *told, "train.export=all"])
    planned = {
        cell["run_id"] for cell in json.loads((tmp_path / "runs/small/plan.json").read_text())["cells"]
    }
    sizes = {
        folder.parent.name: sum(path.stat().st_size for path in folder.iterdir()) / 1000
        for folder in tmp_path.glob("runs/small/cells/*/model")
    }
    of_plan = [size for run_id, size in sizes.items() if run_id in planned]
    assert len(of_plan) == 3
    assert len(sizes) == 4, "with the ablation, which leaves none under best"
    assert every
    assert best
    for found, there in ((every[1], sum(sizes.values())), (best[1], sum(of_plan)), (best[2], max(of_plan))):
        assert 0.7 * float(found) < there <= 1.005 * float(found), "three digits are shown"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.9e3, "1 MB"),
        (41e6, "41 MB"),
        (2.104e6, "2.1 MB"),
        (1.5e12, "1.5 TB"),
    ],
)
def test_sizes_are_three_digits_and_a_unit(number: float, text: str) -> None:
    assert data_size(number) == text
