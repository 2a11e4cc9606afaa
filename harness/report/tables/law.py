"""The parametric law's coefficients beside the published ones."""

from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.published import LAWS
from harness.report.tables.table import Table
from harness.report.text import fixed, significant


def build(material: Material) -> Table:
    """One row a coefficient of L = E + A/N^alpha + B/D^beta."""
    law = material.fit.approach_3
    theta = law.theta()
    if theta is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    rows = []
    for i, name in enumerate(law.draw_columns):
        write = significant if name in ("A", "B") else _exponent
        bounds = getattr(law, f"{name}_interval")
        rows.append(
            (
                {"alpha": "α", "beta": "β"}.get(name, name),
                write(float(theta[i])),
                write(getattr(law, f"{name}_se")),
                "–" if bounds is None else f"{write(bounds[0])} to {write(bounds[1])}",
                *(write(published.theta[i]) for published in LAWS),
            )
        )
    return Table(
        "law",
        "The fitted law L(N, D) = E + A/N^α + B/D^β",
        ("", "here", "standard error", f"{law.level:.0%} interval", *(published.short for published in LAWS)),
        tuple(rows),
        left=("",),
        note="A and B depend strongly on α and β and on the tokenizer; compare exponents, or losses, rather "
        "than A and B. Published: Hoffmann et al. 2022 (section 3.3, unrounded) and Besiroglu et al. 2024, "
        "the same law fitted again to 240 points read off the paper's Figure 4.",
    )


def _exponent(value: float | None) -> str:
    return fixed(value, 4)
