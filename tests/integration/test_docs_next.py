"""The commands of docs/what-next.md, estimate.md and annotation-tools.md, as they are written there."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def words(line):
    """Return a line's words as bash makes them, with its quotes, braces and all."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\0")[:-1]


def blocks(page):
    """Return the commands of each sh block of a page."""
    found = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [block.replace("\\\n", " ").splitlines() for block in found]
    return [[words(line) for line in block if line.strip()] for block in lines]


BLOCKS = [
    pytest.param(block, id=f"{page} {n}")
    for page in ("what-next.md", "estimate.md", "annotation-tools.md")
    for n, block in enumerate(blocks(page), 1)
]


@pytest.fixture
def desk(trained, tmp_path, monkeypatch):
    """A folder with what the pages call news.jsonl and done.jsonl."""
    monkeypatch.chdir(tmp_path)
    articles = sorted(trained.corpus.articles.iterdir())
    with Path("news.jsonl").open("w", encoding="utf-8") as file:
        for n, path in enumerate(articles):
            row = {"id": path.stem, "text": path.read_text(encoding="utf-8"), "source": "abc"[n % 3]}
            file.write(json.dumps(row | {"date": f"2024-0{1 + n % 2}-11"}) + "\n")
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    kept = [{key: row[key] for key in ("article", "text", "labels")} for row in rows[::2]]
    Path("done.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return tmp_path


def answer(name):
    """Fill in what a coder is given; settled.json is what Label Studio makes of settle.json."""
    if name in ("next.csv", "sample.csv"):
        with Path(name).open(newline="", encoding="utf-8-sig") as file:
            rows = [row | {"none": "yes"} for row in csv.DictReader(file)]
        with Path(name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    if name == "settled.json":
        said = {"result": [], "completed_by": {"email": "editor@example.org"}}
        rows = [row | {"annotations": [said]} for row in json.loads(Path("settle.json").read_text())]
        Path(name).write_text(json.dumps(rows))


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block, desk, trained, stage):
    """With the small corpus and its classifier in place of the repository's own."""
    shutil.copy(trained.corpus.annotations, "said.jsonl")
    places = [f"corpus.articles={trained.corpus.articles}", f"corpus.metadata={trained.corpus.metadata}"]
    places += ["corpus.annotations=said.jsonl"]
    interim = Path("data/interim/labelled.parquet")
    joined = [*places, f"output={interim}", f"statistics={interim.with_suffix('.json')}"]
    more = {
        "suggest": [f"model_uri={trained.bundle}", f"out_of_fold={trained.report / 'out_of_fold.parquet'}"],
        "estimate": [f"model_uri={trained.bundle}", "output=shares.csv"],
        "curve": [one for one in trained.corpus.overrides(desk) if not one.startswith(("output=", "report="))]
        + ["shares=[40,60,80,100]", "draws=1", "output=curve.json", "plot=curve.png"],
        "exchange": places,
        "label": joined,
    }
    assert stage("label", *joined).code == 0
    for python, _, module, *arguments in block:
        name = module.removeprefix("pipeline.")
        assert python == "python" and name in more, block
        given = dict(one.split("=", 1) for one in arguments)
        answer(given.get("import"))
        own = [one for one in more[name] if one.split("=", 1)[0] not in given]
        done = stage(name, *arguments, *own)
        assert done.code == 0, done.err
        files = dict(one.split("=", 1) for one in own) | given
        files = [files[key] for key in ("output", "plot", "export") if key in files]
        assert all((desk / one).stat().st_size for one in files)
        if "import" in given:
            assert " 0 added" not in done.out and "added" in done.out
        if "aggregation.adjudicator" in given:
            assert "decided by" in done.out and "editor" in done.out


def test_every_command_is_found():
    assert [len(param.values[0]) for param in BLOCKS] == [3, 2, 2, 2, 3, 3]
