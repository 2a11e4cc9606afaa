"""sbatch files from their templates."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import UserError

FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Script:
    """The fields of an sbatch template; a line whose field is empty is left out.

    Attributes:
        array: indices and throttle, e.g. ``0-7%4``; empty for a single job.
        dependency: what the job waits for.
        output: file of the job's output.
        options: further ``#SBATCH`` lines, complete.
        setup: shell lines before the program.
        program: what to run, quoted for a shell.
    """

    job_name: str
    output: str
    program: str
    directory: str
    array: str = ""
    dependency: str = ""
    comment: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    gres: str = ""
    cpus: str = ""
    memory: str = ""
    time: str = ""
    signal_seconds: str = ""
    threads: str = ""
    options: str = ""
    setup: str = ""


def template_folder() -> Path:
    """The committed templates: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "_slurm"
    return installed if installed.is_dir() else package.parent / "slurm"


def read_template(given: str, standard: str) -> str:
    """The user's template, or the committed one of that name.

    Raises:
        UserError: there is no such file.
    """
    path = Path(given).expanduser() if given else template_folder() / standard
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"launcher.template: {path}: {error.strerror}") from error


def render(template: str, script: Script) -> str:
    """``template`` with its ``{{fields}}`` filled in.

    Raises:
        UserError: it names a field that does not exist.
    """
    return render_fields(template, {name: str(value) for name, value in asdict(script).items()})


def render_fields(template: str, values: Mapping[str, str]) -> str:
    """``template`` with ``values`` in their places, without the lines that have an empty one."""
    lines = []
    for line in template.splitlines():
        if line.startswith("##"):  # a remark about the template itself
            continue
        names = FIELD.findall(line)
        unknown = [name for name in names if name not in values]
        if unknown:
            raise UserError(
                f"launcher.template: no field '{unknown[0]}'; there are {', '.join(sorted(values))}"
            )
        if any(not values[name] for name in names):
            continue
        lines.append(FIELD.sub(lambda match: values[match.group(1)], line))
    return "\n".join(lines) + "\n"


def option_lines(options: list[str]) -> str:
    """Options of sbatch as lines of a script."""
    return "\n".join(f"#SBATCH {option}" for option in options)


def setup_lines(modules: list[str], setup: list[str]) -> str:
    """Modules and the user's own lines."""
    return "\n".join([*(f"module load {shlex.quote(module)}" for module in modules), *setup])


def program(container: str, python: str, module: str, *arguments: str) -> str:
    """A Python module's command line, in a container where there is one."""
    return " ".join([*([container] if container else []), shlex.join([python, "-m", module, *arguments])])
