"""What other processes are started with."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])


def with_this_code() -> None:
    """Have processes started from now on import this package from where this process did.

    MLflow puts a loaded model's own code first on `sys.path`, which a new process is given: it would
    run the code of that model, of another version perhaps and without the data beside this one's.
    """
    if sys.path[0] != ROOT:
        sys.path.insert(0, ROOT)
