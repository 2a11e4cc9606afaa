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
