"""Opening and closing W&B runs: bounded in time, with one id for all attempts, without a question to the user."""

import io
import os
import re
import time
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.tracking.files import has_ended, last_step

WANDB = "wandb"
INIT_SECONDS = 10.0  # for a server to answer at the start
FINISH_SECONDS = 15.0  # and to take what is left at the end

# Variables by which the client takes a run for another one: under a sweep's it even drops the id that it is given.
# Notes, tags, server, key and folder stay the user's; so does WANDB_ENTITY, where tracker.entity is empty.
IDENTITY = re.compile(
    r"WANDB_(RUN_(ID|NAME|GROUP|JOB_TYPE|MODE)|NAME|JOB_TYPE|RESUME.*|FORK_FROM|REINIT|SWEEP_.*|LAUNCH.*"
    r"|CONFIG(_PATHS)?|PROJECT)"
)


@dataclass(frozen=True)
class Destination:
    """Where runs go: ``mode`` is ``online`` or ``offline``, ``url`` a server of one's own."""

    project: str
    entity: str | None
    mode: str
    url: str = ""

    @property
    def path(self) -> str:
        """The project as ``wandb.Api`` names it."""
        return f"{self.entity}/{self.project}" if self.entity else self.project


def wandb_mode(mode: str) -> str:
    """``auto`` resolved: what WANDB_MODE says, else online where there is a key, else offline."""
    if mode != "auto":
        return mode
    return os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")


def has_key() -> bool:
    """Whether there is a key: WANDB_API_KEY, or what ``wandb login`` left."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    wandb = quiet_client()
    # 'wandb.api' warns that 'login' should be used; but that denies a key in offline mode, and writes users' settings
    with redirect_stderr(io.StringIO()):
        return bool(wandb.api.api_key)


def quiet_client() -> Any:
    """The module ``wandb``, told before its session starts to print nothing and to send no reports about itself.

    Nor is it told who a run is: a shell on a W&B agent, or of an earlier run, has variables that say so.
    """
    for name in [name for name in os.environ if IDENTITY.fullmatch(name)]:
        del os.environ[name]
    os.environ.setdefault("WANDB_SILENT", "true")
    # the client's reports about itself: a server that hangs would hold up the end of the process for them
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb  # only where W&B is used, and not before its environment is set

    return wandb


def init_options(
    folder: Path, to: Destination, run_id: str, name: str, group: str, job_type: str = "train"
) -> dict[str, Any]:
    """Arguments of ``wandb.init`` for a run that keeps its files below ``folder``.

    A server that does not answer costs :data:`INIT_SECONDS` at the start and :data:`FINISH_SECONDS` at the end
    (TimeoutError); while a run lasts, the client holds back what it cannot send, on disk.
    """
    wandb = quiet_client()
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "id": run_id,
        "name": name,
        "group": group,
        "job_type": job_type,
        "entity": to.entity,
        "mode": to.mode,
        "dir": str(folder),
        # asked for offline, 'wandb sync' would count a later file's steps from the end of the one before
        "resume": "allow" if to.mode == "online" else None,
        "reinit": "finish_previous",
        "settings": wandb.Settings(
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
            console="off",  # a cell's log is cells/<run_id>/log.txt
            # in a training job there the client would make up an id and a group of its own
            sagemaker_disable=True,
        ),
    }


def open_run(to: Destination, options: dict[str, Any]) -> Any:
    """A run opened with :func:`init_options`.

    Raises:
        Exception: whatever the client raises where the server does not answer.
    """
    import wandb  # only where W&B is used

    try:
        return wandb.init(project=to.project, **options)
    except Exception:
        forget_failed_start()
        raise


def close_run(run: Any, exit_code: int = 0) -> None:
    """Finish ``run``; where it is offline, its file is whole when this returns.

    Raises:
        TimeoutError: not all could be sent, or written, in time.
    """
    run.finish(exit_code=exit_code)
    if not run.offline:
        return
    file = Path(run.dir).parent / f"run-{run.id}.wandb"
    deadline = time.monotonic() + FINISH_SECONDS
    while not has_ended(file):  # the client's own process writes it, and says so a little early
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} is not complete")
        time.sleep(0.02)


def forget_failed_start() -> None:
    """Let the client accept the id of a run that it could not start: until then it takes that id to be in use."""
    import wandb  # only where W&B is used

    with suppress(ConnectionError):  # a client that died has nothing to forget
        wandb.teardown()


def next_step(run: Any, folder: Path) -> int:
    """The first step that W&B lacks of an open ``run`` that keeps its files below ``folder``.

    Online the server says where the run stands. Offline every start opens a new file, and ``wandb sync`` appends
    one to the other in the order of their starts: the new one must begin where those before it end.
    """
    return last_step(folder / "wandb", run.id) + 1 if run.offline else run.starting_step
