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


def test_predictions_are_shown_only_where_asked_for(run, news):
    done, output = run(news, "count=6", "predictions=true", name="tasks.json")
    assert done.code == 0, done.err
    tasks = json.loads(output.read_text(encoding="utf-8"))
    assert len(tasks) == 6 and any("predictions" in task for task in tasks)
    for task in tasks:
        assert {"article", "start", "end", "kind", "text", "before", "after"} == set(task["data"])
        for prediction in task.get("predictions", ()):
            (result,) = prediction["result"]
            assert set(result["value"]["choices"]) <= set(LABELS)
    run(news, "count=6", name="blind.json")
    assert all(set(task) == {"data"} for task in json.loads((output.parent / "blind.json").read_text()))


FORMS = [
    "next.csv",
    "next.json",
    "doccano.jsonl",
    "prodigy.jsonl",
    pytest.param("next.xlsx", marks=pytest.mark.extra),
]
ANSWER = {"result": [{"from_name": "labels", "value": {"choices": ["denial"]}}], "completed_by": 1}
ANSWERED = {"doccano": {"label": ["denial"]}, "prodigy": {"answer": "accept", "accept": ["denial"]}}


def fill_in(path):
    """Give every sentence the label "denial", as a coder or a tool writes it."""
    if path.suffix == ".json":
        assert "denial" in path.with_name("next.config.xml").read_text()
        rows = [row | {"annotations": [ANSWER]} for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        rows = [row | ANSWERED[path.stem] for row in lines(path)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".xlsx":
        book = pytest.importorskip("openpyxl").load_workbook(path)
        sheet = book["sentences"]
        column = [cell.value for cell in sheet[1]].index("denial") + 1
        assert [
            rule for rule in sheet.data_validations.dataValidation if sheet.cell(2, column).coordinate in rule
        ]
        for number in range(2, sheet.max_row + 1):
            sheet.cell(number, column).value = "yes"
        book.save(path)
    else:
        assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel takes it for UTF-8"
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row | {"denial": "yes"} for row in csv.DictReader(file)]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


SENTENCES = ["-5 degrees in Malmö.", "=Sales of tea fell.", "They “met”.", "'Sorry', she said.", "It's over."]


@pytest.fixture
def table(tmp_path):
    """A file of sentences and nothing else."""
    path = tmp_path / "sentences.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in SENTENCES)])
    return path


@pytest.mark.parametrize("unit", ["article", "sentence"])
@pytest.mark.parametrize("strategy", ["uncertainty", "random"])
@pytest.mark.parametrize("name", FORMS)
def test_what_coders_fill_in_comes_back(run, stage, trained, table, tmp_path, name, strategy, unit):
    """From articles, and from a file that has sentences and nothing else."""
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    source = table if unit == "sentence" else trained.corpus.articles
    form = f"format={name[:-6] if name.endswith('.jsonl') else 'null'}"
    done, output = run(f"input={source}", f"unit={unit}", f"strategy={strategy}", "count=4", form, name=name)
    assert done.code == 0, done.err
    assert str(output) in done.out
    fill_in(output)
    back = tmp_path / "annotations.jsonl"
    where = [f"corpus.articles={source}", f"annotations={back}"]
    done = stage("exchange", f"import={output}", form, "annotator=me", "annotators={1:me}", *where)
    assert done.code == 0, done.err
    assert "me: 4 added" in done.out
    assert all(row["labels"] == ["denial"] and row["annotator"] == "me" for row in lines(back))
    if unit == "sentence":
        assert {row["text"] for row in lines(back)} < set(SENTENCES)
    _, rest = run(f"input={source}", f"unit={unit}", f"labelled={back}", name="rest.jsonl")
    assert not {row["text"] for row in lines(rest)} & {row["text"] for row in lines(back)}


def test_what_is_filled_in_is_not_written_over(run, table):
    arguments = [f"input={table}", "unit=sentence"]
    for name in ("next.csv", "next.jsonl"):
        assert run(*arguments, name=name)[0].code == 0
        done, output = run(*arguments, name=name)
        assert done.code == 0, "the same again loses nothing"
        output.write_text(output.read_text() + "\n")
        before = output.read_bytes()
        assert run(*arguments, name=name)[0].refused(name, "exists", "import it")
        assert output.read_bytes() == before


def test_suggestions_need_the_codebook_of_the_classifier(run, news):
    more = f"labels.names=[{','.join([*LABELS, 'remedy'])}]"
    assert run(news, more, name="next.csv")[0].refused("economic_claim, remedy", "labels=NAME")
    assert run(news, more)[0].code == 0, "a plain table has no labels"


def test_columns_of_sentences_are_carried_over(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("id,text,source\n1,Sales of tea fell.,a\n3,Sales of tea fell.,c\n4,'-5 degrees.,d\n")
    done, output = run(f"input={source}", "unit=sentence")
    assert done.code == 0, done.err
    assert sorted((row["article"], row["text"], row["source"]) for row in lines(output)) == [
        ("1", "Sales of tea fell.", "a"),
        ("4", "-5 degrees.", "d"),
    ], "no repeat; the apostrophe is a spreadsheet's, as pipeline.rows.defuse puts it"
    source.write_text('text\nOne.\n""\n')
    assert run(f"input={source}", "unit=sentence")[0].refused("row 2", "empty")


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
    assert run(news, name="out.txt")[0].refused("out.txt", ".xlsx")
    assert run(news, "format=exel", name="out.xlsx")[0].refused("did you mean 'excel'")
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
    assert output.read_text(encoding="utf-8-sig").startswith("article,")
    assert run("what=relabel", f"out_of_fold={tmp_path / 'mine.parquet'}", name="out.json")[0].refused(".csv")
    assert run("what=relabel", "out_of_fold=none.parquet")[0].refused("none.parquet", "pipeline.train")
    assert run("what=relabel", "format=doccano")[0].refused("format=doccano", "leave it out")


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
