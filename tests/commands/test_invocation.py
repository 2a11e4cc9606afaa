"""Commands are alike: one signature, one kind of result."""

import inspect
from importlib import import_module

import pytest

from harness.commands.next_stage import COMMANDS as CONTINUED
from harness.commands.texts import COMMANDS
from harness.launch.launcher import Outcome


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_an_invocation_and_gives_an_outcome(name: str) -> None:
    signature = inspect.signature(import_module(f"harness.commands.{name}").run)
    assert list(signature.parameters) == ["asked"]
    assert "Invocation[" in str(signature.parameters["asked"].annotation)
    assert signature.return_annotation is Outcome


def test_what_a_dependent_job_continues_with_is_a_command() -> None:
    assert {run.__module__.rpartition(".")[2] for run in CONTINUED.values()} <= set(COMMANDS)
