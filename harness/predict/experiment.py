"""The answer as an experiment: a config of one cell that ``isoflop sweep`` and ``isoflop train`` run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.recipe_rules import GroupRules, MuonRules, NormRules, RecipeConfig, Rule
from harness.predict.clock import ShapeRules

MARK = "# Written by isoflop predict"


def experiment_path(name: str) -> Path:
    """``configs/experiment/NAME.yaml`` in the working directory; a path is taken as it is."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path if path.suffix in (".yaml", ".yml") else path.with_suffix(".yaml")
    return Path("configs") / "experiment" / f"{name}.yaml"


def experiment_text(
    name: str,
    cell: Cell,
    rules: ShapeRules,
    why: str,
    corpus: dict[str, Any],
    unique_tokens: float | None = None,
) -> str:
    """The config: every value that the run depends on is written out, so no later default changes it.

    Args:
        name: of the sweep.
        cell: the planned run.
        rules: what it was planned by.
        why: the question and its answer, for the file's head.
        corpus: ``data``, ``tokenizer``, ``path`` and ``precision`` of the sweep the fit came from, as far as
            known. Without ``data`` a corpus is declared by its size, which plans but does not train.
        unique_tokens: the corpus's, where the answer takes repetition into account and so may repeat it.
    """
    shape = cell.spec.shape
    declared = "data" not in corpus
    row = {
        "width": shape.width,
        "heads": shape.heads,
        "head_dim": shape.head_dim,
        "layers": [shape.layers],
        "ffw": shape.ffw,
    }
    content: dict[str, Any] = {
        "name": name,
        "seq_len": rules.seq_len,
        "model": asdict(rules.model),
        "ladder": asdict(rules.ladder) | {"bands": [], "rows": [row]},
        "recipe": asdict(_at_base(rules.recipe, rules.base().params)),
        "optimizer": asdict(rules.optimizer),
        "parametrization": asdict(cell.spec.parametrization),
        "schedule": asdict(rules.schedule),
        "grid": {
            "budgets": [cell.budget],
            "params": [float(cell.params.total)],
            "seeds": [0],
            "count": cell.count,
            "count_optimizer": cell.count_optimizer,
            "min_tokens_per_param": 0.0,
        },
    }
    head = ["# @package _global_", f"{MARK}: {' '.join(why.split())}"]
    if declared:
        corpus = {
            "data": {"unique_tokens": unique_tokens or cell.tokens, "vocab_size": shape.vocab_size}
        } | corpus
        head += [
            f"# To train it, name a corpus with a vocabulary of {shape.vocab_size}, which counts in N:",
            f"#   isoflop sweep experiment={name} data=text path=… tokenizer=bpe "
            f"tokenizer.vocab_size={shape.vocab_size}",
            "defaults:",
            "  - override /data: declared",
            "",
        ]
    if unique_tokens is not None and cell.tokens > unique_tokens:
        epochs = float(f"{1.02 * cell.tokens / unique_tokens:.3g}")
        corpus = corpus | {"data": dict(corpus["data"]) | {"max_epochs": epochs}}
    content |= corpus
    return "\n".join(head) + "\n" + OmegaConf.to_yaml(OmegaConf.create(content))


def _at_base(recipe: RecipeConfig, params: float | None) -> RecipeConfig:
    """``recipe`` with the N of a parametrization's base put into the rules that read it, which are then of no size.

    The ladder that is written has one shape, from which the base's N would follow only roughly.

    Args:
        params: N of the base; None where each shape reads its own.
    """
    if params is None:
        return recipe

    def fixed(rule: Rule) -> Rule:
        if rule.params == 0:
            return rule
        value = rule.value * (params / rule.params_at) ** rule.params
        return replace(rule, value=value, params=0.0, params_at=1.0)

    def group(rules: GroupRules) -> GroupRules:
        return GroupRules(fixed(rules.lr), fixed(rules.weight_decay), fixed(rules.init))

    return replace(
        recipe,
        lr=fixed(recipe.lr),
        weight_decay=fixed(recipe.weight_decay),
        embedding=group(recipe.embedding),
        head=group(recipe.head),
        matrices=group(recipe.matrices),
        norms=NormRules(fixed(recipe.norms.lr)),
        muon=MuonRules(fixed(recipe.muon.lr), fixed(recipe.muon.weight_decay)),
    )


def write_experiment(path: Path, text: str) -> None:
    """Writes the file; an older one is replaced only if this command wrote it.

    Raises:
        UserError: a file of someone's own is there, or the folder cannot be written.
    """
    try:
        if path.exists() and MARK not in path.read_text(encoding="utf-8"):
            raise UserError(
                f"write: {path} is there and was not written by 'isoflop predict'; choose another name"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"write: {path} cannot be written ({error.strerror})") from None
