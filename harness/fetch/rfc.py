"""The RFC series as prose: pages joined, running heads, tables of contents and legal sections left out."""

import gzip
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from harness.fetch.debian import members

PACKAGES = [
    f"doc-rfc-{part}"
    for part in (
        "std",
        "std-proposed",
        "old-std",
        "informational",
        "fyi-bcp",
        "experimental",
        "misc",
        "others",
    )
]
COMPONENTS = ["main", "non-free"]  # the series may be copied but not changed, which Debian calls non-free
ABOUT = "RFC"
SOURCES = "doc-rfc-* packages, or a folder with rfc*.txt or rfc*.txt.gz"

# The foot of a page, the form feed, the head of the next: "Klensin   Standards Track   [Page 1] / RFC 5321   …"
PAGE_BREAK = re.compile(
    r"\n[^\n]*\[Page +\w+\][ \t]*\n+(?:[ \t]*\f\n*)?"
    r"(?:(?:RFC|Request for Comments|Internet[- ]Draft)[ :][^\n]*\n)?\n*"
    r"|\n*\f\n*(?:(?:RFC|Request for Comments|Internet[- ]Draft)[ :][^\n]*\n)?\n*",
    re.IGNORECASE,
)
BREAK = "\f"  # what stands for a page break until paragraphs are joined over it
LEADERS = re.compile(r"(?:\. ?){4,}\s*\d*\s*$")  # a line of a table of contents
HEADING = re.compile(r"^(?:\d+(?:\.\d+)*\.?\s+|Appendix \w+\.?\s+)?(?P<title>\S.*?)\.?:?\s*$")
FUNDING = re.compile(r"^ *Funding for the RFC Editor function[^.]*\.\n", re.MULTILINE)
BOILERPLATE = re.compile(
    r"status of this (?:memo|document)|(?:full )?copyright(?: notice| statement| and license notice)?"
    r"|intellectual property(?: rights)?(?: statement| notice)?|disclaimer(?: of validity)?"
    r"|table of contents|contents|legal notice|iesg note",
    re.IGNORECASE,
)


def documents(source: Path) -> Iterator[tuple[str, str]]:
    """(name, cleaned text) of every document in ``source``: a .deb, or a folder with rfc*.txt or rfc*.txt.gz."""
    if source.is_dir():
        for path in sorted(source.rglob("*.txt*")):
            if not path.is_symlink() and _is_text(path.name):
                yield path.name.split(".")[0], clean(_decode(path.name, path.read_bytes()))
        return
    with members(source) as files:
        for name, stream in files:
            if "/RFC/" in name and _is_text(Path(name).name):
                yield Path(name).name.split(".")[0], clean(_decode(name, stream.read()))


def _is_text(name: str) -> bool:
    return re.match(r"(?:rfc\d+|draft-.*)\.txt(?:\.gz)?$", name) is not None


def _decode(name: str, data: bytes) -> str:
    data = gzip.decompress(data) if name.endswith(".gz") else data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def clean(text: str) -> str:
    """One RFC without its pages, its table of contents and its legal sections."""
    text = re.sub(r".\x08", "", text.replace("\r\n", "\n").replace("\r", "\n"))  # overstruck bold
    text = FUNDING.sub("", _join_pages(PAGE_BREAK.sub(BREAK, text)))
    lines = _without_boilerplate(line.rstrip() for line in text.split("\n"))
    kept = "\n".join(line for line in lines if not LEADERS.search(line))
    return re.sub(r"\n{3,}", "\n\n", kept).strip() + "\n"


def _join_pages(text: str) -> str:
    """Close page breaks: within a paragraph the text goes on in the next line, else a blank line stands there."""
    pages = [page.strip("\n") for page in text.split(BREAK) if page.strip()]
    joined = pages[:1]
    for before, page in pairwise(pages):
        last, first = before.rsplit("\n", 1)[-1], page.split("\n", 1)[0]
        same = len(last) - len(last.lstrip()) == len(first) - len(first.lstrip()) > 0
        goes_on = same and len(last) > 50 and not last.rstrip().endswith((".", ":", "?", "!"))
        joined += ["\n" if goes_on else "\n\n", page]
    return "".join(joined)


def _without_boilerplate(lines: Iterator[str]) -> Iterator[str]:
    """Lines outside legal sections; a section goes from its heading in the first column to the next such line."""
    inside, blank = False, True
    for line in lines:
        if blank and line and not line[0].isspace():
            heading = HEADING.match(line)
            inside = heading is not None and BOILERPLATE.fullmatch(heading["title"]) is not None
        blank = not line
        if not inside:
            yield line
