"""A process trains alone unless torchrun started it, whatever other programs left in the environment."""

import pytest
from accelerate.state import DistributedType, PartialState

from harness.errors import UserError
from harness.train.launched import as_launched, one_process

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
    "LOCAL_WORLD_SIZE": "2",
}
KEPT = {"HOME": "/home/x", "SLURM_JOB_ID": "7", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize(
    "left", ["PMI_SIZE=2", "OMPI_COMM_WORLD_SIZE=4", "MV2_COMM_WORLD_SIZE=2", "WORLD_SIZE=2"]
)
def test_what_accelerate_would_wait_for_is_gone(left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    name, _, value = left.partition("=")
    monkeypatch.setenv(name, value)
    assert PartialState._prepare_backend(None, cpu=True)[1] is DistributedType.MULTI_CPU
    assert one_process() == [name]
    assert PartialState._prepare_backend(None, cpu=True) == (None, DistributedType.NO)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({}, ""),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, ""),
        ({"ACCELERATE_MIXED_PRECISION": "xx"}, ""),
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE set without RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "set without MASTER_ADDR, MASTER_PORT"),
    ],
)
def test_what_torchrun_did_not_set_is_left_out_and_said(left: dict[str, str], said: str) -> None:
    environment = {**KEPT, **left}
    found = as_launched(environment)
    assert said in found
    assert bool(found) == bool(said)
    assert environment == KEPT


def test_torchruns_own_variables_are_kept() -> None:
    environment = {**KEPT, **TORCHRUN, "PMI_SIZE": "9", "ACCELERATE_USE_DEEPSPEED": "true"}
    assert as_launched(environment) == ""
    assert environment == {**KEPT, **TORCHRUN}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE=abc is no whole number"),
        ({"RANK": "2"}, "RANK=2, WORLD_SIZE=2.* cannot be"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT=0 cannot be"),
        ({"MASTER_ADDR": "no such machine"}, "MASTER_ADDR=no such machine is no machine"),
    ],
)
def test_contradictions_are_one_line(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        as_launched({**TORCHRUN, **wrong})
    assert "\n" not in str(caught.value)
