"""How fast a bundle is: in a process of its own, on one core.

python -m pipeline.speed BUNDLE < texts.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

BATCH = 8192
SECONDS = 1.0
STARTS = 3
ONE_CORE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "RAYON")}
FIRST_LABEL = "import sys; from pipeline.bundle import load; load(sys.argv[1]).label([sys.argv[2]])"


def speed(folder: str | Path, texts: Sequence[str]) -> dict[str, float]:
    """Return how fast a bundle labels.

    Parameters
    ----------
    folder : path
        A bundle.
    texts : sequence of str
        Sentences to score, repeated where they are few.

    Returns
    -------
    dict
        `sentences_per_second` on one core; `first_label_seconds`, from the start of a new Python process
        to the label of one sentence, the fastest of three; `megabytes` of the folder. Seconds are
        processor time, which other work on the machine does not stretch.
    """
    starts = []
    for _ in range(STARTS):
        began = _children_seconds()
        _run(["-c", FIRST_LABEL, str(folder), texts[0]])
        starts.append(_children_seconds() - began)
    found = json.loads(_run(["-m", "pipeline.speed", str(folder)], json.dumps(list(texts))))
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)
    return {"sentences_per_second": found, "first_label_seconds": min(starts), "megabytes": size / 1e6}


def rate(bundle: Any, texts: Sequence[str], seconds: float = SECONDS) -> float:
    """Return sentences labelled per second of processor time, over at least `seconds` of it."""
    bundle.label(list(islice(cycle(texts), BATCH)))  # what is prepared or looked up once
    size = 64
    while True:
        rows = islice(cycle(texts), size)
        began = time.process_time()
        for _ in range(0, size, BATCH):
            bundle.label(list(islice(rows, BATCH)))
        if (spent := time.process_time() - began) >= seconds:
            return size / spent
        size *= 2 if spent > seconds / 8 else 8


def _run(arguments: Sequence[str], given: str = "") -> str:
    """Run Python on one core and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **ONE_CORE},
        preexec_fn=_pin,
    )
    return done.stdout


def _children_seconds() -> float:
    """Return the processor time of all processes started here that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _pin() -> None:
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    from pipeline.bundle import load

    sys.stdout.write(json.dumps(rate(load(sys.argv[1]), json.load(sys.stdin))))
