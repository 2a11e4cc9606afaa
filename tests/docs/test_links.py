"""Links, anchors and images of the documents lead somewhere."""

import re
from urllib.parse import unquote

import pytest

from tests.docs.blocks import ROOT, documents

LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def links(text: str) -> list[str]:
    """The targets of links and images, outside code."""
    prose = CODE.sub("", FENCED.sub("", text))
    return [*LINK.findall(prose), *REFERENCE.findall(prose)]


def anchors(text: str) -> set[str]:
    """The anchors that a Markdown file's headings have, as GitHub names them."""
    found: dict[str, int] = {}
    names = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCED.sub("", text), flags=re.MULTILINE):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("\\", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def problems(file: str, text: str) -> list[str]:
    """What in ``file``, a path from the checkout's root, leads nowhere."""
    found = []
    for target in links(text):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue  # another site's
        path, _, anchor = target.partition("#")
        place = (ROOT / file).parent / unquote(path) if path else ROOT / file
        if not place.exists():
            found.append(f"{file}: there is no {target}")
        elif not place.resolve().is_relative_to(ROOT):
            found.append(f"{file}: {target} is outside of the project")
        elif anchor and place.suffix == ".md":
            inside = text if not path else place.read_text(encoding="utf-8")
            if anchor not in anchors(inside):
                found.append(f"{file}: {target} has no such heading")
    return found


@pytest.mark.parametrize("file", documents())
def test_every_link_and_image_leads_somewhere(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not problems(file, text)


def test_what_leads_nowhere_is_found() -> None:
    text = "# One\n## A `b`, c\n[x](docs/none.md) ![y](#one) [z](#two) [a `q`](results/README.md#no) [b](#a-b-c)\n"
    text += "`[code](nowhere)`\n```\n[code](nowhere)\n```\n[r]: nowhere.md\n[ok](https://example.org/x)"
    found = problems("README.md", text)
    assert [line.split()[-1] for line in found if "no such" not in line] == ["docs/none.md", "nowhere.md"]
    assert sum("no such heading" in line for line in found) == 2
