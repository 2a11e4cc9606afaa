"""What the numbers come from: data, counts, options, devices and versions, as pairs of words."""

from collections.abc import Iterable

from harness.plan.flops import FLOP_COUNTS
from harness.plan.params import PARAM_COUNTS
from harness.report.devices import NEAR
from harness.report.material import Material
from harness.report.text import power
from harness.runs.record import Record
from harness.text import count, duration


def facts(material: Material) -> tuple[tuple[str, str], ...]:
    """(what, value), in the order to show; what is not known is left out."""
    fit = material.fit
    records = list(material.records.values())
    pairs = [
        ("N counts", _meaning(fit.count, PARAM_COUNTS, "params", "total")),
        ("C counts", _compute(material)),
        ("runs in the fit", str(fit.n_points)),
        ("intervals", _bootstrap(material)),
    ]
    if records:
        pairs += [
            (
                "corpus",
                _each(f"{r.data.get('name', '?')} ({r.data.get('fingerprint', '?')})" for r in records),
            ),
            ("tokenizer", _each(r.data.get("tokenizer", "?") for r in records)),
            ("unique training tokens", _each(count(r.unique_tokens) for r in records)),
            ("device", _each(r.device for r in records)),
            ("precision", _each(r.precision for r in records)),
            ("training time", duration(sum(r.seconds for r in records)) + " in all, over all workers"),
            *_estimated(material),
            ("training compute", f"{power(sum(r.flops for r in records))} FLOPs in all"),
            ("trained with", _each(_versions(r) for r in records)),
        ]
    if material.versions:
        pairs.append(("report written with", ", ".join(f"{k} {v}" for k, v in material.versions.items())))
    return tuple(pairs)


def _estimated(material: Material) -> list[tuple[str, str]]:
    """How near the time model came to what the runs took: what its other times are worth."""
    if not material.devices or (pace := material.devices[0].pace) is None:
        return []
    name = material.devices[0].throughput.name
    text = f"{pace.ratio:.2f} times the measured, in the median of {pace.runs} runs; {pace.near:.0%} within a factor of"
    return [("time estimated", f"{text} {NEAR:g} (time model {name})")]


def _meaning(column: str, meanings: dict[str, str], stem: str, default: str) -> str:
    key = default if column == stem else column.removeprefix(f"{stem}_")
    return f"{column}: {meanings[key]}" if key in meanings else column


def _compute(material: Material) -> str:
    column = material.fit.compute
    counts = {record.budget_count for record in material.records.values()}
    if column == "flops" and len(counts) == 1:
        name = counts.pop()
        return f"flops, as the plan counts ({name}): {FLOP_COUNTS.get(name, name)}"
    return _meaning(column, FLOP_COUNTS, "flops", "")


def _bootstrap(material: Material) -> str:
    asked = ", ".join(f"{key} {value}" for key, value in material.fit.bootstrap.items())
    return f"{material.fit.level:.0%}, percentiles of the bootstrap" + (f" ({asked})" if asked else "")


def _versions(record: Record) -> str:
    return ", ".join(f"{package} {version}" for package, version in record.versions.items())


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
