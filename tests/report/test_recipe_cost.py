"""The cost of the recipe on a synthetic sweep whose ablations gain what the test says they do."""

from dataclasses import replace
from math import log

import pytest

from harness.fit import Approach2
from harness.fit.status import EXPLAINED, judge
from harness.fit.summary import sentence
from harness.plan.followup import best_cells, neighbours
from harness.plan.measured import measured_at
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig
from harness.report import html, markdown
from harness.report.content import make_content
from harness.report.data import MissingError, ReportData
from harness.report.diagnostics import diagnostics
from harness.report.figures.recipe_cost import draw_recipe_cost
from harness.report.recipe_cost import ALL, MOVED, moved_out, recipe_cost
from harness.report.run_noise import run_noise
from harness.report.style import figure_style
from harness.report.tables.recipe_cost import recipe_cost_table, summary
from harness.report.verdict import CAUTION, GOOD, headline
from harness.runs.ablations import AblationRun, against_other_seeds
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported

SD = 0.0005


@pytest.fixture(scope="module")
def bare(reported: Reported) -> ReportData:
    """The synthetic sweep with no warning in its fit, and two further seeds of each best cell."""
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    quiet = {a.name: replace(a, **judge([])) for a in data.fit.approaches}
    fit = replace(data.fit, **quiet, agreement=replace(data.fit.agreement, status="agree"))  # type: ignore[arg-type]
    records = dict(data.records)
    for cell in best_cells(frozen_plan(reported.folder), losses(data)):
        own = records[cell.run_id]
        for seed, off in ((1, SD), (2, -SD)):
            assert own.loss is not None
            more = replace(own, spec={**own.spec, "seed": seed}, loss=own.loss + off)
            records[f"{cell.run_id}-{seed}"] = more
    return replace(data, fit=fit, records=records, ablations=())


def losses(data: ReportData) -> dict[str, float]:
    return {run: record.loss for run, record in data.records.items() if record.loss is not None}


def ablated(data: ReportData, key: str, gain: float, slope: float = 0.0) -> tuple[AblationRun, ...]:
    """At the best cells and those beside them: twice the value gains ``gain + slope (ln N - ln N of the best)``."""
    assert data.plan is not None
    known, made = losses(data), []
    for best in best_cells(data.plan, known):
        ended = [cell for cell in data.plan.cells if cell.run_id in known]
        for cell in (best, *neighbours(ended, [best])):
            own = known[cell.run_id]
            here = gain + slope * log(cell.params.total / best.params.total)
            for factor, loss in ((0.5, own + 0.5), (2.0, own - here), (4.0, None)):
                name = f"{cell.run_id}-{key}-{factor}"
                made.append(
                    AblationRun(
                        *(cell.budget, cell.run_id, own, key, factor, name, loss),
                        neighbour=cell is not best,
                    )
                )
    return against_other_seeds(made, data.records)


def test_what_is_gained_is_found_at_every_budget(bare: ReportData) -> None:
    data = replace(bare, ablations=(*ablated(bare, "rates", 0.2), *ablated(bare, "embedding_rates", 0.0)))
    costs = recipe_cost(data)
    assert [cost.budget for cost in costs] == sorted({cell.budget for cell in data.plan.cells})  # type: ignore[union-attr]
    for cost in costs:
        rate, embedding, total = (cost.gains[key] for key in ("rates", "embedding_rates", ALL))
        assert (rate.factor, rate.at_edge) == (2.0, False), "four times diverged, so it is bracketed"
        assert rate.nats == pytest.approx(0.2)
        assert rate.beyond_noise
        assert not embedding.beyond_noise
        assert total.nats == pytest.approx(0.2, abs=1e-9)
        assert cost.shifts["rates"].log_params == pytest.approx(0, abs=1e-9)
        assert not cost.leaves_interval("rates")
    table = recipe_cost_table(data)
    assert len(table.rows) == 3 * len(costs)
    first = table.rows[0]
    assert first[1:4] == ("peak learning rate", "0.5, 2, 4", "2")
    assert first[4].startswith("0.2000 (0.1")  # type: ignore[union-attr]
    assert first[5] == "yes"
    assert table.rows[2][1] == "all together, at most"
    assert 2 in table.strong
    assert moved_out(data) == []
    assert headline(data, data.fit.largest_flops).level == GOOD


def test_a_gain_that_grows_with_the_size_moves_the_optimum(bare: ReportData) -> None:
    slope = 0.15
    data = replace(bare, ablations=ablated(bare, "rates", 0.2, slope))
    cost = recipe_cost(data)[-1]
    budget = next(b for b in data.fit.approach_2.budgets if b.budget == pytest.approx(cost.budget))
    assert budget.params_profile is not None
    bend = 2 * budget.params_profile.coefficients[2]
    assert cost.shifts["rates"].log_params == pytest.approx(slope / bend, rel=1e-6)
    assert cost.shifts["rates"].beyond_noise
    assert cost.leaves_interval("rates")
    assert ALL not in cost.shifts, "of one there is no sum"
    found = headline(data, data.fit.largest_flops)
    assert (found.level, found.reasons[0].code) == (CAUTION, MOVED)
    assert "the recipe moves N* by more than its interval" in found.reasons[0].text
    assert "peak learning rate" in found.reasons[0].text
    content = make_content(data, entries=())
    page, text = html.render(content), markdown.render(content)
    assert f'id="status-{MOVED}"' in page
    assert 'id="table-recipe-cost"' in page
    assert "use with caution: recipe moves optimum" in page
    assert "**Cost of the recipe**" in text
    assert sentence(EXPLAINED[MOVED].meaning) in text
    row = recipe_cost_table(data).rows[-1]
    assert row[-1] == "yes"
    assert row[-3].startswith("+")  # type: ignore[union-attr]
    opposite = replace(bare, ablations=ablated(bare, "rates", 0.2, -slope))
    assert recipe_cost_table(opposite).rows[-1][-3].startswith("-")  # type: ignore[union-attr]


def test_without_other_seeds_noise_is_that_about_the_profiles(bare: ReportData, reported: Reported) -> None:
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    data = replace(data, fit=bare.fit, ablations=ablated(data, "rates", 0.1, 0.05))
    assert [row[5] for row in recipe_cost_table(data).rows] == ["yes"] * 4
    noise = run_noise(data)
    assert noise is not None
    assert noise.freedom == len(data.points) - 3 * len(data.fit.approach_2.budgets)
    assert noise.sd == pytest.approx(0.004 * data.points.loss.mean(), rel=0.5), "that of the synthetic runs"
    unknown = replace(data, fit=replace(data.fit, approach_2=Approach2()))
    assert run_noise(unknown) is None
    for row in recipe_cost_table(unknown).rows:
        assert row[4:6] == ("0.1000", "unknown")
    assert moved_out(unknown) == []


def test_seeds_join_the_noise_but_for_the_chosen_run(bare: ReportData) -> None:
    data = replace(bare, ablations=ablated(bare, "rates", 0.1))
    alone, both = run_noise(replace(data, records={})), run_noise(data)
    assert alone is not None
    assert both is not None
    budgets = len(data.fit.approach_2.budgets)
    assert both.freedom == alone.freedom + budgets
    squares = alone.sd**2 * alone.freedom + budgets * 2 * SD**2
    assert both.sd == pytest.approx((squares / both.freedom) ** 0.5)


def test_another_text_has_losses_of_its_own(bare: ReportData) -> None:
    """Ablations are compared on the held-out text; the profile of a domain says nothing of them."""
    other = replace(
        bare, fit=replace(bare.fit, loss="loss_prose"), ablations=ablated(bare, "rates", 0.1, 0.05)
    )
    assert [cost.shifts for cost in recipe_cost(other)] == [{}] * 4


def test_the_figure_has_a_panel_for_each_hyperparameter(bare: ReportData) -> None:
    data = replace(bare, ablations=(*ablated(bare, "rates", 0.1, 0.1), *ablated(bare, "batches", -0.05)))
    with figure_style():
        figure = draw_recipe_cost(data)
    first, second = figure.axes
    assert [one.get_title(loc="left") for one in figure.axes] == ["peak learning rate", "batch"]
    lines = [line for line in first.lines if line.get_label() and not line.get_label().startswith("_")]
    assert len(lines) == 4, "a budget each"
    assert list(lines[0].get_xdata()) == [0.5, 1.0, 2.0], "what diverged is not there"
    assert list(lines[0].get_ydata()) == pytest.approx([0.5, 0.0, -0.1])
    dashed = [line.get_ydata()[-1] for line in first.lines if line.get_linestyle() == "--"]
    dotted = [line.get_ydata()[-1] for line in first.lines if line.get_linestyle() == ":"]
    assert max(dashed) < -0.1 < min(dotted), "the gain grows with the size"
    assert second.get_xlabel() == "times the recipe's value"
    with pytest.raises(MissingError):
        draw_recipe_cost(bare)


def test_the_terminal_has_a_line_a_budget(bare: ReportData) -> None:
    data = replace(bare, ablations=(*ablated(bare, "rates", 0.1), *ablated(bare, "batches", -0.05)))
    lines = summary(data)
    assert len(lines) == 4
    assert lines[0].startswith("recipe at C = 1e+11: at most 0.100 (0.0")
    assert "beyond noise by peak learning rate x 2; N* would move by" in lines[0]
    assert "none of it" in summary(replace(bare, ablations=ablated(bare, "batches", -0.05)))[0]
    assert summary(bare) == []


def test_without_neighbours_the_table_says_how_to_measure_the_shift(bare: ReportData) -> None:
    only = tuple(one for one in ablated(bare, "rates", 0.03) if not one.neighbour)
    table = recipe_cost_table(replace(bare, ablations=only))
    assert len(table.headings) == 6
    assert "followup.neighbours=true" in table.note


def test_without_ablations_one_line_says_how_to_measure_the_cost(bare: ReportData) -> None:
    with pytest.raises(MissingError, match=r"followup\.rates"):
        recipe_cost_table(bare)
    content = make_content(bare, entries=())
    (reason,) = [one.reason for one in content.left_out if one.title == "Cost of the recipe"]
    assert "followup.neighbours=true" in reason
    points = replace(bare, plan=None, records={})
    with pytest.raises(MissingError, match="a table of runs"):
        recipe_cost_table(points)


def test_best_cells_beyond_the_recipe_are_a_doubt(bare: ReportData) -> None:
    assert bare.plan is not None
    best = best_cells(bare.plan, losses(bare))
    sizes = sorted(cell.params.total for cell in best)
    narrow = RecipeConfig(name="mine", measured=MeasuredRange([1000, sizes[0]]))
    (found,) = [f for f in diagnostics(replace(bare, recipe=narrow)) if "recipe mine" in f.text]
    assert found.level == CAUTION
    out = sum(size > 1.01 * sizes[0] for size in sizes)
    assert f"The best cells of {out} of {len(best)} budgets lie outside" in found.text
    assert measured_at(narrow) in found.text
    wide = RecipeConfig(name="mine", measured=MeasuredRange([1000, sizes[-1]]))
    (found,) = [f for f in diagnostics(replace(bare, recipe=wide)) if "recipe mine" in f.text]
    assert found.level == GOOD
    page = html.render(make_content(replace(bare, recipe=narrow), entries=()))
    assert "recipe mine was measured at" in page, "near the configuration"
    assert bare.recipe is not None
    assert not [f for f in diagnostics(bare) if "measured" in f.text and "recipe" in f.text], (
        "it does not say"
    )
