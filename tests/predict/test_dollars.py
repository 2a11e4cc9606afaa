"""Money and hours into FLOPs, and the weight of serving."""

import pytest

from harness.errors import UserError
from harness.predict.cost import DeviceConfig, ServingConfig, Trainer, inference_weight
from harness.predict.serving import serve
from tests.predict.laws import SARDANA

A100 = DeviceConfig("a100", {"bf16": 3.12e14, "int8": 6.24e14}, 1.5)
H100 = DeviceConfig("h100", {"bf16": 9.89e14, "fp8": 1.978e15}, 2.0)


def test_hours_and_dollars() -> None:
    trainer = Trainer(H100, mfu=0.4, count=8)
    flops = trainer.flops_of_hours(1000)
    assert flops == pytest.approx(1000 * 3600 * 0.4 * 9.89e14)
    cost = trainer.cost(flops)
    assert cost.gpu_hours == pytest.approx(1000)
    assert cost.wall_hours == pytest.approx(125)
    assert cost.dollars == pytest.approx(2000)


def test_the_weight_is_sardanas_ratio() -> None:
    trainer = Trainer(A100, mfu=0.5)
    serving = ServingConfig(
        unit="dollars", prompt_share=0.25, mfu_prefill=0.5, mfu_decode=0.01, precision="int8"
    )
    tokens = 2e12
    c_train, c_inference = 1.5 / (3600 * 3.12e14), 1.5 / (3600 * 6.24e14)
    replaced = (c_inference * 0.5 / c_train) * (0.25 * tokens / 0.5 + 0.75 * tokens / 0.01)
    assert inference_weight(serving, trainer) * tokens == pytest.approx(replaced)


def test_the_dollar_optimum_costs_least_in_dollars() -> None:
    trainer, tokens = Trainer(A100, mfu=0.5), 1e12
    serving = ServingConfig(unit="dollars", precision="bf16", device=H100)
    weight = inference_weight(serving, trainer)

    def dollars(params: float, trained: float) -> float:
        train = 6 * params * trained * 1.5 / (3600 * 3.12e14 * 0.5)
        rate = 2.0 / (3600 * 9.89e14)
        return train + 2 * params * tokens * rate * (0.5 / serving.mfu_prefill + 0.5 / serving.mfu_decode)

    best = serve(SARDANA, 2.0, tokens, weight)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = serve(SARDANA, 2.0, tokens, weight * factor)
        assert dollars(other.params, other.tokens) > dollars(best.params, best.tokens)


def test_a_cheaper_token_wants_a_larger_model() -> None:
    trainer = Trainer(A100, mfu=0.5)
    full = inference_weight(ServingConfig(unit="dollars"), trainer)
    quantised = inference_weight(ServingConfig(unit="dollars", precision="int8"), trainer)
    assert quantised == pytest.approx(full / 2)
    assert serve(SARDANA, 2.0, 1e12, quantised).params > serve(SARDANA, 2.0, 1e12, full).params


def test_in_flops_the_weight_is_what_was_given() -> None:
    assert inference_weight(ServingConfig(weight=0.3), None) == 0.3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Trainer(H100, mfu=0), "mfu"),
        (lambda: Trainer(H100, mfu=0.4, count=0), "gpus"),
        (lambda: Trainer(H100, mfu=0.4, precision="int4").flops_of_hours(1), "int4"),
        (lambda: DeviceConfig("x", {}), "peak_flops"),
        (lambda: DeviceConfig("x", {"bf16": 1e12}).price, "no price"),
        (lambda: ServingConfig(unit="euros"), "unit"),
        (lambda: ServingConfig(prompt_share=2), "prompt_share"),
        (lambda: ServingConfig(mfu_decode=0), "mfu_decode"),
        (lambda: inference_weight(ServingConfig(unit="dollars"), None), "device"),
    ],
)
def test_mistakes_are_named(make: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()  # type: ignore[operator]
