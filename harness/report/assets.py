"""The files of ``page/``, and the frame that every page has: its head, its style and its policy."""

from html import escape
from importlib import resources
from string import Template


def asset(name: str) -> str:
    """The text of a file of ``page/``."""
    return (resources.files("harness.report") / "page" / name).read_text(encoding="utf-8")


def framed(title: str, header: str, main: str, script: str = "", served: bool = False) -> str:
    """A whole page.

    Args:
        title: plain text, the page's name.
        header, main, script: HTML.
        served: the page may ask the server it came from for news; otherwise nothing is asked of anybody.
    """
    return Template(asset("frame.html")).substitute(
        title=escape(title),
        css=asset("page.css"),
        connect="; connect-src 'self'" if served else "",
        header=header,
        main=main,
        script=script,
    )
