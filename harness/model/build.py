"""From a shape to a model: transformers' own code, built from its configuration alone, never from the hub."""

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import AttentionInterface, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.utils import logging

from harness.errors import UserError
from harness.model.groups import grouped_parameters
from harness.model.parametrization import Multipliers, Scale
from harness.model.shape import Shape

_NO_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
"""The classes' defaults name tokens of their own tokenizers; an export sets those of the real one."""

_UNMASKED = "sdpa_unmasked"
"""SDPA told that it is causal, never handed a mask.

For its own name "sdpa" transformers looks at every batch for packed sequences: one device synchronisation per
step, and a dense mask when compiled, which shuts out the flash kernels. Our sequences are never packed or
padded. A name that has no mask function skips all of it; the kernel and the values are the same.
"""
AttentionInterface.register(_UNMASKED, sdpa_attention_forward)


ScaleOf = Callable[[str, str], Scale]
"""From a parameter's name and group to its scale."""


def unscaled(name: str, group: str) -> Scale:
    """The scale of parameters that are all alike."""
    return Scale()


def build_model(
    shape: Shape,
    init_std: float = 0.02,
    seed: int = 0,
    forward: Multipliers = Multipliers(),
    scale: ScaleOf = unscaled,
) -> PreTrainedModel:
    """A freshly initialised causal language model on the CPU, in float32, in training mode.

    The weights depend on the arguments only: they are drawn on the CPU, whatever device the caller works on, and the
    caller's random state is left as it was. SDPA attention, no dropout, no cache.

    Args:
        init_std: standard deviation of the initial matrices, where the family does not scale it (GPT-2
            divides it by sqrt(2 * layers) for the residual projections).
        forward: multipliers, which a family that has none in its configuration is built without.
        scale: says by which factor a parameter's initial values are multiplied.

    Raises:
        UserError: the configuration class is unknown, refuses the shape, or is not causal.
    """
    config = model_config(shape, init_std, forward)
    # torch.manual_seed would also seed every accelerator, whose state is not ours to touch.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        # Families not known here may need their masks (a sliding window): they keep transformers' own.
        model = _instantiate(config, "sdpa" if shape.measured else _UNMASKED)
    with torch.no_grad():
        for one in grouped_parameters(model):
            if (factor := scale(one.name, one.group).init) != 1:
                one.parameter.mul_(factor)
    if shape.measured:
        _check_causal(model)
    return model.train()


def _check_causal(model: PreTrainedModel) -> None:
    """Raise for a class that predicts from what it is to predict: transformers has BERT among its causal models.

    Raises:
        UserError: a token's logits depend on the tokens after it.
    """
    tokens = torch.zeros(2, 8, dtype=torch.long)
    tokens[1, 4:] = 1
    with torch.no_grad():
        a, b = (model.eval()(input_ids=row[None], use_cache=False).logits[0, :4] for row in tokens)
    if not torch.allclose(a, b, rtol=0, atol=1e-6 * float(a.abs().max())):
        raise UserError(
            f"model.family: {type(model).__name__} lets tokens see those after them, so it is no causal language model "
            "as configured (BERT is one with model.options.is_decoder=true); choose another family"
        )


def meta_model(shape: Shape) -> PreTrainedModel:
    """The same model without weights, on torch's meta device: to be counted, at any size.

    Raises:
        UserError: the configuration class is unknown or refuses the shape.
    """
    with torch.device("meta"), _quiet():  # an experiment counts dozens, each with the same advice
        # Without values a mask cannot be made, and no count depends on one.
        return _instantiate(model_config(shape), _UNMASKED)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the advice that transformers gives on models it builds."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def model_config(
    shape: Shape,
    init_std: float = 0.02,
    forward: Multipliers = Multipliers(),
) -> PretrainedConfig:
    """The transformers configuration of ``shape``; with ``forward`` in it where the family has a place for that.

    Raises:
        UserError: the class is unknown, has no causal language model, or does not understand an argument.
    """
    if not init_std > 0:
        raise UserError(f"init_std: must be positive, got {init_std:g}")
    cls = _config_class(shape.traits.config_class)
    options = json.loads(shape.options) if shape.options else {}
    known = _argument_names(cls) | shape.traits.unlisted_arguments
    for name in set(options) - known:
        raise UserError(f"model.options: {cls.__name__} has no argument {name!r}")
    arguments = _arguments(shape, cls.__name__, known) | _init_argument(init_std, known)
    if shape.traits.multipliers:
        arguments |= {
            "residual_multiplier": forward.residual,
            "attention_multiplier": forward.attention / shape.head_dim**0.5,
            "logits_scaling": 1 / forward.logits,
        }
    aliases = {getattr(cls, "attribute_map", {}).get(name, name) for name in arguments}
    for name in set(options) & (set(arguments) | aliases):
        raise UserError(
            f"model.options: {name!r} is set by the ladder, the model or the recipe; set it there"
        )
    arguments |= _NO_TOKENS | {"use_cache": False}
    arguments |= {name: 0.0 for name in known if _is_dropout(name)}
    try:
        config = cls(**(arguments | options))
    except Exception as e:  # a class's own checks have errors of their own
        raise UserError(f"model.family: {cls.__name__} refuses the shape {shape.label}: {_gist(e)}") from e
    return config


def _instantiate(config: PretrainedConfig, attention: str) -> PreTrainedModel:
    try:
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    except KeyError as e:
        # Families with a table of attention classes of their own know none by another name.
        raise UserError(f"model.family: {type(config).__name__} does not let its attention be chosen") from e
    except (TypeError, ValueError) as e:
        raise UserError(f"model.family: cannot build {type(config).__name__}: {_gist(e)}") from e


def _config_class(name: str) -> type[PretrainedConfig]:
    cls = getattr(transformers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, PretrainedConfig)):
        raise UserError(
            f"model.family: transformers {transformers.__version__} has no configuration class {name!r}"
        )
    return cls


def _arguments(shape: Shape, class_name: str, known: set[str]) -> dict[str, Any]:
    """The shape in the class's own names.

    Raises:
        UserError: the class lacks an argument whose value does not follow from the others.
    """
    wanted: dict[tuple[str, ...], Any] = {
        ("vocab_size",): shape.vocab_size,
        ("hidden_size",): shape.width,
        ("num_hidden_layers",): shape.layers,
        ("num_attention_heads",): shape.heads,
        ("num_key_value_heads", "num_kv_heads"): shape.kv_heads,
        ("head_dim",): shape.head_dim,
        ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"): shape.ffw,
        ("max_position_embeddings",): shape.context,
        ("tie_word_embeddings",): shape.tied,
    }
    arguments = {}
    for names, value in wanted.items():
        name = next((n for n in names if n in known), None)
        if name is not None:
            arguments[name] = value
        elif not _implied(names[0], shape):
            raise UserError(
                f"model.family: {class_name} has no argument {names[0]!r}, so the shape's {value} would be "
                "lost; choose a family that has it"
            )
    return arguments


def _init_argument(init_std: float, known: set[str]) -> dict[str, float]:
    """The initial standard deviation under the class's name for it.

    Raises:
        UserError: the class has none, so the learning rate of a recipe would be tuned for another model.
    """
    for name in ("initializer_range", "init_std"):
        if name in known:
            return {name: init_std}
    raise UserError(
        "model.family: the configuration class has no initializer_range; choose a family that has it"
    )


def _implied(name: str, shape: Shape) -> bool:
    """Whether a class that lacks the argument ``name`` still builds the shape that was asked for."""
    if name == "num_key_value_heads":
        return shape.kv_heads == shape.heads
    if name == "head_dim":
        return shape.heads * shape.head_dim == shape.width
    return name == "max_position_embeddings"


def _argument_names(cls: type[PretrainedConfig]) -> set[str]:
    """Arguments that ``cls`` acts on. Unknown ones it would keep as attributes and silently ignore."""
    own = set(inspect.signature(cls.__init__).parameters) | set(getattr(cls, "attribute_map", {}))
    return own | {"tie_word_embeddings"}  # every configuration takes it, whether or not its signature says so


def _is_dropout(name: str) -> bool:
    return name.endswith(("dropout", "pdrop", "_drop", "dropout_prob"))


def _gist(error: Exception) -> str:
    """The sentence of a long message that says what is wrong: the first of its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split(". ")[0] if lines else type(error).__name__
