"""What README shows as printed is what is printed, from the results that are in the checkout."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.fit import load_fit
from harness.fit.summary import quantity
from tests.docs.blocks import ROOT, blocks, commands

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_demos_answer_is_what_its_fit_says() -> None:
    shown = [block for block in blocks("README.md") if block.language == "text"]
    assert len(shown) == 1
    printed = iter(load_fit(ROOT / "results" / "demo").summary().splitlines())
    for line in shown[0].text.splitlines():
        assert not line or line in printed, f"{shown[0].at}: not printed, or not in this order: {line}"


@pytest.mark.slow
def test_the_demos_fit_made_anew_prints_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "experiment=demo", f"runs_dir={ROOT / 'results'}", f"out={tmp_path}"])
    printed = iter(capsys.readouterr().out.splitlines())
    for block in blocks("README.md"):
        if block.language == "text":
            for line in block.text.splitlines():
                assert not line or line in printed, f"{block.at}: not printed any more: {line}"


def answer(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What a command of README answers, as JSON: its part on a time."""
    assert f"$ isoflop {command}" in README
    main([*command.replace("results/", f"{ROOT}/results/").split(), "--json"])
    timed: dict[str, Any] = json.loads(capsys.readouterr().out)["timed"]
    return timed


def within(timed: dict[str, Any], name: str, shown: Callable[[float], str]) -> str:
    """``130k (105k to 166k)``."""
    low, high = timed[f"{name}_interval"]
    return f"({shown(low)} to {shown(high)})"


def test_the_numbers_of_a_fixed_time_are_what_predict_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = answer("predict fit=results/demo gpu_hours=0.0072 device=cpu figure=hours.png", capsys)
    last = answer("predict fit=hoffmann2022 gpu_hours=1000 device=h100 gpus=8", capsys)
    assert (tmp_path / "hours.png").exists()
    three = "{:.3f}".format
    text = " ".join(README.split())
    for said in (
        f"in {first['seconds']:.0f} seconds of one core the law fitted to the demo wants {quantity(first['params'])} "
        f"parameters {within(first, 'params', quantity)} on {quantity(first['tokens'])} tokens, loss "
        f"{three(first['loss'])} {within(first, 'loss', three)}",
        f"has {quantity(round(first['plain_params'], -3))} parameters and ends at {three(first['plain_loss'])}",
        f"The last says {last['params'] / 1e9:.1f}B and {last['plain_params'] / 1e9:.1f}B parameters, with losses "
        f".{1e4 * (last['plain_loss'] - last['loss']):04.0f} apart",
    ):
        assert said in text, f"README does not say any more: {said}"


def plan_declared(overrides: list[str], tokens: float, vocabulary: int, folder: Path) -> None:
    """Plan on a corpus of so many training tokens; refused where a run would read any of it twice."""
    kept = [one for one in overrides if not one.startswith(("data", "path", "tokenizer", "name="))]
    main(
        [
            *("plan", *kept, "data=declared", f"data.unique_tokens={tokens:.0f}"),
            *(f"data.vocab_size={vocabulary}", "path=null", f"runs_dir={folder}", f"cache_dir={folder}"),
        ]
    )


def test_as_much_text_as_is_said_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are what the hub's line and the example of a configuration name; a token is about four of them, or one."""
    monkeypatch.chdir(tmp_path)
    typed = [command.text for block in blocks("README.md") for command in commands(block)]
    hub = next(shlex.split(text, comments=True) for text in typed if "fineweb" in text)
    largest = next(float(word.partition("=")[2]) for word in hub if word.startswith("data.max_bytes="))
    plan_declared(hub[2:], largest / 4.2, 8192, tmp_path)

    mine = next(block for block in blocks("README.md") if block.names)
    (tmp_path / mine.names).parent.mkdir(parents=True)
    (tmp_path / mine.names).write_text(mine.text, encoding="utf-8")
    cells, megabytes = re.search(r"these (\d+) cells want (\d+) MB of text", README).groups()  # type: ignore[union-attr]
    heldout = 0.1  # of data=text
    plan_declared(["experiment=mine"], float(megabytes) * 1e6 * (1 - heldout), 256, tmp_path)
    assert len(json.loads((tmp_path / "mine" / "plan.json").read_text())["cells"]) == int(cells)
    with pytest.raises(SystemExit):
        plan_declared(["experiment=mine"], (float(megabytes) - 1) * 1e6 * (1 - heldout), 256, tmp_path)
