"""A broken file of keys, and a mistaken override, are one line: where, what, and what mends it."""

import itertools
import os
import time
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from harness.config.frozen import config_at
from harness.errors import UserError

HEADER = "# @package _global_\n"
SOUND = (
    HEADER
    + """defaults:
  - override /data: declared
name: mine
data: {unique_tokens: 1e9, vocab_size: 256}
grid: {budgets: [1e12], sizes: 3}
"""
)


def doubling(signs: str, merged: bool = False) -> str:
    """Lines each of which repeats the last nine times: in all 9 to the power of their number."""
    made = ["a: &a {x: 1}"]
    for last, now in itertools.pairwise(signs):
        several = ", ".join([f"*{last}"] * 9)
        made.append(
            f"{now}: &{now} {{<<: [{several}], y{now}: 1}}" if merged else f"{now}: &{now} [{several}]"
        )
    return "\n".join(made)


BROKEN = {
    "tab": (HEADER + "name: mine\n\tgrid: 1\n", ":3: a tab stands"),
    "twice": (HEADER + "name: a\nname: b\n", ":3: the key 'name' is there a second time"),
    "bracket": (HEADER + "grid: {budgets: [1e11\n", ":2: the bracket that opens here is not closed"),
    "quote": (HEADER + "name: 'mine\n", ":2: the quote that opens here"),
    "latin1": ((HEADER + "name: caf\xe9\n").encode("latin-1"), ":2: no UTF-8 text"),
    "utf16": (SOUND.encode("utf-16"), ":1: no UTF-8 text"),
    "nul": (HEADER + "name: mi\0ne\n", ":2: a control character"),
    "itself": (HEADER + "grid: &a\n  budgets: *a\n", ":3: '*a' stands inside what it refers to"),
    "all_of_itself": (HEADER + "--- &a\ngrid: *a\n", "stands inside what it refers to"),
    "bomb": (HEADER + doubling("abcdefghijkl"), "more than 20,000 values"),
    "merged_bomb": (HEADER + doubling("abcdefghijkl", merged=True), "more than 20,000 values"),
    "deep": (HEADER + "name: " + "[" * 3000 + "]" * 3000, "more than 40 levels deep"),
    "deeper": (HEADER + "".join(" " * i + "a:\n" for i in range(900)), "more than 40 levels deep"),
    "alias": (HEADER + "name: *a\n", ":2: '*a' refers to nothing"),
    "python": (HEADER + "name: !!python/object:os.system ls\n", ":2: the tag '!!python/object:os.system'"),
    "tag": (HEADER + "name: !!timestamp abc\n", ":2: the tag '!!timestamp'"),
    "two": (SOUND + "---\nname: b\n", ":7: a second document begins"),
    "merge": (HEADER + "grid: {<<: 3}\n", ":2: no YAML"),
    "unhashable": (HEADER + "? [a, b]\n: 4\n", ":2: a key must be a plain word"),
    "no_header": (SOUND.removeprefix(HEADER), ":1: needs the line '# @package _global_' first"),
    "late_header": (SOUND.removeprefix(HEADER) + HEADER, ":6: '# @package _global_' must stand above"),
    "other_header": ("# @package global\nname: mine\n", ":1: its package is 'global'"),
    "empty": ("", ":1: needs the line '# @package _global_' first"),
    "comment": (HEADER, ":1: holds nothing"),
    "list": (HEADER + "- a\n", "holds a list"),
    "word": (HEADER + "hello\n", "holds a text"),
    "defaults_word": (HEADER + "defaults: abc\n", ":2: defaults: must be a list"),
    "defaults_map": (HEADER + "defaults: {data: text}\n", ":2: defaults: must be a list"),
    "defaults_list": (HEADER + "defaults:\n  - [a]\n", ":3: defaults: every entry is one choice"),
    "defaults_null": (HEADER + "defaults:\n  -\n", ":3: defaults: every entry is one choice"),
    "defaults_number": (HEADER + "defaults:\n  - 3\n", ":3: defaults: every entry is one choice"),
    "defaults_plain": (HEADER + "defaults:\n  - /data: text\n", ":3: defaults: '/data' changes no choice"),
    "defaults_here": (HEADER + "defaults:\n  - defaults_here\n", ":3: defaults: names its own file"),
    "defaults_none": (HEADER + "defaults:\n  - override /data: nope\n", ":3: there is no data/nope"),
    "defaults_group": (
        HEADER + "defaults:\n  - override /nope: x\n",
        ":3: this command has no key or group 'nope'",
    ),
    "hydra": (HEADER + "hydra: {run: {dir: x}}\n", ":2: hydra: "),
    "type": (HEADER + "grid: {sizes: many}\n", ":2: grid.sizes: must be a whole number, got 'many'"),
    "section": (HEADER + "grid: 7\n", ":2: grid: is a section, with the keys budgets"),
    "no_list": (HEADER + "grid: {budgets: 1e11}\n", ":2: grid.budgets: takes a list"),
    "list_of_lists": (HEADER + "grid: {budgets: [[1]]}\n", ":2: grid.budgets[0]: must be a number"),
    "text": (HEADER + "name: [a]\n", ":2: name: must be a text, got ['a']"),
    "arms": (HEADER + "arms: [a, b]\n", ":2: arms: must be entries"),
    "arm": (HEADER + "arms:\n  a: b\n", ":3: arms.a: takes a list"),
    "band": (
        HEADER + "ladder:\n  bands:\n    - {min_widht: 3}\n",
        ":4: there is no key 'ladder.bands[0].min_widht'",
    ),
    "unknown": (HEADER + "nmae: mine\n", ":2: there is no key 'nmae'; did you mean 'name'?"),
    "deep_unknown": (
        HEADER + "recipe:\n  lr: {vlaue: 1}\n",
        ":3: there is no key 'recipe.lr.vlaue'; did you mean",
    ),
    "number_key": (HEADER + "grid: {3: 4}\n", ":2: there is no key 'grid.3'"),
    "null_value": (HEADER + "grid: {sizes: null}\n", ":2: grid.sizes: must be a whole number, got null"),
    "null_section": (HEADER + "grid: null\n", ":2: grid: must be a section"),
    "digits": (HEADER + "seq_len: " + "9" * 6000 + "\n", ":2: seq_len: must be a whole number, got '999"),
    "circle": (SOUND + "out: ${points}\npoints: ${out}\n", "its '${…}' refers back to itself"),
    "nowhere": (SOUND + "out: ${nope}\n", ":7: out: there is no key 'nope'"),
    "resolver": (SOUND + "out: ${foo:1}\n", ":7: out: '${foo:…}' is not known here"),
    "variable": (SOUND + "out: ${oc.env:NO_SUCH_X}\n", ":7: out: the environment has no variable NO_SUCH_X"),
    "open": (SOUND + "out: ${a\n", ":7: out: cannot read its '${…}'"),
    "value": (SOUND.replace("sizes: 3", "sizes: 0"), ":6: grid.sizes: must be at least 1, got 0"),
    "large": (
        HEADER + "name: x\n" + "# ……………………………………………………\n" * 20_000,
        "bytes, where a file of keys has at most",
    ),
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    return folder


def line_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a user's mistake: one line, within two seconds or so, nothing else."""
    before = time.process_time()
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr()
    assert left.value.code == 2
    assert said.err.startswith("isoflop: ")
    assert said.err.count("\n") == 1
    assert not said.out
    assert time.process_time() - before < 10, "a bound that slow machines keep"
    for word in (
        "add --multirun",
        "requires --multirun",
        "See http",
        "full_key",
        "ListConfig",
        "DictConfig",
        "\ufdd0",
    ):
        assert word not in said.err
    return said.err


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_that_names_it(
    name: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = BROKEN[name]
    (own / f"{name}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    said = line_of(["plan", f"experiment={name}"], capsys)
    assert said.startswith(f"isoflop: configs/experiment/{name}.yaml")
    assert message in said
    assert [path.name for path in own.parents[1].iterdir()] == ["configs"], "nothing is written"


def test_what_is_no_file_is_named(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(own / "pipe.yaml")
    (own / "folder.yaml").mkdir()
    (own / "circle.yaml").symlink_to("circle.yaml")
    (own / "lost.yaml").symlink_to("nothing")
    for name, message in (
        ("pipe", "no plain file"),
        ("folder", "a folder"),
        ("circle", "symbolic links"),
        ("lost", "a link to nothing"),
    ):
        said = line_of(["plan", f"experiment={name}"], capsys)
        assert f"configs/experiment/{name}.yaml: " in said
        assert message in said.lower()


def test_files_that_refer_to_each_other(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "one.yaml").write_text(HEADER + "defaults: [two]\n")
    (own / "two.yaml").write_text(HEADER + "defaults: [one]\n")
    assert "refers to itself without end" in line_of(["plan", "experiment=one"], capsys)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SOUND,
        "# Mine.\n\n" + SOUND,
        "# " + "long " * 200 + "\n" + SOUND,
        SOUND.replace("{budgets", "{<<: {span: 4}, budgets"),
        SOUND + "analysis: {level: &l 0.9}\ntune: {level: *l}\n",
        SOUND.replace("name: mine", "name: !!str 007"),
    ],
)
def test_sound_files_are_read(text: str, own: Path) -> None:
    (own / "sound.yaml").write_text(text, encoding="utf-8")
    assert compose_config(["experiment=sound"])[0].grid.sizes == 3


def test_an_override_that_replaces_a_value_is_blamed_for_its_own(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "sound.yaml").write_text(SOUND)
    said = line_of(["plan", "experiment=sound", "grid.sizes=0"], capsys)
    assert said == "isoflop: grid.sizes: must be at least 1, got 0\n"


MISTAKEN = {
    "grid.sizes=1,2": "grid.sizes: takes one value, got 1,2; to train with several and compare them, make each an arm",
    "grid.budgets=1e11,2e11": "grid.budgets: takes a list, in brackets: 'grid.budgets=[1e11,2e11]'",
    "grid.sizes=range(1,3)": "grid.sizes: takes one value",
    "grid.sizes=glob(*)": "grid.sizes: takes one value",
    "experiment=demo,kaplan": "experiment: takes one value",
    "grid.sizes=[1]": "grid.sizes: must be a whole number, got [1]; the default is 7",
    "grid.sizes=null": "grid.sizes: must be a whole number, got null",
    "grid.sizes=": "grid.sizes: must be a whole number, got ''",
    "grid.sizes=true": "grid.sizes: must be a whole number, got true",
    "grid.budgets=[[1e11]]": "grid.budgets[0]: must be a number, got [1e+11]",
    "grid.budgets={a:1}": "grid.budgets: takes a list",
    "grid=7": "grid: is a section",
    "grid=null": "grid: must be a section",
    "recipe.lr=3": "recipe.lr: is a section, with the keys value",
    "model.options=3": "model.options: must be entries",
    "data.domains=3": "data.domains: must be entries",
    "train.export=x": "train.export: 'x' is none of all, best, none",
    "~grid.sizes": "grid.sizes: cannot be taken away",
    "~nope": "no key or group 'nope'",
    "~analysis=": "analysis: '~' takes a key away whatever its value is; write '~analysis'",
    "~seq_len=128": "seq_len: '~' takes a key away whatever its value is; write '~seq_len'",
    "~data=demo": "data: '~' takes a key away whatever its value is; write '~data'",
    "+grid.sizes=4": "grid.sizes: the key is there already; set it without '+'",
    "+experiment=demo": "experiment is chosen already",
    "experiment=null": "experiment: null is no file of configs/experiment",
    "hydra.run.dir=x": "there is no key 'hydra.run.dir'",
    "data@x=text": "choose a file of configs/data with 'data=NAME'",
    "=3": "'=3' names no key",
    "a:b=3": "cannot read 'a:b=3'",
    "lr=3": "there is no key 'lr'; did you mean 'recipe.lr'?",
    "GRID.sizes=3": "there is no key 'GRID.sizes'; did you mean",
    "name=${nope}": "name: there is no key 'nope'",
    "name=${name}": "name: its '${…}' refers back to itself",
    "seq_len=${grid.budgets}": "seq_len: must be a whole number, got [",
}


@pytest.mark.parametrize("override", MISTAKEN)
def test_a_mistaken_override_is_one_line_in_our_words(
    override: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MISTAKEN[override] in line_of(["plan", "experiment=demo", override], capsys)
    assert not (own.parents[1] / "runs").exists()


def test_what_hydra_can_do_besides_still_works() -> None:
    asked = ["experiment=demo", "++grid.sizes=4", "+data.domains.x=books", "+model.options={a: 1}"]
    config = compose_config(asked)[0]
    assert (config.grid.sizes, config.data.domains, config.model.options) == (4, {"x": "books"}, {"a": 1})
    assert (
        compose_config(["grid.sizes=int(3.5)", "grid.budgets=[1e11]", "grid.budgets.0=2e11"])[0].grid.sizes
        == 3
    )


@pytest.mark.parametrize(
    "arguments",
    [["plan", "--multirun"], ["plan", "-m"], ["plann"], ["completion", "tcsh"], ["plan", "--help=3"]],
)
def test_a_command_line_that_is_none_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line_of(arguments, capsys)


def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the working directory is gone" in line_of(["plan", "experiment=demo"], capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: {sizes: many}\n", "grid.sizes: must be a whole number, got 'many'"),
        ("grid: {sizes: 100000}\n", "grid.sizes: must be at most 1,000"),
        ("grid: {sises: 1}\n", "grid.sises: there is no such key"),
        ("grid: 3\n", "grid: is a section"),
        ("grid: &a\n  budgets: *a\n", "line 2: '*a' stands inside what it refers to"),
        (doubling("abcdefghijkl"), "more than 20,000 values"),
    ],
)
def test_a_damaged_frozen_configuration_is_one_line_in_our_words(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        config_at(tmp_path / "config.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}: not what was written (")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_of_a_section_that_is_not_chosen_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for key, choice in (("ladder.bands", "ladder"), ("serving.device.name", "device@serving.device")):
        said = line_of(["predict", "fit=hoffmann2022", "budget=1e21", f"{key}=[]"], capsys)
        assert f"choose one first with '{choice}=…'" in said


def test_a_grid_without_budgets_is_refused_before_its_corpus_is_prepared(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "bare.yaml").write_text(SOUND.replace("budgets: [1e12], ", ""))
    assert "grid.budgets: empty" in line_of(["plan", "experiment=bare", "cache_dir=cache"], capsys)
    assert not (own.parents[1] / "cache").exists()
