"""The decision as a run that can be trained, and as an experiment on disk."""

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from harness.config.predict import PredictConfig
from harness.config.run_setup import RunSetup, run_setup
from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.model.counts import count_params, known_count
from harness.plan.cell import Cell
from harness.predict.clock import Clock, Target, nearest_shape, plan_target
from harness.predict.experiment import experiment_path, experiment_text, write_experiment
from harness.predict.repetition import repeated_loss
from harness.predict.result import PredictResult, decided
from harness.predict.trainer import Cluster


def setup_for(config: PredictConfig) -> RunSetup:
    """By which rules an answer to ``config`` becomes a run."""
    return run_setup(config, _folder(config))


def with_run(
    report: PredictResult,
    config: PredictConfig,
    chosen: RunSetup,
    decider: FrontierSource,
    cluster: Cluster | None,
) -> PredictResult:
    """The report with the trainable run nearest to the decision; written as an experiment where asked.

    Without ``write`` a ladder that has no such shape is a note, not an error.

    Raises:
        UserError: an experiment is asked for and there is no shape for it, or the file cannot be written.
    """
    params, tokens, flops = decided(report)
    if params is None or tokens is None or flops is None:
        return report
    target = _target(report, chosen, (params, tokens, flops), config)
    report = replace(report, compute=report.compute or chosen.compute)
    clock = cluster.clock if cluster else None
    try:
        if clock is not None and report.timed is not None and report.timed.params == params:
            target = _in_time(target, chosen, clock, report.timed.seconds)
        timing = clock.timing if clock else None
        cell = plan_target(chosen.rules, target, timing)
    except UserError as error:
        if config.write:
            raise
        # who asks about someone's model has not asked for a shape
        return report if report.assessments else replace(report, notes=(*report.notes, str(error)))
    report = replace(report, run=_describe(report, cell, target, chosen, decider, timed=timing is not None))
    if chosen.unlike:
        note = (
            f"the run differs from those of sweep {chosen.sweep} in {', '.join(chosen.unlike)}: N*, D* and losses are "
            "theirs, not measured for this one"
        )
        report = replace(report, notes=(*report.notes, note))
    if timing is not None and cell.spec.batch_sequences < timing.devices:
        note = (
            f"gpus: a batch of {cell.spec.batch_sequences} sequences cannot be shared by {timing.devices} devices; use "
            "fewer"
        )
        report = replace(report, notes=(*report.notes, note))
    if not config.write:
        return report
    path = experiment_path(config.write)
    why = f"{report.source}, {decider.title}: N {params:.4g}, D {tokens:.4g}, C {flops:.4g}"
    if report.serving is not None:
        why += f", serving {report.serving.inference_tokens:.3g} tokens"
    if report.data_constrained is not None:
        why += f", {report.data_constrained.unique_tokens:.3g} unique tokens"
    text = experiment_text(path.stem, cell, chosen.rules, why, chosen.corpus, config.unique_tokens)
    write_experiment(path, text)
    return replace(report, experiment=str(path))


def _folder(config: PredictConfig) -> Path | None:
    """Where the fit lies."""
    if config.fit is None:
        return None
    path = Path(config.fit).expanduser()
    return path.parent if path.is_file() else path


def _target(
    report: PredictResult, chosen: RunSetup, decision: tuple[float, float, float], config: PredictConfig
) -> Target:
    """Rounding N moves D or C: compute is kept, except where tokens are what was asked for or served from.

    (Where a time was, see :func:`_in_time`.)
    """
    params, tokens, flops = decision
    keep_tokens = report.serving is not None or (config.tokens is not None and config.params is None)
    return Target(
        params=params,
        count=known_count(report.count),
        compute=report.compute or chosen.compute or "appendix_f",
        flops=None if keep_tokens else flops,
        tokens=tokens if keep_tokens else None,
        # under a convention of its own a fit's compute has no optimizer in it
        count_optimizer=chosen.count_optimizer and not report.compute,
    )


def _in_time(target: Target, chosen: RunSetup, clock: Clock, seconds: float) -> Target:
    """``target`` on as many tokens as its shape is trained on in ``seconds``: the time is what was asked for."""
    params = count_params(nearest_shape(chosen.rules, target)).count(target.count)
    tokens = float(clock.tokens(params, seconds))
    return replace(target, flops=None, tokens=tokens) if isfinite(tokens) else target


def _describe(
    report: PredictResult, cell: Cell, target: Target, chosen: RunSetup, decider: FrontierSource, timed: bool
) -> dict[str, Any]:
    """The run in the names of ``plan.json``, with what rounding to a shape did."""
    shape, spec = cell.spec.shape, cell.spec
    params = cell.params.count(target.count)
    found = {
        "shape": shape.label,
        "family": shape.family,
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "head_dim": shape.head_dim,
        "kv_heads": shape.kv_heads,
        "ffw": shape.ffw,
        "vocab_size": shape.vocab_size,
        "params": params,
        "params_over_wanted": params / target.params,
        "tokens": cell.tokens,
        "seq_len": spec.seq_len,
        "batch_tokens": spec.batch_tokens,
        "steps": spec.steps,
        "lr": spec.optimizer.lr,
        "lr_muon": None if spec.optimizer.muon is None else spec.optimizer.muon.lr,
        "warmup_steps": spec.schedule.warmup_steps,
        "schedule": spec.schedule.kind,
        "recipe": chosen.rules.recipe.name,
        "flops": cell.flops,
        "flops_count": cell.count,
        "flops_optimizer": cell.optimizer_flops,
        "optimizer": chosen.rules.optimizer.kind,
        "parametrization": spec.parametrization.kind,
        "rules_from": f"sweep {chosen.sweep}" if chosen.sweep else "predict.yaml",
    }
    if timed:
        run = cell.estimate
        found |= {"seconds": run.total, "step_seconds": run.steps / spec.steps, "mode": run.mode}
    if (law := decider.law) is not None:
        model = float(params), float(cell.tokens)
        limited = report.data_constrained
        found["loss"] = float(
            law.loss(*model)
            if limited is None
            else repeated_loss(law, *model, limited.unique_tokens, limited.repetition)
        )
    return found
