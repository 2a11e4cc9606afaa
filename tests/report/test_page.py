"""The page: whole, self-contained, deterministic, and buildable from a bare copy of the folder."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.files import write_json
from harness.fit import FitOptions, fit_points, load_fit, read_points, write_fit
from harness.report.figures.catalogue import FIGURES
from harness.report.files import write_report
from harness.report.html import image
from harness.report.saving import _rounded
from harness.report.text import counted
from harness.runs.ablations import read_ablations, write_ablations
from harness.runs.files import SweepFolder
from harness.runs.record import read_record
from harness.text import count
from harness.workflow.report import from_points, make_report
from tests.report.conftest import FEW, Reported, report_few, report_on
from tests.report.scored import score_sweep
from tests.report.synthetic import make_sweep
from tests.tune.synthetic import Truth
from tests.tune.test_fit import fitted

CURVES = tuple(entry for entry in FIGURES if entry.name == "training_curves")
VOID_ELEMENTS = {"meta", "br", "img", "input", "link", "hr"}


class Balanced(HTMLParser):
    """Fails on a closing tag that does not match, and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parse(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser


def test_page_is_one_well_formed_file_that_asks_for_nothing_else(reported: Reported) -> None:
    parser = parse(reported.html)
    inside = [address for address in parser.addresses if address.startswith("#")]
    assert all(address.startswith("data:") for address in parser.addresses if address not in inside)
    assert all(f'id="{address[1:]}"' in reported.html for address in inside), (
        "links lead somewhere on the page"
    )
    assert "@import" not in reported.html
    drawn = re.sub(
        r"<script>.*?</script>", "", reported.html, flags=re.S
    )  # Vega's code writes such references
    assert "url(%23" in drawn
    assert "url(" not in drawn.replace("url(%23", ""), "a drawing refers to its own parts alone"


def test_a_drawing_in_the_page_is_the_one_that_was_saved() -> None:
    svg = '<svg a="1">\n <text>50% of "a" & <b>, é ≥ 2 #3\'s</text>\n</svg>'
    address = image(svg)
    assert not set('"<>#\n') & set(address)
    parser = parse(f'<img src="{address}">')
    assert parser.addresses == [address]
    assert unquote(address.partition(",")[2]) == " ".join(svg.replace('"', "'").split()).replace("> <", "><")


def test_a_style_that_many_elements_have_stands_once_and_a_rare_one_stays() -> None:
    points = "".join(f"<use x='{i}' style='fill: #009e73; opacity: 0.3'/>" for i in range(3))
    drawn = unquote(image(f"<?xml version='1.0'?><svg width='9'><g style='fill: red'>{points}</g></svg>"))
    short = "".join(f"<use x='{i}' class='s0'/>" for i in range(3))
    style = "<style>.s0{fill: #009e73; opacity: 0.3}</style>"
    assert drawn.endswith(
        f",<?xml version='1.0'?><svg width='9'>{style}<g style='fill: red'>{short}</g></svg>"
    )


def test_coordinates_are_rounded_and_scales_and_opacities_are_not() -> None:
    group = "<g transform='translate(43.2189 9) scale(0.015625 -0.015625)' style='opacity: 0.3546'>"
    svg = f"{group}<path d='M 100.5 -7.98765'/></g>"
    assert _rounded(svg) == svg.replace("43.2189", "43.21").replace("-7.98765", "-7.98")


def test_what_is_wider_than_the_page_scrolls_in_its_own_box(reported: Reported) -> None:
    page = re.sub(r"<script>.*?</script>", "", reported.html, flags=re.S)
    assert page.count('<div class="scroll"') == page.count("<table>") + page.count('<figure id="figure-')
    assert re.search(r'<div class="scroll"><img [^>]*min-width:\d+px', reported.html)


def test_the_answer_comes_first_and_is_the_fit_s(reported: Reported) -> None:
    prediction = reported.fit.predict(reported.fit.agreement.target)["approach_3"]
    assert prediction.params is not None
    assert prediction.tokens is not None
    for text in (reported.html, reported.markdown):
        answer = re.split(r"Diagnostics</h2>|## Diagnostics", text)[0]
        for value in (prediction.params, prediction.tokens, *(prediction.params_interval or ())):
            assert count(value) in answer


def test_every_run_is_there_with_how_it_ended(reported: Reported) -> None:
    lines = reported.folder.table.read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == 28
    for line in lines:
        assert line.split(",")[0] in reported.html
        assert line.split(",")[0] in reported.markdown
    assert "diverged: the loss is nan at step 12" in reported.html
    assert reported.html.count('class="spark"') == 28


def test_provenance_is_complete(reported: Reported) -> None:
    for wanted in ("5eed5eed5eed", "a fake device", "numpy", "budgets:", "appendix_f", "matplotlib"):
        assert wanted in reported.html
    assert "27 of 28 planned runs are finished" in reported.html


def test_figures_are_there_in_both_formats(reported: Reported) -> None:
    for entry in FEW:
        assert f'id="figure-{entry.name}"' in reported.html
        assert f"(figures/{entry.name}.png)" in reported.markdown
        assert (reported.written.figures / f"{entry.name}.png").read_bytes()[:4] == b"\x89PNG"
        assert (reported.written.figures / f"{entry.name}.pdf").read_bytes()[:5] == b"%PDF-"


def test_same_data_same_bytes(reported: Reported, tmp_path: Path) -> None:
    """Wherever the folder is."""
    again = report_few(bare_copy(reported, tmp_path))
    for path in again.figures.iterdir():
        assert path.read_bytes() == (reported.written.figures / path.name).read_bytes(), path.name
    assert again.html.read_text(encoding="utf-8") == reported.html
    assert again.markdown.read_text(encoding="utf-8") == reported.markdown


def test_a_copied_folder_is_enough_without_torch_checkpoints_or_corpus(
    reported: Reported, tmp_path: Path
) -> None:
    copy = bare_copy(reported, tmp_path)
    code = (
        "import sys\n"
        "sys.modules.update(torch=None, transformers=None, accelerate=None, datasets=None)\n"
        "from pathlib import Path\n"
        "import harness.commands.report\n"
        "from tests.report.conftest import report_few\n"
        "report_few(Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(copy)], cwd=root, check=True, timeout=300)
    rebuilt = (copy / "report.html").read_text(encoding="utf-8")
    assert rebuilt == reported.html


@pytest.mark.slow
def test_the_command_writes_every_figure_and_the_same_bytes_twice(reported: Reported, tmp_path: Path) -> None:
    copy = bare_copy(reported, tmp_path)
    write_json(SweepFolder(copy).tuned_in.tuning, fitted(Truth()).to_json())
    controls = SweepFolder(copy).ablations
    longer = read_ablations(controls)
    write_ablations(controls, [*longer, *(replace(one, changed="rates") for one in longer)])
    score_sweep(SweepFolder(copy))
    written = report_on(copy)
    made = (*written.figures.iterdir(), written.html, written.markdown)
    assert {path.stem for path in made} == {"report", *(entry.name for entry in FIGURES)}
    before = {path: path.read_bytes() for path in made}
    report_on(copy)
    for path in made:
        assert path.read_bytes() == before[path], path.name


def bare_copy(reported: Reported, to: Path) -> Path:
    """The sweep's folder elsewhere, without its report."""
    copy = to / "elsewhere" / "synthetic"
    shutil.copytree(reported.folder.path, copy, ignore=shutil.ignore_patterns("figures", "report.*"))
    return copy


def test_without_a_fit_the_error_names_the_command(tmp_path: Path) -> None:
    folder = make_sweep(tmp_path / "unfitted", budgets=(1e11,))
    with pytest.raises(UserError, match="isoflop fit"):
        report_on(folder.path)


def test_a_fit_of_other_runs_is_called_one(reported: Reported, tmp_path: Path) -> None:
    copy = bare_copy(reported, tmp_path)
    lines = (copy / "runs.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (copy / "runs.csv").write_text("".join(lines[:20]), encoding="utf-8")
    html = report_few(copy).html.read_text(encoding="utf-8")
    assert "runs.csv has 19 of the 28 runs that have ended" in html
    assert "The table has 19 usable runs, the fit used 27" in html
    for line in lines[20:]:
        shutil.rmtree(copy / "cells" / line.partition(",")[0])
    html = report_few(copy).html.read_text(encoding="utf-8")
    assert "The table has 19 usable runs, the fit used 27" in html


def test_a_fit_of_as_many_other_runs_is_called_one(reported: Reported, tmp_path: Path) -> None:
    copy = bare_copy(reported, tmp_path)
    fit = load_fit(copy)
    first = fit.approach_2.budgets[0]
    others = replace(first, run_ids=("another", *first.run_ids[1:]))
    budgets = (others, *fit.approach_2.budgets[1:])
    assert "it is not the fit of these runs" not in report_few(copy).html.read_text(encoding="utf-8")
    write_fit(replace(fit, approach_2=replace(fit.approach_2, budgets=budgets)), copy)
    html = report_few(copy).html.read_text(encoding="utf-8")
    assert "The fit used 1 run not in the table (another): it is not the fit of these runs" in html


def test_text_from_outside_is_escaped(reported: Reported, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    copy = bare_copy(reported, tmp_path)
    (copy / "config.yaml").write_text(f"name: {evil}\ngrid: {{}}\n", encoding="utf-8")
    plan = json.loads((copy / "plan.json").read_text(encoding="utf-8"))
    write_json(copy / "plan.json", plan | {"name": "<b>&|x"})
    for record in copy.glob("cells/*/record.json"):
        known = read_record(record, record.parent.name)
        assert known is not None
        replace(known, device="<img src=//x>").write(record)
    written = report_few(copy)
    html = written.html.read_text(encoding="utf-8")
    parse(html)
    assert evil not in html
    assert "<img src=//x>" not in html
    assert "<h1>&lt;b&gt;&amp;|x</h1>" in html
    assert "\\<b\\>&\\|x" in written.markdown.read_text(encoding="utf-8")


def test_a_table_alone_has_a_report(reported: Reported, tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    rows = reported.folder.table.read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    kept = [names.index(name) for name in ("params", "tokens", "flops", "loss")]
    cells = [row.split(",") for row in rows if "diverged" not in row]
    table.write_text("\n".join(",".join(row[i] for i in kept) for row in cells) + "\n", encoding="utf-8")
    write_fit(fit_points(read_points(table), FitOptions(draws=60, exclude_highest=1)), tmp_path / "out")
    written = write_report(from_points(table, tmp_path / "out"), tmp_path / "out", CURVES)
    html = written.html.read_text(encoding="utf-8")
    parse(html)
    assert "27 runs read from points.csv" in html
    assert "there are no training curves" in html
    assert "highest loss" in html
    assert not (written.figures / "training_curves.png").exists()
    assert not re.search(r"planned runs", html)


def test_a_fit_that_found_nothing_still_has_a_page(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text(
        "params,tokens,flops,loss\n"
        + "".join(f"{n},1e6,{6e6 * n},{3 - n * 1e-6}\n" for n in (1e4, 2e4, 4e4)),
        encoding="utf-8",
    )
    write_fit(fit_points(read_points(table), FitOptions(draws=20)), tmp_path)
    config, _ = compose_config(["experiment=demo", f"points={table}", f"out={tmp_path}"])
    html = make_report(config, Console(quiet=True)).html.read_text(encoding="utf-8")
    parse(html)
    assert "these runs do not determine an optimum" in html
    assert 'id="calculator-data"' not in html
    assert load_fit(tmp_path).approach_3.a is None


def test_counted_has_a_dash_for_nothing() -> None:
    assert counted(None) == counted(float("nan")) == "–"


def test_a_table_whose_folder_has_no_fit_is_fitted_first(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    rows = "".join(f"{n},1e6,{6e6 * n},{3 - n * 1e-6}\n" for n in (1e4, 2e4, 4e4))
    table.write_text("params,tokens,flops,loss\n" + rows, encoding="utf-8")
    config, _ = compose_config(["experiment=demo", f"points={table}", f"out={tmp_path / 'out'}"])
    console = Console(record=True, width=200)
    written = make_report(config, console)
    assert "has no fit yet: fitting first" in console.export_text()
    assert load_fit(tmp_path / "out").n_points == 3
    content = (tmp_path / "out/fit.json").read_bytes()
    parse(written.html.read_text(encoding="utf-8"))
    make_report(config, console)
    assert "fitting first" not in console.export_text()
    assert (tmp_path / "out/fit.json").read_bytes() == content
