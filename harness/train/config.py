"""How runs are executed. Nothing here changes a run's result beyond float error, so nothing enters its identity."""

from dataclasses import dataclass

from harness.bounds import bounded, check_bounds, one_of

PRECISIONS = ("auto", "fp32", "bf16")
LOGITS = ("auto", "whole", "chunked", "liger")
ALL, BEST, NONE = EXPORTS = ("all", "best", "none")
SWITCHED = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), ALL),
    **dict.fromkeys(("false", "no", "off", "n", "0"), NONE),
}
"""What ``export`` means where it is a switch, as it was in earlier versions: files and submissions have it."""


@dataclass
class TrainConfig:
    """Execution of one run.

    Attributes:
        device: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.
        micro_batch: sequences a device takes at once; 0 is the whole batch, or as much of it as a GPU has memory for.
        compile: ``on``, ``graphs`` (on, and replayed as CUDA graphs: least work for the CPU, more memory), ``off``, or
            ``auto``: on CUDA what the time model (``throughput``) finds soonest done for all runs of a shape.
        logits: ``whole``, all of a micro-batch in memory; ``chunked``, some at a time, made twice; ``liger``, never
            whole, by a fused kernel; ``auto`` is liger on CUDA where it is installed and the vocabulary large.
        threads: CPU threads a run; 0 leaves torch's own choice.
        log_points: rows in a run's curve, about.
        checkpoint_seconds: time between checkpoints.
        export: whose trained model and tokenizer are left in ``cells/<run_id>/model/``: ``none``; ``all``, every
            finished run's (``true`` means this, ``false`` none); ``best``, in the end only that of the lowest held-out
            loss of each budget, while all are kept of a budget whose runs have not all ended. Runs beside the plan,
            which are ablations, leave none under ``best``.
    """

    device: str = one_of("auto", ("auto", "cpu", "cuda"))
    micro_batch: int = bounded(0, 0, 1_000_000_000)
    compile: str = one_of("auto", ("auto", "on", "graphs", "off"))
    logits: str = one_of("auto", LOGITS)
    threads: int = bounded(1, 0, 4096)
    log_points: int = bounded(250, 1, 1_000_000)
    checkpoint_seconds: float = bounded(60.0, 0, 1e9, above=True)
    export: str = one_of(NONE, EXPORTS)

    def __post_init__(self) -> None:
        self.export = SWITCHED.get(str(self.export).lower(), self.export)
        check_bounds(self, "train")

    def row_steps(self, steps: int) -> int:
        """Steps between two rows of the curve of a run of ``steps`` steps."""
        return max(1, steps // self.log_points)
