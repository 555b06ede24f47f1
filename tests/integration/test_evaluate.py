"""Scoring a bundle on any labelled file."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.bundle import load
from pipeline.evaluate import evaluate

LABELS = ["accusation", "denial", "policy_action", "economic_claim"]


@pytest.fixture(scope="session")
def labelled(trained):
    """All labelled sentences, with their articles and the set they are in."""
    table = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    keys = ("article", "text", "labels", "split")
    return [{key: row[key] for key in keys} for row in table]


def write(path, rows, *, joined=False):
    if joined:
        rows = [{**row, "labels": ";".join(row["labels"])} for row in rows]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.fixture
def run(stage, trained, tmp_path):
    def ran(source, *more, name="out.json"):
        output = tmp_path / name
        done = stage(
            "evaluate", f"input={source}", f"output={output}", f"model_uri={trained.bundle}", "seed=7", *more
        )
        return done, json.loads(output.read_text()) if output.exists() else None

    return ran


def by_hand(bundle, rows):
    """F1 of each label, and the summaries, counted in plain Python."""
    given = bundle.label([row["text"] for row in rows])
    f1, sums = {}, [0, 0, 0]
    for name in LABELS:
        hit = sum(name in g and name in r["labels"] for g, r in zip(given, rows, strict=True))
        extra = sum(name in g and name not in r["labels"] for g, r in zip(given, rows, strict=True))
        missed = sum(name not in g and name in r["labels"] for g, r in zip(given, rows, strict=True))
        f1[name] = 2 * hit / max(2 * hit + extra + missed, 1)
        sums = [a + b for a, b in zip(sums, (hit, extra, missed), strict=True)]
    exact = sum(set(g) == set(r["labels"]) for g, r in zip(given, rows, strict=True)) / len(rows)
    return f1, sum(f1.values()) / len(f1), 2 * sums[0] / (2 * sums[0] + sums[1] + sums[2]), exact


def test_the_block_is_what_counting_gives(run, trained, labelled, tmp_path):
    done, found = run(write(tmp_path / "in.jsonl", labelled))
    assert done.code == 0, done.err
    f1, macro, micro, exact = by_hand(load(trained.bundle), labelled)
    block = found["external"]
    assert {name: one["f1"] for name, one in block["per_label"].items()} == pytest.approx(f1)
    assert block["macro_f1"]["value"] == pytest.approx(macro)
    assert block["micro_f1"]["value"] == pytest.approx(micro)
    assert block["subset_accuracy"]["value"] == pytest.approx(exact)
    assert (block["sentences"], block["articles"]) == (len(labelled), 24)
    assert found["model"] == "tfidf_logreg"
    assert f"{macro:.3f}" in done.out


def test_slices_and_behaviour(run, trained, labelled, tmp_path):
    source = write(tmp_path / "in.jsonl", [{**row, "source": "s"} for row in labelled])
    done, found = run(source, "behaviour=true")
    assert found["slices"]["source"]["s"]["macro_f1"]["value"] == found["external"]["macro_f1"]["value"]
    assert found["slices"]["words"] and "topic" not in found["slices"]
    written = found["behaviour"]["tests"]["typos"]
    assert (written["cases"], written["failures"]) == tuple(
        trained.metrics["behaviour"]["tests"]["typos"][key] for key in ("cases", "failures")
    ), "the written sentences are the same in training and here"
    assert written["held_out"]["cases"] > 50
    assert "name swaps that change the labels" in done.out
    assert "behaviour" not in run(source, name="without.json")[1]


def test_bad_behaviour_tests_are_one_line(run, labelled, tmp_path):
    source = write(tmp_path / "in.jsonl", labelled)
    (tmp_path / "tests.yaml").write_text("tests: [{name: x, effect: same, cases: [a]}]")
    done, found = run(source, "behaviour=true", f"behaviour_tests={tmp_path}")
    assert done.refused("tests.yaml", "test 'x'", "{slot}")
    assert found is None


def test_the_documented_tests_run(run, labelled, tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    source = write(tmp_path / "in.jsonl", labelled)
    found = run(source, "behaviour=true", f"behaviour_tests={tmp_path}")[1]["behaviour"]
    assert list(found["tests"]) == ["clubs", "hedged", "clubs_and_no_more", "shouted"]
    assert found["name_swap_flip_rate"]["swaps"] == 4


def test_what_was_evaluated_in_training_is_what_is_served(run, trained, labelled, tmp_path):
    """The test block of the training run, once more from the bundle on disk: to the last digit."""
    rows = [row for row in labelled if row["split"] == "test"]
    _, found = run(write(tmp_path / "in.jsonl", rows))
    assert found["external"] == trained.metrics["test"]


@pytest.mark.parametrize("extension", ["jsonl", "csv", "tsv", "parquet"])
def test_labels_as_list_and_as_text_are_the_same(run, labelled, tmp_path, extension):
    _, wanted = run(write(tmp_path / "list.jsonl", labelled))
    done, found = run(write(tmp_path / f"text.{extension}", labelled, joined=True), name="other.json")
    assert done.code == 0, done.err
    assert found["external"] == wanted["external"]


@pytest.mark.parametrize("text", ["denial; accusation", " accusation ;denial;", "accusation;denial;;"])
def test_blanks_and_stray_separators_do_not_matter(trained, text):
    bundle = load(trained.bundle)
    rows = [{"text": "It denied it.", "labels": text}]
    wanted = evaluate(bundle, [{"text": "It denied it.", "labels": ["accusation", "denial"]}])
    assert evaluate(bundle, rows) == wanted


@pytest.mark.parametrize("nothing", [[], "", None, ";"])
def test_no_label_in_every_way_of_writing_it(trained, nothing):
    bundle = load(trained.bundle)
    assert evaluate(bundle, [{"text": "x", "labels": nothing}]) == evaluate(
        bundle, [{"text": "x", "labels": []}]
    )


def test_by_gives_each_value_a_block_of_its_own(run, labelled, tmp_path):
    done, found = run(write(tmp_path / "in.jsonl", labelled), "by=split")
    assert done.code == 0, done.err
    assert list(found["by"]) == ["test", "train"]
    for value in ("test", "train"):
        rows = [row for row in labelled if row["split"] == value]
        _, alone = run(write(tmp_path / f"{value}.jsonl", rows), name=f"{value}.json")
        assert found["by"][value] == alone["external"]
    assert "test" in done.out.splitlines()[0] and "train" in done.out.splitlines()[0]


def test_by_a_column_with_gaps_and_numbers(trained):
    rows = [{"text": "x", "labels": [], "year": year} for year in (2001, 2002, None, 2001)]
    found = evaluate(load(trained.bundle), rows, by="year")["by"]
    assert {key: block["sentences"] for key, block in found.items()} == {"2001": 2, "2002": 1, "None": 1}


def test_articles_are_resampled_whole_where_they_are_known(trained, labelled):
    bundle = load(trained.bundle)
    grouped = evaluate(bundle, labelled, group="article")["external"]
    without = evaluate(
        bundle, [{k: v for k, v in row.items() if k != "article"} for row in labelled], group="article"
    )
    assert (grouped["articles"], without["external"]["articles"]) == (24, len(labelled))
    assert grouped["macro_f1"]["value"] == without["external"]["macro_f1"]["value"]
    assert grouped["macro_f1"]["low"] != without["external"]["macro_f1"]["low"]


def test_rows_without_an_article_among_others_count_for_themselves(trained):
    rows = [{"text": "x", "labels": [], "article": "a"}] * 3
    rows += [{"text": "x", "labels": [], "article": None}, {"text": "x", "labels": []}]
    assert evaluate(load(trained.bundle), rows, group="article")["external"]["articles"] == 3


def test_the_seed_makes_it_repeatable(run, labelled, tmp_path):
    rows = [{**row, "labels": row["labels"] if n % 3 else ["denial"]} for n, row in enumerate(labelled)]
    source = write(tmp_path / "in.jsonl", rows)
    first, same, other = (
        run(source, f"seed={seed}", name=f"{n}.json")[1] for n, seed in enumerate((1, 1, 2))
    )
    assert first["external"] == same["external"]
    assert first["external"] != other["external"]


REFUSED = {
    "unknown label": (
        '{"text": "x", "labels": ["denail"]}',
        ["row 1: unknown label 'denail'; did you mean 'denial'?"],
    ),
    "no labels": ('{"text": "x", "label": []}', ["row 1", "no column 'labels'; did you mean 'label'?"]),
    "number": ('{"text": "x", "labels": 3}', ["row 1", "unknown label '3'"]),
    "numbers": ('{"text": "x", "labels": [[3]]}', ["row 1", "expected names"]),
    "later row": ('{"text": "x", "labels": []}\n{"text": "y"}', ["row 2", "no column 'labels'"]),
    "no text": ('{"body": "x", "labels": []}', ["no column 'text'"]),
    "nothing": ("\n", ["has no rows"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_leave_no_output(run, tmp_path, name):
    content, words = REFUSED[name]
    (tmp_path / "in.jsonl").write_text(content + "\n")
    done, found = run(tmp_path / "in.jsonl")
    assert done.refused("in.jsonl", *words)
    assert found is None


def test_unknown_columns_and_files(run, labelled, tmp_path):
    source = write(tmp_path / "in.jsonl", labelled)
    assert run(source, "by=spilt")[0].refused("by=spilt: no such column", "did you mean 'split'?")
    assert run(tmp_path / "in.json")[0].refused("in.json", "does not exist", "did you mean 'in.jsonl'?")


def test_through_the_command_line(command, trained, labelled, tmp_path):
    source = write(tmp_path / "in.csv", labelled, joined=True)
    output = tmp_path / "deep" / "out.json"
    done = command(
        "evaluate", f"input={source}", f"output={output}", f"model_uri={trained.bundle}", "by=split"
    )
    assert done.code == 0, done.err
    assert set(json.loads(output.read_text())) == {
        "input",
        "model",
        "model_uri",
        "external",
        "by",
        "slices",
        "truncated",
    }
    assert done.err == ""


def test_multiclass(tmp_path):
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    from pipeline.bundle import Bundle
    from pipeline.models.arrow_tfidf import ArrowTfidf
    from pipeline.models.decision import Decision
    from pipeline.models.portable import portable
    from pipeline.schema import InputError, LabelSet

    texts, y = ["good", "bad", "plain"] * 4, np.tile(np.eye(3, dtype=np.int8), (4, 1))
    model = make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression())).fit(texts, y)
    decision = Decision(task="multiclass").fit(model.decision_function(texts), y)
    bundle = Bundle(portable(model), decision, LabelSet(("g", "b", "p"), {}, "multiclass"))
    rows = [
        {"text": "good", "labels": ["g"]},
        {"text": "bad", "labels": "b"},
        {"text": "plain", "labels": ["g"]},
    ]
    found = evaluate(bundle, rows)["external"]
    assert found["subset_accuracy"]["value"] == found["micro_f1"]["value"] == pytest.approx(2 / 3)
    assert found["per_label"]["g"]["threshold"] is None
    with pytest.raises(InputError, match="row 2: task multiclass needs exactly one label"):
        evaluate(bundle, [rows[0], {"text": "x", "labels": ["g", "b"]}])
