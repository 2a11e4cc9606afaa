"""A page in a real browser: what a script that acts on it finds."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

from tests.report.javascript import CHROMIUM

# Errors of the page end the test; a person's click on a download link is what the page's own is.
PRELUDE = """
const asked = [];
addEventListener("error", (event) => asked.push("error: " + event.message));
const tick = (ms = 60) => new Promise((done) => setTimeout(done, ms));
const set = (one, value) => { one.value = value; one.dispatchEvent(new Event("input", { bubbles: true })); };
const toggle = (one) => { one.checked = !one.checked; one.dispatchEvent(new Event("input", { bubbles: true })); };
const saved = [];
// what a download holds is known at once: reading a blob takes time that the browser's virtual clock does not wait for
globalThis.Blob = class extends Blob {
  constructor(parts, about) { super(parts, about); this.whole = parts.join(""); }
};
URL.createObjectURL = (blob) => { saved.push(blob.whole); return "#"; };
HTMLAnchorElement.prototype.click = function () { this.dataset.name = this.download; saved.push(this.download); };
"""
ACTION = """
(async () => {
  for (let i = 0; i < 100 && !document.documentElement.classList.contains("explored"); i++) await tick(50);
  const found = await (async () => { SCRIPT })();
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify({ found, asked });
  document.body.append(out);
})().catch((error) => { document.title = "failed: " + error.stack; });
"""


def find(page: Path, profile: Path, script: str, size: str = "1400,1000", *flags: str) -> Any:
    """The value of the asynchronous function body ``script``, run in ``page`` once its figures are drawn.

    Args:
        profile: an empty folder.
        size: of the window, pixels.
        flags: of the browser.

    Raises:
        AssertionError: the page or the script has thrown an error, or broken the page's policy.
    """
    acting = f"<script>{ACTION.replace('SCRIPT', script)}</script></body>"
    profile.mkdir(parents=True, exist_ok=True)
    acted = profile / "acted.html"
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")  # scripts have the word, too
    prepared = before.replace("<title>", f"<script>{PRELUDE}</script><title>", 1)
    acted.write_text(prepared + acting + after, encoding="utf-8")
    assert CHROMIUM is not None
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"),
        *("--enable-logging=stderr", f"--window-size={size}", "--virtual-time-budget=60000", "--dump-dom"),
        *flags,
        acted.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    assert "Content Security Policy" not in done.stderr, done.stderr
    title = re.search(r"<title>(failed: .*?)</title>", done.stdout, re.S)
    assert title is None, title and title[1]
    told = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert told is not None, done.stderr[-2000:]
    answer = json.loads(unescape(told[1]))
    assert answer["asked"] == []
    return answer["found"]
