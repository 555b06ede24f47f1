"""The commands of docs/experiments.md, as they are written there."""

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
COMMANDS = [
    re.fullmatch(r"python -m pipeline\.(\w+) (.*)", line).groups() for line in LINES if "make" not in line
]


def test_every_command_is_found():
    assert len(COMMANDS) == 7
    (make,) = (line for line in LINES if "make" in line)
    assert re.search(rf"^{make.split()[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def desk(trained, train, tmp_path_factory):
    """A folder with what the page names, and runs of a model of their own: the last one is as the first."""
    folder = tmp_path_factory.mktemp("desk")
    own = ("tracking.experiment=docs", "tracking.register=docs")
    for name, *more in (("a",), ("b", "model=majority"), ("c",)):
        made = train(trained.corpus, folder / name, *own, *more)
        (folder / "reports").mkdir(exist_ok=True)
        made.report.rename(folder / "reports" / name)
    (folder / "data").mkdir()
    (folder / "data" / "articles").symlink_to(trained.corpus.articles)
    row = json.dumps({"text": "The bank denied it.", "labels": ["denial"]})
    (folder / "labelled.jsonl").write_text(f"{row}\n" * 9)
    return folder


@pytest.mark.parametrize(("name", "arguments"), COMMANDS)
def test_command(name, arguments, desk, store, stage, monkeypatch):
    """In the order of the page: what was promoted can be rolled back."""
    monkeypatch.chdir(desk)
    given = shlex.split(arguments, comments=True)
    if name == "compare":
        given += [f"tracking.uri={store}", "tracking.experiment=docs", "tracking.register=docs"]
        given += ["output=comparison.json"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    done = stage(name, *given)
    assert done.code == 0, done.err
    if "rollback=true" in given:
        assert "version 1 of 'docs' is champion now (before: 3)" in done.out
    else:
        (output,) = (one.partition("=")[2] for one in given if one.startswith("output="))
        assert (desk / output).stat().st_size
