"""Where a run comes from: the code, the data and the settings, the latter without what is secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.terminal import without_secrets

# Names the run that runs opened in this process and those it starts are children of.
PARENT = "PIPELINE_PARENT_RUN"
_SECRET = re.compile(r"(?:password|passwd|secret|credential|access.?key|api.?key|auth.?token)", re.IGNORECASE)


def scrubbed(value: Any) -> Any:
    """Return a nest of mappings and lists without passwords and tokens, in values or under such a key."""
    if isinstance(value, Mapping):
        return {
            key: "***" if isinstance(one, str) and _SECRET.search(str(key)) else scrubbed(one)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrubbed(one) for one in value]
    return without_secrets(value) if isinstance(value, str) else value


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{"a.b.0": value}` for a nest of mappings and lists."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, list):
            value = dict(enumerate(value)) if any(isinstance(v, dict | list) for v in value) else value
        if isinstance(value, Mapping):
            flat |= flatten({str(k): v for k, v in value.items()}, f"{name}.")
        else:
            flat[name] = value
    return flat


def commit(root: Path) -> str:
    """Return the commit that is checked out; "" where nothing is."""
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def source(root: Path) -> dict[str, str]:
    """Return tags that say which code and which data a run came from."""
    tags = {"mlflow.source.name": " ".join(sys.argv[:1]), "mlflow.source.type": "LOCAL"}
    if name := commit(root):
        tags |= {"mlflow.source.git.commit": name, "commit": name[:10]}
    if parent := os.environ.get(PARENT):
        tags["mlflow.parentRunId"] = parent
    return tags | _dvc_hashes(root / "dvc.lock")


def _dvc_hashes(lock: Path) -> dict[str, str]:
    if not lock.is_file():
        return {}
    import yaml

    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    return {
        f"dvc.{name}.{dep['path']}": dep.get("md5", "")
        for name, stage in stages.items()
        for dep in stage.get("deps", []) + stage.get("outs", [])
    }
