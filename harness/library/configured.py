"""Plans and predictions from Python: the keys of the command line as keyword arguments."""

from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path

from rich.console import Console

from harness.config.compose import compose_config
from harness.config.overrides import refuse_unread
from harness.config.predict import ROOT, PredictConfig
from harness.config.spelling import override
from harness.errors import UserError
from harness.fit import Fit
from harness.library.sweep import Sweep
from harness.plan.plan import Plan
from harness.predict.result import PredictResult
from harness.workflow.experiment import corpus_and_plan, prepare_corpus
from harness.workflow.predict import answer_question


def plan_sweep(experiment: str, /, **options: object) -> Plan:
    """The grid of an experiment, as ``isoflop plan`` makes it; nothing is trained, and no sweep's folder is written.

    The corpus is read and tokenised where that was not done before, with progress on stderr. Follow-ups of finished
    runs are not in the grid. :func:`harness.tables.cells` makes a table of it.

    >>> plan = plan_sweep("chinchilla", grid={"budgets": [1e19, 1e20], "sizes": 5})
    >>> len(plan.cells), sorted({cell.budget for cell in plan.cells})
    (10, [1e+19, 1e+20])

    Args:
        experiment: a file of ``configs/experiment``, by its name.
        options: any key of ``isoflop plan``: a section as a dictionary (``grid={"sizes": 5}``), a file of ``configs/``
            by its name (``model="qwen3"``), or a value (``path="books/"``). Of a section that is chosen and changed,
            ``model="qwen3", **{"model.tied": True}``.

    Raises:
        UserError: the configuration is wrong, or the grid cannot be.
    """
    if "experiment" in options:
        raise UserError("plan_sweep: the first argument is the experiment; leave out experiment=")
    overrides = overrides_of({"experiment": experiment, **options})
    refuse_unread("plan", overrides)
    config, _ = compose_config(overrides)
    config.check_path()
    return corpus_and_plan(config, Console(stderr=True), prepare_corpus)[1]


def predict_from(source: Fit | Sweep | str | Path, /, **question: object) -> PredictResult:
    """What to train by a fit, as ``isoflop predict`` answers it: N*, D* and loss, with intervals and warnings.

    >>> result = predict_from("hoffmann2022", budget=5.76e23, approach="approach_3")
    >>> f"{result.answer.params:.3g} parameters, {result.answer.tokens:.3g} tokens"
    '4.04e+10 parameters, 2.38e+12 tokens'
    >>> result.answer.status
    'extrapolation'

    Args:
        source: a fit; a sweep, whose saved fit is read; the path of ``fit.json`` or of its folder; or the name of
            published constants (``hoffmann2022``, ``besiroglu2024``, ``kaplan2020``). From a sweep, or from the path of
            one, the run that is suggested follows the sweep's own recipe and ladder.
        question: any key of ``isoflop predict``: ``budget=1e21``; ``gpu_hours=1000, device="h100"``; ``params=70e9,
            tokens=1.4e12``; ``inference_tokens=1e12``; a section as a dictionary. See
            :class:`harness.config.predict.PredictConfig`.

    Raises:
        UserError: the question or its source is wrong, or the source cannot answer.
    """
    if taken := {"fit", "points", "law"} & question.keys():
        raise UserError(
            f"predict_from: the first argument is the source; leave out {', '.join(sorted(taken))}"
        )
    if isinstance(source, Sweep):
        source = source.path
    if not isinstance(source, Fit | str | Path):
        raise UserError(
            f"predict_from: a {type(source).__name__} is no fit; give fit_points(…), a path, or a name"
        )
    fit = None if isinstance(source, str | Path) else source
    named = "fit" if fit is not None else str(source)
    config, _ = compose_config(overrides_of({"fit": named, **question}), ROOT, PredictConfig)
    return answer_question(config, fit)[0]


def overrides_of(options: Mapping[str, object], section: str = "") -> list[str]:
    """``options`` as overrides of the command line: a dictionary sets the keys of its section.

    >>> overrides_of({"data": "text", "grid": {"budgets": [1e11, 3e11], "sizes": 5}})
    ["data='text'", 'grid.budgets=[100000000000.0,300000000000.0]', 'grid.sizes=5']
    """
    found: list[str] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            found += overrides_of(value, f"{section}{key}.")
        else:
            found.append(f"{section}{key}={_text(f'{section}{key}', value)}")
    return found


def _text(key: str, value: object) -> str:
    """``value`` as Hydra's grammar has it; of numpy, too."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str | Path):
        return override(key, str(value)).partition("=")[2]
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(key, item) for item in value)}]"
    raise UserError(f"{key}: a {type(value).__name__} is no value of a configuration")
