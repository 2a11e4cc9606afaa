"""How many GPUs sbatch's options ask for one array task: of all their forms, which must agree."""

import os
import re
from collections.abc import Sequence

from harness.errors import UserError

LONG = {
    "--gres": "gres",
    "--gpus": "gpus",
    "--gpus-per-node": "gpus",
    "--gpus-per-task": "task",
    "--gpus-per-socket": "socket",
    "--tres-per-node": "gres",
    "--tres-per-task": "tres task",
    "--ntasks": "ntasks",
    "--ntasks-per-node": "ntasks",
    "--sockets-per-node": "sockets",
}
"""The options that matter, and what their values are: a list of resources, GPUs in all, or GPUs of a task or socket."""
SHORT = {"-G": "--gpus", "-n": "--ntasks"}
ENVIRONMENT = ("SBATCH_GRES", "SBATCH_GPUS", "SBATCH_GPUS_PER_NODE", "SBATCH_GPUS_PER_TASK")
SHARES = ("mps", "shard")  # a part of one GPU


def count_gpus(words: Sequence[str]) -> int:
    """GPUs of one array task, which is on one node, from the options of its sbatch file.

    Args:
        words: all words of the options, in their order: ``--gpus-per-node``, ``4`` or ``--gpus-per-node=4``.

    Raises:
        UserError: options contradict one another, or a number cannot be read.
    """
    values = dict(_options(words))  # of one option the last counts
    tasks = _number(values.get("--ntasks") or values.get("--ntasks-per-node", "1"), "--ntasks")
    sockets = _number(values.get("--sockets-per-node", "1"), "--sockets-per-node")
    times = {"task": tasks, "tres task": tasks, "socket": sockets}
    found = {
        f"{name}={value}": count * times.get(LONG[name], 1)
        for name, value in values.items()
        if LONG[name] not in ("ntasks", "sockets") and (count := _gpus(name, value)) is not None
    }
    if len(set(found.values())) > 1:
        said = ", ".join(f"{option} gives {count}" for option, count in found.items())
        raise UserError(f"launcher: a task's GPUs are asked for in two ways that differ: {said}; leave one")
    return max(found.values(), default=0)


def refuse_environment() -> None:
    """Refuse GPUs that only the shell's variables for sbatch ask for: jobs that jobs submit would lack them.

    Raises:
        UserError: there are such.
    """
    for name in ENVIRONMENT:
        if value := os.environ.get(name):
            raise UserError(
                f"{name}={value}: a sweep does not pass it to sbatch, for later jobs of the sweep would lack it; "
                "set launcher.gres=gpu:N, or unset it"
            )


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    """Those of :data:`LONG` among ``words``, with their values."""
    found = []
    for i, word in enumerate(words):
        following = words[i + 1] if i + 1 < len(words) else ""
        name, equals, value = word.partition("=")
        if name in LONG:
            found.append((name, value if equals else following))
        elif word[:2] in SHORT:
            found.append((SHORT[word[:2]], word[2:].removeprefix("=") or following))
    return found


def _gpus(name: str, value: str) -> int | None:
    """What an option's value asks for; None where it has nothing to do with GPUs."""
    total = None
    for part in re.sub(r"\([^)]*\)", "", value).split(","):  # without the sockets in (S:0-1)
        words = re.split(r"[:=]", part.strip().removeprefix("gres/").removeprefix("gres:"))
        if "gres" in LONG[name] or "tres" in LONG[name]:
            if words[0] in SHARES:
                total = max(1, total or 0)
                continue
            if words[0] != "gpu":
                continue
            # gpu, gpu:TYPE, gpu:N, gpu:TYPE:N; a type may begin with a digit, as 1g.10gb
            words = words[1:] if len(words) > 1 and words[-1].isdigit() else ["1"]
        total = (total or 0) + _number(words[-1], name)
    return total


def _number(text: str, name: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise UserError(f"launcher: {name}: '{text}' is no number of {'GPUs' if 'g' in name else 'tasks'}")
    return int(text)
