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

from tests.conftest import LABELS, ROOT

pytestmark = pytest.mark.slow
Coder = Callable[[dict[str, str]], list[str]]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def checked_out(folder: Path) -> Path:
    """Copy the code and configuration into a folder and return it."""
    for name in ("pipeline", "conf", "data/behaviour", "data/vectors"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of one's own, to put a label set or articles into."""
    return checked_out(tmp_path)


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
    ("{} was blamed for broken dike {}", ["blame"]),
    ("{} ignored flood warnings {}, residents said", ["blame"]),
    ("{} will raise the river wall by {} metres", ["remedy"]),
    ("{} ordered {} new pumps for the next flood", ["remedy"]),
    ("{} is blamed and must now build {} pumps", ["blame", "remedy"]),
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


def coder(annotator: str, otherwise: str) -> Coder:
    """Answer as an annotator of the corpus did, or as another where she did not read the sentence."""
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    with (ROOT / "data/annotations.jsonl").open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            said.setdefault((row["article"], str(row["start"])), {})[row["annotator"]] = row["labels"]

    def code(row: dict[str, str]) -> list[str]:
        known = said.get((row["article"], row["start"]), {})
        return known.get(annotator, known.get(otherwise, []))

    return code


def program(news: Path, label: Callable[[list[str]], list[list[str]]]) -> Coder:
    """Answer as a program does that labels many texts at once."""
    from pipeline.weak import sentences_of

    sentences = sentences_of(news, "article")
    given = label(sentences["text"].to_pylist())
    places = zip(sentences["article"].to_pylist(), map(str, sentences["start"].to_pylist()), strict=True)
    known = dict(zip(places, given, strict=True))
    return lambda row: known[row["article"], row["start"]]


def by_rules(texts: list[str]) -> list[list[str]]:
    """Return the labels that most of the project's labelling functions give."""
    from pipeline.labels.votes import Voter, majority_vote
    from pipeline.models.functions import Patterns

    patterns = Patterns(ROOT / "conf/cues/news.yaml")
    shares = majority_vote(patterns.votes(texts), [Voter(*column) for column in patterns.columns()], LABELS)
    return [[name for name, share in zip(LABELS, row, strict=True) if share > 0.5] for row in shares]


def corpus_as_news(path: Path, articles: int | None = None) -> None:
    """Write the corpus's articles as a pile that nobody has labelled."""
    with path.open("w", encoding="utf-8") as file:
        for one in sorted((ROOT / "data/articles").glob("*.txt"))[:articles]:
            file.write(json.dumps({"id": one.stem, "text": one.read_text(encoding="utf-8")}) + "\n")


def walk(folder: Path, anna: Coder, ben: Coder, *more: str) -> dict[str, dict]:
    """Run the walk-through's commands in a folder with news.jsonl; `more` is for training.

    Returns the scores of `first` and `second` classifier, what was `said`, and the `seconds` of each command.
    """
    said, took = {}, {}
    for words in commands("walk-through.md"):
        step = f"{len(took) + 1}. {words[2]}"
        begun = time.perf_counter()
        said[step] = run(folder, [*words, *(more if words[2].endswith("train") else [])])
        took[step] = round(time.perf_counter() - begun, 1)
        if words[3].startswith("export="):
            path = folder / words[3].removeprefix("export=")
            if path.stem == "round1":
                fill_in(path, ben, folder / "round1-ben.csv")
            fill_in(path, anna)
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("first", "second")}
    return found | {"said": said, "seconds": took}


def check(found: dict[str, dict]) -> None:
    label = next(text for step, text in found["said"].items() if step.endswith("label"))
    assert "alpha" in label and "anna" in label and "ben" in label
    first, second = (found[name]["external"]["macro_f1"]["value"] for name in ("first", "second"))
    print(f"macro-F1 {first:.3f}, then {second:.3f}; seconds {found['seconds']}")
    assert second > first + 0.02


def test_the_walk_through(checkout):
    corpus_as_news(checkout / "news.jsonl", 400)
    found = walk(checkout, coder("reader-a", "writer"), coder("writer", "reader-a"), "model=tfidf_logreg")
    check(found)
    with (checkout / "shares.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(LABELS)
    assert all(float(row["low"]) < float(row["share"]) < float(row["high"]) for row in rows)


def test_the_walk_through_on_real_news(checkout, shared):
    """The rules of the project play the coders: what they say is not right, but it is to be learned."""
    shutil.copy(shared / "news" / "articles.jsonl", checkout / "news.jsonl")
    anna = program(checkout / "news.jsonl", by_rules)
    check(walk(checkout, anna, lambda row: anna(row)[:1], "model=tfidf_logreg"))
