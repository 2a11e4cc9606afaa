"""A configuration read back from where it was frozen."""

from omegaconf import OmegaConf

from harness.config.schema import Config


def load_config(yaml: str) -> Config:
    """The configuration that was written as ``yaml``."""
    merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(yaml))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    return config
