"""What settings may be: which keys, of which type, in which range; checked before any work."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from pipeline.schema import ConfigError

#: What a `_target_` may name: classes of our own, and scikit-learn's estimators. Not everything that can
#: be reached from a module: `sklearn.os.system` is there too.
_SKLEARN = (
    "calibration|cluster|compose|decomposition|discriminant_analysis|dummy|ensemble|feature_extraction.text"
    "|feature_selection|impute|isotonic|kernel_approximation|linear_model|multiclass|multioutput|naive_bayes"
    "|neighbors|neural_network|pipeline|preprocessing|random_projection|svm|tree"
)
_ALLOWED = re.compile(
    rf"(?:pipeline\.models\.[a-z]\w*|sklearn\.(?:{_SKLEARN.replace('.', '[.]')}))\.[A-Z]\w*"
    r"|pipeline\.bundle\.load"
)
_TARGET = re.compile(r"_target_\W{0,9}[:=]\s{0,9}['\"]?([\w.]+)")
#: Names modules of your own, separated by commas: from the environment, which no file of others can set.
TRUSTED = "PIPELINE_TRUSTED"


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range.

    Attributes
    ----------
    low, high : float
    whole : bool
    open_low, open_high : bool
        Whether the bound itself is out.
    """

    low: float = -inf
    high: float = inf
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def fits(self, value: object) -> bool:
        """Return whether a value is such a number; NaN is none."""
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        bounds = [f"{'above' if self.open_low else 'at least'} {self.low:,}"] if self.low > -inf else []
        bounds += [f"{'below' if self.open_high else 'at most'} {self.high:,}"] if self.high < inf else []
        return f"a {'whole ' * self.whole}number, {' and '.join(bounds)}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A value of some Python types."""

    name: str
    types: tuple[type, ...]

    def fits(self, value: object) -> bool:
        """Return whether a value is of a type."""
        return isinstance(value, self.types) and not (isinstance(value, bool) and bool not in self.types)

    def __str__(self) -> str:
        return self.name


COUNT, FROM_TWO = Number(1, whole=True), Number(2, whole=True)
SHARE, PROPER_SHARE = Number(0, 1), Number(0, 1, open_low=True, open_high=True)
PATH = Kind("a path; quote a number: key='\"7\"'", (str,))
SWITCH = Kind("true or false", (bool,))

_PATHS = """
    input output report labelled gold analysis statistics page plot drift folder write export import
    annotations out_of_fold model_uri behaviour_tests distill.articles text
    tracking.uri tracking.experiment tracking.register
    corpus.articles corpus.metadata corpus.annotations corpus.train corpus.test corpus.name
"""
#: What each key must be, where it is there and not null.
RULES: dict[str, Number | Kind] = {
    "seed": Number(0, 2**32 - 1, whole=True),
    "split.folds": FROM_TWO,
    "split.repeats": COUNT,
    "split.score_folds": COUNT,
    "split.test_ratio": PROPER_SHARE,
    "split.near_duplicate": Number(0, 1, open_low=True),
    "decision.beta": Number(0, open_low=True),
    "decision.min_precision": Number(0, 1, open_low=True),
    "decision.error_rate": PROPER_SHARE,
    "near_duplicate": Number(0, 1, open_low=True),
    "batch_size": COUNT,
    "workers": COUNT,
    "trials": COUNT,
    "draws": COUNT,
    "gain": PROPER_SHARE,
    "margin": SHARE,
    "level": PROPER_SHARE,
    "least": COUNT,
    "silence": SHARE,
    "count": COUNT,
    "among": COUNT,
    "pool": COUNT,
    "port": Number(1, 65535, whole=True),
    "sample": COUNT,
    "corpus.strict": SWITCH,
    **dict.fromkeys(("explain", "behaviour", "predictions", "promote", "rollback"), SWITCH),
    **dict.fromkeys(_PATHS.split(), PATH),
}


def check(config: Mapping[str, Any]) -> None:
    """Refuse what no stage could work with.

    Parameters
    ----------
    config : mapping
        Resolved; what has to be given and is not, is "???".

    Raises
    ------
    ConfigError
        Naming the first key, and what it must be.
    """
    check_targets(config)
    for key, rule in RULES.items():
        value = _at(config, key)
        if value == "???":
            raise ConfigError(f"{key}: must be given, as {key}=…")
        if value is not None and not rule.fits(value):
            raise ConfigError(f"{key}={value}: must be {rule}")


def unknown(key: str, known: Sequence[str]) -> ConfigError:
    """Return what to say of a key that there is not; the nearest may be elsewhere in the tree."""
    from difflib import get_close_matches

    close = get_close_matches(key, known, n=1, cutoff=0.7)
    if not close:
        ends = {one.rpartition(".")[2]: one for one in reversed(known)}
        close = [ends[end] for end in get_close_matches(key.rpartition(".")[2], ends, n=1, cutoff=0.7)]
    return ConfigError(f"{key}: unknown key; " + (f"did you mean {close[0]!r}?" if close else "see --help"))


def check_targets(config: object) -> None:
    """Raise ConfigError for a `_target_` that is not allowed, anywhere in a configuration."""
    for place, target in _targets(config):
        check_target(place, target)


def check_argument(argument: str) -> None:
    """Raise ConfigError for a `_target_` that is not allowed, anywhere in an argument of the command line."""
    for match in _TARGET.finditer(argument):
        check_target("_target_", match[1])


def check_target(place: str, target: object) -> None:
    """Raise ConfigError unless a configuration may name this class or function."""
    own = filter(None, (name.strip() for name in os.environ.get(TRUSTED, "").split(",")))
    if not isinstance(target, str) or not (
        _ALLOWED.fullmatch(target) or any(target.startswith(f"{module}.") for module in own)
    ):
        raise ConfigError(
            f"{place}={target}: not one that a configuration may name, which is estimators of sklearn and "
            f"classes of pipeline.models; for your own, set {TRUSTED}=MODULE in the environment"
        )


def check_address(place: str, address: str) -> None:
    """Raise ConfigError for an address of another machine that would be read without TLS."""
    from urllib.parse import urlsplit

    scheme, host = address.partition("://")[0].lower(), ""
    if scheme in ("http", "ftp"):
        host = urlsplit(address).hostname or ""
    if host and host != "localhost" and not host.startswith("127.") and host != "::1":
        raise ConfigError(
            f"{place}={address}: {scheme} lets anyone on the way change what arrives; use https, or a file"
        )


def keys(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return all keys of a nest of mappings, dotted."""
    found = []
    for key, value in config.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            found += keys(value, f"{prefix}{key}.")
    return found


def _targets(config: object, place: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            at = f"{place}.{key}" if place else str(key)
            if key == "_target_":
                yield at, value
            else:
                yield from _targets(value, at)
    elif isinstance(config, Sequence) and not isinstance(config, str):
        for number, value in enumerate(config):
            yield from _targets(value, f"{place}.{number}")


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
