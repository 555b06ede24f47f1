"""The commands of docs/labelling-functions.md, as they are written there."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

FORM = re.compile(r"(?:PIPELINE_TRUSTED=(\w+) )?python -m pipeline\.(\w+) ?(.*)")
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "labelling-functions.md").read_text(encoding="utf-8")


def commands():
    """Return trusted module, stage and arguments of each command in the page's sh blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [FORM.fullmatch(line).groups(default="") for line in lines]


COMMANDS = [
    pytest.param(
        *(trusted, name, shlex.split(arguments)),
        id=f"{name} {arguments}",
        marks=[pytest.mark.slow] if name == "train" else [],
    )
    for trusted, name, arguments in commands()
]
FILES = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
UNSEEN = """Did the mill lie about its prices?

The union accused the mill of fraud. The mill denied that any money was missing. Its owner had no comment on
losses of 3 million dollars. It rained all day."""


@pytest.fixture
def desk(trained, tmp_path, monkeypatch):
    """A folder with news.jsonl and the page's own files."""
    monkeypatch.chdir(tmp_path)
    texts = [path.read_text(encoding="utf-8") for path in sorted(trained.corpus.articles.iterdir())]
    rows = [{"id": f"story-{n:02}", "text": text} for n, text in enumerate([*texts, UNSEEN])]
    Path("news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name, text in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    shutil.copytree(trained.bundle, "models/latest")
    return tmp_path


@pytest.mark.parametrize(("trusted", "name", "arguments"), COMMANDS)
def test_command(trusted, name, arguments, desk, trained, stage, monkeypatch):
    """With the small corpus and its classifier in place of the repository's own."""
    monkeypatch.setenv("PIPELINE_TRUSTED", trusted)
    monkeypatch.syspath_prepend(desk)
    corpus = [one for one in trained.corpus.overrides(desk) if not one.startswith("model=")]
    weak = [f"gold={trained.folder / 'labelled.parquet'}", "output=weak.parquet", "analysis=functions.csv"]
    weak += [f"hydra.searchpath=[file://{desk / 'conf'}]"]
    more = {"weak": weak, "train": [*corpus, "model.estimator.weak=weak.parquet", "tracking.uri=null"]}[name]
    if name == "train":
        assert stage("weak", "input=news.jsonl", *weak).code == 0
    done = stage(name, *arguments, *more)
    assert done.code == 0, done.err
    written = [one.partition("=")[2] for one in [*arguments, *more] if one.startswith("output=")]
    assert written and all((desk / one).stat().st_size for one in written)
    if trusted:
        with Path("functions.csv").open(newline="", encoding="utf-8") as file:
            voted = {
                row["function"] for row in csv.DictReader(file) if row["for"] > "0" or row["against"] > "0"
            }
        assert voted >= {"denied", "no_comment", "money", "question", "old"}


def test_every_command_is_found():
    assert [param.values[1] for param in COMMANDS] == ["weak", "train", "weak"]
