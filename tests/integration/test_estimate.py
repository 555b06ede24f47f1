"""Shares of labels in a corpus, from many scored and few labelled sentences."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.bundle import load
from pipeline.estimate import estimate
from pipeline.evaluation.periods import value_of
from pipeline.evaluation.prevalence import prevalence
from pipeline.schema import InputError
from pipeline.scoring import sentences_of
from pipeline.text.readers import read_articles

LABELS = ["accusation", "denial", "policy_action", "economic_claim"]


@pytest.fixture(scope="session")
def everything(trained):
    """All sentences with labels, an outlet and a date."""
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    keys = ("article", "text", "labels")
    return [
        {key: row[key] for key in keys}
        | {"outlet": "north" if n % 3 else "south", "date": f"20{10 + n % 2}-0{1 + n % 4}-15"}
        for n, row in enumerate(rows)
    ]


@pytest.fixture
def given(everything, tmp_path):
    """The corpus without labels, and a labelled sample without its columns, as files."""
    chosen = sorted(np.random.default_rng(2).choice(len(everything), 60, replace=False))
    corpus, sample = tmp_path / "corpus.jsonl", tmp_path / "sample.jsonl"
    keys = ("article", "text", "outlet", "date")
    corpus.write_text("".join(json.dumps({k: row[k] for k in keys}) + "\n" for row in everything))
    rows = [{k: everything[n][k] for k in ("article", "text", "labels")} for n in chosen]
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return corpus, sample, chosen


@pytest.fixture
def run(stage, trained, tmp_path):
    def ran(corpus, sample, *more, name="out.csv"):
        output = tmp_path / name
        found = [f"input={corpus}", f"labelled={sample}", f"output={output}", f"model_uri={trained.bundle}"]
        return stage("estimate", *found, "unit=sentence", *more), output

    return ran


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_figures_are_those_of_the_estimator(run, given, everything, trained):
    corpus, sample, chosen = given
    done, output = run(corpus, sample)
    assert done.code == 0, done.err
    bundle = load(trained.bundle)
    p = bundle.probabilities([row["text"] for row in everything])
    hard = bundle.decision.labels(p)
    for k, row in enumerate(table(output)):
        y = np.array([LABELS[k] in everything[n]["labels"] for n in chosen], float)
        groups = [everything[n]["article"] for n in chosen]
        wanted = prevalence(
            y, p[chosen, k], p[:, k], groups=groups, corpus_groups=[row["article"] for row in everything]
        )
        got = [float(row[key]) for key in ("share", "low", "high", "power")]
        assert got == pytest.approx([wanted.value, wanted.low, wanted.high, wanted.power], abs=1e-5)
        assert float(row["sample_share"]) == pytest.approx(y.mean())
        assert float(row["counted"]) == pytest.approx(hard[:, k].mean())
        assert (row["by"], row["label"]) == ("all", LABELS[k])
        assert (int(row["sentences"]), int(row["labelled"])) == (len(everything), 60)


def test_by_columns_and_periods_taken_from_the_corpus(run, given, everything):
    corpus, sample, chosen = given
    done, output = run(corpus, sample, "by=[outlet,date:year]", "least=15")
    assert done.code == 0, done.err
    rows = [row for row in table(output) if row["label"] == "denial"]
    assert [(row["by"], row["value"]) for row in rows] == [
        *(("all", ""), ("outlet", "north"), ("outlet", "south")),
        *(("date:year", "2010"), ("date:year", "2011")),
    ]
    north = [n for n in chosen if everything[n]["outlet"] == "north"]
    assert int(rows[1]["labelled"]) == len(north)
    assert int(rows[1]["labelled"]) + int(rows[2]["labelled"]) == 60
    assert int(rows[3]["sentences"]) + int(rows[4]["sentences"]) == len(everything)


def test_too_few_labels_give_a_count_and_no_estimate(run, given):
    corpus, sample, _ = given
    _, output = run(corpus, sample, "by=[outlet]", "least=30")
    (south,) = [row for row in table(output) if row["value"] == "south" and row["label"] == "denial"]
    assert south["share"] == south["low"] == south["sample_low"] == ""
    assert 0 <= float(south["counted"]) <= 1


def test_articles_are_split_and_keep_their_columns(run, trained, everything, tmp_path):
    texts: dict[str, list[str]] = {}
    for row in everything:
        texts.setdefault(row["article"], []).append(row["text"])
    corpus = tmp_path / "articles.jsonl"
    with corpus.open("w") as file:
        for name, parts in texts.items():
            # The first sentence, without a full stop, is the headline.
            text = f"{parts[0]}\n\n{' '.join(parts[1:])}"
            file.write(json.dumps({"id": name, "text": text, "outlet": name[-1]}) + "\n")
    sample = tmp_path / "sample.jsonl"
    sample.write_text(
        "".join(json.dumps({"text": r["text"], "labels": r["labels"]}) + "\n" for r in everything[:60])
    )
    done, output = run(corpus, sample, "unit=article", "by=[outlet]")
    assert done.code == 0, done.err
    assert {row["value"] for row in table(output) if row["by"] == "outlet"} == set("0123456789")


def test_the_plot(run, given, tmp_path):
    corpus, sample, _ = given
    done, _ = run(corpus, sample, "by=[outlet,date:month]", f"plot={tmp_path / 'p.png'}", "least=5")
    assert done.code == 0, done.err
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert run(corpus, sample, f"plot={tmp_path / 'p.png'}")[0].refused("plot", "by=[date:month]")


def test_a_sample_that_is_none_is_told(run, given, everything, tmp_path, trained):
    corpus, _, _ = given
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "Not there.", "labels": []}\n' * 30)
    assert run(corpus, other)[0].refused("other.jsonl", "none of its sentences", "strategy=random")
    p = load(trained.bundle).probabilities([row["text"] for row in everything])
    most = np.argsort(-p[:, 0])[:25]
    other.write_text(
        "".join(json.dumps({k: everything[n][k] for k in ("text", "labels")}) + "\n" for n in most)
    )
    done, _ = run(corpus, other)
    assert "no random sample" in done.err
    with other.open("a") as file:
        file.write('{"text": "Not there.", "labels": []}\n')
    assert "1 of 26 labelled sentences are not in the input" in run(corpus, other)[0].err


def test_what_cannot_be_used_is_named(run, given, tmp_path):
    corpus, sample, _ = given
    assert run(corpus, sample, "by=[topic]")[0].refused("by=topic", "'topic'", "outlet")
    assert run(corpus, sample, "by=[date:week]")[0].refused("date:week", "month")
    assert run(corpus, sample, "by=[outlet:year]")[0].refused("row 1", "south")
    assert run(corpus, sample, "level=2")[0].refused("level=2")
    assert run(corpus, sample, name="out.txt")[0].refused("out.txt")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "a", "labels": []}\n{"text": "b", "labels": ["denail"]}\n')
    assert run(corpus, bad)[0].refused("bad.jsonl", "row 2", "denial")


@pytest.mark.parametrize(
    ("value", "column", "wanted"),
    [
        ("2011-03-05", "date:month", "2011-03"),
        ("2011-03-05T10:00", "date:day", "2011-03-05"),
        ("2011", "date:year", "2011"),
        (1987, "date:year", "1987"),
        (None, "date", ""),
    ],
)
def test_periods(value, column, wanted):
    assert value_of({"date": value}, column, "row 1") == wanted


@pytest.mark.parametrize(
    ("value", "column", "told"),
    [
        ("1987", "date:month", "use date:year, or write dates as"),
        ("2004/2005", "date:month", "use date:year, or write dates as"),
        ("2004-05", "date:day", "use date:month, or write dates as"),
        ("20111", "date:year", "; write dates as"),
        ("", "date:day", "; write dates as"),
    ],
)
def test_no_such_date(value, column, told):
    with pytest.raises(InputError, match=f"row 1: field 'date'.*{told} 2026-01-31"):
        value_of({"date": value}, column, "row 1")


def test_real_news_by_outlet_and_year(run, shared, trained, tmp_path):
    """Dates there are years, a pair of years, or days."""
    corpus, sample = tmp_path / "corpus.jsonl", tmp_path / "sample.jsonl"
    with (shared / "news" / "articles.jsonl").open(encoding="utf-8") as file:
        corpus.write_text("".join(list(file)[::20]), encoding="utf-8")
    texts = [row["text"] for row in sentences_of(read_articles(corpus))]
    given = load(trained.bundle).label(texts[::2])
    lines = [
        json.dumps({"text": text, "labels": labels}) for text, labels in zip(texts[::2], given, strict=True)
    ]
    sample.write_text("\n".join(lines), encoding="utf-8")
    done, output = run(corpus, sample, "unit=article", "by=[source,date:year]")
    assert done.code == 0, done.err
    found = {(row["by"], row["value"]) for row in table(output)}
    assert found >= {
        ("source", "reuters21578"),
        ("date:year", "1987"),
        ("date:year", "2004"),
        ("date:year", "2019"),
    }
    assert run(corpus, sample, "unit=article", "by=[date:month]")[0].refused("has no month", "use date:year")


def test_nothing_of_the_callers_rows_is_changed(trained, everything):
    sample = [{"text": row["text"], "labels": row["labels"]} for row in everything[:40]]
    estimate(load(trained.bundle), everything, sample, by=["outlet"])
    assert all(set(row) == {"text", "labels"} for row in sample)
