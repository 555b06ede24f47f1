"""The pages on labelling, run as they are written, with a program in place of the people."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, make_corpus

pytestmark = pytest.mark.slow
Coder = Callable[[dict[str, str]], list[str]]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The code and configuration as a folder of one's own, to put a label set or a corpus into."""
    for name in ("pipeline", "conf", "data/behaviour", "data/vectors"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder: Path, words: list[str]) -> str:
    assert words[:2] == ["python", "-m"] and words[2].startswith("pipeline."), words
    env = os.environ | {"PYTHONPATH": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, env=env, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (words, done.stderr[-1500:])
    return done.stdout


def fill_in(path: Path, code: Coder, target: Path | None = None, most: int | None = None) -> int:
    """Do what a coder does in a spreadsheet, with the first rows or all; returns their number."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames or []), list(reader)
    for row in rows[:most]:
        row |= dict.fromkeys(code(row) or ["none"], "yes")
    with (target or path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows[:most])


def fill_in_workbook(path: Path, code: Coder) -> None:
    book = pytest.importorskip("openpyxl").load_workbook(path)
    head, *rows = book["sentences"].iter_rows()
    names = [cell.value for cell in head]
    for row in rows:
        for label in code({"text": row[0].value}) or ["none"]:
            row[names.index(label)].value = "yes"
    book.save(path)


WHO = [
    "The mayor",
    "The dam operator",
    "A farmer",
    "The county",
    "The minister",
    "A neighbour",
    "The utility",
]
SAID = [
    ("{} was blamed for the broken dike at bridge {}", ["blame"]),
    ("{} ignored the flood warnings of day {}, residents said", ["blame"]),
    ("{} will raise the river wall by {} metres", ["remedy"]),
    ("{} ordered {} new pumps for the next flood", ["remedy"]),
    ("{} is blamed for the flood and must now build {} pumps", ["blame", "remedy"]),
    ("{} walked along the river for {} hours", []),
    ("{} saw {} ducks on the road", []),
]


def test_your_own_labels(checkout):
    (checkout / "conf/labels/mine.yaml").write_text(blocks("your-own-labels.md", "yaml")[0], encoding="utf-8")
    texts = {form.format(who, n): labels for form, labels in SAID for n, who in enumerate(WHO * 3, 2)}
    with (checkout / "sentences.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], *([text] for text in texts)])
    out, into, train, predict, suggest, again = commands("your-own-labels.md")
    run(checkout, out)

    def code(row: dict[str, str]) -> list[str]:
        return texts[row["text"]]

    assert fill_in(checkout / "to-label.csv", code, most=90) == 90
    assert "90 added" in run(checkout, into)
    assert "90 unchanged" in run(checkout, into)
    shown = run(checkout, [*train, "tracking.uri=sqlite:///mlflow.db"])
    assert "blame" in shown and "remedy" in shown
    metrics = json.loads((checkout / "my-report" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["labels"] == ["blame", "remedy"]
    assert metrics["test"]["macro_f1"]["value"] > 0.8
    run(checkout, predict)
    with (checkout / "labelled.csv").open(encoding="utf-8", newline="") as file:
        assert {"text", "labels", "scores"} <= set(next(csv.DictReader(file)))
    run(checkout, suggest)
    more = fill_in(checkout / "next.csv", code)  # fewer than asked for: the rest nearly repeat others
    assert more > 30 and f"{more} added" in run(checkout, again)
    run(checkout, [*train, "tracking.uri=sqlite:///mlflow.db"])


@pytest.mark.extra
def test_your_own_labels_in_a_workbook(checkout):
    """With drop-downs instead of the page's CSV."""
    pytest.importorskip("openpyxl")
    page = blocks("your-own-labels.md", "yaml")[0]
    (checkout / "conf/labels/mine.yaml").write_text(page, encoding="utf-8")
    texts = ["The dam operator was blamed.", "=The county will raise the wall.", "“Ducks” on the road."]
    rows = "".join(f'"{text}"\n' for text in ["text", *texts])
    (checkout / "sentences.csv").write_text(rows, encoding="utf-8")
    said = dict(zip(texts, (["blame"], ["remedy"], []), strict=True))
    out, into, *_ = [
        [w.replace(".csv", ".xlsx") if "to-label" in w else w for w in words]
        for words in commands("your-own-labels.md")
    ]
    run(checkout, out)
    fill_in_workbook(checkout / "to-label.xlsx", lambda row: said[row["text"]])
    assert "3 added" in run(checkout, into)
    lines = (checkout / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    assert {row["text"]: row["labels"] for row in map(json.loads, lines)} == said


def coder(folder: Path, annotator: str, otherwise: str) -> Coder:
    """Answer as an annotator of the corpus did, or as another where she did not read the sentence."""
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    with (folder / "data/annotations.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            said.setdefault((row["article"], str(row["start"])), {})[row["annotator"]] = row["labels"]

    def code(row: dict[str, str]) -> list[str]:
        known = said.get((row["article"], row["start"]), {})
        return known.get(annotator, known.get(otherwise, []))

    return code


def walk(folder: Path, first: Coder, second: Coder, *more: str, sample: int = 0) -> dict[str, dict]:
    """Run the walk-through's commands and return the metrics and the seconds of each.

    With a `sample` each round is of so many sentences instead of the page's.
    """
    out, took = {}, {}
    for words in commands("walk-through.md"):
        extra = list(more) if words[2].endswith("train") else []
        words = [f"sample={sample}" if sample and word.startswith("sample=") else word for word in words]
        begun = time.perf_counter()
        shown = run(folder, [*words, *extra])
        took[f"{len(took) + 1}. {words[2]}"] = round(time.perf_counter() - begun, 1)
        if words[3] == "export=round1.csv":
            fill_in(folder / "round1.csv", second, folder / "round1-ben.csv")
            fill_in(folder / "round1.csv", first)
        elif words[3] == "export=round2.csv":
            fill_in(folder / "round2.csv", first)
        elif words[2] == "pipeline.label":
            out["label"] = {"shown": shown}
    for name in ("first", "second"):
        out[name] = json.loads((folder / f"{name}-report" / "metrics.json").read_text(encoding="utf-8"))
    return out | {"seconds": took}


def test_the_walk_through(checkout):
    corpus = make_corpus(checkout / "data")
    found = walk(
        checkout,
        coder(checkout, "first", "first"),
        coder(checkout, "second", "first"),
        "model=tfidf_logreg",
        "split.folds=3",
        sample=70,
    )
    assert "alpha" in found["label"]["shown"] and "anna" in found["label"]["shown"]
    sizes = [found[name]["data"]["train"] + found[name]["data"]["test"] for name in ("first", "second")]
    assert sizes[0] < sizes[1]
    assert len(list(corpus.articles.iterdir())) == 24
