"""What the optimizer's own steps cost, on the page."""

from dataclasses import replace

from harness.plan.plan import Plan
from harness.plan.spec import Muon
from harness.report.tables.compute import flops_table
from harness.report.tables.runs import runs_table
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported


def with_muon(plan: Plan) -> Plan:
    """The same cells, stepped by Muon; none of them was trained."""
    cells = []
    for cell in plan.cells:
        optimizer = replace(cell.spec.optimizer, muon=Muon(0.02, 0.1))
        cells.append(replace(cell, spec=replace(cell.spec, optimizer=optimizer)))
    return replace(plan, cells=tuple(cells))


def test_its_flops_stand_beside_c(reported: Reported) -> None:
    plan = frozen_plan(reported.folder)
    data = from_sweep(reported.folder, plan, reported.folder.path)
    plain = runs_table(data)
    assert "optimizer" not in plain.headings
    dear = runs_table(replace(data, plan=with_muon(plan)))
    assert dear.headings == (*plain.headings, "optimizer")
    assert all(str(row[-1]).endswith("%") for row in dear.rows)
    assert "The optimizer's own steps take " in dear.note
    counted = flops_table(replace(data, plan=with_muon(plan)))
    assert counted.headings[-1] == "optimizer over C"
    assert {row[-1] for row in counted.rows[:-2]} == {"–"}
    assert all(str(row[-1]).endswith("%") for row in counted.rows[-2:])
