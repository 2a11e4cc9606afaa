"""The groups of a model's parameters, by which hyperparameters may differ: embedding, head, matrices, norms.

They are those that :class:`harness.model.formulas.Params` counts.
"""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, eq=False)
class NamedParameter:
    """One parameter of a model.

    Attributes:
        name: in the model.
        group: one of ``harness.model.parametrization.GROUPS``.
    """

    name: str
    parameter: nn.Parameter
    group: str


def grouped_parameters(model: nn.Module) -> list[NamedParameter]:
    """Every parameter once, in the model's order; a head that is tied to the embedding is of the embedding's group.

    Position embeddings are of that group too; norm gains and all biases are ``norms``.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    output = getattr(model, "get_output_embeddings", lambda: None)()
    head = id(output.weight) if output is not None else 0
    found = []
    for name, parameter in model.named_parameters():
        if id(parameter) in embeddings:
            group = "embedding"
        elif id(parameter) == head:
            group = "head"
        else:
            group = "matrices" if parameter.ndim > 1 else "norms"
        found.append(NamedParameter(name, parameter, group))
    return found
