"""``isoflop compare`` as a user runs it."""

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from tests.figures import draw_only
from tests.train.small import overrides

ARMS = ("+arms.cut=['schedule.horizon=4']", "+arms.whole=[]")


@pytest.mark.slow
def test_arms_are_trained_fitted_and_compared_once(
    tmp_path: Path,
    text_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw_only(monkeypatch, "isoflop")
    arguments = overrides(
        tmp_path, text_folder, "launcher.workers=1", "grid.budgets=[2e8]", "analysis.draws=20", *ARMS
    )
    main(["compare", *arguments])
    runs = tmp_path / "runs"
    found = json.loads((runs / "small" / "compare.json").read_text())
    assert [(arm["name"], arm["runs"], arm["corpus"]) for arm in found["arms"]] == [
        ("cut", 3, "text"),
        ("whole", 3, "text"),
    ]
    assert "# small" in (runs / "small" / "compare.md").read_text()
    for name, steps in (("cut", 4), ("whole", 1)):
        cells = json.loads((runs / f"small-{name}" / "plan.json").read_text())["cells"]
        assert all(cell["spec"]["schedule"]["steps"] == steps * cell["steps"] for cell in cells)
        assert (runs / f"small-{name}" / "report.html").exists()
    first = capsys.readouterr().out
    records = {path: path.stat().st_mtime_ns for path in runs.glob("*/cells/*/record.json")}
    written = (runs / "small" / "compare.json").stat().st_mtime_ns
    assert len(records) == 6
    main(["compare", *arguments])
    again = capsys.readouterr().out
    assert again.count("nothing to train") == 2
    assert again.splitlines()[-1] == first.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in records} == records
    assert (runs / "small" / "compare.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "arms: name at least two"),
        (["+arms.one=[]"], "arms: name at least two"),
        (["+arms.one=[]", "+arms._b=[]"], "'_b' must be a plain name"),
        (["+arms.one=[]", "+arms.two=['grid.sizs=3']"], "arm two: config: there is no key 'grid.sizs'"),
        (
            ["+arms.one=[]", "+arms.two=['schedule.tokens=1000']"],
            "arm two: schedule.tokens: 1000 is shorter than",
        ),
    ],
)
def test_a_users_mistake_is_one_line_before_anything_is_trained(
    more: list[str], message: str, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compare", *overrides(tmp_path, text_folder, *more)])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.glob("runs/*/cells"))


@pytest.mark.parametrize(("experiment", "arms"), [("kaplan", 2), ("domains", 2), ("ablations", 3)])
def test_the_committed_arms_share_one_grid(experiment: str, arms: int) -> None:
    chosen = [f"experiment={experiment}", "path=somewhere"]
    base, _ = compose_config(chosen)
    assert len(base.arms) == arms
    first, *others = (compose_config([*chosen, *own])[0] for own in base.arms.values())
    for other in others:
        assert other.grid == first.grid
        assert other.recipe == first.recipe
        assert other.tokenizer == first.tokenizer
