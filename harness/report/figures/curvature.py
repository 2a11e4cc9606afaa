"""The curvature of the frontier in log-log."""

import numpy as np
from matplotlib.figure import Figure

from harness.fit.table import Array
from harness.report.axes import error_arms, frame, log_flops, log_plain, mark_not_bounded
from harness.report.data import MissingError, ReportData
from harness.report.keys import key_below, set_title
from harness.report.style import BLUE, GREEN, INK, panels

# Title, colour, C, N* over the power law, and error bars (2, points) or None.
Part = tuple[str, str, Array, Array, Array | None]

MIN_BUDGETS = 4
SHOWN = 400


def draw_curvature(data: ReportData) -> Figure:
    """N* over the power law fitted to it, for approach 2's minima and for approach 1's envelope.

    Hoffmann et al. 2022, Appendix E, looks at the same in their Fig. A5 by fitting thirds of the envelope.
    """
    minima = _minima(data)
    envelope = _envelope(data)
    if minima is None and envelope is None:
        raise MissingError(
            f"bending cannot be seen with fewer than {MIN_BUDGETS} minima, and approach 1 has no envelope"
        )
    shown = [part for part in (minima, envelope) if part is not None]
    figure, axes = panels(len(shown), width=4.5, height=3.3)
    for one, (title, colour, flops, value, bars) in zip(axes, shown, strict=True):
        one.axhline(1, color=INK, linewidth=0.7)
        log_c, log_v = np.log(flops), np.log(value)
        if bars is None:
            keep = np.unique(np.linspace(0, len(flops) - 1, SHOWN).astype(int))
            one.plot(
                flops[keep],
                value[keep],
                ".",
                color=colour,
                markersize=3,
                alpha=0.6,
                label="run of the envelope",
            )
        else:
            one.errorbar(
                flops,
                value,
                yerr=bars,
                fmt="o",
                color=colour,
                markersize=5,
                capsize=2.5,
                label="minimum, with its interval",
            )
            bounds = {b.budget: b.params_interval for b in data.fit.approach_2.budgets}
            for c_at, v_at in zip(flops, value, strict=True):
                mark_not_bounded(one, c_at, v_at, bounds[c_at])
        bend = np.polyfit(log_c - log_c.mean(), log_v, 2)
        c = np.geomspace(flops.min(), flops.max(), 100)
        parabola = np.exp(np.polyval(bend, np.log(c) - log_c.mean()))
        one.plot(c, parabola, "--", color=INK, linewidth=1, label="parabola through the points")
        low, high = (2 * bend[0] * (edge - log_c.mean()) + bend[1] for edge in (log_c.min(), log_c.max()))
        exponent = data.fit.approach_2.a if bars is not None else data.fit.approach_1.a
        assert exponent is not None
        set_title(one, f"{title}: local a from {exponent + low:.3f} to {exponent + high:.3f}")
        one.set(xlabel="training compute C (FLOPs)", ylabel="N* / power law")
        ends = () if bars is None else (value - bars[0], value + bars[1])
        frame(one, "y", (value, 1 / value, (1 / 1.1, 1.1)), (*ends, *(1 / end for end in ends)))
        log_plain(one, "y")
        log_flops(one)
    key_below(figure)
    return figure


def _minima(data: ReportData) -> Part | None:
    law = data.fit.approach_2.params_law
    found = [b for b in data.fit.approach_2.budgets if b.params_opt is not None]
    if law is None or len(found) < MIN_BUDGETS:
        return None
    flops = np.array([b.budget for b in found])
    line = law.coefficient * flops**law.exponent
    value = np.array([b.params_opt or np.nan for b in found]) / line
    arms = [error_arms(b.params_opt or np.nan, b.params_interval) or [0.0, 0.0] for b in found]
    bars = np.abs(np.array(arms).T / line)
    return "Approach 2's minima", BLUE, flops, value, bars


def _envelope(data: ReportData) -> Part | None:
    approach = data.fit.approach_1
    if approach.params_law is None or approach.envelope is None or len(approach.envelope) < 10:
        return None
    flops, params = approach.envelope[:, 0], approach.envelope[:, 1]
    line = approach.params_law.coefficient * flops**approach.params_law.exponent
    return "Approach 1's envelope", GREEN, flops, params / line, None
