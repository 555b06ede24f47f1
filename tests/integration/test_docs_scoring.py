"""The commands and the code of docs/scoring.md, run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")
TABLE = PAGE.split("\n## ")[0]  # of settings


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_what_the_page_shows_runs(command, trained, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "articles").symlink_to(trained.corpus.articles)
    for line in blocks("sh"):
        name, *arguments = line.split()[2:]
        assert line.startswith("python -m pipeline.")
        done = command(name.removeprefix("pipeline."), *arguments, f"model_uri={trained.bundle}")
        assert done.code == 0, done.err
    subprocess.run([sys.executable, "-m", "zipfile", "-e", "model.zip", "."], cwd=tmp_path, check=True)
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{code}\nprint(bundle.labels.names)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "economic_claim" in done.stdout


@pytest.mark.parametrize("setting", re.findall(r"^\| `(\w+)=", TABLE, re.MULTILINE))
def test_every_setting_in_the_table_is_one(compose, setting):
    assert setting in compose("predict", ["input=x", "output=y"])
