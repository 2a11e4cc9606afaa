"""The frontier under every way to count parameters and compute."""

from harness.report.figures.counting import convention_label
from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.tables.table import Table
from harness.report.text import approach_label, fixed, plain_status, power, ratio


def build(material: Material) -> Table:
    """One row a convention and approach."""
    rows = material.fit.counting
    if len({(row.count, row.compute) for row in rows}) < 2:
        raise MissingError("the table counts parameters and compute in one way only")
    return Table(
        "counting",
        "How counting moves the answer",
        ("convention", "approach", "a", "b", "D*/N*", "at C", "status"),
        tuple(
            (
                convention_label(row.count, row.compute),
                approach_label(row.approach),
                fixed(row.a, 3),
                fixed(row.b, 3),
                ratio(row.tokens_per_param),
                power(row.budget),
                plain_status(row.status),
            )
            for row in rows
        ),
        left=("convention", "approach", "status"),
        note="The runs are the same throughout: only the columns called N and C change. Not isoflop: runs "
        "of one budget have unequal compute under that convention, so they form no profile.",
    )
