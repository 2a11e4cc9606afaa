"""The schema of every configuration: Hydra refuses an unknown key or a wrong type against these dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.bounds import bounded, check_bounds, one_of, suggested
from harness.calibrate.config import CalibrateConfig
from harness.data import DataConfig, TokenizerConfig
from harness.design.config import DesignConfig
from harness.design.goal import AIMS, PARAMS
from harness.errors import UserError
from harness.evaluate.config import EvaluateConfig
from harness.fit import ColumnNames, FitOptions
from harness.launch.launcher import LauncherConfig
from harness.launch.registry import OPTIONS, choose
from harness.model.ladder import LadderConfig
from harness.model.parametrization import ParametrizationConfig
from harness.model.shape import ModelConfig
from harness.notify.config import NotifyConfig
from harness.plan.followup import FollowupConfig
from harness.plan.grid import GridConfig
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig
from harness.plan.schedule import KINDS, ScheduleConfig
from harness.plan.throughput import ThroughputConfig
from harness.report.style_names import DEFAULT, STYLE_NAMES
from harness.tracking.config import TrackerConfig
from harness.train.config import PRECISIONS, TrainConfig
from harness.tune.config import TuneConfig
from harness.validate.config import ValidateConfig

if TYPE_CHECKING:
    Options = LauncherConfig
else:  # composed with the options of every launcher, for which of them is meant is known only then
    Options = OPTIONS


@dataclass
class Config:
    """A whole experiment, and the arguments of the commands.

    Attributes:
        name: the sweep's name; its folder is ``runs_dir``/``name``. An experiment sets it.
        seq_len: tokens of a training sequence; the model's context.
        precision: ``auto``, ``fp32`` or ``bf16``; part of a run's identity.
        cache_dir: where tokenised corpora are kept, shared by sweeps.
        path: for data=text a file or folder (or a list of them), for data=hf what ``load_dataset`` takes.
        aim: for ``next`` and ``design=active``: what runs are chosen for: ``params`` (N*), ``loss`` (L*) or
            ``exponent`` (a of N* ~ C^a).
        budget: training FLOPs at which N* or L* is wanted; null is ten times the largest budget. Of ``compare``: at
            which it is also told how much compute an arm saves.
        spend: training FLOPs that runs may take: of ``next`` those it proposes, under ``design=active`` all of the
            sweep. Or ``gpu_hours`` (hours of a device: of a core on a CPU) by the estimated times, or ``dollars``, with
            ``design.dollars_per_hour``.
        arms: for ``compare``: names of sweeps, and the overrides in which each differs from the experiment.
        run: for ``train``: the run's id, or the beginning of it.
        tasks: for ``evaluate``: names that lm-eval knows, or YAML files of tasks; without any, questions are made from
            the held-out documents.
        points, out: for ``fit``: anyone's table of runs, and the folder to write to.
        columns: the table's own names of its columns, where they are not the usual ones: ``columns.loss=NAME``, and so
            ``params``, ``tokens``, ``flops``, ``run``, ``budget``, ``seed``, ``loss_se``; ``columns.decimal=comma``.
        curves: beside ``points``: their training curves, for approach 1: a table with the columns run, step or tokens,
            and train_loss, or a folder of files RUN.csv.
        where: for ``fit``: a filter of the table's rows, such as ``params > 1e8 and dataset == 'c4'``.
        by: for ``fit``: a column of the table, each of whose values is a group that is fitted by itself, into a folder
            of its own below ``out``.
        joint: beside ``by``, or for ``compare``: ``exponents`` fits laws that share alpha and beta and not E, A and B,
            and tests whether the groups, or arms, do share them.
        fit: for ``report``, and for the plan of a gate: a fit that exists, by its folder, its ``fit.json`` or as a
            sweep below ``runs_dir``.
        fits: for ``compare``: two or more such fits, compared without training anything.
        style: for ``report``: of the files in ``figures/``: ``default``, ``paper`` (serif, as wide as a column or a
            page of a journal) or ``slides`` (large letters, thick lines). The page always has the default.
        source: for ``fit``: ``folder``, the sweep's own, or ``wandb``.
        project, group: for ``fit source=wandb``: ENTITY/PROJECT, and the sweep's name there. Without a project, W&B's
            files below ``path``, or in the experiment's folder, are read.
        write: for ``tune``: the name its recipe gets in configs/recipe/ of the working directory;
            for ``calibrate``: the throughput's, in configs/throughput/.
        gate: for ``compare``: train only what it takes to show whether an arm saves compute, and judge it.
        speedup, power, look: of the gate: the saving that is to be shown, the probability to show it, and which look at
            its runs this is: a further one adds seeds where the one before could not tell.
        compare: for ``fit``: also rank the other functional forms.
        port, interval: for ``watch``: the port on 127.0.0.1, 0 for any that is free, and seconds between two looks.
        what: for ``clean``: kinds of files: ``checkpoints``, ``models``, ``logs``, ``leftovers``; without any,
            checkpoints and leftovers.
        yes: for ``clean``: remove them; without it they are only shown.
    """

    name: str = ""
    runs_dir: str = "runs"
    cache_dir: str = "~/.cache/isoflop"
    seq_len: int = bounded(256, 2, 1 << 24)
    precision: str = one_of("auto", PRECISIONS)
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    ladder: LadderConfig = field(default_factory=LadderConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    parametrization: ParametrizationConfig = field(default_factory=ParametrizationConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    design: DesignConfig = field(default_factory=DesignConfig)
    aim: str = one_of(PARAMS, AIMS)
    budget: float | None = bounded(None, 0, 1e40, above=True)
    spend: float | None = bounded(None, 0, 1e40, above=True)
    gpu_hours: float | None = bounded(None, 0, 1e20, above=True)
    dollars: float | None = bounded(None, 0, 1e20, above=True)
    followup: FollowupConfig = field(default_factory=FollowupConfig)
    throughput: ThroughputConfig = field(default_factory=ThroughputConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    launcher: Options = field(default_factory=OPTIONS)
    notify: NotifyConfig = field(default_factory=NotifyConfig)
    analysis: FitOptions = field(default_factory=FitOptions)
    tune: TuneConfig = field(default_factory=TuneConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    arms: dict[str, list[str]] = field(default_factory=dict)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    path: Any = field(default=None, metadata={"leaves": "text"})
    run: str | None = None
    tasks: list[str] = field(default_factory=list)
    points: str | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    curves: str | None = None
    where: str | None = None
    out: str | None = None
    by: str | None = None
    joint: str | None = suggested(None, ("exponents",))
    fit: str | None = None
    fits: list[str] = field(default_factory=list)
    style: str = one_of(DEFAULT, STYLE_NAMES)
    source: str = one_of("folder", ("folder", "wandb"))
    project: str | None = None
    group: str | None = None
    write: str | None = None
    gate: bool = False
    speedup: float = bounded(1.1, 1, 1000, above=True)
    power: float = bounded(0.8, 0, 0.9999, above=True)
    look: int = bounded(1, 1, 20)
    compare: bool = False
    port: int = bounded(8765, 0, 65535)
    interval: float = bounded(5.0, 0.1, 3600)
    what: list[str] = field(default_factory=list)
    yes: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.launcher, OPTIONS):
            self.launcher = choose(self.launcher)
        check_bounds(self)
        if self.curves is not None and self.points is None:
            raise UserError("curves: are those of a table's runs; name the table with points=FILE")
        if self.joint is not None and self.by is None and not self.arms and not self.fits:
            raise UserError("joint: is what groups share; name their column, e.g. by=dataset")
        if self.followup.horizons and not KINDS[self.schedule.kind].has_length:
            raise UserError(
                f"followup.horizons: a {self.schedule.kind} schedule has no length to vary; choose another schedule"
            )
        if "/" in self.name or self.name.startswith(".") or not (self.name + "x").isprintable():
            raise UserError(f"name: must be a plain folder name, got {self.name!r}")

    def reads_path(self) -> bool:
        """Whether a corpus is read from ``path``, or nothing stands there."""
        domains = self.data.domains.values()
        read = [self.data.path, *(one.get("path") if isinstance(one, Mapping) else one for one in domains)]
        return self.path is None or self.path in read

    def check_path(self) -> None:
        """Refuse a ``path`` that would be ignored: the wrong text would be trained on.

        Raises:
            UserError: ``data`` reads something else.
        """
        if not self.reads_path():
            raise UserError(
                f"path: {self.path} would not be read, for data={self.data.name} has its own text; "
                "choose data=text (or data=hf) beside it, or leave it out"
            )
