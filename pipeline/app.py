"""What makes a function a stage: Hydra's command line, checked settings, one-line errors, exit status 2."""

from __future__ import annotations

import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.schema import ConfigError, PipelineError, nearest
from pipeline.settings import check, check_argument, keys, unknown
from pipeline.terminal import one_line

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
    A `PipelineError`, and what is wrong with the settings, becomes one line on stderr and exit status 2.
    A reader that closes the pipe (`| head`) ends the stage silently.
    """

    def decorate(function: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @functools.wraps(function)
        def guarded(config: DictConfig) -> Any:
            gc.set_threshold(*COLLECTIONS)
            with _told(config_name):
                _check(config, config_name)
                return function(config)

        composing = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(guarded)

        @functools.wraps(function)
        def command() -> Any:
            with _told(config_name), _full_errors():
                for argument in sys.argv[1:]:
                    check_argument(argument)
                return composing()

        return command

    return decorate


@contextmanager
def _told(config_name: str) -> Iterator[None]:
    """End the process where something is wrong that the user can mend."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except PipelineError as error:
        _end(error)
    except (HydraException, OmegaConfBaseException) as error:
        _end(plainly(error, config_name, sys.argv[1:]))
    except ValueError as error:
        if "Config group override" not in str(error):
            raise
        _end(error)
    except MemoryError:
        _end("out of memory; give fewer workers, a smaller batch_size or a smaller input")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _end(error: object) -> None:
    sys.stderr.write(f"error: {one_line(error)}\n")
    sys.exit(2)


@contextmanager
def _full_errors() -> Iterator[None]:
    """Let Hydra raise what it would print its own way, over several lines and with exit status 1."""
    name = "HYDRA_FULL_ERROR"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _check(config: DictConfig, config_name: str) -> None:
    """Refuse settings that no stage could work with."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get().runtime.choices
    added = {
        match[1]
        for one in HydraConfig.get().overrides.task
        if (match := _ADDED.match(one)) and match[1] not in chosen and match[1].partition(".")[0] not in OPEN
    }
    if added:
        known = known_keys(config_name, HydraConfig.get().overrides.task)
        for key in sorted(added - set(known)):
            raise unknown(key, known)
    check(OmegaConf.to_container(config, resolve=True, throw_on_missing=False))  # type: ignore[arg-type]


#: Keys below these may be added with "+": their names are the user's, or those of a class's parameters.
OPEN = ("model", "decision", "functions", "spark", "sweep", "labels", "score_folds", "experiment", "hydra")
_ADDED = re.compile(r"\+{1,2}([^=@]+)=")
_NO_KEY = re.compile(r"Could not override '([^']+)'|Could not delete from config. '([^']+)'")
_NO_CHOICE = re.compile(r"Could not find '([^']+)'.*?Available options in '[^']*':(.*)", re.DOTALL)
_MISSING = re.compile(r"Missing mandatory value: (\S+)")


def plainly(error: Exception, config_name: str, overrides: Sequence[str]) -> object:
    """Return what Hydra or OmegaConf found wrong, with the nearest key or choice there is.

    Parameters
    ----------
    error : Exception
    config_name : str
        Of the stage.
    overrides : sequence of str
        What its configuration was to be composed with.
    """
    said = str(error)[:4000].partition("Config search path")[0].partition("See https://hydra.cc")[0]
    if choice := _NO_CHOICE.search(said):
        group, _, name = choice[1].rpartition("/")
        return f"{group}={name}: no such choice{nearest(name, choice[2].split())}"
    if key := _NO_KEY.search(said):
        return unknown(key[1] or key[2], known_keys(config_name, overrides))
    if missing := _MISSING.search(said):
        return f"{missing[1]}: must be given, as {missing[1]}=…"
    return said


def known_keys(config_name: str, overrides: Sequence[str] = ()) -> list[str]:
    """Return the keys of a stage's configuration with the groups chosen, and nothing else changed."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import ConfigCompositionException

    groups = [
        one for one in overrides if (CONF / one.partition("=")[0].lstrip("+")).is_dir() and "," not in one
    ]
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        try:
            config = compose(config_name, overrides=groups)
        except ConfigCompositionException:  # a group that is another stage's
            config = compose(config_name)
    return keys(OmegaConf.to_container(config))  # type: ignore[arg-type]


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
        raise ConfigError(f"{plainly(error, name, ())}") from None
    with open_dict(config):
        config.update(parts)
    check(OmegaConf.to_container(config, resolve=True, throw_on_missing=False))  # type: ignore[arg-type]
    return config
