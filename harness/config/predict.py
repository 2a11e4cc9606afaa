"""The schema of ``isoflop predict``: its own root, because here ``fit`` and ``budget`` are keys."""

from dataclasses import dataclass, field

from harness.amounts import amount_field
from harness.bounds import bounded, check_bounds, one_of, suggested
from harness.errors import UserError
from harness.fit import ColumnNames, FitOptions
from harness.fit.table import INCONSISTENT_FACTOR, LEAST_PARAMS, LEAST_TOKENS
from harness.model.ladder import LadderConfig
from harness.model.parametrization import ParametrizationConfig
from harness.model.shape import ModelConfig
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig
from harness.plan.schedule import ScheduleConfig
from harness.predict.asked import ASKED
from harness.predict.assess import FACTORS
from harness.predict.clock import ShapeRules
from harness.predict.cost import DeviceConfig, ServingConfig
from harness.predict.repetition import Repetition
from harness.predict.source import LawConfig
from harness.report.style_names import DEFAULT, STYLE_NAMES

ROOT = "predict"
"""The file of ``configs/`` that a question is composed from; its schema is :class:`PredictConfig`."""


@dataclass
class RepetitionConfig:
    """What repeated tokens are worth: published constants, or fitted.

    Attributes:
        r_tokens, r_params: R_D* and R_N* of Muennighoff et al. 2023.
        points: a table of runs with the column ``unique_tokens``, some of which repeat, to fit them from.
    """

    r_tokens: float = bounded(Repetition.r_tokens, 0, 1e9, above=True)
    r_params: float = bounded(Repetition.r_params, 0, 1e9, above=True)
    points: str | None = None


@dataclass
class PredictConfig:
    """A question to a frontier.

    Attributes:
        fit: ``fit.json`` or its folder; the name of a sweep below ``runs``; or the name of a law.
        points: anyone's table of runs, fitted now with the options in ``analysis``.
        columns: the table's own names of its columns, where they are not the usual ones: ``columns.loss=NAME``, and so
            ``params``, ``tokens``, ``flops``, ``run``, ``budget``, ``seed``, ``loss_se``; ``columns.decimal=comma``.
        curves: beside ``points``: their training curves, for approach 1: a table with the columns run, step or tokens,
            and train_loss, or a folder of files RUN.csv.
        where: a filter of the table's rows, such as ``params > 1e8 and dataset == 'c4'``.
        law: published constants (``law=hoffmann2022``).
        approach: ``auto`` shows all and decides by the one with L(N, D), or by approach 2 where that is less doubtful
            (docs/statuses.md), unless the question needs L(N, D); or ``approach_1`` … ``approach_3``.
        level: of the intervals; null is the fit's own.
        budget: training FLOPs. Or ``gpu_hours`` (all devices together), or ``dollars``: the best model of that time on
            ``device``, beside the compute-optimal one whose training takes as long. Amounts may be written as
            1e21, 2.5T, 10^13 or '6 × 10¹²', with their unit behind.
        params, tokens: one of them: the best of the other. Both: a model to assess; a budget beside them is
            the compute it used, which else follows from N and D.
        target_loss: the cheapest model that reaches it (nats per token).
        task: of a sweep that 'isoflop evaluate' scored: answer for this task. The law is that of its task loss, bits
            per byte of the right answer, so that the best model is the best for the task; its accuracy is predicted.
        target_accuracy: beside ``task``: the cheapest model that reaches it (0.5 is half of the questions).
        device, gpus, precision: what trains, by its time model (``mine`` after ``isoflop calibrate experiment=demo
            write=mine``), and how many together; communication between them is not counted.
        mfu: a constant share of the device's peak instead of its time model.
        inference_tokens: tokens served over the model's life; ``serving`` says how.
        smaller: how many times smaller the models in the over-training table are.
        unique_tokens: size of the corpus, where it is a limit; ``repetition`` says what repeats are worth.
        ladder, model, recipe, optimizer, parametrization, schedule, vocab_size, seq_len: for the answer's shape
            and hyperparameters; null takes those of the sweep that the fit came from, and without one those of
            ``fallback``.
        write: name of an experiment to write (``configs/experiment/NAME.yaml`` here), or a path.
        figure: file (.png, .pdf, .svg, or .csv for its numbers) for the over-training figure, or that of loss against
            hours and dollars.
        style: of that figure: ``default``, ``paper`` or ``slides``.
        analysis: how ``points`` are fitted.
    """

    fit: str | None = None
    points: str | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    curves: str | None = None
    where: str | None = None
    law: LawConfig | None = None
    approach: str = suggested("auto", ("auto", "approach_1", "approach_2", "approach_3"))
    level: float | None = bounded(None, 0, 1)
    budget: float | None = amount_field(None, ASKED["budget"])
    gpu_hours: float | None = amount_field(None, ASKED["gpu_hours"])
    dollars: float | None = amount_field(None, ASKED["dollars"])
    params: float | None = amount_field(None, ASKED["params"])
    tokens: float | None = amount_field(None, ASKED["tokens"])
    target_loss: float | None = amount_field(None, ASKED["target_loss"])
    task: str | None = None
    target_accuracy: float | None = amount_field(None, ASKED["target_accuracy"])
    device: DeviceConfig | None = None
    gpus: int = bounded(1, 1, 10_000_000)
    mfu: float | None = amount_field(None, ASKED["mfu"])
    precision: str = "bf16"
    inference_tokens: float | None = amount_field(None, ASKED["inference_tokens"])
    serving: ServingConfig = field(default_factory=ServingConfig)
    smaller: list[float] = bounded(list(FACTORS), 0, 1e9, above=True)
    unique_tokens: float | None = amount_field(None, ASKED["unique_tokens"])
    repetition: RepetitionConfig = field(default_factory=RepetitionConfig)
    ladder: LadderConfig | None = None
    model: ModelConfig | None = None
    recipe: RecipeConfig | None = None
    optimizer: OptimizerConfig | None = None
    parametrization: ParametrizationConfig | None = None
    schedule: ScheduleConfig | None = None
    vocab_size: int | None = bounded(None, 2, 100_000_000)
    seq_len: int | None = bounded(None, 2, 1 << 24)
    fallback: ShapeRules = field(default_factory=ShapeRules)
    write: str | None = None
    figure: str | None = None
    style: str = one_of(DEFAULT, STYLE_NAMES)
    analysis: FitOptions = field(default_factory=FitOptions)

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.fit, self.points, self.law)) != 1:
            raise UserError(
                "predict: name one source: fit=runs/NAME, points=FILE.csv, or law=NAME "
                "(hoffmann2022, besiroglu2024, kaplan2020)"
            )
        if self.curves is not None and self.points is None:
            raise UserError("curves: are those of a table's runs; name the table with points=FILE")
        check_bounds(self)
        if self.level in (0, 1):
            raise UserError(f"level: must lie between 0 and 1, got {self.level:g}")
        self._check_question()

    def _check_model(self, params: float, tokens: float) -> None:
        """A given model in plain numbers, whose compute, where it is given, can be its own."""
        if params < LEAST_PARAMS or tokens < LEAST_TOKENS:
            raise UserError(
                f"params, tokens: {params:g} parameters on {tokens:g} tokens: write plain numbers, e.g. params=70e9 "
                "tokens=1.4e12"
            )
        ratio = 1 if self.budget is None else self.budget / (6 * params * tokens)
        if not 1 / INCONSISTENT_FACTOR <= ratio <= INCONSISTENT_FACTOR:
            raise UserError(
                f"budget: {self.budget:g} FLOPs is {ratio:.3g} times 6 x params x tokens; leave it out, or correct it"
            )

    def _check_question(self) -> None:
        money = [n for n in ("budget", "gpu_hours", "dollars") if getattr(self, n) is not None]
        model = [n for n in ("params", "tokens") if getattr(self, n) is not None]
        loss = [n for n in ("target_loss", "target_accuracy") if getattr(self, n) is not None]
        if self.task is not None and self.fit is None:
            raise UserError("task: is of a sweep that was scored; name it with fit=runs/NAME")
        if self.target_accuracy is not None and self.task is None:
            raise UserError("target_accuracy: of which task? e.g. task=word")
        # a model to judge may say what it used
        asked = ([] if len(model) == 2 else money) + ([" and ".join(model)] if model else []) + loss
        if not asked:
            raise UserError(
                "predict: ask something: budget=1e21, gpu_hours=…, dollars=…, params=7e9, tokens=2e12, "
                "params=70e9 tokens=1.4e12, or target_loss=2.0"
            )
        if len(asked) > 1 or len(money) > 1:
            raise UserError(f"predict: one question at a time; got {', '.join(asked)}")
        if self.params is not None and self.tokens is not None:
            self._check_model(self.params, self.tokens)
        if money and money[0] != "budget" and self.device is None:
            raise UserError(f"{money[0]}: name the device, e.g. device=h100")
