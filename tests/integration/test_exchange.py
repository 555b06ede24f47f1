"""Sentences out to annotators' files and back, and several annotators settled, on the small corpus."""

import codecs
import csv
import json
from itertools import pairwise
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate

from pipeline.label import label
from pipeline.labels.annotations import read_annotations
from pipeline.models.training import scores
from pipeline.schema import LabelSet
from tests.conftest import LABELS

DETAILS = {"time": "2024-05-06T07:08:09Z", "seconds": 3.5, "notes": "=2+2 ‘quoted’\nand on"}


@pytest.fixture
def detailed(corpus):
    corpus.write_annotations([{**row, **DETAILS} for row in corpus.rows])
    return corpus


def where(corpus):
    return [f"corpus.articles={corpus.articles}", f"annotations={corpus.annotations}"]


@pytest.mark.parametrize(
    "file", ["out.json", "out.csv", pytest.param("out.xlsx", marks=pytest.mark.extra), "d.jsonl", "p.jsonl"]
)
def test_the_annotations_of_the_corpus_come_back_whole(detailed, stage, tmp_path, file):
    if file.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    form = {"d.jsonl": "doccano", "p.jsonl": "prodigy"}.get(file, "null")
    path, back = tmp_path / file, tmp_path / "back.jsonl"
    done = stage("exchange", f"export={path}", f"format={form}", "annotated=only", *where(detailed))
    assert done.code == 0, done.err
    if file == "out.json":
        rows = [{**row, "annotations": []} for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    if form == "prodigy":
        rows = [{**json.loads(line), "answer": "ignore"} for line in path.read_text().splitlines()]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    more = ["annotator=nobody"] if form == "doccano" else []
    done = stage(
        "exchange", f"import={path}", f"format={form}", where(detailed)[0], f"annotations={back}", *more
    )
    assert done.code == 0, done.err
    found = [one.row() for one in read_annotations(back) if one.annotator != "nobody"]
    wanted = [one.row() for one in read_annotations(detailed.annotations)]
    key = json.dumps
    assert sorted(found, key=key) == sorted(wanted, key=key)


@pytest.mark.parametrize("file", ["out.csv", "out.json", pytest.param("out.xlsx", marks=pytest.mark.extra)])
def test_a_file_that_is_filled_in_is_not_written_over(corpus, stage, tmp_path, file):
    if file.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    path = tmp_path / file
    arguments = [f"export={path}", where(corpus)[0], f"annotations={tmp_path / 'none.jsonl'}"]
    for _ in range(2):  # the same again loses nothing
        assert stage("exchange", *arguments).code == 0
    if file.endswith("xlsx"):
        book = pytest.importorskip("openpyxl").load_workbook(path)
        book["sentences"]["B2"] = "yes"
        book.save(path)
    else:
        path.write_bytes(path.read_bytes().replace(b"headline", b"HEADLINE", 1))
    before = path.read_bytes()
    assert stage("exchange", *arguments).refused(file, "exists", "import it", "choose another file")
    assert path.read_bytes() == before


def test_a_sheet_is_utf8_to_excel_and_has_the_neighbours(corpus, stage, tmp_path):
    path = tmp_path / "out.csv"
    stage("exchange", f"export={path}", where(corpus)[0], "annotations=null")
    assert path.read_bytes().startswith(codecs.BOM_UTF8)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    inside = [(one, other) for one, other in pairwise(rows) if one["article"] == other["article"]]
    assert len(inside) > 100
    assert all(one["after"] == other["text"] and other["before"] == one["text"] for one, other in inside)


def test_what_is_annotated_is_not_given_out_again(corpus, stage, tmp_path):
    corpus.write_annotations(corpus.rows[:5])
    done = stage("exchange", f"export={tmp_path / 'a.csv'}", *where(corpus))
    everything = stage("exchange", f"export={tmp_path / 'b.csv'}", where(corpus)[0], "annotations=null")
    few = stage("exchange", f"export={tmp_path / 'c.csv'}", *where(corpus), "sample=7")
    counts = [int(one.out.split()[0]) for one in (done, everything, few)]
    same = len({(row["article"], row["start"]) for row in corpus.rows[:5]})
    assert counts == [counts[1] - same, counts[1], 7]


def test_a_text_the_tool_cleaned_finds_its_place(corpus, stage, tmp_path):
    """Annotators see cleaned sentences, annotations hold the article's own characters."""
    article = corpus.articles / "quoted.txt"
    article.write_text(
        "Headline here\n\nHe said &quot;no&quot;  to\nall of it. She left.\n", encoding="utf-8"
    )
    path, back = tmp_path / "out.csv", tmp_path / "back.jsonl"
    stage("exchange", f"export={path}", f"input={article}", "annotations=null")
    lines = path.read_text(encoding="utf-8").splitlines()
    none = lines[0].split(",").index("none")
    rows = [line.split(",") for line in lines[1:]]
    marked = [",".join([*cells[:none], "yes", *cells[none + 1 :]]) for cells in rows]
    path.write_text("\n".join([lines[0], *marked]), encoding="utf-8")
    done = stage("exchange", f"import={path}", "annotator=x", where(corpus)[0], f"annotations={back}")
    assert done.code == 0, done.err
    raw = article.read_text(encoding="utf-8")
    for one in read_annotations(back):
        assert raw[one.start : one.end] == one.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "set either export=FILE or import=FILE"),
        (["export=x.jsonl"], "format: must be given"),
        (["export=x.json", "format=excell"], "did you mean 'excel'"),
        (["export=x.json", "annotated=maybe"], "annotated=maybe"),
        (["export=x.json", "unit=page"], "unit=page"),
        (["export=x.json", "sample=0"], "sample=0"),
    ],
)
def test_wrong_settings_are_named(corpus, stage, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert stage("exchange", *arguments, *where(corpus)).refused(said)
    assert not list(tmp_path.glob("x.*"))


def test_a_foreign_file_changes_nothing(corpus, stage, tmp_path):
    before = corpus.annotations.read_text()
    bad = tmp_path / "bad.json"
    bad.write_text('[{"id": 7, "data": {"text": "hi"}, "annotations": [{"result": [], "completed_by": 1}]}]')
    assert stage("exchange", f"import={bad}", *where(corpus)).refused(
        "bad.json", "task 7", "'article' missing"
    )
    bad.write_text("{}")
    assert stage("exchange", f"import={bad}", *where(corpus)).refused("bad.json", "JSON-MIN")
    rows = json.loads(json.dumps(corpus.rows[:1]))
    data = {**rows[0], "text": "Something else entirely."}
    result = {"from_name": "labels", "value": {"choices": ["denial"]}}
    bad.write_text(json.dumps([{"data": data, "annotations": [{"result": [result], "completed_by": 1}]}]))
    assert stage("exchange", f"import={bad}", *where(corpus)).refused("was the article edited?")
    assert corpus.annotations.read_text() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "hi", "label": []}', "line 1: field 'article' missing"),
        ('{"text": "hi"}', "line 1: no field 'label'"),
        ("{", "line 1: invalid JSON"),
        (
            '{"article": "a", "start": 0, "end": 2, "text": "hi", "label": []}',
            "line 1: field 'article': no article 'a'",
        ),
    ],
)
def test_a_row_in_a_zip_is_named_by_the_zip(corpus, stage, tmp_path, line, said):
    packed = tmp_path / "export.zip"
    with ZipFile(packed, "w") as file:
        file.writestr("anna.jsonl", f"{line}\n")
    assert stage("exchange", f"import={packed}", *where(corpus)).refused(f"{packed}/anna.jsonl: {said}")


@pytest.mark.parametrize("rule", ["majority", "weighted", "dawid_skene"])
def test_the_label_stage_settles_and_says_who_decided(corpus, stage, tmp_path, rule):
    arguments = [f"corpus.articles={corpus.articles}", f"corpus.metadata={corpus.metadata}"]
    arguments += [f"corpus.annotations={corpus.annotations}", f"statistics={tmp_path / 's.json'}"]
    arguments += [f"output={tmp_path / 'l.parquet'}", f"aggregation={rule}"]
    done = stage("label", *arguments)
    assert done.code == 0, done.err
    assert "F1 with the others" in done.out and f"{rule} " in done.out
    statistics = json.loads((tmp_path / "s.json").read_text())
    assert set(statistics["coders"]["annotators"]) == {"first", "second"}
    disputed = [json.loads(line) for line in (tmp_path / "l.disputed.jsonl").read_text().splitlines()]
    assert len(disputed) == statistics["decided_by"][rule] > 0
    assert all(row["by"] == rule and len(row["votes"]) == 2 for row in disputed)

    done = stage("label", *arguments, "aggregation.adjudicator=second")
    assert done.code == 0, done.err
    final = {
        (r["article"], r["start"]): r["labels"] for r in pq.read_table(tmp_path / "l.parquet").to_pylist()
    }
    for row in corpus.rows:
        if row["annotator"] == "second":
            assert final[row["article"], row["start"]] == row["labels"]
    assert stage("label", *arguments, "aggregation.adjudicator=secnd").refused("did you mean 'second'")


def test_an_adjudicator_says_nothing_of_how_far_others_agree(corpus):
    """Who has seen the votes agrees with one of them, and would make them look better than they are."""
    settled = [{**row, "annotator": "editor"} for row in corpus.rows if row["annotator"] == "first"]

    def found(rows, **settings):
        corpus.write_annotations(rows)
        return label(corpus.articles, corpus.metadata, corpus.annotations, LabelSet(LABELS), **settings)[1]

    alone = found(corpus.rows)
    with_word = found([*corpus.rows, *settled], adjudicator="editor")
    for part in ("agreement", "coders", "sentences_with_two_votes"):
        assert with_word[part] == alone[part]
    assert with_word["votes"] == alone["votes"] + len(settled)
    assert found([*corpus.rows, *settled])["agreement"] != alone["agreement"]


def test_topics_of_articles_that_have_no_metadata(corpus, tmp_path):
    table = tmp_path / "news.jsonl"
    rows = [
        {"id": path.stem, "text": path.read_text(encoding="utf-8"), "topic": "trade"}
        for path in corpus.articles.iterdir()
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    statistics = label(table, None, corpus.annotations, LabelSet(LABELS))[1]
    (topic,) = statistics["coders"]["topics"].items()
    assert topic[0] == "trade" and set(topic[1]["f1"]) == set(LABELS)


@pytest.fixture
def weak(corpus, stage, tmp_path):
    """Run the stage on forty sentences, with the corpus as gold; the last overrides win."""
    news, gold = tmp_path / "news.csv", tmp_path / "gold.parquet"
    said = [f"The group accused the {n} banks of fraud number {n}.\n" for n in range(40)]
    news.write_text("".join(["text\n", *said]))
    inputs = [f"corpus.{name}={getattr(corpus, name)}" for name in ("articles", "metadata", "annotations")]
    stage("label", *inputs, f"output={gold}", f"statistics={tmp_path / 's.json'}")
    outputs = [f"output={tmp_path / 'weak.parquet'}", f"analysis={tmp_path / 'f.csv'}"]
    given = [f"input={news}", "unit=sentence", f"gold={gold}", *outputs, "near_duplicate=1.0"]
    return lambda *more: stage("weak", *given, *more)


def test_functions_are_not_judged_by_test_sentences(weak, corpus, tmp_path):
    done = weak()
    assert done.code == 0, done.err
    rows = pq.read_table(tmp_path / "gold.parquet").to_pylist()
    test = {row["text"] for row in rows if row["split"] == "test"}
    assert f"{len(rows) - len(test)} gold sentences, not by the {len(test)} of the test set" in done.out
    with (tmp_path / "f.csv").open(newline="") as file:
        (accuse,) = [row for row in csv.DictReader(file) if row["function"] == "accuse"]
    accused = [row for row in rows if " accused " in row["text"]]
    train = [row for row in accused if row["text"] not in test]
    assert int(accuse["judged"]) == len(train) < len(accused)


def test_what_weak_labels_cannot_be_made_from_is_named(weak, tmp_path):
    assert weak(f"gold={tmp_path / 'none.parquet'}").refused("none.parquet", "pipeline.label", "gold=null")
    own = ["labels.names=[blame]", "labels.definitions=null", "labels.examples=null"]
    assert weak(*own, "gold=null").refused("'accusation'", "known: blame", "functions=NAME")
    assert weak(*own).refused("gold.parquet", "'accusation'", "gold=FILE")
    assert weak(f"input={tmp_path / 'gold.parquet'}").refused("gold.parquet", "no sentence is left")


def test_weak_labels_train_a_classifier(weak, corpus, tmp_path, train):
    """The weak file is read wherever the model is fitted, and stays out of the bundle."""
    from pipeline.bundle import load

    done = weak()
    assert done.code == 0, done.err
    assert "accuracy" in done.out and "accuse" in done.out
    rows = pq.read_table(tmp_path / "weak.parquet").to_pylist()
    assert len(rows) == 40
    assert all("accusation" in row["labels"] and 0 < row["weight"] <= 1 for row in rows)
    model = ["model=weak", "model@model.gold=tfidf_logreg"]
    model += [f"model.estimator.weak={tmp_path / 'weak.parquet'}", "model.estimator.ratio=1.0"]
    runs = train(corpus, tmp_path / "more", *model), train(corpus, tmp_path / "alone")
    more, alone = (load(run.bundle).probabilities(["banks fraud number"])[0, 0] for run in runs)
    assert more > alone
    assert runs[0].metrics["data"] == runs[1].metrics["data"], "gold alone is counted"


def test_the_default_classifier_is_trained_on_weak_labels(compose, tmp_path):
    """Every part of it, of which one is a pipeline and one is not."""
    said = [(f"The group accused bank number {n} of fraud.", ["accusation"]) for n in range(20)]
    weak = tmp_path / "weak.parquet"
    pq.write_table(
        pa.table(
            {"text": [text for text, _ in said], "labels": [given for _, given in said]}
            | {"weight": [0.5] * 20}
        ),
        weak,
    )
    config = compose("train", ["model=weak", f"model.estimator.weak={weak}"])
    assert config.model.gold.name == compose("train").model.name
    model = instantiate(config.model.estimator, _convert_="all")
    gold = {"Prices rose": [0, 0, 0, 1], "He denied it": [0, 1, 0, 0], "Taxes were cut": [0, 0, 1, 0]}
    texts = [f"{words} on day {n}." for n in range(8) for words in gold]
    fitted = model.fit(texts, np.array([*gold.values()] * 8, np.int8))
    for part in fitted.estimator_.parts:
        accused, not_so = scores(part, ["They accused a bank of fraud", "Prices rose"])[:, 0]
        assert accused > 0 > not_so, "nothing but weak labels says so"


def test_weak_labels_that_are_not_there_are_named(corpus, stage, tmp_path):
    found = stage(
        "train",
        *corpus.overrides(tmp_path),
        "model=weak",
        "tracking.uri=null",
        f"model.estimator.weak={tmp_path / 'none.parquet'}",
    )
    assert found.refused("no such file", "pipeline.weak")
