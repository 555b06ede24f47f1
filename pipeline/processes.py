"""What other processes are started with."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).parents[1]


def with_this_code() -> None:
    """Have processes started from now on import this package from where this process did.

    MLflow puts a loaded model's own code first on `sys.path`, which a new process is given: it would
    run the code of that model, of another version perhaps and without the data beside this one's.
    """
    found = PathFinder.find_spec(__package__.partition(".")[0], sys.path)
    if found and found.origin and Path(found.origin).parents[1] != ROOT:
        sys.path.insert(0, str(ROOT))
