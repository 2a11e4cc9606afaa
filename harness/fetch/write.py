"""Documents into a folder of .jsonl files, each text once, with a manifest that says what is there."""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TEXT = "text"  # the folder with the documents
MANIFEST = "manifest.json"  # beside the folder of text, all of whose files a corpus is read from
SHARD_BYTES = 64 << 20
SHORTEST = 200  # bytes; below this a document is a stub


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What is in ``folder``, where it was written to the end and is still there."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and (folder / TEXT).is_dir() else None


def not_ours(folder: Path) -> Path | None:
    """A file that :func:`write_corpus` would replace in ``folder`` and has not written; None where there is none."""
    manifest = folder / MANIFEST
    if manifest.exists() and '"fingerprint"' not in manifest.read_text(encoding="utf-8", errors="replace"):
        return manifest
    files = (path for path in (folder / TEXT).rglob("*") if not path.is_dir())
    return next((path for path in files if not re.fullmatch(r"\d{4,}\.jsonl", path.name)), None)


def write_corpus(folder: Path, documents: Iterable[tuple[str, str]], sources: list[str]) -> dict[str, Any]:
    """Write ``documents`` (name, text) below ``folder``/text; the folder is replaced whole or not at all.

    Texts that differ in white space only count as one. The fingerprint is a hash of all texts in order.
    """
    text = folder / TEXT
    temporary = folder / f"{TEXT}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    seen: set[bytes] = set()
    dropped: Counter[str] = Counter()
    total, count, shard, room = hashlib.sha256(), 0, 0, 0
    size = 0
    file = None
    for name, content in documents:
        data = content.encode("utf-8", errors="replace")
        digest = hashlib.blake2b("".join(content.split()).encode("utf-8", "replace"), digest_size=16).digest()
        if len(data) < SHORTEST or digest in seen:
            dropped["duplicate" if digest in seen else "short"] += 1
            continue
        seen.add(digest)
        total.update(hashlib.sha256(data).digest())
        if file is None or room < 0:
            if file:
                file.close()
            file = (temporary / f"{shard:04d}.jsonl").open("w", encoding="utf-8")
            shard, room = shard + 1, SHARD_BYTES
        file.write(json.dumps({"name": name, "text": data.decode()}, ensure_ascii=False) + "\n")
        room -= len(data)
        size, count = size + len(data), count + 1
    if file:
        file.close()
    (folder / MANIFEST).unlink(missing_ok=True)  # there is none of what is not there to the end
    shutil.rmtree(text, ignore_errors=True)
    temporary.rename(text)
    manifest = {
        "documents": count,
        "bytes": size,
        "fingerprint": total.hexdigest()[:16],
        "dropped": dict(dropped),
        "sources": sources,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest
