"""Sentences to label next, and labels to look at again, as users ask for them."""

import csv
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.bundle import load
from pipeline.evaluation.splits import near_duplicates
from pipeline.labels.querying import sample, uncertainty
from pipeline.suggest import relabel, suggest

LABELS = ["accusation", "denial", "policy_action", "economic_claim"]


@pytest.fixture
def run(stage, trained, tmp_path):
    def ran(*more, name="out.jsonl"):
        output = tmp_path / name
        done = stage("suggest", f"output={output}", f"model_uri={trained.bundle}", *more)
        return done, output

    return ran


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def news(trained):
    return f"input={trained.corpus.articles}"


# --- what to label next -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", ["uncertainty", "uncertainty among=5", "rare", "diversity", "random"], ids=str
)
def test_sentences_of_articles_with_their_places(run, news, trained, settings):
    done, output = run(news, "count=12", *f"strategy={settings}".split())
    assert done.code == 0, done.err
    rows = lines(output)
    assert [row["rank"] for row in rows] == list(range(1, 13))
    for row in rows:
        text = (trained.corpus.articles / f"{row['article']}.txt").read_text(encoding="utf-8")
        assert text[row["start"] : row["end"]] == row["text"]
        assert not row["before"] or row["before"] in text
        assert "scores" not in row, "they would sway the coder"
    assert len({row["text"] for row in rows}) == 12


def test_the_uncertain_ones(trained):
    bundle = load(trained.bundle)
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    found = suggest([bundle], rows, strategy="uncertainty", count=10)
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    every = uncertainty(bundle.probabilities([row["text"] for row in rows]))
    assert found[0]["score"] == pytest.approx(every.max(), abs=1e-6)
    assert list(found[0]["scores"]) == LABELS


@pytest.mark.parametrize("strategy", ["uncertainty", "diversity"])
def test_no_near_duplicates_and_nothing_that_is_labelled(trained, strategy):
    bundle = load(trained.bundle)
    rows = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    half = [row["text"] for row in rows if row["article"] < "story-12"]
    # Articles 22 and 23 nearly repeat 3 and 20.
    assert len(near_duplicates([row["text"] for row in rows]))
    found = suggest([bundle], rows, strategy=strategy, count=500, labelled=half)
    texts = [row["text"] for row in found]
    assert len(found) > 40
    assert not len(near_duplicates(texts))
    assert not len([pair for pair in near_duplicates([*texts, *half]) if pair[0] < len(texts) <= pair[1]])


def test_disagreement_needs_a_committee_of_the_same_labels(run, news, trained, train, tmp_path):
    done, output = run(news, "strategy=disagreement")
    assert done.refused("committee=[FOLDER")
    other = train(trained.corpus, tmp_path / "other", "model=majority").bundle
    done, output = run(news, "strategy=disagreement", f"committee=[{other}]", "count=5")
    assert done.code == 0, done.err
    assert all(row["score"] > 0 for row in lines(output))
    labels = [f"labels.names=[{','.join(reversed(LABELS))}]"]
    odd = train(trained.corpus, tmp_path / "odd", "model=majority", *labels).bundle
    done, output = run(news, "strategy=disagreement", f"committee=[{odd}]", name="none.jsonl")
    assert done.refused("committee", str(odd))
    assert not output.exists()


def test_tasks_for_label_studio(run, news):
    done, output = run(news, "count=6", "predictions=true", name="tasks.json")
    assert done.code == 0, done.err
    tasks = json.loads(output.read_text(encoding="utf-8"))
    assert len(tasks) == 6
    for task in tasks:
        assert {"article", "sentence", "start", "end", "kind", "text", "before", "after"} <= set(task["data"])
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "tfidf_logreg"
        for result in prediction["result"]:
            assert (result["from_name"], result["to_name"], result["type"]) == ("labels", "text", "choices")
            assert set(result["value"]["choices"]) <= set(LABELS)
    assert any(task["predictions"][0]["result"] for task in tasks)
    run(news, "count=6", name="blind.json")
    assert all(set(task) == {"data"} for task in json.loads((output.parent / "blind.json").read_text()))


def test_columns_of_sentences_are_carried_over(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("id,text,source\n1,Sales of tea fell.,a\n2,,b\n3,Sales of tea fell.,c\n4,They met.,d\n")
    done, output = run(f"input={source}", "unit=sentence", name="out.csv")
    assert done.code == 0, done.err
    with output.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["id"], row["source"]) for row in rows) == [("1", "a"), ("4", "d")], (
        "no repeat, no blank"
    )


def test_a_random_sample_is_a_plain_one(run, tmp_path):
    """What `pipeline.estimate` relies on: repeats and blanks are as likely as any other row."""
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"text": "Same.", "n": n}) + "\n" for n in range(50)))
    done, output = run(f"input={source}", "unit=sentence", "strategy=random", "count=20")
    assert "20 of 50" in done.out
    assert len({row["n"] for row in lines(output)}) == 20
    assert run(f"input={source}", "strategy=random", f"labelled={source}")[0].refused("labelled")


def test_every_row_of_a_stream_is_as_likely():
    counts = np.zeros(20)
    for seed in range(4000):
        chosen, total = sample(range(20), 5, seed)
        assert total == 20 and chosen == sorted(chosen)
        counts[chosen] += 1
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 0.75)
    assert sample(range(3), 5, 0) == ([0, 1, 2], 3)


def test_the_same_seed_gives_the_same_batch(run, news):
    _, first = run(news, "count=8")
    _, second = run(news, "count=8", name="again.jsonl")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("strategy=uncertain",), ("strategy=uncertain", "did you mean 'uncertainty'")),
        (("unit=word",), ("unit=word",)),
        (("count=0",), ("count=0",)),
        (("what=all",), ("what=all",)),
    ],
)
def test_wrong_settings(run, news, settings, words):
    done, output = run(news, *settings)
    assert done.refused(*words)
    assert not output.exists()


def test_nothing_to_choose_from(run, news, tmp_path, trained):
    assert run()[0].refused("input")
    assert run(news, name="out.xlsx")[0].refused("out.xlsx", ".json")
    labelled = trained.folder / "labelled.parquet"
    assert run(f"input={labelled}", "unit=sentence", f"labelled={labelled}")[0].refused("none of")
    (tmp_path / "empty.jsonl").write_text("")
    assert run(f"input={tmp_path / 'empty.jsonl'}", "unit=sentence")[0].refused("empty.jsonl")


# --- which labels to look at again --------------------------------------------------------------------


def test_training_keeps_its_out_of_fold_probabilities(trained):
    rows = pq.read_table(trained.report / "out_of_fold.parquet").to_pylist()
    assert len(rows) == trained.metrics["data"]["train"]
    assert {"article", "sentence", "start", "end", "text", "labels", "scores"} <= set(rows[0])
    assert not {row["article"] for row in rows} & {"story-04", "story-08", "story-13", "story-18", "story-20"}
    p = np.array([[row["scores"][name] for name in LABELS] for row in rows])
    y = np.array([[name in row["labels"] for name in LABELS] for row in rows])
    brier = [one["brier"] for one in trained.metrics["cross_validation"]["per_label"].values()]
    assert ((p - y) ** 2).mean(axis=0) == pytest.approx(brier)


def test_planted_mistakes_come_first_and_nothing_is_changed(run, trained, tmp_path):
    source = tmp_path / "oof.parquet"
    rows = pq.read_table(trained.report / "out_of_fold.parquet").to_pylist()
    sure = sorted(range(len(rows)), key=lambda n: -rows[n]["scores"]["denial"])
    rows[sure[0]]["labels"] = []
    rows[sure[-1]]["labels"] = ["denial"]
    pq.write_table(pa.Table.from_pylist(rows), source)
    before = source.read_bytes()
    done, output = run("what=relabel", f"input={source}", "count=50")
    assert done.code == 0, done.err
    found = {row["text"]: row for row in lines(output)}
    assert "denial" in found[rows[sure[0]]["text"]]["missing"]
    assert found[rows[sure[-1]]["text"]]["wrong"] == ["denial"]
    doubts = [row["doubt"] for row in lines(output)]
    assert doubts == sorted(doubts, reverse=True)
    assert source.read_bytes() == before and "nothing is changed" in done.out


def test_the_last_trainings_probabilities_are_the_default(run, trained, tmp_path):
    shutil.copy(trained.report / "out_of_fold.parquet", tmp_path / "mine.parquet")
    done, output = run("what=relabel", f"out_of_fold={tmp_path / 'mine.parquet'}", name="out.csv")
    assert done.code == 0, done.err
    assert output.read_text(encoding="utf-8").startswith("article,")
    assert run("what=relabel", "out_of_fold=none.parquet")[0].refused("none.parquet", "pipeline.train")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x", "labels": []}, "row 2: field 'scores'"),
        ({"text": "x", "labels": [], "scores": {"b": 0.5}}, "row 2: field 'scores'"),
        ({"text": "x", "labels": ["c"], "scores": {"a": 0.5}}, "row 2: unknown label 'c'"),
    ],
)
def test_rows_without_scores_are_named(row, words):
    good = {"text": "x", "labels": ["a"], "scores": {"a": 0.5}}
    with pytest.raises(Exception, match="input") as error:
        relabel([good, row])
    assert words in str(error.value)
