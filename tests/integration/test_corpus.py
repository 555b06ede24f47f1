"""The corpus keeps what its datasheet promises; floors are a little below what was measured."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import corpus as benchmark  # noqa: E402

LABELS = ("accusation", "denial", "policy_action", "economic_claim")


def report(values):
    """Show what was measured under `pytest -rP`, and when a floor is broken."""
    sys.stdout.write(f"{values}\n")


@pytest.fixture(scope="module")
def corpus():
    return benchmark.read_corpus()  # also checks that each annotation fits its article


@pytest.fixture(scope="module")
def made_of(corpus):
    return benchmark.composition(corpus)


@pytest.fixture(scope="module")
def found_again(corpus):
    return benchmark.splitting(corpus)


@pytest.fixture(scope="module")
def agreed(corpus):
    return benchmark.agreement(corpus)


def test_sizes(made_of):
    every = made_of["all"]
    assert made_of["articles"] >= 350
    assert every["sentences"] >= 6000
    for label, least in zip(LABELS, (500, 500, 500, 800), strict=True):
        assert every["labels"][label] >= least, label
    assert every["none"] >= 0.45 * every["sentences"]
    assert every["several"] >= 400
    assert len(made_of["by"]["topic"]) >= 16
    assert len(made_of["by"]["register"]) >= 8


def test_articles_metadata_and_annotations_name_the_same_articles(corpus):
    assert set(corpus.articles) == set(corpus.meta) == {article for article, _, _ in corpus.keys}
    for name, row in corpus.meta.items():
        assert all(row.values()), name
        assert row["split"] in ("train", "test"), name


def test_annotations_are_of_known_annotators_and_whole_sentences(corpus):
    for same in corpus.votes.values():
        assert "writer" in {vote.annotator for vote in same} <= {"writer", "reader-a", "reader-b"}
        assert len({vote.kind for vote in same}) == 1, same[0].where
        assert same[0].text == same[0].text.strip(), same[0].where
    headlines = {same[0].article for same in corpus.votes.values() if same[0].kind == "headline"}
    assert len(headlines) > 0.95 * len(corpus.articles)  # short summaries have none


def test_junk_fits_its_articles_and_is_no_sentence(corpus):
    for row in corpus.junk:
        assert corpus.articles[row["article"]].text[row["start"] : row["end"]] == row["text"], row
    spans = [(row["article"], row["start"], row["end"]) for row in corpus.junk]
    assert not any(benchmark._covered(spans, corpus.keys))


def test_a_quarter_of_each_topic_was_read_twice(made_of):
    short = {topic: part["twice"] for topic, part in made_of["topics"].items() if part["twice"] < 0.25}
    assert not short


def test_test_articles(corpus, made_of):
    splits = corpus.column("split")
    test = [same for split, same in zip(splits, corpus.votes.values(), strict=True) if split == "test"]
    assert all(len(same) > 1 for same in test)
    assert made_of["held_out"] == ["espionage", "religion and royalty"]
    tested = {row["topic"] for row in corpus.meta.values() if row["split"] == "test"}
    assert tested == set(made_of["by"]["topic"])
    assert all(made_of["test"]["labels"][label] >= 100 for label in LABELS)


def test_little_is_repeated(corpus):
    exact = benchmark.paired_share(benchmark.near_duplicates(corpus.texts, 0.7), len(corpus.texts))
    _, formula = benchmark.repeated_5grams(corpus.body)
    report(f"near-duplicates {exact:.2%}, the commonest 5-gram is in {formula} articles")
    assert exact < 0.003
    assert formula < 0.02 * len(corpus.articles)  # "by the end of the" and the like


def test_annotators_agree(agreed):
    for label, one in agreed["labels"].items():
        report(f"{label}: alpha {one['alpha']['value']:.3f}, low {one['alpha']['low']:.3f}")
        assert one["alpha"]["value"] > 0.8, label


def test_sentences_and_junk_are_found_again(found_again):
    ends, whole, junk = (found_again[name] for name in ("boundaries", "sentences", "junk"))
    report(f"ends F1 {ends['f1']:.3f}, sentences F1 {whole['f1']:.3f}, junk {junk['precision']:.3f} / "
          f"{junk['recall']:.3f}, {junk['sentences_lost']} sentences lost")  # fmt: skip
    assert ends["f1"] > 0.985
    assert whole["f1"] > 0.98
    assert junk["precision"] > 0.97
    assert junk["recall"] > 0.7
    assert junk["sentences_lost"] <= 10


def test_names_of_people_and_places_tell_next_to_nothing(corpus):
    body = benchmark.body(corpus)
    names = body.view("people")
    told = benchmark.learnable(names, body.y, body.folds)
    chance = benchmark.learnable(names, body.shuffled(), body.folds)
    report(f"macro-F1 {told['macro_f1']:.3f}, shuffled {chance['macro_f1']:.3f}; average precision "
          f"{np.round(told['average_precision'], 3)}, labels {np.round(body.y.mean(axis=0), 3)}")  # fmt: skip
    assert told["macro_f1"] < chance["macro_f1"] + 0.02
    assert np.all(np.array(told["average_precision"]) < body.y.mean(axis=0) + 0.06)
    assert np.all(np.array(told["auc"]) < 0.58)


def test_datasheet_is_current(corpus, made_of, found_again, agreed):
    stored = json.loads(benchmark.STORE.read_text(encoding="utf-8"))
    fresh = {**stored, "composition": made_of, "splitting": found_again, "agreement": agreed}
    page = benchmark.PAGE.read_text(encoding="utf-8")
    if benchmark.replaced(page, fresh) != page:
        pytest.fail("data/README.md is stale: python benchmarks/corpus.py --write")
    assert stored["reading"]["sentences"] == sum(map(len, corpus.body.values()))


def test_datasheet_examples_are_lines_of_the_files():
    page = benchmark.PAGE.read_text(encoding="utf-8")
    for name in ("annotations.jsonl", "junk.jsonl"):
        lines = set((benchmark.DATA / name).read_text(encoding="utf-8").splitlines())
        shown = page.partition(f"`{name}`")[2] and page.split(f"\n`{name}`")[1].split("```")[1]
        assert set(shown.splitlines()[1:]) <= lines, name
    shown = page.split("\n`articles.csv`")[1].split("```")[1].strip()
    with (benchmark.DATA / "articles.csv").open(encoding="utf-8", newline="") as file:
        assert shown.split(",") in list(csv.reader(file))
