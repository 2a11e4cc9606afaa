"""Further held-out texts: in the corpus's own tokens, held out as a whole, and wrong ones named."""

from pathlib import Path

import pytest

from harness.data import DataConfig, TokenizerConfig, prepare, prepare_domains
from harness.errors import UserError
from tests.data.texts import split_documents, text_config, write_texts


@pytest.mark.parametrize("tokenizer", [TokenizerConfig(), TokenizerConfig(kind="bpe", vocab_size=300)])
def test_a_domain_is_the_whole_text_in_the_corpus_own_tokens(
    tokenizer: TokenizerConfig, tmp_path: Path
) -> None:
    data = text_config(write_texts(tmp_path / "texts", 40))
    prose = write_texts(tmp_path / "prose", 10, seed=5)
    data.domains = {"prose": str(prose), "some": {"path": [str(prose)], "max_documents": 3}}
    cache = tmp_path / "cache"
    corpus = prepare(data, tokenizer, cache)
    made = prepare_domains(data, tokenizer, corpus, 16, cache)
    assert list(made) == ["prose", "some"]
    domain = made["prose"]
    assert (domain.vocab_size, domain.separator) == (corpus.vocab_size, corpus.separator)
    assert domain.meta.train_documents == 0
    assert domain.meta.heldout_documents == 10
    assert made["some"].meta.heldout_documents == 3
    if tokenizer.kind == "bytes":
        assert set(split_documents(domain, "heldout")) == {path.read_bytes() for path in prose.rglob("*.txt")}
    sequences, documents = domain.heldout_sequences(16, 64)
    assert sequences.shape == (4, 17)
    assert documents.max() < 10
    again = prepare_domains(data, tokenizer, corpus, 16, cache)
    assert again["prose"].folder == domain.folder
    assert prepare(data, tokenizer, cache).folder == corpus.folder, "domains are no part of the corpus"


def test_a_text_may_be_corpus_and_domain(tmp_path: Path) -> None:
    """Held out in part for one and as a whole for the other: two folders of the cache."""
    texts = write_texts(tmp_path / "texts", 40)
    data = text_config(texts, name="same")
    data.domains = {"same": str(texts)}
    corpus = prepare(data, TokenizerConfig(), tmp_path / "cache")
    domain = prepare_domains(data, TokenizerConfig(), corpus, 16, tmp_path / "cache")["same"]
    assert domain.folder != corpus.folder
    assert domain.heldout_tokens == corpus.train_tokens + corpus.heldout_tokens


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"prose": "no/such/folder"}, r"data\.domains\.prose: .*no/such/folder"),
        ({"prose": {"kind": "hf"}}, r"data\.domains\.prose: data\.path: missing"),
        ({"prose": {"paths": "x"}}, r"data\.domains\.prose: there is no setting 'paths'"),
        ({"prose": {"path": "x", "heldout_fraction": 0.1}}, "no setting 'heldout_fraction'"),
        ({"se": "x"}, "'se' cannot be a column's name"),
        ({"prose_se": "x"}, "'prose_se' cannot be a column's name"),
        ({"my prose": "x"}, "'my prose' cannot be a column's name"),
        ({"prose": {"path": "{short}"}}, r"data\.domains\.prose: .*do not fill a sequence"),
    ],
)
def test_what_is_wrong_with_a_domain_is_named(domains: dict, message: str, tmp_path: Path) -> None:
    short = write_texts(tmp_path / "short", 1, words=1)
    for value in domains.values():
        if isinstance(value, dict) and value.get("path") == "{short}":
            value["path"] = str(short)
    data = text_config(write_texts(tmp_path / "texts", 40))
    assert isinstance(data, DataConfig)
    data.domains = domains
    corpus = prepare(data, TokenizerConfig(), tmp_path / "cache")
    with pytest.raises(UserError, match=message) as caught:
        prepare_domains(data, TokenizerConfig(), corpus, 4096, tmp_path / "cache")
    assert "\n" not in str(caught.value)
