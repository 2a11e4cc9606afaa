"""A tuning as terminal tables: its design before training, its minima and rules after."""

from rich.console import Console
from rich.table import Table

from harness.fit.bootstrap import bounds_text
from harness.text import count
from harness.tune.design import TunePlan
from harness.tune.results import RULE_STATUSES, Interval, RuleResult, SizeResult, TuneFit


def print_design(made: TunePlan, console: Console) -> None:
    """The sizes, and the learning rates and batches at each, before anything is trained."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("shape", "N", "D", "D/N", "recipe's lr", "lr", "recipe's batch", "batches", "runs"):
        table.add_column(heading, justify="left" if heading == "shape" else "right", no_wrap=True)
    cells = {cell.run_id: cell for cell in made.plan.cells}
    for size in made.sizes:
        mine = [cells[run_id] for run_id in size.run_ids]
        rates = sorted({cell.spec.optimizer.lr for cell in mine})
        batches = sorted({cell.spec.batch_tokens for cell in mine})
        table.add_row(
            size.shape.label,
            count(size.params_total),
            count(size.tokens) + (" (all)" if size.capped else ""),
            f"{size.tokens / size.params_total:.1f}",
            f"{size.rate:.3g}",
            f"{rates[0]:.2g} – {rates[-1]:.2g}" if rates else "–",
            count(size.batch_tokens),
            ", ".join(count(batch) for batch in batches),
            str(len(mine)),
        )
    console.print(table)
    for skipped in made.plan.skipped:
        console.print(f"left out: N={count(skipped.params)}: {skipped.reason}", highlight=False)


def print_fit(fit: TuneFit, console: Console) -> None:
    """Per size its minimum and the excess loss of both recipes; then the rules, then every note."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    headings = (
        "N",
        "runs",
        "best lr",
        "best batch",
        "loss",
        "excess, old recipe",
        "excess, new recipe",
        "status",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "status" else "right", no_wrap=True)
    for size in fit.sizes:
        diverged = f" ({size.diverged} div.)" if size.diverged else ""
        table.add_row(
            count(size.params),
            f"{size.runs}{diverged}",
            _value(size.rate_opt, size.rate_best, size.rate_interval, lambda x: f"{x:.3g}"),
            _value(size.batch_opt, size.batch_best, size.batch_interval, count),
            "–" if size.loss_opt is None else f"{size.loss_opt:.4f}",
            _excess(size),
            "–" if size.rule_excess is None else f"{size.rule_excess:.4f}",
            size.status,
        )
    console.print(table)
    console.print(
        f"losses in nats per token, excess over the minimum; intervals are {100 * fit.level:g}%",
        highlight=False,
    )
    for name, result in (("learning rate", fit.rate), ("batch", fit.batch)):
        console.print(f"{name}: {rule_text(result)}", highlight=False, soft_wrap=True, markup=False)
    for size in fit.sizes:
        for note in size.notes:
            console.print(f"N={count(size.params)}: {note}", highlight=False, soft_wrap=True, markup=False)
    for note in fit.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True, markup=False)


def rule_text(result: RuleResult) -> str:
    """``0.0091 (0.0085 to 0.0098) · (N / 25.0k)^-0.61 (-0.72 to -0.50), a power law through three sizes``."""
    rule = result.rule
    value = f"{rule.value:.4g}{_range(result.value_interval)}"
    power = (
        f" · (N / {count(rule.params_at)})^{rule.params:.3g}{_range(result.exponent_interval)}"
        if rule.params
        else ""
    )
    words = RULE_STATUSES[result.status]
    if result.excluded:
        words += "; left out: " + ", ".join(f"{count(n)} ({status})" for n, status in result.excluded)
    if result.scatter is not None and result.scatter > 2:
        words += (
            f"; the sizes scatter {result.scatter:.1f} times as much as noise says (intervals are widened)"
        )
    return f"{value}{power}: {words}"


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f" ({bounds_text(interval, lambda end: f'{end:.3g}')})"


def _value(optimum: float | None, best: float | None, interval: Interval | None, text) -> str:  # type: ignore[no-untyped-def]
    if optimum is None:
        return "–" if best is None else f"[{text(best)}]".replace("[", "\\[")
    if interval is None:
        return text(optimum)
    return f"{text(optimum)} ({bounds_text(interval, text)})"


def _excess(size: SizeResult) -> str:
    if size.recipe_excess is None:
        return "–"
    if size.recipe_excess_measured:
        return f"{size.recipe_excess:.3f} measured"
    bounds = size.recipe_excess_interval
    return f"{size.recipe_excess:.4f}" + ("" if bounds is None else f" (at most {bounds[1]:.3f})")
