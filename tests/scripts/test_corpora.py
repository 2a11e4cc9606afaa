"""Large corpora: what is cleaned away and what stays, on small made-up documents; apt itself is not called."""

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from scripts.corpora import debian, linux, rfc
from scripts.corpora.write import SHORTEST, read_manifest, write_corpus

ROOT = Path(__file__).resolve().parents[2]

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
    with pytest.raises(debian.FetchError, match="apt-get update"):
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

    def run(command: list[str], folder: Path | None = None) -> str:
        asked.append(command)
        if command[0] == "apt-cache":
            answer = {"pkgnames": names, **answers}.get(command[-2])
            if answer is None:
                raise debian.FetchError("no packages found")
            return answer
        if "download" in command:
            (tmp_path / f"{command[-1]}_1_all.deb").touch()
        return "http://x.example/debian/ bookworm main\n"

    monkeypatch.setattr(debian, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    if chosen is None:
        with pytest.raises(debian.FetchError, match="no package linux-source-VERSION"):
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


def test_the_script_makes_a_corpus_once(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "rfc9999.txt").write_text(PAGED, encoding="utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "fetch_corpus.py"), "rfc", "--out", str(out)]
    first = subprocess.run([*command, "--source", str(source)], capture_output=True, text=True, check=True)
    assert "1 documents" in first.stdout
    (source / "rfc9999.txt").unlink()
    again = subprocess.run([*command, "--source", str(source)], capture_output=True, text=True, check=True)
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    wrong = subprocess.run(
        [*command[:-1], str(tmp_path / "new"), "--source", str(tmp_path / "none")],
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 2
    assert "no file or folder" in wrong.stderr
