"""The contracts other programs rely on, as they are checked outside this repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_contracts_hold(shared, trained, tmp_path):
    """In a copy of the repository with the small corpus, where nothing is the default but the paths."""
    checks = shared / "checks" / "contract.py"
    if not checks.is_file():
        pytest.skip(f"{checks} is not here")
    for name in ("pipeline", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(trained.corpus.folder, tmp_path / "data")
    shutil.copytree(trained.bundle, tmp_path / "models" / "latest")
    shutil.copytree(trained.report, tmp_path / "reports" / "latest")
    done = subprocess.run(
        [sys.executable, str(checks)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(line.startswith("holds ") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) >= 7
