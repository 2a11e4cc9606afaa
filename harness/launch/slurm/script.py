"""sbatch files from their templates: what is filled in stays what it is for the shell and for sbatch.

sbatch reads its ``#SBATCH`` lines by rules of its own: a backslash takes the next character as it is, everywhere; both
kinds of quotes group; an unquoted ``#`` ends the line; nothing is expanded. In names of logs ``%`` begins a pattern,
and a backslash turns all patterns off, so that a folder with one cannot have them.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.errors import UserError

FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")
DIRECTIVE = "#SBATCH"
CODE = ("options", "setup", "program")  # complete lines, or a command that is quoted already
PLAIN = re.compile(r"[\w@%+=:,./\[\]-]+", re.ASCII)


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
    """``template`` with ``values`` in their places, quoted as those need it, without lines that have an empty one.

    Raises:
        UserError: it names a field that does not exist, or a value with a line break is part of an ``#SBATCH`` line.
    """
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
        lines.append(_filled(line, values))
    return "\n".join(lines) + "\n"


def _filled(line: str, values: Mapping[str, str]) -> str:
    """One line of a template, filled in."""
    directive, made, end = line.startswith("#"), "", 0
    for match in FIELD.finditer(line):
        name, value = match[1], values[match[1]]
        if directive and re.search(r"[\n\r\0]", value):
            raise UserError(
                f"launcher=slurm: {name} {value!r} has a line break, which sbatch cannot take; rename it"
            )
        quote = _open_quote(line[: match.start()], directive)
        if not quote and name in CODE:
            filled = value
        elif directive:
            filled = _for_sbatch(value, quote)
        else:
            filled = _for_shell(value, quote)
        made += line[end : match.start()] + filled
        end = match.end()
    return made + line[end:]


def _open_quote(text: str, directive: bool) -> str:
    """The quote that ``text``, the beginning of a line, leaves open."""
    quote, i = "", 0
    while i < len(text):
        if text[i] == "\\" and (directive or quote != "'"):
            i += 1
        elif text[i] == quote:
            quote = ""
        elif not quote and text[i] in "'\"":
            quote = text[i]
        i += 1
    return quote


def _for_sbatch(value: str, quote: str) -> str:
    """``value`` as a part of an ``#SBATCH`` line, within ``quote``."""
    if not quote and PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r"""([\\"'])""", r"\\\1", value)
    return escaped if quote else f'"{escaped}"'


def _for_shell(value: str, quote: str) -> str:
    """``value`` as a part of a shell's line, within ``quote``."""
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", value)
    return value.replace("'", "'\\''") if quote else shlex.quote(value)


def words_of(directive: str) -> list[str]:
    """The words of an ``#SBATCH`` line after that word, as sbatch reads them.

    Raises:
        UserError: a quote is left open.
    """
    words: list[str] = []
    word, quote, i = None, "", 0
    while i < len(directive):
        char = directive[i]
        if char == "\\" and i + 1 < len(directive):
            i += 1
            word = (word or "") + directive[i]
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote, word = char, word or ""
        elif not quote and char == "#":
            break
        elif not quote and char.isspace():
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + char
        i += 1
    if quote:
        raise UserError(f"launcher.template: a quote is not closed in '{DIRECTIVE}{directive}'")
    return words if word is None else [*words, word]


def asked_options(template: str, values: Mapping[str, str]) -> list[str]:
    """The words of the ``#SBATCH`` lines of ``template`` that need no more than ``values`` to be filled in."""
    known = [line for line in template.splitlines() if all(name in values for name in FIELD.findall(line))]
    words: list[str] = []
    for line in render_fields("\n".join(known), values).splitlines():
        if line.strip() and not line.startswith("#"):  # sbatch stops at the first command
            break
        if line.startswith(DIRECTIVE):
            words += words_of(line.removeprefix(DIRECTIVE))
    return words


def log_pattern(folder: Path, name: str) -> str:
    """``folder/name`` as a pattern of Slurm's: only the patterns of ``name`` are any.

    Raises:
        UserError: Slurm cannot write logs there.
    """
    if re.search(r"[\\\n\r]", str(folder)):
        raise UserError(
            f"launcher=slurm: {str(folder)!r}: Slurm writes no logs below a folder whose name has a backslash or "
            "a line break; rename it"
        )
    return f"{str(folder).replace('%', '%%')}/{name}"


def option_lines(options: list[str]) -> str:
    """Options of sbatch as lines of a script."""
    return "\n".join(f"#SBATCH {option}" for option in options)


def setup_lines(modules: list[str], setup: list[str]) -> str:
    """Modules and the user's own lines."""
    return "\n".join([*(f"module load {shlex.quote(module)}" for module in modules), *setup])


def program(container: str, python: str, module: str, *arguments: str) -> str:
    """A Python module's command line, in a container where there is one."""
    return " ".join([*([container] if container else []), shlex.join([python, "-m", module, *arguments])])
