"""A key that a command does not read is refused, with the commands that do, before anything else is looked at."""

import inspect
import re
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.cli import COMMANDS, EXIT_USER_ERROR, main
from harness.config.compose import compose_config
from harness.config.frozen import load_config
from harness.config.overrides import READS, refuse_unread
from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import FitOptions
from harness.workflow.arms import compose_arms

# Keys of the experiment, which every command takes: also where it has no use for them yet, the folder and the jobs
# behind it do.
EXPERIMENT = (
    *(
        "name",
        "runs_dir",
        "cache_dir",
        "seq_len",
        "precision",
        "data",
        "tokenizer",
        "model",
        "ladder",
        "recipe",
    ),
    *("optimizer", "parametrization"),
    *("aim", "budget", "spend", "gpu_hours", "dollars"),
    *(
        "schedule",
        "grid",
        "design",
        "followup",
        "throughput",
        "train",
        "tracker",
        "launcher",
        "notify",
        "analysis",
        "path",
    ),
)
ARGUMENTS = sorted({key for keys in READS.values() for key in keys})
GIVEN = {
    "arms": "+arms.one=[]",
    "tune": "tune=demo",
    "validate": "validate.budget=1e9",
    "calibrate": "calibrate.sizes=3",
}
ALSO = {"compare": ("gate",)}
STAGES = {
    "reproduce": ("sweep", "fit", "report")
}  # a command that runs others in this process, on one configuration


def given(key: str) -> str:
    return GIVEN.get(key, f"{key}=x")


def read_by(command: str) -> set[str]:
    """The arguments that the code of a command asks its configuration for."""
    if command == "predict":
        return {key for key in ARGUMENTS if key in {field.name for field in fields(PredictConfig)}}
    code = inspect.getsource(import_module(f"harness.commands.{command}"))
    for module in (command, *ALSO.get(command, ())):  # where the work of a thin command is done
        if find_spec(f"harness.workflow.{module}"):
            code += inspect.getsource(import_module(f"harness.workflow.{module}"))
    read = {key for key in ARGUMENTS if re.search(rf"\bconfig\.{key}\b", code)}
    read |= {"arms"} if re.search(r"\b(arm_folders|compose_arms)\(", code) else set()
    # 'compare' chooses the value of an option of the fit
    fits = "config.analysis" in code and command != "next"  # which ranks forms by itself
    read |= {"compare"} if fits or "reproduce.run" in code else set()
    # a command that makes its own fit is given no other
    return read.union(*(read_by(stage) - {"fit"} for stage in STAGES.get(command, ())))


def test_every_key_is_of_the_experiment_or_an_argument() -> None:
    keys = {field.name for field in fields(Config)}
    assert not set(EXPERIMENT) & set(ARGUMENTS)
    assert keys == set(EXPERIMENT) | set(ARGUMENTS)
    assert set(READS) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_what_it_says(command: str) -> None:
    assert set(READS.get(command, ())) == read_by(command)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("key", ARGUMENTS)
def test_a_key_is_read_or_refused_with_who_reads_it(
    command: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if key in READS.get(command, ()):
        refuse_unread(command, [given(key)])
        return
    with pytest.raises(SystemExit) as ended:
        main([command, "experiment=demo", given(key)])
    assert ended.value.code == EXIT_USER_ERROR
    said = capsys.readouterr().err
    assert said.startswith(f"isoflop: {command}: does not read '{key}'; ")
    assert said.count("\n") == 1
    named = re.findall(r"'isoflop (\w+)'", said)
    assert named
    assert all(key in read_by(name) for name in named)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "points=x.csv",
            "does not read 'points'; 'isoflop fit', 'isoflop report', 'isoflop predict', 'isoflop next' and",
        ),
        ("write=mine", "does not read 'write'; 'isoflop tune', 'isoflop calibrate' and 'isoflop predict' do"),
        ("run=ab12", "does not read 'run'; 'isoflop train' does"),
        (
            "compare=true",
            "does not read 'compare'; 'isoflop fit', 'isoflop compare' and 'isoflop reproduce' do",
        ),
        ("++tune.rates=[1]", "does not read 'tune'; 'isoflop tune' does"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--config",)])
def test_a_plan_is_of_nothing_but_the_experiment(
    override: str, line: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=str(EXIT_USER_ERROR)):
        main(["plan", "experiment=demo", override, *more])
    assert f"isoflop: plan: {line}" in capsys.readouterr().err


def test_keys_of_the_experiment_and_of_its_file_are_nobody_elses(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        refuse_unread(command, [f"{key}=x" for key in (*EXPERIMENT, "experiment")])
    main(["plan", "experiment=kaplan", "tracker=none", "grid.sizes=5", "--config"])
    shown = capsys.readouterr().out
    assert "arms:\n  " in shown, "the experiment's own, which a plan does not read"
    frozen = load_config(shown.replace("points: null", "points: x.csv"))
    assert (frozen.points, bool(frozen.arms)) == ("x.csv", True), "of a frozen configuration, nobody asks"


def test_compare_chooses_what_the_fit_ranks() -> None:
    assert compose_config(["compare=true"])[0].analysis == FitOptions(compare=True)


def test_an_arm_is_asked_the_same(tmp_path: Path) -> None:
    told = ["experiment=demo", f"runs_dir={tmp_path}", "+arms.one=['write=x']", "+arms.two=[]"]
    with pytest.raises(UserError, match=r"^arm one: compare: does not read 'write'; 'isoflop tune'"):
        compose_arms(told, compose_config(told)[0])
