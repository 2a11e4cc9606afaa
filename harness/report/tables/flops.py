"""FLOPs of Appendix F over 6ND: Hoffmann et al. 2022, Table A4, counted here, and the runs of this sweep."""

from harness.plan.flops import BACKWARD_OVER_FORWARD, all_flops_per_token, forward_flops
from harness.plan.params import count_params
from harness.plan.shape import Shape
from harness.report.material import Material
from harness.report.published import TABLE_A4, CountedModel
from harness.report.tables.table import Table
from harness.report.text import counted, fixed

VOCABULARY = 32000
CONTEXT = 2048


def build(material: Material) -> Table:
    """The paper's six models, then the smallest and the largest shape of this sweep."""
    rows = [
        (
            f"{counted(model.millions * 1e6)}: {model.layers} layers, width {model.width}",
            fixed(model.ratio, 2),
            fixed(blocks_over_6nd(model), 2),
            f"{blocks_over_6nd(model) - model.ratio:+.3f}",
            fixed(_everything_over_6nd(_shape(model), CONTEXT), 2),
        )
        for model in TABLE_A4
    ]
    if material.plan is not None:
        cells = sorted(material.plan.cells, key=lambda cell: cell.params.total)
        for cell in (cells[:1] + cells[-1:]) if len(cells) > 1 else cells:
            spec = cell.spec
            rows.append(
                (
                    f"this sweep: {counted(cell.params.total)}, {spec.shape.label.replace('x', ' × ')}",
                    "–",
                    "–",
                    "–",
                    fixed(_everything_over_6nd(spec.shape, spec.seq_len), 2),
                )
            )
    return Table(
        "flops",
        "Training FLOPs by Appendix F over 6ND, beside Hoffmann et al. 2022, Table A4",
        ("model", "paper", "blocks only", "difference", "with look-up and logits"),
        tuple(rows),
        left=("model",),
        note="The printed ratios follow from the blocks alone, over 6ND with an N that holds a fifth "
        "attention matrix (relative positions), whose FLOPs are left out. With the look-up and the logits "
        "that the appendix lists, small models cost visibly more than 6ND; that is what a budget of "
        "appendix_f counts here.",
    )


def blocks_over_6nd(model: CountedModel) -> float:
    """The paper's ratio: FLOPs of the blocks over 6ND, N with embeddings and relative positions."""
    shape = _shape(model)
    parts = forward_flops(shape, CONTEXT)
    positions = model.layers * model.width * model.heads * model.key
    params = count_params(shape).matrices + positions + VOCABULARY * model.width
    blocks = parts.total - parts.embedding - parts.logits
    return (1 + BACKWARD_OVER_FORWARD) * blocks / CONTEXT / (6 * params)


def _everything_over_6nd(shape: Shape, seq_len: int) -> float:
    counts = all_flops_per_token(shape, seq_len)
    return counts["appendix_f"] / counts["6nd"]


def _shape(model: CountedModel) -> Shape:
    return Shape(
        "gpt2",
        VOCABULARY,
        model.width,
        model.layers,
        model.heads,
        model.key,
        4 * model.width,
        model.heads,
        True,
        CONTEXT,
    )
