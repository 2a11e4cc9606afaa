"""What is filled into an sbatch file arrives as it was, in the shell and in sbatch's own lines."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.launch.batch_system import Array
from harness.launch.slurm.gpus import count_gpus
from harness.launch.slurm.launcher import array_script, dependent_script
from harness.launch.slurm.request import Request, SlurmConfig, task_gpus
from harness.launch.slurm.script import (
    asked_options,
    log_pattern,
    program,
    read_template,
    render,
    render_fields,
    words_of,
)
from harness.train.config import TrainConfig

NASTY = """ab -'"`$(){}[]*?!~#&;|<>=,.:%@+^éç实\t"""
NAMES = st.text(st.sampled_from(NASTY + "\\"), min_size=1, max_size=12)


@given(NAMES)
@example("a b$(touch pwned)%j\"q'é")
@example("-n")
@example("$HOME")
@example("\\")
@settings(max_examples=150)
def test_a_name_arrives_in_the_shell_whatever_quotes_a_template_has(name: str) -> None:
    template = (
        "printf '%s\\0' {{directory}} \"{{directory}}\" '{{directory}}' x{{ directory }}y "
        "\"it's {{directory}}\" it\\'s{{directory}}\n"
        'printf "%s\\0" {{program}}\nbash -c "{{program}}"\n'
    )
    values = {"directory": name, "program": program("", "printf", "%s\\0", name).replace(" -m ", " ")}
    text = render_fields(template, values)
    done = subprocess.run(["bash", "-c", text], capture_output=True, check=True, cwd="/")
    said = done.stdout.decode().split("\0")
    assert said[:6] == [name, name, name, f"x{name}y", f"it's {name}", f"it's{name}"]
    assert said[6:] == ["printf", "%s\\0", name, name, ""]


@given(NAMES)
@example("a b$(touch pwned)%j\"q'é")
@example('"')
@settings(max_examples=150)
def test_a_name_arrives_in_sbatch_whatever_quotes_a_template_has(name: str) -> None:
    template = "#SBATCH --a={{output}} --b=\"{{output}}\" --c='{{output}}' {{ output }} # {{output}}\necho\n"
    (line, _) = render_fields(template, {"output": name}).splitlines()
    assert words_of(line.removeprefix("#SBATCH")) == [f"--a={name}", f"--b={name}", f"--c={name}", name]


@given(st.text(st.sampled_from(NASTY), min_size=1, max_size=12))
@example("%j%%A%")
def test_patterns_of_a_folders_name_are_none(name: str) -> None:
    pattern = log_pattern(Path("/x") / name, "%A_%a.txt")
    for code, value in (("%%", "\0"), ("%A", "7"), ("%a", "3")):
        pattern = pattern.replace(code, value)
    assert pattern.replace("\0", "%") == str(Path("/x") / name / "7_3.txt")


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\rb"])
def test_a_name_that_slurm_cannot_log_below_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="rename it") as refused:
        log_pattern(Path("/x") / name, "%j.txt")
    assert "\n" not in str(refused.value)
    if "\\" not in name:
        with pytest.raises(UserError, match=r"account .* has a line break"):
            render_fields("#SBATCH -A {{account}}", {"account": name})


def test_the_committed_templates_hold_a_nasty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b$(touch pwned)%j\"q'é`x`" / "0001"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    config = SlurmConfig(python="/bin/echo", account="a b", gres="gpu:h100:2", sbatch=["--comment=mine"])
    array = array_script(
        Array("x", folder, [[]], 1.0, "array-12"), config, Request("1:00", "2G", 4, 1), threads=2
    )
    after = dependent_script("x", folder, config, "reproduce", ("7;north", "8"), "report-12")
    for standard, script, log in (("array", array, "%A_%a"), ("report", after, "report-%j")):
        template = read_template("", f"{standard}.sbatch")
        text = render(template, script)
        words = [
            word
            for line in text.splitlines()
            if line.startswith("#SBATCH ")
            for word in words_of(line.removeprefix("#SBATCH"))
        ]
        assert f"--output={str(folder).replace('%', '%%')}/logs/{log}.txt" in words
        assert "--account=a b" in words
        assert ("--dependency=afterany:7:8" in words) == (standard == "report")
        done = subprocess.run(
            ["bash", "-c", text],
            capture_output=True,
            text=True,
            check=True,
            env={"SLURM_ARRAY_TASK_ID": "5"},
            cwd="/",
        )
        assert str(folder) in done.stdout
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        ("", 0),
        ("--constraint=gpu80 --exclusive", 0),
        ("--gres=gpu:2", 2),
        ("--gres gpu:4", 4),
        ("--gres=gpu", 1),
        ("--gres=gpu:h100", 1),
        ("--gres=gpu:1g.10gb", 1),
        ("--gres=gpu:1g.10gb:2", 2),
        ("--gres=gpu:h100:4(S:0-1)", 4),
        ("--gres=gpu:h100:4(S:0,1),license:1", 4),
        ("--gres=gpu:a100:1,gpu:h100:2", 3),
        ("--gres=gres/gpu:3", 3),
        ("--gres=craynetwork:2", 0),
        ("--gres=none", 0),
        ("--gres=mps:50", 1),
        ("--gpus-per-node 4", 4),
        ("--gpus-per-node=h100:8", 8),
        ("-G 4", 4),
        ("-G4", 4),
        ("-G h100:2", 2),
        ("--gpus=h100:2", 2),
        ("--gpus 2", 2),
        ("--gpus=0", 0),
        ("--gpus-per-task=2", 2),
        ("--gpus-per-task=2 --ntasks=4", 8),
        ("-n 2 --gpus-per-task 1", 2),
        ("--ntasks-per-node=4 --gpus-per-task=1", 4),
        ("--gpus-per-socket=2 --sockets-per-node=2", 4),
        ("--tres-per-task=cpu=4,gres/gpu=2", 2),
        ("--tres-per-task=gres/gpu:h100:2", 2),
        ("--gres=gpu:2 --gres=gpu:4", 4),
        ("--gres=gpu:4 --gpus-per-node=4 -G 4", 4),
    ],
)
def test_gpus_are_counted_in_every_form(options: str, gpus: int) -> None:
    assert count_gpus(options.split()) == gpus


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--gres=gpu:4 --gpus-per-node=2", "--gres=gpu:4 gives 4, --gpus-per-node=2 gives 2; leave one"),
        ("-G 1 --gres=gpu:2", "--gpus=1 gives 1, --gres=gpu:2 gives 2"),
        ("--gpus=many", "--gpus: 'many' is no number of GPUs"),
        ("--gpus", "--gpus: '' is no number"),
        ("--gpus-per-task=1 -n x", "--ntasks: 'x' is no number"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(options: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        count_gpus(options.split())
    assert message in str(refused.value)


def test_gpus_come_from_the_file_that_sbatch_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = TrainConfig(device="auto")
    assert task_gpus(SlurmConfig(gres="gpu:2"), train) == 2
    assert task_gpus(SlurmConfig(sbatch=["--gpus-per-node 4"]), train) == 4
    assert task_gpus(SlurmConfig(sbatch=["--ntasks=1 -G 4"]), train) == 4
    own = tmp_path / "own.sbatch"
    own.write_text("#!/bin/bash\n#SBATCH --gpus-per-node=8\n#SBATCH -A {{account}}\necho\n#SBATCH -G 1\n")
    assert task_gpus(SlurmConfig(template=str(own)), train) == 8
    assert task_gpus(SlurmConfig(template=str(own), gres="gpu:2"), train) == 8, "it has no field for gres"
    assert asked_options("#SBATCH --comment='a #b' -G 2 # 4\n", {}) == ["--comment=a #b", "-G", "2"]
    with pytest.raises(UserError, match="a quote is not closed"):
        asked_options('#SBATCH --comment="a\n', {})
    monkeypatch.setenv("SBATCH_GPUS", "h100:4")
    with pytest.raises(UserError, match=r"SBATCH_GPUS=h100:4: .*set launcher\.gres=gpu:N, or unset it"):
        task_gpus(SlurmConfig(), train)
    assert task_gpus(SlurmConfig(), TrainConfig(device="cpu")) == 0
    assert task_gpus(SlurmConfig(gres="gpu:1"), train) == 1
