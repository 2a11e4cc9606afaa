"""The record of one run: written atomically when the run ends, and the truth from then on."""

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin

from harness.files import Fence, no_fence, strict_json, unseal, write_json
from harness.plan.spec import RunSpec
from harness.runs.tasks import TaskScore, parse_tasks

FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"
IN_TABLE = {"in_table": True}
"""Metadata of a field of :class:`Record` that is a column of ``runs.csv`` under its own name, in the fields' order."""


@dataclass(frozen=True)
class Score:
    """A model on a text.

    Attributes:
        loss: nats per token, None where it is not finite; ``loss_se`` its standard error over documents.
        tokens: how many were scored.
    """

    loss: float | None
    loss_se: float | None
    bits_per_byte: float | None
    tokens: int


@dataclass(frozen=True)
class Record:
    """What one run did. A field that is added needs a default, which records from before it have.

    Attributes:
        status: ``finished``, ``diverged`` or ``failed``; ``reason`` says why it is not ``finished``.
        spec: the run's specification; its hash is ``run_id``.
        budget: the column it was planned for, in FLOPs as ``budget_count`` counts.
        params: parameters by group and under every counting convention.
        flops: training FLOPs as the budget counts them; ``flops_by_count`` under every convention.
        flops_spent: those of them that this run spent: less than ``flops`` where its trunk has spent the others. None,
            which means all of them, in records from before there were trunks.
        loss: held-out loss, nats per token; ``loss_se`` its standard error over held-out documents.
        domains: scores on further texts than the corpus's own (``data.domains``), by name.
        train_loss: mean training loss of the last logging interval, nats per token.
        seconds: training time of all its tokens, summed over resumes; of a branch with that of its trunk up to the
            branch point.
        tokens_per_second: of its steps, the median over the curve's rows: what a start, compiling and checkpoints
            took is in ``seconds`` only.
        mfu: the FLOP/s of that speed (matrix products) over the device's peak; null where the peak is unknown.
        flops_optimizer: of the optimizer's own steps, which ``flops`` has in it where ``grid.count_optimizer`` says so;
            None, which means unknown, in records from before they were counted.
        curve_sha256: of ``curve.csv``, hexadecimal; empty, which means unknown, in records from before it was kept.
        tasks: scores on benchmark tasks by name, from ``tasks.json`` beside the record, whose file has none.
    """

    run_id: str
    status: str
    spec: dict[str, Any]
    budget: float
    budget_count: str
    params: dict[str, int]
    params_total: int
    params_non_embedding: int
    tokens: int
    unique_tokens: int
    epochs: float
    flops: float
    flops_6nd: float
    flops_by_count: dict[str, float]
    loss: float | None
    loss_se: float | None
    bits_per_byte: float | None
    train_loss: float | None
    final_lr: float
    steps: int
    seconds: float = field(metadata=IN_TABLE)
    tokens_per_second: float = field(metadata=IN_TABLE)
    mfu: float | None = field(metadata=IN_TABLE)
    device: str
    precision: str
    versions: dict[str, str]
    data: dict[str, str]
    reason: str = field(default="", metadata=IN_TABLE)
    notes: list[str] = field(default_factory=list)
    flops_spent: float | None = None
    domains: dict[str, Score] = field(default_factory=dict)
    tasks: dict[str, TaskScore] = field(default_factory=dict)
    curve_sha256: str = ""
    flops_optimizer: float | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Record":
        """Inverse of :meth:`to_json`."""
        domains = {name: Score(**score) for name, score in data.get("domains", {}).items()}
        tasks = parse_tasks(data.get("tasks", {}))
        return cls(**{**data, "domains": domains, "tasks": tasks})

    def to_json(self) -> dict[str, Any]:
        """As plain data; without an entry for tasks where there are none."""
        data = asdict(self)
        if not self.tasks:
            del data["tasks"]
        return data

    def write(self, path: Path, fence: Fence = no_fence) -> None:
        """Write atomically."""
        write_json(path, self.to_json(), fence)


def read_record(path: Path, run_id: str) -> Record | None:
    """The valid record at ``path``, or None: absent, not JSON, damaged, of another run, or of another specification."""
    try:
        return record_to_keep(path, run_id)
    except OSError:
        return None


def record_to_keep(path: Path, run_id: str) -> Record | None:
    """:func:`read_record`, for who would put another in its place.

    Raises:
        OSError: it may be there and sound, and cannot be read now.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    return parse_record(text, run_id)


def is_damaged(path: Path, run_id: str) -> bool:
    """Whether there is a file at ``path`` that is no valid record of the run."""
    return path.exists() and read_record(path, run_id) is None


def parse_record(text: str, run_id: str) -> Record | None:
    """The valid record in ``text``, or None, as :func:`read_record` has it."""
    try:
        record = Record.from_json(unseal(strict_json(text)))
        valid = record.run_id == run_id == RunSpec.from_json(record.spec).run_id
        return record if valid and _is_typed(record) and _is_consistent(record) else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _is_typed(record: Record) -> bool:
    """Whether all is of its type, and numbers are finite: tables and fits count with them."""
    return all(_fits(getattr(record, item.name), item.type) for item in fields(Record))


def _fits(value: Any, kind: Any) -> bool:
    inner = get_args(kind)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(part, inner[1]) for part in value.values())
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(part, inner[0]) for part in value)
    if type(None) in inner:
        return value is None or _fits(value, inner[0])
    if kind in (int, float):
        return isinstance(value, int | float) and math.isfinite(value)
    if kind is TaskScore:
        return isinstance(value, TaskScore) and value.is_sound
    if kind is Score:
        return all(_fits(getattr(value, item.name), item.type) for item in fields(Score))
    return kind is Any or isinstance(value, kind)


def _is_consistent(record: Record) -> bool:
    """Whether the outcome is one that a run can have, and numbers that follow from each other agree.

    Without a seal that is all that tells of a number that was changed.
    """
    flops = [record.flops, *record.flops_by_count.values()]
    if min(flops) < 0 or (record.status == FINISHED and min(flops) == 0):  # 0: it ended before its first step
        return False
    if record.params_total <= 0 or record.params.get("total", record.params_total) != record.params_total:
        return False
    if not all(0 <= part <= record.params_total for part in record.params.values()):  # 0: a tied head
        return False
    if record.flops_by_count.get("6nd", record.flops_6nd) != record.flops_6nd:
        return False
    if record.status == FINISHED:
        if record.tokens != record.spec["steps"] * record.spec["batch_windows"] * record.spec["seq_len"]:
            return False
        return record.loss is not None and record.loss >= 0 and record.steps == record.spec["steps"]
    return record.status in (DIVERGED, FAILED) and record.loss is None
