"""FLOPs of an optimizer's own steps: products as torch counts them, and how they are shown."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.model.build import build_model
from harness.model.counts import count_params
from harness.plan.optimizer_flops import ADAMW, MUON, muon_matrices, product_flops, step_flops
from harness.plan.optimizer_share import described, is_shown, share_text
from harness.plan.recipe_rules import OptimizerConfig, check_torch
from harness.plan.spec import Muon
from harness.train.optimizer import build_optimizer
from tests.plan.test_duration import spec
from tests.plan.test_plan import RULES, plan

ONE = Muon(0.02, 0.1)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen3"])
@pytest.mark.parametrize("ns_steps", [1, 5])
def test_products_are_those_that_torch_counts(family: str, ns_steps: int) -> None:
    muon = replace(ONE, ns_steps=ns_steps)
    one = spec(32, 2)
    shape = replace(one.shape, family=family, ffw=88)
    one = replace(one, shape=shape, optimizer=replace(one.optimizer, muon=muon))
    model = build_model(shape, init_std=0.02, seed=0)
    optimizer = build_optimizer(model, one)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    with FlopCounterMode(display=False) as counter:
        optimizer.step(1.0)
    assert product_flops(shape, muon) == counter.get_total_flops()
    stepped = sum(len(part) for part in optimizer.parts()[1:])
    assert muon_matrices(shape) == stepped


def test_a_step_is_its_products_and_a_few_operations_on_every_number() -> None:
    shape = spec(64, 3).shape
    params = count_params(shape)
    assert step_flops(shape, None) == ADAMW * params.total
    rest = ADAMW * (params.total - params.matrices) + MUON * params.matrices
    assert step_flops(shape, ONE) == rest + product_flops(shape, ONE)


def test_what_it_costs_is_said_where_it_is_more_than_rounding() -> None:
    plain = plan().cells
    assert not is_shown(plain)
    assert described(plain) == ""
    dear = plan(replace(RULES, optimizer=OptimizerConfig(kind="muon"))).cells
    text = described(dear)
    shares = [cell.optimizer_flops / cell.flops_by_count["appendix_f"] for cell in dear]
    assert text.startswith(
        f"the optimizer's own steps take {share_text(min(shares))} to {share_text(max(shares))} of C, which no budget"
    )
    grid = replace(RULES.grid, count_optimizer=True)
    paid = plan(replace(RULES, grid=grid, optimizer=OptimizerConfig(kind="muon"))).cells
    assert described(paid).endswith("the budget pays for them (grid.count_optimizer)")
    assert [share_text(share) for share in (0.0021, 0.0734, 0.273)] == ["0.2%", "7.3%", "27%"]


@pytest.mark.parametrize("version", ["2.6.0", "2.8.1+cu128", "1.13", "2.8"])
def test_a_torch_without_muon_is_refused_before_anything_is_trained(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.plan.recipe_rules.version_of", lambda package: version)
    with pytest.raises(
        UserError, match=r"needs torch 2\.9 or later, and .* is installed; use optimizer=adamw"
    ):
        OptimizerConfig(kind="muon").check_installed()
    OptimizerConfig(kind="adamw").check_installed()


@pytest.mark.parametrize("version", ["2.9.0", "2.10.0a0+git12", "2.13.0+cpu", "3.0"])
def test_a_torch_with_muon_is_not(version: str) -> None:
    check_torch(version)
