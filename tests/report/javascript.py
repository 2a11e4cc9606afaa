"""The page's JavaScript, run by node and by a browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.report.calculator import SCRIPTS

PAGE = Path(__file__).parents[2] / "harness" / "report" / "page"
OF_THE_PAGE = ("show", "present", "form")
"""The scripts that write into a document, which node has none of."""
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def in_node(expression: str, data: Any) -> Any:
    """The value of a JavaScript expression over ``data`` and the calculator's functions ``calc``.

    NaN comes back as None, infinity as the text "Infinity".
    """
    names = [name for name in SCRIPTS if name not in OF_THE_PAGE]
    scripts = [(PAGE / f"{name}.js").read_text(encoding="utf-8") for name in names]
    code = (
        *scripts,
        "const calc = globalThis.isoflopCalculator;",
        "const data = JSON.parse(require('fs').readFileSync(0, 'utf8'));",
        f"const found = {expression};",
        "console.log(JSON.stringify(found, (_, value) => (value === Infinity ? 'Infinity' : value)));",
    )
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", "\n".join(code)],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def in_browser(page: Path, profile: Path, *, then: str = "", before: str = "", **fields: str) -> str:
    """What the calculator of ``page`` shows, as HTML, once ``fields`` of its form are filled; without an error.

    Args:
        profile: an empty folder.
        before, then: JavaScript to run before and after the form is filled.
        fields: values by name, in the order of filling; of a choice, what is chosen.
    """
    filling = "".join(
        f"for (const one of document.getElementsByName({name!r})) {{ one.value = {value!r};"
        " one.dispatchEvent(new Event('change', { bubbles: true })); }"
        for name, value in fields.items()
    )
    filled = profile / "filled.html"
    html = page.read_text(encoding="utf-8")
    until, _, after = html.rpartition("</body>")  # scripts have the word, too
    filled.write_text(f"{until}<script>{before}{filling}{then}</script></body>{after}", encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
            filled.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Uncaught" not in done.stderr
    assert "Content Security Policy" not in done.stderr
    output = re.search(r'<div id="calculator-output".*?</section>', done.stdout, re.S)
    assert output is not None
    return output[0]
