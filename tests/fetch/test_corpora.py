"""Large corpora: what is cleaned away and what stays, on small made-up documents; apt itself is not called."""

import gzip
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import UserError
from harness.fetch import debian, linux, rfc
from harness.fetch.corpora import fetch_corpus
from harness.fetch.write import SHORTEST, read_manifest, write_corpus

PAGED = """\ufeff



Network Working Group                                         J. Doe
Request for Comments: 9999                                  May 2001

                        A Made-up Protocol

Status of This Memo

   This memo is boilerplate.  Distribution of this memo is unlimited.

Abstract

   The protocol sends a word and waits.
   Once the other side has answered, it sends another word, and



Doe                          Informational                      [Page 1]
\f
RFC 9999                  A Made-up Protocol                    May 2001


   then it stops.

Table of Contents

   1.  Introduction . . . . . . . . . . . . . . . . . . . . . . . . .  2

1.  Introduction

   Everything begins with this sentence, which ends a paragraph here.



Doe                          Informational                      [Page 2]
\f
RFC 9999                  A Made-up Protocol                    May 2001


   Another paragraph starts on a new page; it refers to [Page 7] of a book.

Full Copyright Statement

   Copyright (C) Somebody (2001).  All Rights Reserved.

   Funding for the RFC Editor function is currently provided by the
   Internet Society.
"""


def test_an_rfc_is_read_as_one_text() -> None:
    text = rfc.clean(PAGED.lstrip("\ufeff"))
    assert text.startswith("Network Working Group")
    assert "it sends another word, and\n   then it stops.\n" in text, "a paragraph goes on over a page"
    assert "paragraph here.\n\n   Another paragraph" in text, "a new one does not join the last"
    assert "1.  Introduction\n\n   Everything" in text
    assert "[Page 7] of a book" in text, "only feet of pages go"
    for gone in ("Status of", "boilerplate", "[Page 1]", "Table of", ". . .", "Copyright", "Funding", "\f"):
        assert gone not in text
    assert "\n\n\n" not in text


def test_text_without_pages_is_left_as_it_is() -> None:
    text = "1.  One\n\n   A sentence.\n\n2.  Two\n\n   Another.\n"
    assert rfc.clean(text) == text


def test_c_loses_its_licence_and_keeps_its_comments() -> None:
    source = (
        "// SPDX-License-Identifier: GPL-2.0\n/*\n * Copyright (C) 1999 Somebody\n */\n"
        "/* How the queue works: first in, first out. */\n\n\n\n#include <a.h>\nint copyright(void);  \n"
    )
    assert linux.clean(source) == (
        "/* How the queue works: first in, first out. */\n\n#include <a.h>\nint copyright(void);\n"
    )
    assert linux.clean("int x; /* Copyright me */\n") == "int x; /* Copyright me */\n", "only at the head"


def test_register_tables_are_no_text() -> None:
    table = "".join(f"#define mmREG_{i:04x} 0x{i:04x}\n" for i in range(300))
    code = "".join(f"static int f{i}(int x)\n{{\n\treturn x + {i};\n}}\n" for i in range(100))
    assert linux.is_table(table)
    assert not linux.is_table(code)
    assert not linux.is_table(table[:1000]), "a short header may well be all constants"


def test_a_text_is_kept_once_and_the_folder_replaced_whole(tmp_path: Path) -> None:
    long = "word " * SHORTEST
    manifest = write_corpus(
        tmp_path, [("a", long), ("b", long.replace(" ", "\n")), ("c", "x"), ("d", long + "é")], ["here"]
    )
    assert (manifest["documents"], manifest["dropped"]) == (2, {"duplicate": 1, "short": 1})
    lines = (tmp_path / "text" / "0000.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["a", "d"]
    assert read_manifest(tmp_path) == manifest

    def broken():
        yield "e", long
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_corpus(tmp_path, broken(), ["here"])
    assert (tmp_path / "text" / "0000.jsonl").read_text(encoding="utf-8").splitlines() == lines
    assert write_corpus(tmp_path / "other", [("a", long)], [])["fingerprint"] != manifest["fingerprint"]


def test_archives_are_the_systems_own_with_more_components() -> None:
    targets = (
        "http://x.example/debian/ bookworm main\nhttp://x.example/debian/ bookworm contrib\nfile:/y tools -\n"
    )
    assert (
        debian._sources(targets, ["main", "non-free"])
        == "deb http://x.example/debian/ bookworm main non-free\n"
    )
    with pytest.raises(UserError, match="apt-get update"):
        debian._sources("", ["main"])


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (
            {"depends": "linux-source\n  Depends: linux-source-6.1\n"},
            "linux-source-6.1",
        ),  # Debian 12, with 6.12
        ({"depends": "linux-source\n  Depends: linux-source-6.8.0\n"}, "linux-source-6.8.0"),  # Ubuntu 24.04
        ({}, "linux-source-6.12"),
        ({"depends": "linux-source\n"}, "linux-source-6.12"),
        ({"pkgnames": ""}, None),
    ],
)
def test_the_kernel_is_the_archives_own(
    answers: dict[str, str], chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "linux-source-6.1\nlinux-source-6.12\nlinux-source\nlinux-source-6.9-doc\n"
    asked: list[list[str]] = []

    def run(command: list[str], folder: Path | None = None, meanwhile: Callable[[], None] = list) -> str:
        meanwhile()
        asked.append(command)
        if command[0] == "apt-cache":
            answer = {"pkgnames": names, **answers}.get(command[-2])
            if answer is None:
                raise UserError("no packages found")
            return answer
        if "download" in command:
            (tmp_path / f"{command[-1]}_1_all.deb").touch()
        return "http://x.example/debian/ bookworm main\n"

    monkeypatch.setattr(debian, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    if chosen is None:
        with pytest.raises(UserError, match="no package linux-source-VERSION"):
            debian.fetch(linux.PACKAGES, linux.COMPONENTS, tmp_path)
        return
    assert debian.fetch(linux.PACKAGES, linux.COMPONENTS, tmp_path) == [tmp_path / f"{chosen}_1_all.deb"]
    assert all(f"Dir::State::lists={tmp_path / 'apt' / 'lists'}" in command for command in asked[1:])


@pytest.mark.parametrize(("version", "kind"), [("6.1", "xz"), ("6.8.0", "bz2")])
@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_a_package_is_read_without_being_unpacked(tmp_path: Path, version: str, kind: str) -> None:
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: toy\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: toy\n"
    )
    (root / "usr" / "share" / "doc" / "RFC" / "standard").mkdir(parents=True)
    (root / "usr" / "share" / "doc" / "RFC" / "standard" / "rfc9999.txt.gz").write_bytes(
        gzip.compress(PAGED.encode())
    )
    (root / "usr" / "share" / "doc" / "RFC" / "standard" / "rfc9999.json").write_text("{}")
    tree = tmp_path / f"linux-source-{version}"
    (tree / "kernel").mkdir(parents=True)
    (tree / "kernel" / "fork.c").write_text("/* SPDX-License-Identifier: GPL-2.0 */\nint fork;\n")
    (root / "usr" / "src").mkdir()
    with tarfile.open(root / "usr" / "src" / f"{tree.name}.tar.{kind}", f"w:{kind}") as archive:  # type: ignore[call-overload]
        archive.add(tree, tree.name)
    (root / "usr" / "src" / "debian.tar.xz").write_bytes(b"what is no tree is not opened")
    package = tmp_path / "toy.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(package)], check=True, capture_output=True)
    assert [name for name, _ in rfc.documents(package)] == ["rfc9999"]
    assert list(linux.documents(package)) == [("kernel/fork.c", "int fork;\n")]
    assert list(linux.documents(tree)) == [("kernel/fork.c", "int fork;\n")], "a tree gives the same"


def fetch(*words: str) -> int:
    try:
        main(["fetch", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one RFC."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "rfc9999.txt").write_text(PAGED, encoding="utf-8")
    return folder


def test_the_command_makes_a_corpus_once(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = f"cache_dir={tmp_path}/cache"
    assert fetch("data=rfc", cache, "--source", str(source)) == 0
    first = capsys.readouterr().out
    assert first.startswith(
        f"{tmp_path}/cache/text/rfc/text: 1 documents, 0.0 MB, fingerprint 7948672ce88b7ada;"
    )
    assert first.endswith("use it: data=rfc\n")
    (source / "rfc9999.txt").unlink()
    assert fetch("data=rfc", cache) == 0, "apt is not asked"
    assert capsys.readouterr().out == first
    shutil.rmtree(tmp_path / "cache" / "text" / "rfc" / "text")
    assert fetch("data=rfc", cache, "--source", str(source)) == 2, "there is a manifest, but no text"
    assert f"{source}: no RFC in it; --source takes doc-rfc-* packages" in capsys.readouterr().err


def test_the_folder_can_be_chosen(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fetch("--source", "source", "data=rfc", "path=own") == 0, "an override may stand behind the files"
    assert capsys.readouterr().out.endswith("use it: data=rfc data.path=own/text\n")
    assert (tmp_path / "own" / "text" / "0000.jsonl").is_file()
    assert fetch("data=rfc", "data.path=own/texts") == 2
    assert "choose the folder with path=FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["data=c4"], "data=c4: nothing to fetch, it comes from the hub when it is first used"),
        ([], "data=python_stdlib: nothing to fetch, it is read where Python is installed; data=linux or"),
        (["data=text", "path=x"], "data=text: nothing to fetch, it is your own text"),
        (["data=text", "data.path=x", "data.fetch=make x"], "data=text: 'make x' fetches it; this command"),
        (["data=rfc", "path=new", "--source", "none"], "--source: there is no file or folder 'none'"),
        (["data=rfc", "path=new", "--source", "bad.deb"], "bad.deb: damaged, or no such package"),
        (["data=rfc", "path=bad.deb"], "bad.deb: rfc cannot be kept there (File exists); name another"),
        (["data=rfc", "path=new"], "fetch: needs apt-get and dpkg-deb"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    words: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.deb").write_text("junk")
    if "path=new" in words[-1:]:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    assert fetch(*words) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"isoflop: {line}")
    assert said.count("\n") == 1


def test_without_a_network_apts_first_error_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(
        "#!/bin/sh\necho Ign:1\necho 'E: Failed to fetch x  Could not connect' >&2\n"
        "echo 'E: Some index files failed to download.' >&2\nexit 100\n"
    )
    apt.chmod(0o755)
    ticks: list[int] = []
    with pytest.raises(UserError) as caught:
        debian._run([str(apt), "update"], None, lambda: ticks.append(1))
    assert str(caught.value) == f"fetch: {apt}: Failed to fetch x  Could not connect"
    assert ticks


def test_how_far_it_is_shows_without_a_terminal(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.fetch.corpora.SECONDS", 0.0)
    assert fetch("data=rfc", f"path={tmp_path}/own", "--source", str(source)) == 0
    assert capsys.readouterr().err == "rfc: cleaning, 1 document, 0.0 MB\n", "at once, and then every 20 s"


@pytest.mark.parametrize("mine", ["text/my_novel.txt", "manifest.json"])
def test_what_is_somebody_elses_stays(mine: str, tmp_path: Path) -> None:
    (tmp_path / "rfcs").mkdir()
    (tmp_path / "rfcs/rfc1.txt").write_text("A made-up protocol.\n\n" + "It sends a word, and waits.\n" * 20)
    for name in (mine, "packages/app.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="was not fetched by this command"):
        fetch_corpus("rfc", tmp_path, [tmp_path / "rfcs"])
    assert (tmp_path / mine).read_text() == (tmp_path / "packages/app.js").read_text() == "mine"
