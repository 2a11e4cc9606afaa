"""Names and paths that no file can have, or that are blank, are one line, whatever key gives them."""

from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from harness.config.names import NAMES, PATHS
from harness.config.predict import PredictConfig
from harness.errors import UserError

WRONG = {
    " ": "must not be blank",
    "a" * 300: "at most",
    "é" * 150: "at most",  # 255 is a number of bytes
    "a\0b": "control characters",
    "a\tb": "control characters",
    "a\nb": "control characters",
    "a\x1b[31m": "control characters",
    "a/" * 3000: "at most",
}


def set_to(key: str, value: str) -> None:
    """Compose with ``key`` at ``value``, as overrides in quotes, in the schema that has it."""
    quoted = f"{key}='{value}'"
    if key in ("fit", "figure", "repetition.points"):
        others = ["budget=1e21"] if key == "fit" else ["fit=hoffmann2022", "budget=1e21"]
        compose_config([*others, quoted], "predict", PredictConfig)
    else:
        beside = ["points=table.csv"] if key == "curves" else []
        compose_config(["experiment=demo", *beside, quoted])


@pytest.mark.parametrize("key", [*NAMES, *PATHS])
def test_a_name_or_path_that_cannot_be_is_one_line(key: str) -> None:
    for value, message in WRONG.items():
        if key == "name" and not (value[0] == "a" and value.isalpha()) and value.strip() and "é" not in value:
            message = "must be a plain folder name"
        with pytest.raises(UserError, match=message) as caught:
            set_to(key, value)
        assert str(caught.value).startswith(f"{key}: ")
        assert "\n" not in str(caught.value)


def test_what_is_absent_is_no_blank() -> None:
    config = compose_config(["group=null", "out=null", "validate.fit=''"])[0]
    assert (config.group, config.out, config.validate.fit, config.name) == (None, None, "", "")
    assert compose_config(["name=" + "a" * 200])[0].name == "a" * 200
    assert compose_config(["runs_dir=runs (2)/实验"])[0].runs_dir == "runs (2)/实验"


@pytest.mark.parametrize(
    "override", ["runs_dir=", "cache_dir=", "out=", "write=", "points=", "experiment=", "data=/x"]
)
def test_a_blank_path_is_not_this_folder(
    override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["tune" if "write" in override else "fit", "experiment=demo", override])
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must not be blank" in line or "names no file" in line
    assert not list(tmp_path.iterdir())


def test_an_arm_without_overrides_is_the_experiment_itself() -> None:
    for asked in (
        ["arms={base: [], four: ['grid.sizes=4']}"],
        ["arms.base=[]", "arms.four=['grid.sizes=4']"],
        ["+arms.base=[]", "+arms.four=['grid.sizes=4']"],
    ):
        assert compose_config(["experiment=demo", *asked])[0].arms == {"base": [], "four": ["grid.sizes=4"]}
    with pytest.raises(UserError, match=r"^arms\.base: must be a list, got null; an empty one is '\[\]'$"):
        compose_config(["arms={base: null}"])
