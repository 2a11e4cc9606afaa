"""The stages, most valuable first: their commands, how long each may take, and what it is expected to cost."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from harness.config.compose import compose_config
from harness.errors import UserError
from scripts.evidence.machine import ROOT

NAME = "one_gpu"  # of the sweep, and of the throughput that is calibrated
MANY = 20  # turns of a stage that goes on where it was cut off


@dataclass(frozen=True)
class Stage:
    """A command whose output is evidence.

    Attributes:
        what: for the list that is shown before anything begins.
        minutes: least and most on one H100: around what one took, which results/one_gpu/evidence.md has; estimated for
            bench and packing, of which it made a part, and for sweep4.
        command: what follows the interpreter; made when the stage begins, as it may depend on what came before.
        limit: seconds of a turn, after which it is asked to stop.
        turns: how many it gets, where a turn goes on from the one before; 1 is one that begins anew.
        after: the stage that it waits for, as long as that one can go on.
        shows: how many last lines of its output are shown; 0 shows those of checks and tables.
        environment: further variables.
    """

    name: str
    what: str
    minutes: tuple[float, float]
    command: Callable[[], Sequence[str]]
    limit: float
    turns: int = 1
    after: str = ""
    shows: int = 20
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """What is trained: for real, or as a toy that tests these scripts on a CPU and nothing else.

    Attributes:
        first, all: budgets of the sweep, which grows from the one to the other.
        calibrate, column: further overrides of a calibration, and of the column that is packed.
        bench, packing: arguments of the two benches.
        seconds: after which a turn of these two begins nothing more.
        looks: pytest's arguments beside the files of tests/gpu.
        tests: those of the project's own that train.
    """

    experiment: tuple[str, ...]
    first: str
    all: str
    calibrate: tuple[str, ...]
    column: tuple[str, ...]
    bench: tuple[str, ...]
    packing: tuple[str, ...]
    seconds: tuple[int, int]
    looks: tuple[str, ...]
    tests: tuple[str, ...]
    device: str


GPU = Scale(
    experiment=("experiment=one_gpu", "tracker=none"),
    first="grid.budgets=[1e15,3e15,8e15]",
    all="grid.budgets=[1e15,3e15,8e15,2.4e16]",
    calibrate=("calibrate.sizes=3", "calibrate.seconds=2", "calibrate.side_by_side=[1,4,8]"),
    column=("grid.budgets=[1e15]", "grid.params=[1e6,2e6,4e6,8e6,1.5e7,3e7]"),
    bench=("--device", "cuda", "--rounds", "3", "--sizes", "3M,30M,100M,1M,50M,10M"),
    packing=(),
    seconds=(200, 240),
    looks=(),
    tests=(
        "tests/train",
        "tests/commands/test_sweep.py",
        "tests/launch/test_sharing.py",
    ),
    device="cuda",
)
TOY = Scale(
    experiment=(
        *("experiment=demo", f"name={NAME}", "tracker=none", "train.device=cpu", "data=python_stdlib"),
        *("seq_len=32", "grid.sizes=3", "grid.span=2", "grid.center_params=7000", "grid.center_budget=5e8"),
        *("grid.center_exponent=0", "recipe.batch_tokens.value=128", "data.eval_tokens=2048"),
        "recipe.min_steps=20",
    ),
    first="grid.budgets=[2e8,3e8,4e8]",
    all="grid.budgets=[2e8,3e8,4e8,5e8]",
    calibrate=("calibrate.sizes=1", "calibrate.seconds=0.3", "calibrate.side_by_side=[1]"),
    column=("grid.budgets=[2e8]", "grid.sizes=2"),
    bench=("--device", "cpu", "--rounds", "1", "--sizes", "20k", "--steps", "12"),
    packing=("--side-by-side", "1,2"),
    seconds=(60, 60),
    looks=("-k", "devices or family or mps"),
    tests=("tests/train/test_evaluate.py",),
    device="cpu",
)


def corpus(experiment: Sequence[str], overrides: Sequence[str], cache: str) -> tuple[tuple[str, ...], str]:
    """Overrides that choose the text, and why: ``overrides``' own, the experiment's where it is here, else Python's."""
    if any(item.startswith("data=") for item in overrides):
        return (), ""
    config, _ = compose_config([*experiment, *overrides, f"cache_dir={cache}"])
    data = config.data
    if data.kind != "text" or Path(str(data.path)).expanduser().exists():
        return (), ""
    chosen = ("data=python_installed", "data.max_epochs=2")
    return chosen, (
        f"the corpus '{data.name}' is not here ('{data.fetch}' fetches it), so {' '.join(chosen)}: the Python source "
        "that is installed on this machine"
    )


def plan(state: Path, cache: str, overrides: Sequence[str], scale: Scale) -> list[list[Stage]]:
    """Groups in their order; the stages of a group may run beside each other."""
    base = (*scale.experiment, *overrides, f"runs_dir={state / 'results'}", f"cache_dir={cache}")
    bench, packing = scale.seconds

    def harness(command: str, *more: str) -> Callable[[], Sequence[str]]:
        return lambda: ("-m", "harness", command, *base, *more)

    def sweep(budgets: str) -> Callable[[], Sequence[str]]:
        return lambda: ("-m", "harness", "sweep", *base, rates(state), budgets)

    def checks(name: str, what: str, minutes: tuple[float, float], limit: float = 260) -> Stage:
        kept = {"ISOFLOP_EVIDENCE": str(state / f"checks-{name}.json")}
        path = str(ROOT / "tests" / "gpu" / f"test_{name}.py")
        return Stage(
            f"checks-{name}",
            what,
            minutes,
            lambda: (*PYTEST, "-q", "-s", *scale.looks, path),
            limit,
            3,
            shows=0,
            environment=kept,
        )

    return [
        [Stage("probe", "the machine", (0, 1), lambda: ("-m", "scripts.evidence.machine"), 90, shows=50)],
        [
            checks("runs", "compiled, resumed and every family: the same losses?", (2, 3)),
            checks("parts", "losses against the CPU's, out of memory, synchronisations", (0.5, 1)),
            Stage(
                "tests",
                "the project's own tests of training, on this device",
                (3, 4.5),
                lambda: (*PYTEST, "-v", *workers(), *(str(ROOT / path) for path in scale.tests)),
                260,
                shows=25,
                environment={"ISOFLOP_TEST_DEVICE": scale.device},
            ),
            Stage("corpus", "tokenised, and the grid", (0, 3), harness("plan", scale.all), 600, 3, shows=4),
        ],
        [checks("times", "where a step's time goes, evaluation, memory, MPS", (3, 4), 400)],
        [
            Stage(
                "calibrate",
                "this device's rates, alone and side by side",
                (5, 6),
                harness("calibrate", scale.all, *scale.calibrate, f"write={NAME}"),
                330,
                MANY,
                after="corpus",
                shows=14,
            )
        ],
        [
            Stage(
                "sweep3",
                "a real sweep of three budgets",
                (7, 9),
                sweep(scale.first),
                900,
                MANY,
                after="corpus",
            )
        ],
        [
            Stage(
                "bench",
                "our loop against Trainer and bare loops",
                (4, 40),
                lambda: (
                    *("-m", "scripts.bench_train", *scale.bench),
                    *("--keep", str(state / "train-speed.json"), "--seconds", str(bench)),
                ),
                bench + 90,
                MANY,
                shows=12,
                environment={"TORCHINDUCTOR_CACHE_DIR": str(state / "inductor")},  # for the next turn
            )
        ],
        [
            Stage(
                "packing",
                "a column of 1M to 30M, by how many side by side",
                (4, 22),
                lambda: (
                    *("-m", "scripts.bench_packing", *base, *scale.column, *scale.packing),
                    *("--keep", str(state / "packing.json"), "--seconds", str(packing)),
                ),
                packing + 120,
                MANY,
                after="corpus",
                shows=12,
            )
        ],
        [Stage("sweep4", "and of four", (12, 18), sweep(scale.all), 1200, MANY, after="sweep3")],
    ]


ALIASES = {"works": ("checks-runs", "checks-parts", "tests"), "times": ("checks-times",)}


def selected(groups: Sequence[Sequence[Stage]], names: Sequence[str]) -> list[list[Stage]]:
    """The groups with the stages of these names alone; all where none is named.

    Raises:
        UserError: there is no such stage.
    """
    wanted = {name for given in names for name in ALIASES.get(given, (given,))}
    known = [stage.name for group in groups for stage in group]
    if unknown := sorted(wanted.difference(known)):
        raise UserError(f"no stage {unknown[0]}; there are {', '.join([*ALIASES, *known])}")
    chosen = [[stage for stage in group if not wanted or stage.name in wanted] for group in groups]
    return [group for group in chosen if group]


def rates(state: Path) -> str:
    """What was calibrated, else four side by side by the experiment's own rates."""
    calibrated = state / "work" / "configs" / "throughput" / f"{NAME}.yaml"
    return f"throughput={NAME}" if calibrated.exists() else "launcher.per_gpu=4"


PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--tb=short")


def workers() -> tuple[str, ...]:
    """pytest's options for tests beside each other, as far as its plugins are here: a test that hangs is named."""
    some = min(6, len(os.sched_getaffinity(0)) // 2)
    beside = ("-n", str(some)) if some > 1 and find_spec("xdist") else ()
    return (*beside, *(("--timeout", "150") if find_spec("pytest_timeout") else ()))


def shown(command: Sequence[str], state: Path) -> str:
    """The command as a user would type it in the checkout; STATE stands for the state's folder."""
    parts = [part.replace(str(state), "STATE").replace(f"{ROOT}/", "") for part in command]
    return shlex.join(["python", *parts])
