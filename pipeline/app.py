"""What makes a function a stage: Hydra's command line, one-line errors, exit status 2."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.schema import ConfigError, PipelineError

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"

# Few collections: stages import far more objects than they discard in cycles, and looking through them
# all again and again took a third of a short training's time.
COLLECTIONS = (50_000, 20, 20)

# The repository's root, so that defaults mean the same files from any working directory.
OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)


def stage(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Make a function over a configuration into a command-line stage.

    Parameters
    ----------
    config_name : str
        File under `conf/`, without its extension.

    Notes
    -----
    A `PipelineError` becomes one line on stderr and exit status 2. A reader that closes the pipe
    (`| head`) ends the stage silently.
    """

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @functools.wraps(function)
        def guarded(config: DictConfig) -> Any:
            gc.set_threshold(*COLLECTIONS)
            try:
                return function(config)
            except PipelineError as error:
                sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
                sys.exit(2)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(1)

        return hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(guarded)

    return decorate


def apart(config: DictConfig, **names: str) -> None:
    """Let each job of a multirun write into a folder of its own, where no output is named for all.

    Parameters
    ----------
    config : DictConfig
        Changed in place.
    **names : str
        Key of an output, and its name within the job's folder.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return
    given = {override.partition("=")[0].lstrip("+") for override in HydraConfig.get().overrides.task}
    for key, name in names.items():
        if key not in given:
            config[key] = str(Path(HydraConfig.get().runtime.output_dir) / name)


def composed(name: str, overrides: Sequence[str] = (), **parts: Any) -> DictConfig:
    """Return another stage's configuration, with overrides as on its command line.

    Parameters
    ----------
    name : str
        File under `conf/`, without its extension.
    overrides : sequence of str
    **parts : object
        Replace top-level keys: what the calling stage was configured with.

    Raises
    ------
    ConfigError
        For a key or choice that there is not.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    running = GlobalHydra.instance().is_initialized()  # within a stage
    try:
        with nullcontext() if running else initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            config = compose(name, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        said = " ".join(str(error).split()).partition(" Config search path")[0]
        raise ConfigError(said) from None
    with open_dict(config):
        config.update(parts)
    return config
