"""From a frontier to a decision: the source, the question, the device, and the report that answers."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.config.predict import PredictConfig
from harness.config.run_setup import run_setup
from harness.errors import UserError
from harness.fit import read_points
from harness.fit.encoding import encode
from harness.fit.estimate import FrontierSource
from harness.fit.fitted import Fit
from harness.fit.store import find_fit
from harness.fit.tasks import TaskFit
from harness.model.counts import known_count
from harness.predict.assess import GivenModel
from harness.predict.clock import ShapeRules
from harness.predict.cost import Trainer, inference_weight
from harness.predict.fixed_time import FACTORS, answer_time, frontier_of_time, within_ladder
from harness.predict.question import Question
from harness.predict.repetition import Repetition, fit_repetition
from harness.predict.result import PredictRequest, PredictResult, consult, decided, with_lifetime_cost
from harness.predict.show import show
from harness.predict.source import choose
from harness.predict.tasks import answer_task, task_loss_of
from harness.predict.trainer import Cluster, make_cluster
from harness.text import counted
from harness.workflow.next_experiment import setup_for, with_run
from harness.workflow.predict_source import of_fit, of_task, read_source
from harness.workflow.terminal import working

CURVE = tuple(2.0 ** (power / 2) for power in range(-10, 11))
"""The figure's times, as multiples of the one asked for."""


def print_answer(config: PredictConfig, console: Console, as_json: bool = False) -> PredictResult:
    """Answer ``config`` and print it, for people or as JSON.

    Raises:
        UserError: the source cannot be read, or cannot answer.
    """
    with nullcontext() if as_json else working(console, "fitting …" if config.points else "reading …"):
        result, request = answer_question(config)
    if as_json:
        text = json.dumps(encode(result), indent=2, allow_nan=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    else:
        show(result, request, console)
    return result


def answer_question(config: PredictConfig, fit: Fit | None = None) -> tuple[PredictResult, PredictRequest]:
    """The report that answers ``config``, and the question in FLOPs and tokens.

    The experiment and the figure that are asked for are written.

    Args:
        fit: what is predicted from, which follows the rules of no sweep; by default what ``config`` names.

    Raises:
        UserError: the source cannot be read, or cannot answer.
    """
    if fit is None and config.fit is not None and not Path(config.fit).expanduser().exists():
        config = replace(config, fit=str(find_fit(config.fit) or config.fit))
    named, stored = (config, None) if config.task is None else of_task(config, config.task)
    report, sources = read_source(named) if fit is None else of_fit(fit, "fit")
    if config.level is not None:
        sources = tuple(replace(source, level=config.level) for source in sources)
    sources, decider = choose(sources, config.approach, _off_frontier(config))
    setup = setup_for(config) if fit is None else run_setup(config, None)
    cluster = _cluster(config, setup.rules, report)
    asked, notes = _asked(config, cluster, decider, None if stored is None else stored.fit)
    report = replace(report, decides=decider.name, notes=report.notes + notes)
    report = consult(report, sources, decider, asked)
    report = _timed(report, config, cluster, decider)
    params, tokens, flops = decided(report)
    if stored is not None:
        model = asked.model
        n, d = (params, tokens) if model is None else (model.params, model.tokens)
        if n is not None and d is not None:
            plain = asked.question if report.serving is None and report.timed is None else None
            report = replace(report, task=answer_task(stored.fit, decider, n, d, plain))
    if cluster is not None and params is not None and tokens is not None and flops is not None:
        report = replace(report, cost=cluster.cost(params, tokens, flops))
        if config.serving.unit == "dollars":
            report = with_lifetime_cost(report, _share(cluster, decider, asked))
    report = with_run(report, config, setup, decider, cluster)
    if config.figure:
        report = _with_figure(report, config.figure, config.style, decider, cluster)
    return report, asked


def _off_frontier(config: PredictConfig) -> bool:
    """Whether a question is about models off the frontier, of which L(N, D) alone knows."""
    time = config.device is not None and (config.gpu_hours is not None or config.dollars is not None)
    model = config.params is not None and config.tokens is not None
    asked = (config.inference_tokens, config.unique_tokens, config.repetition.points)
    return time or model or any(one is not None for one in asked)


def _cluster(config: PredictConfig, rules: ShapeRules, report: PredictResult) -> Cluster | None:
    """What trains, where a device is named."""
    if config.device is None:
        return None
    count = known_count(report.count)
    return make_cluster(config.device, config.gpus, config.precision, config.mfu, rules, count)


def _timed(
    report: PredictResult, config: PredictConfig, cluster: Cluster | None, decider: FrontierSource
) -> PredictResult:
    """The report with the best models of the time or money asked for, where the law and the times are known."""
    if cluster is None or (config.gpu_hours is None and config.dollars is None):
        return report
    if cluster.clock is None or decider.law is None:
        why = (
            f"{decider.title} has no L(N, D)"
            if decider.law is None
            else "times are a constant share of the peak"
        )
        note = f"the best model of this time is not distinguished from that of its FLOPs: {why}"
        return replace(report, notes=(*report.notes, note))
    seconds = cluster.seconds(config.gpu_hours, config.dollars)
    asked = answer_time(decider, cluster.clock, seconds)
    factors = [factor for factor in FACTORS if factor != 1]
    others = within_ladder(frontier_of_time(decider, cluster.clock, seconds, factors), cluster.clock)
    rows = sorted((*others, asked), key=lambda row: row.seconds)
    return replace(report, timed=asked, time_frontier=tuple(rows))


def _share(cluster: Cluster | None, decider: FrontierSource, asked: PredictRequest) -> Trainer | None:
    """The devices at the share of their peak that the compute-optimal training of the question reaches."""
    if cluster is None or cluster.clock is None or asked.question is None or decider.frontier is None:
        return None if cluster is None else cluster.trainer
    best = asked.question.at(decider.frontier)
    return cluster.at_share(cluster.cost(float(best.params), float(best.tokens), float(best.flops)).mfu)


def _asked(
    config: PredictConfig, cluster: Cluster | None, decider: FrontierSource, task: TaskFit | None = None
) -> tuple[PredictRequest, tuple[str, ...]]:
    """The question in FLOPs and tokens, with the constants of repetition."""
    flops = config.budget
    if cluster is not None and (config.gpu_hours is not None or config.dollars is not None):
        flops = cluster.flops(decider.frontier, cluster.seconds(config.gpu_hours, config.dollars))
    question, model = None, None
    if config.params is not None and config.tokens is not None:
        model = GivenModel(config.params, config.tokens, flops)
    elif config.params is not None:
        question = Question("params", config.params)
    elif config.tokens is not None:
        question = Question("tokens", config.tokens)
    elif config.target_loss is not None:
        question = Question("loss", config.target_loss)
    elif config.target_accuracy is not None and task is not None:
        floor = decider.loss_floor if decider.law is None else decider.law.floor
        question = Question("loss", task_loss_of(task, config.target_accuracy, floor))
    elif flops is not None:
        question = Question("flops", flops)
    repetition, notes = _repetition(config, decider)
    asked = PredictRequest(
        question=question,
        model=model,
        inference_tokens=config.inference_tokens,
        unique_tokens=config.unique_tokens,
        repetition=repetition,
        smaller=config.smaller,
    )
    weight = inference_weight(config.serving, _share(cluster, decider, asked))
    return replace(asked, weight=weight), notes


def _repetition(config: PredictConfig, decider: FrontierSource) -> tuple[Repetition, tuple[str, ...]]:
    given = config.repetition
    if given.points is None:
        return Repetition(given.r_tokens, given.r_params), ()
    if decider.law is None:
        raise UserError(f"repetition.points needs L(N, D), which {decider.title} does not give")
    found = fit_repetition(decider.law, read_points(given.points, config.analysis.rows))
    kept = "" if found.fitted_params else " (published: no run is oversized)"
    edge = "; a constant is at its bound: these runs do not determine it" if found.at_bound else ""
    note = (
        f"repetition fitted to {counted(found.n_points, 'repeating run')}: R_D* {found.repetition.r_tokens:.3g}, "
        f"R_N* {found.repetition.r_params:.3g}{kept}, error of log loss {found.log_rmse:.2g}, "
        f"against {found.plain_log_rmse:.2g} if repeats counted as fresh{edge}"
    )
    return found.repetition, (note,)


def _with_figure(
    report: PredictResult, file: str, style: str, decider: FrontierSource, cluster: Cluster | None
) -> PredictResult:
    # matplotlib: only where a figure is asked for
    from harness.report.figures import predict as figures

    path = Path(file).expanduser()
    if report.overtraining:
        return replace(report, figure=str(figures.draw_overtraining(report, path, style)))
    if report.timed is not None and cluster is not None and cluster.clock is not None:
        every = frontier_of_time(decider, cluster.clock, report.timed.seconds, CURVE)
        curve = within_ladder(every, cluster.clock)
        if len(curve) < 2:
            raise UserError(
                "figure: the best models of about this time lie beyond the ladder; choose another with ladder=NAME"
            )
        return replace(report, figure=str(figures.draw_fixed_time(report, curve, path, style)))
    raise UserError(
        "figure: shows over-training (inference_tokens=…), or the loss against hours and dollars (gpu_hours=… or "
        "dollars=…, with a device that has a time model and a fit with L(N, D))"
    )
