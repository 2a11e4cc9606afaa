"""What a calibration prints and writes: the table of steps, how well the time model fits, its configuration files."""

import re
from dataclasses import asdict, fields

from rich.table import Table

from harness.calibrate.bench import Calibration
from harness.calibrate.measurement import deviations
from harness.calibrate.stretch import Speed
from harness.plan.throughput import MuonTime, StepTime, ThroughputConfig
from harness.text import count, duration

ACCURATE = 1.25  # where the model is off by a larger factor, that is printed


def heading(timed: Calibration) -> str:
    """The title of the table."""
    device = timed.found.device
    assert device is not None
    return f"{device.name}, {device.precision}: milliseconds of a step, with quartiles"


def speed_table(timed: Calibration) -> Table:
    """One line a cell: a step alone in each mode, and with several runs at once; quartiles in brackets."""
    found, chosen = timed.found, timed.chosen
    assert found.device is not None
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("shape", no_wrap=True)
    peak = found.device.peak
    headings = ["N", "batch", *found.alone, *(["MFU"] if peak else [])]
    for heading in [*headings, *(f"{runs} at once" for runs in sorted(found.together))]:
        table.add_column(heading, justify="right", no_wrap=True)
    for i, cell in enumerate(timed.cells):
        alone = {mode: speeds[i] for mode, speeds in found.alone.items() if i < len(speeds)}
        row = [cell.spec.shape.label, count(cell.params.total), count(cell.spec.batch_tokens)]
        row += [_milliseconds(alone[mode]) if mode in alone else "" for mode in found.alone]
        fastest = min(speed.step_seconds for speed in alone.values())
        if peak:
            per_step = cell.flops_by_count["matrix_products"] / cell.tokens * cell.spec.batch_tokens
            row.append(f"{100 * per_step / fastest / peak:.1f}%")
        for runs, speeds in sorted(found.together.items()):
            if i < chosen:
                gain = runs * fastest / speeds[i].step_seconds
                row.append(f"{_milliseconds(speeds[i])} ×{gain:.2f}")
        table.add_row(*row)
    return table


def _milliseconds(speed: Speed) -> str:
    return f"{1e3 * speed.step_seconds:.3g} ({1e3 * speed.low:.3g}, {1e3 * speed.high:.3g})"


def describe_fit(timed: Calibration) -> list[str]:
    """For each mode, the fitted coefficients and how far the time model is from what was measured."""
    throughput, cells, lines = timed.throughput, timed.cells, []
    for mode, speeds in timed.found.alone.items():
        ratios = deviations(throughput, cells, speeds, mode, timed.micro_batch)
        worst = max(ratios, key=lambda ratio: max(ratio, 1 / ratio))
        times = throughput.modes[mode]
        compiling = f", {times.compile_seconds:.0f} s to compile" if mode != "eager" else ""
        doubt = ""
        if not 1 / ACCURATE < worst < ACCURATE:
            label = cells[ratios.index(worst)].spec.shape.label
            doubt = f" (at {label}): estimates for such runs are no more accurate; was the machine busy?"
        lines.append(
            f"{mode}: {1e3 * times.step_seconds:.3g} ms a step and {1e3 * times.layer_seconds:.3g} ms a layer, "
            f"{times.flops_per_second:.3g} FLOP/s at most{compiling}; the model is within "
            f"{100 * (max(worst, 1 / worst) - 1):.0f}% of every measured step{doubt}"
        )
    muon = throughput.muon
    if muon is not None and not muon.assumed:
        lines.append(
            f"Muon: {1e3 * muon.matrix_seconds:.3g} ms a matrix, {muon.flops_per_second:.3g} FLOP/s at most"
        )
    return lines


def describe_choice(timed: Calibration) -> str:
    """The makespans, and what the pool will do with them."""
    listed = ", ".join(f"{k} at once {duration(seconds)}" for k, seconds in sorted(timed.makespans.items()))
    gpu, runs = timed.throughput.asynchronous, timed.throughput.per_device
    return (
        f"this experiment on {'one such GPU' if gpu else 'this machine'}: {listed}; a sweep trains "
        + ("one run at a time" if runs == 1 else f"{runs} runs side by side")
        + (" on each GPU" if gpu else ", one a core")
    )


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
            lines += ["modes:", *(f"  {mode}: {step_time_yaml(times)}" for mode, times in value.items())]
        elif isinstance(value, MuonTime):
            lines.append(f"{field.name}: {_mapping(value)}")
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


def step_time_yaml(times: StepTime) -> str:
    """One mode's coefficients as a YAML mapping on one line."""
    return _mapping(times)


def _mapping(value: StepTime | MuonTime) -> str:
    texts = {name: f'"{one}"' if isinstance(one, str) else _plain(one) for name, one in asdict(value).items()}
    return "{" + ", ".join(f"{name}: {text}" for name, text in texts.items()) + "}"


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
