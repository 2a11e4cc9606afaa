"""What README shows as printed is what is printed, from the results that are in the checkout."""

import json
import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.fit import load_fit
from tests.docs.blocks import ROOT, blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without line breaks."""
    return " ".join(text.split())


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


def answer(command: str, capsys: pytest.CaptureFixture[str]) -> dict:
    """What a command of README answers, as JSON."""
    assert command in README
    main([*command.replace("results/", f"{ROOT}/results/").split(), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_numbers_of_a_fixed_time_are_what_predict_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = prose(README)
    first = answer("predict fit=results/demo gpu_hours=0.0072 device=cpu figure=hours.png", capsys)
    last = answer("predict fit=hoffmann2022 gpu_hours=1000 device=h100 gpus=8", capsys)
    print(json.dumps(first)[:3000], json.dumps(last)[:3000])
    assert re.search(r"in 26 seconds of one core", text)
    assert False
