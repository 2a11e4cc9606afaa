"""Tokenizers: nothing lost, the same every time, and loadable by plain transformers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Corpus, TokenizerConfig, prepare
from harness.data.document import Selected, select
from harness.data.left_out import LeftOut
from harness.data.sources import open_source
from harness.data.tokenizer import byte_letters, cut, splits_at_space, train_bpe
from harness.errors import UserError
from tests.data.texts import split_documents, text_config, text_corpus, write_texts

BPE = TokenizerConfig(kind="bpe", vocab_size=400)
TRAINED = train_bpe(
    TokenizerConfig(kind="bpe", vocab_size=300),
    ["ab ab\n\n  ab's 11 \r\n a\ta bb\u3000ab .!! é世 \n ab  ab"] * 4,
)
NASTY = "Ā ā <|endoftext|> \r\n\t\x01 naïve 世界 😀 e\u0301 \u200b  def f(x):\n    return x\n"


def decoded(corpus: Corpus, split: str, folder: Path) -> list[str]:
    """The documents of a split, through the exported tokenizer and plain transformers."""
    from transformers import AutoTokenizer

    corpus.save_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    flat, offsets = corpus.tokens(split), corpus.offsets(split)
    return [
        tokenizer.decode(flat[a : b - 1].tolist(), clean_up_tokenization_spaces=False)
        for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    ]


@pytest.mark.parametrize("config", [TokenizerConfig(), BPE], ids=["bytes", "bpe"])
def test_nothing_is_lost(tmp_path: Path, config: TokenizerConfig) -> None:
    folder = write_texts(tmp_path / "texts")
    (folder / "nasty.txt").write_bytes(NASTY.encode())
    corpus = prepare(text_config(folder), config, tmp_path / "cache")
    texts = {path.read_bytes().decode() for path in folder.rglob("*.txt")}
    both = decoded(corpus, "train", tmp_path / "a") + decoded(corpus, "heldout", tmp_path / "b")
    assert set(both) == texts
    assert len(both) == len(texts)


@pytest.mark.parametrize("config", [TokenizerConfig(), BPE], ids=["bytes", "bpe"])
@pytest.mark.parametrize("model", ["none", "llama", "gpt2", "gpt_neox", "qwen3"])
def test_it_loads_beside_any_model(tmp_path: Path, config: TokenizerConfig, model: str) -> None:
    """``AutoTokenizer`` looks at the model's config too, and must still find our tokenizer."""
    from transformers import AutoConfig, AutoTokenizer

    corpus = text_corpus(tmp_path, config)
    folder = tmp_path / "model"
    corpus.save_tokenizer(folder)
    if model != "none":
        AutoConfig.for_model(model).save_pretrained(str(folder))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert len(tokenizer) == corpus.vocab_size
    assert tokenizer.eos_token_id == corpus.separator
    ids = tokenizer(NASTY.replace("<|endoftext|>", "")).input_ids
    assert tokenizer.decode(ids) == NASTY.replace("<|endoftext|>", "")
    if config.kind == "bytes":
        assert tokenizer(NASTY).input_ids == list(NASTY.encode())
    tokenizer.save_pretrained(str(tmp_path / "again"))
    assert (
        AutoTokenizer.from_pretrained(str(tmp_path / "again"))("def f").input_ids
        == tokenizer("def f").input_ids
    )


def test_transformers_gives_the_ids_of_the_token_file(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = write_texts(tmp_path / "texts")
    corpus = prepare(text_config(folder), BPE, tmp_path / "cache")
    corpus.save_tokenizer(tmp_path / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "tokenizer"))
    config = text_config(folder)
    heldout = [d.text for d in select(open_source(config), config, LeftOut()) if d.heldout]
    expected = [id for text in heldout for id in [*tokenizer(text).input_ids, corpus.separator]]
    assert corpus.tokens("heldout").tolist() == expected


def test_byte_letters_are_those_of_tokenizers() -> None:
    from tokenizers import pre_tokenizers

    letters = byte_letters()
    assert sorted(letters) == list(range(256))
    assert sorted(letters.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())


def test_bpe_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Hash seeds differ between processes and must not show."""
    folder = write_texts(tmp_path / "texts", 200)
    code = (
        "import sys; from harness.data import *; from tests.data.texts import text_config\n"
        "tokenizer = TokenizerConfig(kind='bpe', vocab_size=700)\n"
        "print(prepare(text_config(sys.argv[1]), tokenizer, sys.argv[2]).folder)"
    )
    folders = []
    for number in range(3):
        out = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(tmp_path / f"cache{number}")],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        folders.append(Path(out.stdout.strip()))
    for file in ("tokenizer/tokenizer.json", "train.bin", "heldout.bin"):
        assert len({(folder / file).read_bytes() for folder in folders}) == 1


def test_bpe_learns_from_training_documents_only(tmp_path: Path) -> None:
    """A word that fills the held-out documents gets no merges."""
    folder = tmp_path / "texts"
    write_texts(folder, 80)
    config = text_config(folder)
    before = prepare(config, BPE, tmp_path / "cache")
    tokenizer = (before.folder / "tokenizer" / "tokenizer.json").read_bytes()
    sides = split_documents(prepare(config, TokenizerConfig(), tmp_path / "cache"), "heldout")
    for path in folder.rglob("*.txt"):
        if path.read_bytes() in sides:
            path.unlink()
    extra = 0
    for i in range(400):  # new documents, of which only those that fall on the held-out side are kept
        (folder / "new.txt").write_text("zyzzyva " * 50 + str(i))
        alone = next(select(open_source(text_config(folder / "new.txt")), config, LeftOut()))
        if alone.heldout and extra < 20:
            (folder / f"kept{i}.txt").write_bytes(alone.data)
            extra += 1
    (folder / "new.txt").unlink()
    after = prepare(config, BPE, tmp_path / "cache")
    assert extra == after.meta.heldout_documents
    assert (after.folder / "tokenizer" / "tokenizer.json").read_bytes() == tokenizer


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet="ab1'st \n\r\t\u00a0\u2028\u3000\u180e\x85é世.!<", min_size=1, max_size=300))
def test_cut_text_has_the_ids_of_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.data.tokenizer.PIECE", 3)
        pieces = cut(text)
        document = Selected(text, text.encode(), b"", False)
        (ids,) = TRAINED.encode([document])
    assert "".join(pieces) == text
    assert ids.tolist() == TRAINED._tokenizer.encode(text, add_special_tokens=False).ids


def test_other_tokenizers_see_documents_whole() -> None:
    from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

    def other(change: Callable[[Tokenizer], object]) -> Tokenizer:
        copy = Tokenizer.from_str(TRAINED._tokenizer.to_str())
        change(copy)
        return copy

    assert splits_at_space(TRAINED._tokenizer)
    for change in (
        lambda one: setattr(one, "normalizer", normalizers.NFKC()),
        lambda one: setattr(one, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        lambda one: setattr(one, "pre_tokenizer", pre_tokenizers.ByteLevel(False, use_regex=False)),
        lambda one: setattr(one, "pre_tokenizer", pre_tokenizers.Whitespace()),
        lambda one: one.add_tokens([AddedToken(" \n")]),
    ):
        assert not splits_at_space(other(change))


def test_bpe_compresses_and_fits_its_vocabulary(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path, TokenizerConfig(kind="bpe", vocab_size=300))
    assert corpus.tokenizer == "bpe300"
    assert corpus.vocab_size == 300
    assert corpus.bytes_per_token > 1.5
    assert int(corpus.tokens("train").max()) < corpus.vocab_size
    assert corpus.meta.train_bytes == text_corpus(tmp_path).meta.train_bytes


def test_a_small_text_gives_a_small_vocabulary(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path, TokenizerConfig(kind="bpe", vocab_size=50_000))
    assert 257 < corpus.vocab_size < 5000


def test_a_sample_is_drawn_from_the_whole_text(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(200):
        word = "alpha" if i < 100 else "omega"
        (folder / f"{i:03d}.txt").write_text(f"{word} " * 100 + str(i))
    sampled = TokenizerConfig(kind="bpe", vocab_size=280, sample_bytes=30_000)
    corpus = prepare(text_config(folder), sampled, tmp_path / "cache")
    vocab = json.loads((corpus.folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    assert {"Ġalpha", "Ġomega"} <= set(vocab)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer as someone else would have it on disk."""
    tmp_path = tmp_path_factory.mktemp("exported")
    text_corpus(tmp_path, BPE).save_tokenizer(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_pretrained_folder(tmp_path: Path, exported: Path) -> None:
    corpus = text_corpus(tmp_path, TokenizerConfig(kind="pretrained", path=str(exported)))
    trained = text_corpus(tmp_path, BPE)
    assert corpus.tokenizer == "mine"
    assert corpus.fingerprint == trained.fingerprint
    assert decoded(corpus, "heldout", tmp_path / "a") == decoded(trained, "heldout", tmp_path / "b")


def test_a_tokenizer_file_needs_its_separator_named(tmp_path: Path, exported: Path) -> None:
    file = str(exported / "tokenizer.json")
    with pytest.raises(UserError, match=r"tokenizer\.separator=<\|endoftext\|>"):
        text_corpus(tmp_path, TokenizerConfig(kind="pretrained", path=file))
    with pytest.raises(UserError, match="no token 'nothing'"):
        text_corpus(tmp_path, TokenizerConfig(kind="pretrained", path=file, separator="nothing"))
    named = TokenizerConfig(kind="pretrained", path=file, separator="<|endoftext|>")
    assert text_corpus(tmp_path, named).fingerprint == text_corpus(tmp_path, BPE).fingerprint


def test_a_changed_tokenizer_is_noticed(tmp_path: Path, exported: Path) -> None:
    config = TokenizerConfig(kind="pretrained", path=str(exported))
    first = text_corpus(tmp_path, config)
    other = text_corpus(tmp_path, TokenizerConfig(kind="bpe", vocab_size=300))
    keep = tmp_path / "keep"
    exported.rename(keep)
    try:
        other.save_tokenizer(exported)
        assert text_corpus(tmp_path, config).fingerprint == other.fingerprint != first.fingerprint
    finally:
        for file in exported.iterdir():
            file.unlink()
        exported.rmdir()
        keep.rename(exported)


def test_truncation_and_padding_saved_with_a_tokenizer_do_not_count(tmp_path: Path, exported: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=64)
    file = tmp_path / "tokenizer.json"
    tokenizer.save(str(file))
    config = TokenizerConfig(kind="pretrained", path=str(file), separator="<|endoftext|>")
    assert text_corpus(tmp_path, config).fingerprint == text_corpus(tmp_path, BPE).fingerprint


@pytest.mark.parametrize("path", ["nobody/has-this-tokenizer", "missing/tokenizer.json", "folder"])
def test_a_tokenizer_that_cannot_be_had_is_one_line(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"tokenizer\.path") as error:
        text_corpus(tmp_path, TokenizerConfig(kind="pretrained", path=path))
    assert "\n" not in str(error.value)
