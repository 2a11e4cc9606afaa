"""Exponents of the frontier beside those of Hoffmann et al. 2022, Table 2."""

from harness.fit.summary import along_6nd
from harness.report.material import Material
from harness.report.published import TABLE_2
from harness.report.tables.table import Table
from harness.report.text import approach_label, fixed, interval, plain_status, with_interval


def build(material: Material) -> Table:
    """One row an approach; the difference is this fit minus the paper."""
    rows = []
    for approach in material.fit.approaches:
        paper = TABLE_2[approach.name]
        difference = None if approach.a is None else approach.a - paper.a
        rows.append(
            (
                approach_label(approach.name),
                with_interval(fixed(approach.a, 3), interval(approach.a_interval, "fixed")),
                with_interval(fixed(approach.b, 3), interval(approach.b_interval, "fixed")),
                f"{paper.a:.2f} ({interval(paper.a_interval, 'fixed')})",
                f"{paper.b:.2f} ({interval(paper.b_interval, 'fixed')})",
                "–" if difference is None else f"{difference:+.3f}",
                plain_status(approach.status),
            )
        )
    return Table(
        "exponents",
        "Exponents: N* ∝ Cᵃ, D* ∝ Cᵇ",
        ("approach", "a", "b", "a, Hoffmann et al.", "b, Hoffmann et al.", "difference in a", "status"),
        tuple(rows),
        left=("approach", "status"),
        note=f"{_along_6nd(material)}Here: {material.fit.level:.0%} bootstrap intervals. "
        "Hoffmann et al. 2022, Table 2: 10th and "
        "90th percentile over subsamples of 80% of their runs, which is narrower than an interval of the "
        "estimate. Theirs is English web text at 6 × 10¹⁸ to 3 × 10²¹ FLOPs; other data and other scales "
        "may rightly differ.",
    )


def _along_6nd(material: Material) -> str:
    """Measured compute is not 6ND, by which the paper's exponents are: said where it matters."""
    text = along_6nd(material.fit.approach_3)
    return f"Approach 3: {text}. " if text else ""
