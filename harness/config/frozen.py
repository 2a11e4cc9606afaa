"""A configuration read back from where it was frozen."""

from omegaconf import DictConfig, OmegaConf

from harness.config.schema import Config


def load_config(yaml: str) -> Config:
    """The configuration that was written as ``yaml``.

    A throughput from before times were modelled by steps (a table of FLOP/s) is left out: it changed no run.
    """
    written = OmegaConf.create(yaml)
    assert isinstance(written, DictConfig), "a configuration has keys"
    if "params" in (written.get("throughput") or {}):
        del written["throughput"]
    merged = OmegaConf.merge(OmegaConf.structured(Config), written)
    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    return config
