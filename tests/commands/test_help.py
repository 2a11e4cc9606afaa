"""``--help`` is whole sentences, and says what can be asked."""

from dataclasses import fields

import pytest

from harness.cli import COMMANDS, main
from harness.config.predict import PredictConfig


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_one_whole_line(name: str) -> None:
    summary, _, rest = COMMANDS[name].partition("\n")
    assert summary.endswith(".")
    assert len(summary) <= 110
    assert not rest or rest[0] == "\n" or rest[0].isupper()


def test_predict_lists_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    printed = capsys.readouterr().out
    assert all(field.name in printed for field in fields(PredictConfig))
    assert "tracker" not in printed


def test_without_a_command_there_is_an_overview(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2, "nothing was done"
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [*COMMANDS, "completion"]
    assert len(lines) < 25


@pytest.mark.parametrize("words", [["help"], ["-h"], ["--help"]])
def test_help_is_asked_for_as_people_do(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: isoflop [-h] [-V] COMMAND ...")


def test_help_of_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", "sweep"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: isoflop sweep")


def test_a_command_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["swep", "experiment=demo"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "isoflop: there is no command 'swep'; did you mean 'sweep'?; 'isoflop --help' shows what there is\n"
    )
