"""The stage, and the four real articles it was first written for (read where they are kept)."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.ingest import batches, ingest
from pipeline.schema import SENTENCES
from pipeline.text.cleaning import clean
from pipeline.text.readers import read_articles
from pipeline.text.sentences import split_article

SEEDS = Path(__file__).parents[2].parent / "shared" / "seeds"
ARTICLE = (
    "Harbour stays closed until spring\nBy Ada Meer\n\n"
    "The northern quay stays closed, the board said on Monday. Two cranes fell in the storm of Jan. 5.\n\n"
    "“We paid twice . We will not pay again,” Mr. Olsen said.\n\nShare this article\n"
)

# Line of the file (from 1): why it, or a part of it, is dropped.
DROPPED = {
    "000": {6: "teaser", 16: "teaser", 19: "teaser"},
    "001": {20: "heading", 34: "heading"},
    "002": {
        **{3: "byline", 4: "byline", 5: "readtime", 6: "caption", 8: "byline", 46: "heading"},
        **{56: "share", 57: "form", 59: "form", 61: "form"},
    },
    "003": {14: "fragment", 31: "fragment agency"},
}
# Sentences of each line that has any.
KEPT = {
    "000": {2: 1, 3: 1, 4: 1, 5: 1, 7: 1, 8: 1, 9: 1, 10: 1, 12: 1, 13: 1, 14: 1, 17: 1, 20: 1, 21: 1},
    "001": {n: 1 + (n in (24, 42)) for n in (1, 3, *range(6, 19, 2), *range(22, 33, 2), *range(36, 47, 2))},
    "002": {
        n: 1 + (n in (16, 18, 20, 22, 30, 32, 36, 40, 42, 54))
        for n in (1, *range(10, 45, 2), *range(48, 55, 2))
    },
    "003": {n: 1 + (n == 8) for n in (1, 3, 6, 8, 10, 12, 14, 16, 18, 20, 23, 25, 27, 29)},
}


def run(*arguments, cwd=None):
    command = [sys.executable, "-m", "pipeline.ingest", *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd or root, timeout=60)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.txt").write_text(ARTICLE, encoding="utf-8")
    (tmp_path / "in" / "two.txt").write_text(ARTICLE.replace("northern", "southern"), encoding="utf-8")
    return tmp_path / "in"


def test_function_yields_sentences_with_offsets(source):
    found = [one for one in ingest(source) if one.article == "one"]
    assert [one.kind for one in found] == ["headline", *["body"] * 4]
    assert found[2].text == "Two cranes fell in the storm of Jan. 5."
    assert found[3].text == "“We paid twice."
    assert ARTICLE[found[3].start : found[3].end] == "“We paid twice ."


def test_batches_have_the_schema(source):
    told = []
    found = list(batches(read_articles(source), lambda *note: told.append(note)))
    assert all(batch.schema == SENTENCES for batch in found)
    assert sum(batch.num_rows for batch in found) == 10
    assert [len(dropped) for _, _, dropped in told] == [2, 2]


@pytest.mark.parametrize("extension", ["parquet", "jsonl", "csv"])
def test_stage_writes_and_explains(source, tmp_path, extension):
    output = tmp_path / f"out.{extension}"
    done = run(f"input={source}", f"output={output}", "explain=true")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == f"2 articles, 10 sentences, 4 segments dropped; written to {output}"
    assert "byline" in done.stdout
    if extension == "parquet":
        rows = pq.read_table(output).to_pylist()
    elif extension == "jsonl":
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    else:
        rows = list(csv.DictReader(output.open(encoding="utf-8", newline="")))
    assert list(rows[0]) == SENTENCES.names
    assert [row["text"] for row in rows] == [one.text for one in ingest(source)]
    beside = (tmp_path / "out.dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["reason"] for line in beside] == ["byline", "share"] * 2


def test_bad_files_stop_the_stage_or_are_skipped(source, tmp_path):
    (source / "three.txt").write_bytes(b"\xff\xff")
    output = tmp_path / "out.jsonl"
    stopped = run(f"input={source}", f"output={output}")
    assert (stopped.returncode, stopped.stderr.count("\n")) == (2, 1)
    assert "three.txt: not UTF-8 at byte 0" in stopped.stderr
    assert not output.exists()
    skipped = run(f"input={source}", f"output={output}", "on_error=skip")
    assert skipped.returncode == 0
    assert "three.txt" in skipped.stderr
    assert "1 files or rows skipped" in skipped.stdout
    assert len(output.read_text().splitlines()) == 10


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["input=nowhere.txt"], "does not exist"),
        (["on_error=ignore"], "raise, skip"),
        (["output=out.xml"], "extension"),
    ],
)
def test_bad_settings_are_one_line(source, tmp_path, arguments, needle):
    done = run(f"input={source}", f"output={tmp_path / 'o.jsonl'}", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert needle in done.stderr
    assert done.stderr.count("\n") == 1


def seeds():
    return {path.stem[:3]: path for path in sorted(SEEDS.glob("*.txt"))} if SEEDS.is_dir() else {}


@pytest.mark.skipif(not seeds(), reason="the real articles are not beside this checkout")
@pytest.mark.parametrize("seed", DROPPED)
def test_real_articles(seed):
    (article,) = read_articles(seeds()[seed])
    kept, dropped = split_article(article)
    line = [1 + article.text.count("\n", 0, at) for at in range(len(article.text))]
    why: dict[int, str] = {}
    for one in dropped:
        why[line[one.start]] = f"{why.get(line[one.start], '')} {one.reason}".strip()
    assert why == DROPPED[seed]
    assert {n: sum(line[one.start] == n for one in kept) for n in KEPT[seed]} == KEPT[seed]
    assert len(kept) == sum(KEPT[seed].values())
    assert [one.kind for one in kept] == ["headline"] + ["body"] * (len(kept) - 1)
    for one in kept:
        assert one.text == clean(article.text[one.start : one.end])
        assert "  " not in one.text
        assert not any(mark in one.text for mark in (" .", " ,", " ‘s", " -based", "\xa0"))


@pytest.mark.skipif(not seeds(), reason="the real articles are not beside this checkout")
def test_real_articles_quotations_keep_their_quotes():
    (article,) = read_articles(seeds()["002"])
    kept, _ = split_article(article)
    start = article.text.index("\n", article.text.index("\n\n", article.text.index("rally"))) + 2
    first, second = [one for one in kept if one.start >= start][:2]
    assert "“" in first.text and "”" not in first.text
    assert second.text.endswith(".”")


@pytest.mark.skipif(not seeds(), reason="the real articles are not beside this checkout")
def test_real_articles_list_marks():
    (article,) = read_articles(seeds()["000"])
    for one in split_article(article)[0][1:3]:
        assert article.text[one.start - 2 : one.start] == "- "
        assert one.text[0].isupper()
