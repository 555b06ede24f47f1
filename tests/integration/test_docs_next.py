"""The commands of docs/what-next.md, estimate.md and labelling-functions.md, as they are written there."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
FORM = re.compile(r"(?:PIPELINE_TRUSTED=(\w+) )?python -m pipeline\.(\w+) ?(.*)")
PAGES = ("what-next.md", "estimate.md", "labelling-functions.md")


def commands(page):
    """Return trusted module, stage and arguments of each command in a page's sh blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [FORM.fullmatch(line).groups(default="") for line in lines]


COMMANDS = [
    pytest.param(
        *(trusted, name, shlex.split(arguments)),
        id=f"{page} {name} {arguments}",
        marks=[pytest.mark.slow] if name == "train" else [],
    )
    for page in PAGES
    for trusted, name, arguments in commands(page)
]
FILES = re.findall(
    r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", (DOCS / "labelling-functions.md").read_text(), re.DOTALL
)
UNSEEN = """Did the mill lie about its prices?

The union accused the mill of fraud. The mill denied that any money was missing. Its owner had no comment on
losses of 3 million dollars. It rained all day."""


@pytest.fixture
def desk(trained, tmp_path, monkeypatch):
    """A folder with what the pages call news.jsonl, done.jsonl and sample.csv, and their own files."""
    monkeypatch.chdir(tmp_path)
    texts = [path.read_text(encoding="utf-8") for path in sorted(trained.corpus.articles.iterdir())]
    with Path("news.jsonl").open("w", encoding="utf-8") as file:
        for n, text in enumerate([*texts, UNSEEN]):
            row = {"id": f"story-{n:02}", "text": text, "source": "abc"[n % 3]}
            file.write(json.dumps(row | {"date": f"2024-0{1 + n % 2}-11"}) + "\n")
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    kept = [{key: row[key] for key in ("article", "text", "labels")} for row in rows[::2]]
    Path("done.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    with Path("sample.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(row | {"labels": "; ".join(row["labels"])} for row in kept)
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
    more = {
        "suggest": [f"model_uri={trained.bundle}", f"out_of_fold={trained.report / 'out_of_fold.parquet'}"],
        "estimate": [f"model_uri={trained.bundle}", "output=shares.csv"],
        "weak": weak,
        "train": [*corpus, "model.estimator.weak=weak.parquet", "tracking.uri=null"],
        "curve": [one for one in trained.corpus.overrides(desk) if not one.startswith(("output=", "report="))]
        + ["shares=[40,60,80,100]", "draws=1", "output=curve.json", "plot=curve.png"],
    }[name]
    if name == "train":
        assert stage("weak", "input=news.jsonl", *weak).code == 0
    done = stage(name, *arguments, *more)
    assert done.code == 0, done.err
    written = [one.partition("=")[2] for one in [*arguments, *more] if one.startswith(("output=", "plot="))]
    assert written and all((desk / one).stat().st_size for one in written)
    if trusted:
        with Path("functions.csv").open(newline="", encoding="utf-8") as file:
            voted = {
                row["function"] for row in csv.DictReader(file) if row["for"] > "0" or row["against"] > "0"
            }
        assert voted >= {"denied", "no_comment", "money", "question", "old"}


def test_every_command_is_found():
    assert len(COMMANDS) == 11
