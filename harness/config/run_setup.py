"""By which rules an answer becomes a run: those of the sweep that the fit came from, unless told otherwise."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.frozen import parsed
from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.config.written import typed, typed_values
from harness.model.counts import FLOP_COUNTS
from harness.model.parametrization import ParametrizationConfig
from harness.predict.clock import ShapeRules
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan

GROUPS = ("ladder", "model", "recipe", "schedule")
"""The configuration groups that a run's rules are made of, in a question and in a sweep."""
LATER_GROUPS = ("optimizer", "parametrization")
"""Those of them that sweeps of earlier versions have not."""
OF_LOSS = {
    "model": "family",
    "recipe": "name",
    "schedule": "kind",
    "optimizer": "kind",
    "parametrization": "kind",
}
"""The groups that a fit's losses depend on besides N and D, and the key by which each is called."""


@dataclass(frozen=True)
class RunSetup:
    """The rules that turn a size and a budget into a run, and what else a new experiment takes over from the sweep.

    Attributes:
        sweep: the sweep's name; empty where there is none.
        compute: the FLOP count of its budgets; empty where unknown.
        count_optimizer: its budgets pay for the optimizer's own steps, too.
        corpus: its ``data``, ``tokenizer``, ``path`` and ``precision``.
        unlike: what the question has otherwise than the sweep that the fit came from, ``optimizer muon (adamw)``: its
            losses are not those of such a run.
    """

    rules: ShapeRules
    sweep: str = ""
    compute: str = ""
    count_optimizer: bool = False
    corpus: dict[str, Any] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()


def run_setup(config: PredictConfig, folder: Path | None) -> RunSetup:
    """The rules for this question: single keys of ``config`` over the sweep's over ``config.fallback``.

    Args:
        config: the question.
        folder: where ``fit.json`` lies; a sweep's folder has ``config.yaml`` and ``plan.json`` beside it.
    """
    found = (folder and setup_of_sweep(folder, config.fallback)) or RunSetup(config.fallback)
    own = {
        name: value
        for name in (*GROUPS, *LATER_GROUPS, "vocab_size", "seq_len")
        if (value := getattr(config, name)) is not None
    }
    rules = replace(found.rules, **own)
    return replace(found, rules=rules, unlike=_unlike(found.rules, rules) if found.sweep else ())


def _unlike(sweep: ShapeRules, asked: ShapeRules) -> tuple[str, ...]:
    found = []
    for group, key in OF_LOSS.items():
        theirs, mine = getattr(sweep, group), getattr(asked, group)
        if isinstance(mine, ParametrizationConfig):  # a base of 0 is the sweep's own
            mine = replace(
                theirs, kind=mine.kind, **{k: v for k, v in asdict(mine).items() if v and k != "kind"}
            )
        if theirs != mine:
            before, now = getattr(theirs, key), getattr(mine, key)
            found.append(f"{group} {now} ({before})" if now != before else f"other values of {group} {now}")
    for name in ("seq_len", "vocab_size"):
        if (now := getattr(asked, name)) != (before := getattr(sweep, name)):
            found.append(f"{name} {now} ({before})")
    return tuple(found)


def setup_of_sweep(folder: Path, fallback: ShapeRules) -> RunSetup | None:
    """The setup of the sweep in ``folder``; None where it is no sweep's folder, or one that this version cannot read.

    Args:
        fallback: what the sweep's configuration does not say.

    Raises:
        UserError: its files are damaged.
    """
    sweep = SweepFolder(folder)
    if not (sweep.config.exists() and sweep.plan.exists()):
        return None
    plan = frozen_plan(sweep)
    try:
        stored = typed_values(Config, parsed(sweep.config))
        given = {name: stored[name] for name in (*GROUPS, "seq_len")}
        # an earlier version's sweep says nothing of these: it had none
        plain = {name: asdict(getattr(ShapeRules(), name)) for name in LATER_GROUPS}
        given |= {name: stored.get(name, plain[name]) for name in LATER_GROUPS}
        given["vocab_size"] = plan.cells[0].spec.shape.vocab_size
        # in numbers: another ladder may have another shape nearest to the recipe's size
        given["parametrization"] = asdict(plan.cells[0].spec.parametrization)
        rules = OmegaConf.to_object(typed(fallback, given))
        compute = str(stored["grid"]["count"])
        count_optimizer = bool(stored["grid"].get("count_optimizer", False))
    except (KeyError, IndexError, OmegaConfBaseException):
        return None
    if not isinstance(rules, ShapeRules):
        return None
    return RunSetup(
        rules=rules,
        sweep=str(stored.get("name") or folder.name),
        compute=compute if compute in FLOP_COUNTS else "",
        count_optimizer=count_optimizer,
        corpus={name: stored[name] for name in ("data", "tokenizer", "path", "precision") if name in stored},
    )
