"""A calibration as a file of ``configs/throughput``, and as the device of ``isoflop predict``."""

import re
from dataclasses import asdict, fields

from harness.plan.throughput import StepTime, ThroughputConfig


def slug(device: str) -> str:
    """A device's name as a file name: ``NVIDIA H100 80GB HBM3`` → ``nvidia_h100_80gb_hbm3``."""
    return re.sub(r"[^a-z0-9]+", "_", device.lower()).strip("_")


HEAD = "# Where the time of a step goes, fitted to timed steps; harness/plan/throughput.py says what each number means."


def throughput_yaml(config: ThroughputConfig) -> str:
    """The file. Four digits: no measurement has more."""
    lines = [HEAD]
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "modes":
            lines += ["modes:", *(f"  {mode}: {_step_time(times)}" for mode, times in value.items())]
        elif isinstance(value, str) and field.name != "name":
            lines.append(f'{field.name}: "{value}"')
        else:
            lines.append(f"{field.name}: {_plain(value)}")
    return "\n".join(lines) + "\n"


def device_yaml(config: ThroughputConfig) -> str:
    """The file of ``configs/device`` that refers to the calibration; the price is left to the user."""
    peak = config.peak_flops
    return (
        f"# The device that throughput={config.name} was measured on, for 'isoflop predict device={config.name}'.\n"
        f"defaults:\n  - /throughput@timing: {config.name}\n"
        f"name: {config.name}\n"
        f"peak_flops: {{{f'bf16: {_plain(peak)}' if peak else ''}}}\n"
        "dollars_per_hour: null  # yours\n"
        f'source: "{config.source}"\n'
    )


def _step_time(times: StepTime) -> str:
    return "{" + ", ".join(f"{name}: {_plain(value)}" for name, value in asdict(times).items()) + "}"


def _plain(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return (
            ".inf" if value == float("inf") else f"{value:.4g}" if 0.01 < abs(value) < 1e4 else f"{value:.3e}"
        )
    return str(value)
