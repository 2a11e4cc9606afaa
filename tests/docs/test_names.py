"""Files, modules, functions and keys that the pages for developers name in code exist."""

import importlib
import json
import re
from functools import cache
from typing import Any

import pytest

from harness.completion.words import KEYS
from tests.docs.blocks import ROOT
from tests.docs.test_links import FENCED

PAGES = (
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/architecture.md",
    "docs/extending.md",
    "docs/extending-program.md",
    "docs/glossary.md",
)
FILE = re.compile(
    r"[\w.-]+(/[\w<>.*-]+)*\.(py|yaml|md|sbatch|svg|toml|json|csv|npz|html|txt|safetensors)"
    r"|[\w.<>-]+(/[\w.<>-]*)+"
)
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
OWN = {"fits/mine", "my_texts/", "dist/"}  # a reader's


def named(text: str) -> list[str]:
    """What stands in code in a page's prose."""
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def is_file(name: str) -> bool:
    """Whether ``name`` is a path of the checkout or of the package, or of a sweep's folder, as the code spells it."""
    path = name.rstrip("/")
    if any((folder / path).exists() for folder in (ROOT, ROOT / "harness", ROOT / "docs")):
        return True
    return all(spelled(part) for part in path.split("/") if "<" not in part)


def spelled(part: str) -> bool:
    """Whether the package has this name of a file in a text of its own, or makes it from a number."""
    return bool(re.fullmatch(r"\d+(\.json)?", part)) or any(
        re.search(rf"[\"'/`{{}}]{re.escape(part)}[\"'/`]", source) for source in sources()
    )


@cache
def sources() -> tuple[str, ...]:
    """Every module's text."""
    return tuple(path.read_text(encoding="utf-8") for path in sorted((ROOT / "harness").rglob("*.py")))


def is_object(name: str) -> bool:
    """Whether ``name`` is a module of the package, or something in one, a field of a dataclass included."""
    parts = name.removeprefix("harness.").split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(("harness", *parts[:cut])))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part) and part not in getattr(found, "__dataclass_fields__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False


def is_key(name: str) -> bool:
    """Whether ``name`` is a key of a configuration, or a section of keys."""
    roots = json.loads(KEYS.read_text(encoding="utf-8"))
    keys = [key for root in ("isoflop", "predict") for key in roots[root]["keys"]]
    return any(key == name or key.startswith(f"{name}.") for key in keys)


def problems(text: str) -> list[str]:
    """The names in ``text`` that nothing has."""
    missing = []
    for name in named(text):
        if name in OWN:
            continue
        if FILE.fullmatch(name):
            known = is_file(name)
        elif DOTTED.fullmatch(name):
            known = is_object(name) or is_key(name)
        else:
            continue
        if not known:
            missing.append(name)
    return missing


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    assert problems((ROOT / page).read_text(encoding="utf-8")) == []


def test_what_does_not_exist_is_found() -> None:
    there = (
        "`train.run.train_cell` `plan/spec.py` `grid.budgets` `cells/<run_id>/record.json` `RunSpec` `a b.c`"
    )
    gone = ["train.run.nothing", "plan/gone.py", "grid.gone", "records.json", "plan.spec.RunSpec.gone"]
    assert problems(there + "".join(f" `{name}`" for name in gone)) == gone


def test_every_room_is_in_the_table_of_rooms() -> None:
    from tests.test_layout import LEVEL

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("| room |")[1].split("\n\n")[0]
    rooms = {name for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])}
    assert rooms == set(LEVEL) - {"__main__"}
