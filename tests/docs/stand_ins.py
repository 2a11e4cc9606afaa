"""What a document's commands meet in place of hours of training, a hub, W&B's server and a cluster.

A run's loss is a known law's with noise, so that every fit has an answer; all else of a sweep is the project's own.
"""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from harness.files import write_atomic
from harness.launch import local
from harness.launch.pool import PoolOptions, View
from harness.launch.slurm import client
from harness.launch.worker import Ended
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder
from harness.tracking.client import Destination, wandb_mode
from harness.tracking.publish import send_run
from harness.train.job import Job
from tests.launch.slurm.fake_slurm import FakeSlurm
from tests.records import fake_record
from tests.report.synthetic import curve_of, law_loss
from tests.tracking.conftest import end_client
from tests.tracking.fake_server import KEY, serving

NOISE = 0.004  # standard deviation of ln L
THINNED = 4  # of the rows of a curve one in so many is kept, the last among them


def by_law(jobs: Sequence[Job], options: PoolOptions, view: View, watcher: object = None) -> list[Ended]:
    """In place of the pool of workers: every run ends at once, at the loss of a law."""
    ended = []
    for job in jobs:
        view.started(job)
        cell, folder = job.cell, SweepFolder(job.sweep)
        rng = np.random.default_rng(int(cell.run_id, 16))
        loss = law_loss(cell.params.total, cell.tokens) * math.exp(NOISE * rng.standard_normal())
        if job.sweep_name.endswith("-tune"):
            loss += wrong_recipe(cell)
        record = fake_record(cell, loss)
        heading, *rows = curve_of(cell, loss, rng).splitlines(keepends=True)
        write_atomic(folder.cell(cell.run_id).curve, heading + "".join(rows[::-THINNED][::-1]))
        record.write(folder.cell(cell.run_id).record)
        if job.tracker.name == "wandb":
            to = Destination(job.tracker.project, job.tracker.entity, wandb_mode(job.tracker.mode))
            send_run(folder, job.sweep_name, cell, record, to)
        ended.append(Ended(cell.run_id, record.status, loss, record.seconds))
        view.ended(job, ended[-1])
    return ended


def wrong_recipe(cell: Cell) -> float:
    """Nats that hyperparameters off their best cost, so that a tuning has something to find."""
    spec = cell.spec
    rate, batch = math.log(spec.optimizer.lr / 0.01), math.log(spec.batch_tokens / 512)
    embedding, decay = math.log(spec.groups.embedding.lr / 2), math.log(spec.optimizer.weight_decay / 0.1)
    return 0.1 * rate**2 + 0.05 * batch**2 + 0.05 * embedding**2 + 0.02 * decay**2


class Cluster(FakeSlurm):
    """A queue that takes what is submitted, and gives it up again."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """As scancel."""
        self.over.update(job.partition(";")[0] for job in jobs)


class Drawn:
    """One empty figure for all: drawing is most of a report's time, and tests/report looks at figures."""

    def __init__(self, savefig: Callable[..., None]) -> None:
        self._savefig = savefig
        self._kept: dict[str, bytes] = {}

    def __call__(self, target: Any, **options: Any) -> None:
        """In place of ``Figure.savefig``."""
        kind = str(options.get("format") or Path(target).suffix.removeprefix("."))
        if kind not in self._kept:
            buffer = io.BytesIO()
            self._savefig(Figure(), buffer, format=kind)
            self._kept[kind] = buffer.getvalue()
        content = self._kept[kind]
        if isinstance(target, str | Path):
            Path(target).write_bytes(content)
        else:
            target.write(content.decode() if isinstance(target, io.StringIO) else content)


def hub(texts: Sequence[str], load: Callable[..., Any]) -> Callable[..., Any]:
    """In place of ``datasets.load_dataset``: names of the hub give ``texts``; what is here is read as ever."""
    from datasets import Dataset

    def load_dataset(path: str, *arguments: Any, **options: Any) -> Any:
        if "/" not in path or Path(path).exists():
            return load(path, *arguments, **options)
        rows = Dataset.from_dict({"text": list(texts)})
        return rows.to_iterable_dataset() if options.get("streaming") else rows

    return load_dataset


@contextmanager
def standing_in(home: Path, texts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """All of them at once, with ``home`` as the user's folder, and a W&B server that has a key for them."""
    import datasets

    cluster = Cluster()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        server = stack.enter_context(serving())
        for name, value in {
            "HOME": str(home),
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": KEY,
            "WANDB_MODE": "online",
            "WANDB__SAVE_REQUIREMENTS": "false",  # the list of packages is most of the time of a run
            "WANDB__DISABLE_META": "true",
            "MPLCONFIGDIR": str(home / "matplotlib"),
        }.items():
            patch.setenv(name, value)
        end_client()  # the client reads its environment once a process
        patch.setattr(local, "run_pool", by_law)
        patch.setattr(datasets, "load_dataset", hub(texts, datasets.load_dataset))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
        drawn = Drawn(Figure.savefig)
        patch.setattr(Figure, "savefig", lambda _, target, **options: drawn(target, **options))
        patch.setattr(Figure, "draw_without_rendering", lambda figure: None)
        for name in ("submit", "queue", "find", "cancel"):
            patch.setattr(client, name, getattr(cluster, name))
        patch.setattr(client, "cluster_name", lambda: "fake")
        patch.setattr(client, "available", lambda: True)
        try:
            yield {"cluster": cluster, "server": server}
        finally:
            end_client()
    assert not server.unknown, server.unknown[0]
