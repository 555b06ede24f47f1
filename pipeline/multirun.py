"""What Hydra calls around a multirun: one parent run for all its jobs, and a table of them at the end."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from pipeline.terminal import say, without_secrets

# Of the process that launches the jobs; the callback itself travels to others with them.
_open = ExitStack()
JOB = "job.json"


class Multirun(Callback):
    """Open a parent run before the first job, and close it after the last."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Open the run; jobs in this and other processes become its children."""
        import atexit

        from pipeline.families import family

        tracking = config.tracking
        _open.enter_context(family(tracking.uri, tracking.experiment, _name(config), Path(config.paths.root)))
        atexit.register(_failed)

    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """Keep what a job was given and what it returned; of a single run, nothing."""
        if not str(config.hydra.mode).endswith("MULTIRUN"):
            return
        overrides = [without_secrets(one) for one in job_return.overrides]
        about = {"overrides": overrides, "status": job_return.status.name}
        if about["status"] == "COMPLETED":
            about["value"] = job_return.return_value
        (Path(config.hydra.runtime.output_dir) / JOB).write_text(json.dumps(about))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Close the run and show the jobs, best first."""
        _open.close()
        folder = Path(config.hydra.sweep.dir)
        if (whole := folder / "multirun.yaml").is_file():  # Hydra's copy of the configuration
            whole.write_text(without_secrets(whole.read_text(encoding="utf-8")), encoding="utf-8")
        jobs = [(path.parent, json.loads(path.read_text())) for path in folder.glob(f"*/{JOB}")]
        common = set.intersection(*({*job["overrides"]} for _, job in jobs)) if len(jobs) > 1 else set()
        sys.stdout.write("\nmacro-F1, cross-validation\n")
        for path, job in sorted(jobs, key=lambda job: -job[1].get("value", -1.0)):
            own = " ".join(one for one in job["overrides"] if one not in common)
            value = f"{job['value']:.4f}" if "value" in job else "failed"
            say(without_secrets(f"{value:>8}  {own}   {path}"))


def _name(config: DictConfig) -> str:
    """Return the run's name: what is varied."""
    varied = [one for one in config.hydra.overrides.task if "," in one or "(" in one]
    return f"multirun {' '.join(varied)}"[:200]


def _failed() -> None:
    """Mark the run as failed where the multirun ended before its end."""
    _open.__exit__(SystemExit, SystemExit(), None)
