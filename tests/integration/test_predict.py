"""Labelling articles and rows, as users run it."""

import csv
import datetime
import gzip
import html.parser
import json
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.bundle import load
from pipeline.schema import ConfigError
from pipeline.scoring import batches, predict
from pipeline.text.cleaning import clean

LABELS = ["accusation", "denial", "policy_action", "economic_claim"]
SENTENCE = ["article", "sentence", "kind", "start", "end", "text"]
FORMATS = ["jsonl", "csv", "parquet"]
TEXTS = [
    "The minister denied that it had broken any rule.",
    "",
    "The regulator ordered the bank to stop selling loans; sales rose 3 percent.",
    None,
    'Quotes " and, commas;\nand a new line',
    "中文 and emoji 😀",
    "Residents accused the mayor of hiding costs.",
]


def read(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        return [
            row | {"labels": [x for x in row["labels"].split(";") if x], "scores": json.loads(row["scores"])}
            for row in csv.DictReader(file)
        ]


def write(path, rows):
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
    """Predict in this process; returns the rows written, or how it ended."""

    def ran(source, name, *more):
        output = tmp_path / name
        model = [] if any(one.startswith("model_uri=") for one in more) else [f"model_uri={trained.bundle}"]
        done = stage("predict", f"input={source}", f"output={output}", *model, *more)
        return done, output

    return ran


# --- articles -----------------------------------------------------------------------------------------


def test_articles_through_the_command_line(command, trained, tmp_path):
    output = tmp_path / "out.jsonl"
    done = command(
        "predict", f"input={trained.corpus.articles}", f"output={output}", f"model_uri={trained.bundle}"
    )
    assert done.code == 0, done.err
    assert done.err == ""
    found = read(output)
    raw = {path.stem: path.read_text() for path in trained.corpus.articles.iterdir()}
    assert [row["article"] for row in found] == sorted(row["article"] for row in found)
    assert {row["article"] for row in found} == set(raw)
    bundle = load(trained.bundle)
    for row in found:
        assert list(row) == [*SENTENCE, "labels", "scores"]
        assert clean(raw[row["article"]][row["start"] : row["end"]]) == row["text"]
        assert list(row["scores"]) == LABELS
    assert [row["labels"] for row in found] == bundle.label([row["text"] for row in found])
    assert f"{len(found)} sentences labelled" in done.out
    for name in LABELS:
        assert f"{name} {sum(name in row['labels'] for row in found)}" in done.out


def test_formats_hold_the_same(run, trained):
    tables = {}
    for extension in FORMATS:
        done, output = run(trained.corpus.articles, f"out.{extension}")
        assert done.code == 0, done.err
        tables[extension] = read(output)
    assert tables["jsonl"] == tables["parquet"]
    assert [{k: str(v) for k, v in row.items()} for row in tables["csv"]] == [
        {k: str(v) for k, v in row.items()} for row in tables["jsonl"]
    ]


@pytest.mark.parametrize("name", ["one.txt", "page.html", "notes.md", "rows.jsonl", "rows.csv", "one.txt.gz"])
def test_every_kind_of_article(run, tmp_path, name):
    text = "The minister denied the claim on Monday. Prices of milk rose 3 percent."
    source = tmp_path / name
    rows = [{"id": "a", "title": "Denial", "text": text, "topic": "x"}]
    if name.startswith("rows"):
        write(source, rows)
    elif name.endswith(".gz"):
        source.write_bytes(gzip.compress(text.encode()))
    else:
        source.write_text(f"<html><body><p>{text}</p></body></html>" if "html" in name else text)
    done, output = run(source, "out.jsonl")
    assert done.code == 0, done.err
    assert [row["text"] for row in read(output)][-2:] == text.replace(". ", ".|").split("|")


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("unit", ["article", "sentence"])
def test_batch_size_changes_nothing(run, trained, tmp_path, extension, unit):
    source = trained.corpus.articles
    if unit == "sentence":
        rows = [{"text": row["text"], "n": i} for i, row in enumerate(trained.corpus.rows)]
        source = write(tmp_path / "in.jsonl", rows)
    found = set()
    for size in (1, 7, 8192):
        done, output = run(source, f"out{size}.{extension}", f"batch_size={size}", f"unit={unit}")
        assert done.code == 0, done.err
        found.add(json.dumps(read(output)))
    assert len(found) == 1


# --- rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("into", FORMATS)
@pytest.mark.parametrize("out_of", ["jsonl", "csv", "tsv", "parquet"])
def test_one_row_out_per_row_in_with_all_columns(run, trained, tmp_path, out_of, into):
    rows = [
        {
            "id": f"r{i}",
            "text": text if text is not None or out_of != "csv" else "",
            "labels": "denial",
            "n": i,
        }
        for i, text in enumerate(TEXTS)
    ]
    source = write(tmp_path / f"in.{out_of}", rows)
    done, output = run(source, f"out.{into}", "unit=sentence")
    assert done.code == 0, done.err
    found = read(output)
    assert [row["text"] for row in found] == [text or "" for text in TEXTS]
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert [str(row["n"]) for row in found] == [str(i) for i in range(len(TEXTS))]
    assert [row["input_labels"] for row in found] == ["denial"] * len(TEXTS)
    assert [row["labels"] for row in found] == load(trained.bundle).label(TEXTS)
    assert list(found[0]) == ["id", "text", "input_labels", "n", "labels", "scores"]


@pytest.mark.parametrize("into", FORMATS)
def test_given_labels_and_scores_are_kept_under_another_name(run, tmp_path, into):
    rows = [
        {"text": "a b", "labels": ["x", "y"], "scores": {"old": 0.5}},
        {"text": "c d", "labels": [], "scores": {"old": 1.0}},
    ]
    done, output = run(write(tmp_path / "in.jsonl", rows), f"out.{into}", "unit=sentence")
    assert done.code == 0, done.err
    found = read(output)
    assert set(found[0]["scores"]) == set(LABELS)
    if into == "csv":
        assert [row["input_labels"] for row in found] == ["x;y", ""]
    else:
        assert [row["input_labels"] for row in found] == [["x", "y"], []]
        assert [row["input_scores"] for row in found] == [{"old": 0.5}, {"old": 1.0}]


@pytest.mark.parametrize("into", FORMATS)
def test_columns_that_only_some_rows_have(run, tmp_path, into):
    rows = [{"text": "one"}, {"text": "two", "source": "late"}, {"source": "no text"}]
    done, output = run(write(tmp_path / "in.jsonl", rows), f"out.{into}", "unit=sentence")
    assert done.code == 0, done.err
    found = read(output)
    assert [row["text"] for row in found] == ["one", "two", ""]
    assert [row.get("source") or "" for row in found] == ["", "late", "no text"]


@pytest.mark.parametrize("into", FORMATS)
def test_columns_of_mixed_kinds(run, tmp_path, into):
    rows = [{"text": "one", "id": 1}, {"text": "two", "id": "b"}, {"text": "three", "id": None}]
    done, output = run(write(tmp_path / "in.jsonl", rows), f"out.{into}", "unit=sentence")
    if into == "parquet":
        assert done.refused("out.parquet", ".jsonl")
        assert not output.exists()
    else:
        assert done.code == 0, done.err
        assert [str(row["id"] or "") for row in read(output)] == ["1", "b", ""]


@pytest.mark.parametrize("into", FORMATS)
@pytest.mark.parametrize("late", [{"text": "two", "id": "b"}, {"text": "two", "id": 2, "new": "x"}])
def test_what_does_not_fit_the_rows_before_is_not_dropped_in_silence(run, tmp_path, into, late):
    source = write(tmp_path / "in.jsonl", [{"text": "one", "id": 1}, late])
    done, output = run(source, f"out.{into}", "unit=sentence", "batch_size=1")
    if into == "parquet" or (into == "csv" and "new" in late):
        assert done.refused("write .jsonl")
        assert not output.exists()
    else:
        assert done.code == 0, done.err
        assert str(read(output)[1]["id"]) == str(late["id"])
        assert read(output)[1].get("new") == late.get("new")


@pytest.mark.parametrize("into", [*FORMATS, "html"])
def test_dates_of_a_parquet_file_come_through(run, tmp_path, into):
    rows = [{"text": "one", "day": datetime.date(2024, 5, 1), "at": datetime.datetime(2024, 5, 1, 12, 30)}]
    done, output = run(write(tmp_path / "in.parquet", rows), f"out.{into}", "unit=sentence")
    assert done.code == 0, done.err
    if into != "html":
        assert str(read(output)[0]["day"]) == "2024-05-01"


@pytest.mark.parametrize("into", [*FORMATS, "html"])
@pytest.mark.parametrize("unit", ["article", "sentence"])
def test_lone_surrogates_are_no_obstacle(run, tmp_path, into, unit):
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "a\\ud83d", "text": "The minister denied \\ud83d that it broke a rule."}\n')
    done, output = run(source, f"out.{into}", f"unit={unit}")
    assert done.code == 0, done.err
    assert b"The minister denied" in output.read_bytes()


# --- the page -----------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What a browser would see: tags with attributes, and text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "</script><script>alert(1)//",
    "{{ 7*7 }}{% raw %}",
    "<!-- & &amp; -->",
]


@pytest.mark.parametrize("unit", ["article", "sentence"])
def test_the_page_shows_scripts_and_runs_none(run, tmp_path, unit):
    rows = [
        {
            "id": f"{payload}-{i}",
            "article": payload,
            "title": payload,
            "text": f"The bank said {payload} is so, twice.",
        }
        for i, payload in enumerate(PAYLOADS)
    ]
    done, output = run(write(tmp_path / "in.jsonl", rows), "out.html", f"unit={unit}")
    assert done.code == 0, done.err
    page = Page(output.read_text(encoding="utf-8"))
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [tag for tag, _ in page.tags if tag in ("img", "iframe", "object", "link")]
    assert not [attrs for _, attrs in page.tags if "src" in attrs or "href" in attrs]
    for payload in PAYLOADS:
        assert payload in page.text
    assert "default-src 'none'" in output.read_text(encoding="utf-8")


def test_the_page_holds_every_sentence_and_label(run, trained):
    done, output = run(trained.corpus.articles, "out.html")
    assert done.code == 0, done.err
    page = Page(output.read_text(encoding="utf-8"))
    sentences = [row["text"] for row in trained.corpus.rows]
    assert all(text in page.text for text in sentences)
    shown = [attrs["data-tag"] for tag, attrs in page.tags if attrs.get("class", "").startswith("tag")]
    _, other = run(trained.corpus.articles, "out.jsonl")
    given = [name for row in read(other) for name in row["labels"]]
    assert sorted(shown) == sorted(str(LABELS.index(name)) for name in given)
    assert [tag for tag, _ in page.tags].count("article") == 24
    for name in LABELS:
        assert f"{name} ({given.count(name)})" in page.text


@pytest.mark.parametrize("unit", ["article", "sentence"])
def test_a_page_holds_only_so_much(run, tmp_path, monkeypatch, unit):
    monkeypatch.setattr("pipeline.predict.LONGEST_PAGE", 1000)
    rows = [{"text": "The bank denied it. " * 5, "article": f"a{i}", "note": "x" * 10_000} for i in range(6)]
    done, output = run(write(tmp_path / "in.jsonl", rows[:5]), "out.html", f"unit={unit}")
    assert done.code == 0, done.err
    output.unlink()
    done, output = run(write(tmp_path / "in.jsonl", rows), "out.html", f"unit={unit}")
    assert done.refused("out.html", "no more than 1,000 characters", ".jsonl")
    assert not output.exists()


# --- refusals -----------------------------------------------------------------------------------------


def bad(folder):
    """Inputs that cannot be used: name, content, unit and words of the message."""
    (folder / "empty").mkdir()
    return {
        "missing.txt": (None, "article", ["missing.txt", "does not exist"]),
        "empty.txt": (b"", "article", ["empty.txt", "is empty"]),
        "blank.txt": (b" \n \n", "article", ["blank.txt", "is empty"]),
        "word.docx": (b"x", "article", ["unknown extension"]),
        "binary.txt": (b"\x00\x01", "article", ["looks binary"]),
        "latin.txt": ("Café".encode("latin-1"), "article", ["latin.txt", "UTF-8"]),
        "empty": (None, "article", ["no articles in this folder"]),
        "bad.jsonl": (b'{"text": "a"}\n{"text": \n', "sentence", ["bad.jsonl", "line 2", "invalid JSON"]),
        "number.jsonl": (b'{"text": 5}\n', "sentence", ["line 1", "must be a string, got int"]),
        "body.csv": (b"body,id\nx,1\n", "sentence", ["no column 'text'"]),
        "short.csv": (b"text,id\nx\n", "sentence", ["row 1", "1 cells for 2 columns"]),
        "none.csv": (b"text,id\n", "sentence", ["has no rows"]),
        "table.txt": (b"text", "sentence", ["rows need a table"]),
        "bad.parquet": (b"PAR1", "sentence", ["bad.parquet", "not a readable Parquet file"]),
    }


@pytest.mark.parametrize("before", [None, "old"])
def test_bad_inputs_leave_no_output(run, tmp_path, before):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, extension in zip(inputs := bad(folder), cycle((*FORMATS, "html")), strict=False):
        content, unit, words = inputs[name]
        if content is not None:
            (folder / name).write_bytes(content)
        output = tmp_path / f"out.{extension}"
        if before:
            output.write_text(before)
        done, _ = run(folder / name, output.name, f"unit={unit}")
        assert done.refused(*words), name
        assert (output.read_text() == before) if before else not output.exists()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == (["in", *sorted(f"out.{e}" for e in (*FORMATS, "html"))] if before else ["in"])


def test_a_bad_row_far_into_the_file_leaves_no_output(run, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "fine"}\n' * 500 + '{"text": 5}\n')
    for extension in (*FORMATS, "html"):
        done, output = run(source, f"out.{extension}", "unit=sentence", "batch_size=10")
        assert done.refused("line 501")
        assert not output.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


SETTINGS = {
    "unit": (["unit=word"], ["unit=word: must be one of article, sentence"]),
    "batch size": (["batch_size=0"], ["batch_size=0: must be a whole number, at least 1"]),
    "model": (["model_uri=/nowhere"], ["/nowhere", "no trained model here", "pipeline.train"]),
    "logged model": (["model_uri=models:/m-0123456789"], ["models:/m-0123456789"]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_bad_setting_is_one_line(run, trained, store, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    overrides, words = SETTINGS[name]
    done, output = run(trained.corpus.articles, "out.jsonl", *overrides)
    assert done.refused(*words)
    assert not output.exists()


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.txt"])
def test_an_output_of_unknown_kind(run, trained, tmp_path, name):
    done, _ = run(trained.corpus.articles, name)
    assert done.refused(name, "extension must be one of")
    assert not list(tmp_path.glob("out*"))


def test_the_output_is_not_the_input(stage, trained, tmp_path):
    source = write(tmp_path / "in.jsonl", [{"text": "x"}])
    before = source.read_bytes()
    done = stage(
        "predict", f"input={source}", f"output={source}", "unit=sentence", f"model_uri={trained.bundle}"
    )
    assert done.refused("is the input too")
    assert source.read_bytes() == before


def test_refusals_through_the_command_line(command, trained, tmp_path):
    source, output = tmp_path / "bad.jsonl", tmp_path / "out.parquet"
    source.write_text('{"text": 5}\n')
    done = command(
        "predict", f"input={source}", f"output={output}", "unit=sentence", f"model_uri={trained.bundle}"
    )
    assert done.refused("bad.jsonl", "line 1", "must be a string, got int")
    assert not output.exists()
    assert done.out == ""


def test_an_article_without_sentences_gives_an_empty_table(run, tmp_path):
    (tmp_path / "in.txt").write_text("Share this article\n")
    for extension in FORMATS:
        done, output = run(tmp_path / "in.txt", f"out.{extension}")
        assert done.code == 0, done.err
        assert len(read(output)) == (found := len(read(tmp_path / "out.jsonl")))
        assert f"{found} sentences labelled" in done.out


# --- the function -------------------------------------------------------------------------------------


def test_predict_is_a_stream(trained):
    """The first batch is out before the third is read."""
    taken = []

    def rows():
        for i in range(30):
            taken.append(i)
            yield {"text": f"row {i}"}

    stream = predict(load(trained.bundle), rows(), batch_size=10)
    assert taken == []
    assert [row["text"] for row in next(stream)] == [f"row {i}" for i in range(10)]
    assert len(taken) == 10


def test_batches():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
    with pytest.raises(ConfigError, match="batch_size=0"):
        list(batches([1], 0))


def test_rows_are_not_changed_in_place(trained):
    row = {"text": "x", "labels": ["denial"]}
    next(predict(load(trained.bundle), [row]))
    assert row == {"text": "x", "labels": ["denial"]}


def test_real_news(run, shared):
    done, output = run(shared / "seeds", "out.jsonl")
    assert done.code == 0, done.err
    assert {row["article"] for row in read(output)} == {path.stem for path in (shared / "seeds").iterdir()}
    done, output = run(shared / "gold" / "dev.jsonl", "dev.jsonl", "unit=sentence")
    assert done.code == 0, done.err
    gold = [json.loads(line) for line in (shared / "gold" / "dev.jsonl").read_text().splitlines()]
    assert [row["text"] for row in read(output)] == [row["text"] for row in gold]
    assert [row["input_labels"] for row in read(output)] == [row["labels"] for row in gold]
    assert isinstance(output, Path)


# --- labels left to a person --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def careful(trained, train, tmp_path_factory):
    """The same corpus, trained with an error rate."""
    more = ("decision=careful", "decision.error_rate=0.05", "behaviour=false")
    return train(trained.corpus, tmp_path_factory.mktemp("careful"), *more)


def test_undecided_labels_are_in_every_format(stage, careful, tmp_path):
    tables = {}
    for extension in FORMATS:
        output = tmp_path / f"out.{extension}"
        done = stage(
            "predict", f"input={careful.corpus.articles}", f"output={output}", f"model_uri={careful.bundle}"
        )
        assert done.code == 0, done.err
        tables[extension] = read(output)
    rows, bundle = tables["jsonl"], load(careful.bundle)
    assert list(rows[0]) == [*SENTENCE, "labels", "scores", "undecided"]
    assert tables["parquet"] == rows
    assert [row["undecided"] for row in tables["csv"]] == [";".join(row["undecided"]) for row in rows]
    assert [row["undecided"] for row in rows] == bundle.undecided([row["text"] for row in rows])
    left = sum(bool(row["undecided"]) for row in rows)
    assert 0 < left < len(rows)
    assert f"left to a person {left}" in done.out


def test_undecided_labels_are_on_the_page(stage, careful, tmp_path):
    output = tmp_path / "out.html"
    done = stage(
        "predict", f"input={careful.corpus.articles}", f"output={output}", f"model_uri={careful.bundle}"
    )
    assert done.code == 0, done.err
    page = output.read_text(encoding="utf-8")
    bundle = load(careful.bundle)
    texts = [row["text"] for batch in predict(bundle, sentences(careful)) for row in batch]
    maybe = sum(
        len(set(left) - set(given))
        for left, given in zip(bundle.undecided(texts), bundle.label(texts), strict=True)
    )
    assert page.count('class="tag maybe"') == maybe > 0
    assert "left to a person" in page


def sentences(trained):
    from pipeline.scoring import sentences_of
    from pipeline.text.readers import read_articles

    return sentences_of(read_articles(str(trained.corpus.articles)))


def test_a_column_called_undecided_is_carried_over(stage, careful, trained, tmp_path):
    source = write(tmp_path / "in.jsonl", [{"text": TEXTS[0], "undecided": "mine", "labels": "old"}])
    for made, wanted in ((careful, "input_undecided"), (trained, "undecided")):
        output = tmp_path / "out.jsonl"
        done = stage(
            "predict",
            f"input={source}",
            f"output={output}",
            "unit=sentence",
            f"model_uri={made.bundle}",
        )
        assert done.code == 0, done.err
        assert read(output)[0][wanted] == "mine"
        assert read(output)[0]["input_labels"] == "old"


def test_mlflow_gives_what_is_undecided(careful):
    import mlflow

    model = mlflow.pyfunc.load_model(str(careful.bundle))
    found = model.predict(TEXTS)
    assert list(found.columns) == ["labels", "undecided", *LABELS]
    assert found["undecided"].tolist() == load(careful.bundle).undecided(TEXTS)
    assert model.metadata.signature.outputs.input_names() == list(found.columns)


def test_the_report_says_what_was_promised_and_what_was_measured(stage, careful, trained, tmp_path):
    block = careful.metrics["abstention"]
    assert block["error_rate"] == 0.05
    assert {0.05} < {point["error_rate"] for point in block["curve"]}
    assert (careful.report / "plots" / "abstention.png").stat().st_size > 5000
    page = (careful.report / "report.html").read_text()
    assert "Promised: at most 5 % wrong" in page and "all labels: left to a person" in page
    assert "This classifier decides everything" in (trained.report / "report.html").read_text()
    output = tmp_path / "scores.json"
    test = careful.report / "test.parquet"
    done = stage("evaluate", f"input={test}", f"output={output}", f"model_uri={careful.bundle}")
    assert done.code == 0, done.err
    assert "error rate: 5 % promised" in done.out
    point = json.loads(output.read_text())["abstention"]["curve"][0]
    chosen = next(point for point in block["curve"] if point["error_rate"] == 0.05)
    assert point["decided"] == chosen["decided"]
    assert "Promised 5 %, measured" in output.with_suffix(".html").read_text()
