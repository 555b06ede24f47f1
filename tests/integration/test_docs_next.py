"""The commands of docs/what-next.md and docs/estimate.md, as they are written there."""

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands(page):
    """Return stage and arguments of each command in a page's sh blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    return [re.fullmatch(r"python -m pipeline\.(\w+) ?(.*)", line).groups() for line in lines]


COMMANDS = [
    pytest.param(page, name, shlex.split(arguments), id=f"{name} {arguments}")
    for page in ("what-next.md", "estimate.md")
    for name, arguments in commands(page)
]


@pytest.fixture
def desk(trained, tmp_path, monkeypatch):
    """A folder with what the pages call news.jsonl, done.jsonl and sample.jsonl."""
    monkeypatch.chdir(tmp_path)
    articles = sorted(trained.corpus.articles.iterdir())
    with Path("news.jsonl").open("w", encoding="utf-8") as file:
        for n, path in enumerate(articles):
            row = {"id": path.stem, "text": path.read_text(encoding="utf-8"), "source": "abc"[n % 3]}
            file.write(json.dumps(row | {"date": f"2024-0{1 + n % 2}-11"}) + "\n")
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    for name in ("done.jsonl", "sample.jsonl"):
        kept = [{key: row[key] for key in ("article", "text", "labels")} for row in rows[::2]]
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("page", "name", "arguments"), COMMANDS)
def test_command(page, name, arguments, desk, trained, stage):
    """With the small corpus and its classifier in place of the repository's own."""
    more = {
        "suggest": [f"model_uri={trained.bundle}", f"out_of_fold={trained.report / 'out_of_fold.parquet'}"],
        "estimate": [f"model_uri={trained.bundle}", "output=shares.csv"],
        "curve": [one for one in trained.corpus.overrides(desk) if not one.startswith(("output=", "report="))]
        + ["shares=[40,60,80,100]", "draws=1", "output=curve.json", "plot=curve.png"],
    }[name]
    done = stage(name, *arguments, *more)
    assert done.code == 0, done.err
    written = [one.partition("=")[2] for one in [*arguments, *more] if one.startswith(("output=", "plot="))]
    assert written and all((desk / one).stat().st_size for one in written)


def test_every_command_is_found():
    assert len(COMMANDS) == 8
