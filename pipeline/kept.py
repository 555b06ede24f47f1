"""Results that are kept under the content they came from, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pipeline.files import digest, write_json
from pipeline.models.static import VECTORS

PACKAGE = Path(__file__).parent
# What the result of a training depends on.
CODE = (
    *("models", "evaluation", "labels", "text", "corpora", "reports/tested.py"),
    *("bundle.py", "label.py", "schema.py", "train.py"),
)
PACKAGES = ("numpy", "pyarrow", "scikit-learn", "scipy")
Value = TypeVar("Value")


def kept(path: Path, key: str, make: Callable[[], Value]) -> Value:
    """Return what the JSON file at `path` keeps under `key`, made anew where that is something else.

    What was kept is removed before anything new is made: broken off in between, there is nothing.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] == key:
            return found["value"]
    path.unlink(missing_ok=True)
    value = make()
    write_json(path, {"key": key, "value": value})
    return value


def content_key(*parts: Any) -> str:
    """Return a digest of JSON-able settings, of the files that they name, of code, vectors and packages."""
    about = [_with_files(list(parts)), _code(), [version(name) for name in PACKAGES]]
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def _with_files(value: Any) -> Any:
    """Return settings with every path to a file or folder replaced by the digest of what is there."""
    if isinstance(value, dict):
        return {key: _with_files(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_files(one) for one in value]
    if isinstance(value, str) and value:
        with suppress(OSError, ValueError):  # too long for a path
            if Path(value).exists():
                return digest(Path(value))
    return value


def _code() -> list[str]:
    return [digest(path) for path in (*(PACKAGE / name for name in CODE), VECTORS)]
