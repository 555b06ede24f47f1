"""What makes a function a stage: Hydra's command line, one-line errors, exit status 2."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from pipeline.schema import PipelineError

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"

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
