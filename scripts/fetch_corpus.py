"""Fetch a large corpus without a hub: ``python scripts/fetch_corpus.py rfc`` or ``linux``.

    rfc     the RFC series, technical English: about 480 MB of Debian packages (doc-rfc-*, non-free)
    linux   the C of the Linux kernel: a package of about 140 MB, the release's own (linux-source-6.1 on Debian 12;
            another release is another text, with another fingerprint)

Packages come by apt from the archives this system uses, into a folder of their own: nothing is installed, no
file of the system changes, root is not needed. The cleaned text is one document a line of JSON in FOLDER/text;
``isoflop … data=rfc`` and ``data=linux`` find it at the default place. A second call finds it finished.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from corpora import debian, linux, rfc
from corpora.write import read_manifest, write_corpus

CORPORA = {"rfc": rfc, "linux": linux}


def main() -> int:
    """Fetch, clean, and say what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--out", type=Path, help="folder to write (default: ~/.cache/isoflop/text/CORPUS)")
    parser.add_argument("--source", type=Path, nargs="+", help="packages or folders that are here already")
    parser.add_argument("--keep", action="store_true", help="keep the packages (FOLDER/packages)")
    arguments = parser.parse_args()
    folder = arguments.out or Path("~/.cache/isoflop/text").expanduser() / arguments.corpus
    manifest = read_manifest(folder)
    if manifest is None:
        try:
            manifest = _make(arguments.corpus, folder, arguments.source, arguments.keep)
        except debian.FetchError as error:
            print(f"{arguments.corpus}: {error}", file=sys.stderr)
            return 2
    dropped = ", ".join(f"{number:,} {why}" for why, number in manifest["dropped"].items()) or "none"
    print(
        f"{folder / 'text'}: {manifest['documents']:,} documents, {manifest['bytes'] / 1e6:,.1f} MB, "
        f"fingerprint {manifest['fingerprint']}; left out: {dropped}"
    )
    return 0


def _make(name: str, folder: Path, sources: list[Path] | None, keep: bool) -> dict:
    corpus = CORPORA[name]
    packages = folder / "packages"
    if sources is None:
        print(f"fetching {', '.join(corpus.PACKAGES)} …", flush=True)
        packages.mkdir(parents=True, exist_ok=True)
        sources = debian.fetch(corpus.PACKAGES, corpus.COMPONENTS, packages)
    missing = [source for source in sources if not source.exists()]
    if missing:
        raise debian.FetchError(f"no file or folder {missing[0]}")
    print("cleaning …", flush=True)
    documents: Iterator[tuple[str, str]] = chain.from_iterable(corpus.documents(source) for source in sources)
    manifest = write_corpus(folder, documents, [source.name for source in sources])
    if not keep:
        shutil.rmtree(packages, ignore_errors=True)
    return manifest


if __name__ == "__main__":
    sys.exit(main())
