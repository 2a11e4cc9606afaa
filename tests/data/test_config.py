"""The schema: what is refused, and that the committed files fit it."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.data import DataConfig, TokenizerConfig
from harness.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("file", sorted((CONFIGS / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_committed_corpora_fit_the_schema(file: Path) -> None:
    root = OmegaConf.create(
        {"data": OmegaConf.structured(DataConfig), "path": "somewhere", "cache_dir": "cache"}
    )
    root.data = OmegaConf.merge(root.data, OmegaConf.load(file))
    OmegaConf.resolve(root)
    config = OmegaConf.to_object(root.data)
    assert isinstance(config, DataConfig)
    assert config.name == file.stem
    assert (config.path == "somewhere") == (file.stem in ("text", "hf"))
    assert (str(config.path).startswith("cache")) == bool(config.fetch), "text that a command fetches says so"


@pytest.mark.parametrize("file", sorted((CONFIGS / "tokenizer").glob("*.yaml")), ids=lambda path: path.stem)
def test_committed_tokenizers_fit_the_schema(file: Path) -> None:
    node = OmegaConf.merge(OmegaConf.structured(TokenizerConfig), OmegaConf.load(file), {"path": "gpt2"})
    config = OmegaConf.to_object(node)
    assert isinstance(config, TokenizerConfig)
    assert config.kind == file.stem


def test_numbers_as_people_write_them() -> None:
    node = OmegaConf.merge(
        OmegaConf.structured(DataConfig),
        OmegaConf.create("{kind: declared, unique_tokens: 1e10, vocab_size: 50304, max_bytes: 2e9}"),
    )
    config = OmegaConf.to_object(node)
    assert isinstance(config, DataConfig)
    assert config.unique_tokens == 10**10
    assert isinstance(config.max_bytes, int)


def test_unknown_keys_and_wrong_types_are_refused() -> None:
    for bad in ({"pathh": "x"}, {"heldout_fraction": "much"}):
        with pytest.raises(OmegaConfBaseException):
            OmegaConf.merge(OmegaConf.structured(DataConfig), bad)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "books"}, "data.kind"),
        ({"name": "a/b"}, "data.name"),
        ({"name": ""}, "data.name"),
        ({"heldout_fraction": 0.0}, "data.heldout_fraction"),
        ({"heldout_fraction": 0.9}, "data.heldout_fraction"),
        ({"heldout_fraction": float("nan")}, "data.heldout_fraction"),
        ({"max_epochs": 0}, "data.max_epochs"),
        ({"eval_tokens": 0}, "data.eval_tokens"),
        ({"max_bytes": -1}, "data.max_bytes"),
        ({"kind": "text"}, "data.path"),
        ({"kind": "hf"}, "data.path"),
        ({"kind": "declared", "unique_tokens": 5}, "vocab_size"),
        ({"kind": "text", "path": "x", "separator": ""}, "data.separator"),
        ({"kind": "text", "path": "x", "encoding": "klingon"}, "data.encoding"),
        ({"kind": "text", "path": "x", "encoding": "base64"}, "data.encoding"),
        ({"name": "a" * 300}, "data.name: has 300 letters"),
        ({"max_bytes": float("inf")}, "data.max_bytes: at most"),
        ({"max_documents": float("nan")}, "data.max_documents"),
        ({"document_bytes": 10**12}, "data.document_bytes: at most"),
        ({"eval_tokens": 10**400}, "data.eval_tokens: at most"),
        ({"unique_tokens": 1e30}, "data.unique_tokens: at most"),
    ],
)
def test_impossible_corpora_are_one_line(values: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        DataConfig(**values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "words"}, "tokenizer.kind"),
        ({"kind": "bpe", "vocab_size": 256}, "tokenizer.vocab_size"),
        ({"kind": "bpe", "sample_bytes": 0}, "tokenizer.sample_bytes"),
        ({"kind": "bpe", "sample_bytes": 10**400}, "tokenizer.sample_bytes"),
        ({"kind": "bpe", "vocab_size": 10**9}, "tokenizer.vocab_size: at most 1,000,000"),
        ({"kind": "pretrained"}, "tokenizer.path"),
    ],
)
def test_impossible_tokenizers_are_one_line(values: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        TokenizerConfig(**values)


def test_labels() -> None:
    assert TokenizerConfig().label == "bytes"
    assert TokenizerConfig(kind="bpe", vocab_size=512).label == "bpe512"
    assert TokenizerConfig(kind="pretrained", path="EleutherAI/gpt-neox-20b").label == "gpt-neox-20b"
    assert TokenizerConfig(kind="pretrained", path="mine/tokenizer.json").label == "mine"
    assert TokenizerConfig(kind="pretrained", path="..").label == "pretrained"
    assert len(TokenizerConfig(kind="pretrained", path="a" * 250).label) == 100
