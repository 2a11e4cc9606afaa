"""A configuration read back from where it was frozen."""

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.config.compose import compose_config, config_folder
from harness.config.schema import Config
from harness.errors import UserError
from harness.plan.throughput import ThroughputConfig


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


def load_throughput(yaml: str) -> ThroughputConfig | None:
    """The time model in the configuration that was written as ``yaml``; None where it has none that can be read.

    For a table of FLOP/s, from before times were modelled by steps, stands the time model that is now committed under
    its name; one that a user measured has no successor.
    """
    try:
        written = OmegaConf.create(yaml)
        stored = written.get("throughput") if isinstance(written, DictConfig) else None
        if not isinstance(stored, DictConfig):
            return None
        if "params" in stored:
            name = str(stored.get("name"))
            known = {path.stem for path in (config_folder() / "throughput").glob("*.yaml")}
            return compose_config([f"throughput={name}"])[0].throughput if name in known else None
        found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ThroughputConfig), stored))
    except (OmegaConfBaseException, YAMLError, UserError):
        return None
    return found if isinstance(found, ThroughputConfig) else None
