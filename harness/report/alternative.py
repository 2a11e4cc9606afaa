"""What a figure shows, in words for those who do not see it: the minima, the exponents, the size of residuals."""

from harness.report.data import ReportData
from harness.report.text import approach_label, counted, interval, power, significant, with_interval


def alternatives(data: ReportData) -> dict[str, str]:
    """By the figure's name; a figure that is not here is told by its title."""
    return {"isoflop": _isoflop(data), "approaches": _approaches(data), "residuals": _residuals(data)}


def _isoflop(data: ReportData) -> str:
    found = [
        f"{with_interval(counted(one.params_opt), interval(one.params_interval))} at {power(one.budget)} FLOPs"
        if one.params_opt
        else f"none at {power(one.budget)} FLOPs"
        for one in data.fit.approach_2.budgets
    ]
    two = data.fit.approach_2
    law = f" N* grows as C to the power {two.a:.3f} (approach 2)." if two.a is not None else ""
    return f"IsoFLOP profiles. Minima N*: {', '.join(found)}.{law}"


def _approaches(data: ReportData) -> str:
    at_target = data.fit.predict(data.target)
    found = [
        f"{approach_label(one.name)}: N* grows as C to the power {one.a:.3f}, and is "
        f"{counted(at_target[one.name].params)} at {power(data.target)} FLOPs"
        for one in data.fit.approaches
        if one.a is not None
    ]
    return f"Compute-optimal frontier. {'; '.join(found) or 'No approach has one'}."


def _residuals(data: ReportData) -> str:
    error = data.fit.approach_3.fit_error
    if error is None or error.rms_log is None:
        return "Residuals of the fitted law."
    verdict = "; ".join(data.fit.approach_3.flags) or "ok"
    return (
        f"Residuals of the fitted law: {significant(100 * error.rms_log, 2)}% root mean square over {error.n} runs; "
        f"status: {verdict}."
    )
