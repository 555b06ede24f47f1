"""Tables of every kind give the same corpus, and what is wrong with them is named by row."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from pipeline.corpora.problems import leaks
from pipeline.corpora.sources import open_path
from pipeline.corpora.table import read_corpus
from pipeline.schema import FINGERPRINT, ConfigError, InputError, LabelSet

TOPICS = {"sport": "goal match team", "trade": "tariff export port", "health": "clinic nurse vaccine"}
ROWS = [
    {"text": f"{topic.split()[i % 3]} number{i} {topic.split()[(i + 1) % 3]}", "labels": [name]}
    for i in range(8)
    for name, topic in TOPICS.items()
]
SETTINGS = {
    **{"kind": "table", "test": None, "text": "text", "label": "labels"},
    **{"group": "article", "separator": ";", "strict": False},
}


def read(train, *, task=None, names=None, folds=5, **settings):
    labels = {"task": task, "names": names, "definitions": {}}
    return read_corpus({**SETTINGS, "train": str(train), **settings}, labels, folds)


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def with_name(rows):
    return [{"text": row["text"], "labels": row["labels"][0]} for row in rows]


def write_jsonl(folder):
    return jsonl(folder / "a.jsonl", ROWS)


def write_csv(folder):
    pd.DataFrame(with_name(ROWS)).to_csv(folder / "a.csv", index=False)
    return folder / "a.csv"


def write_tsv_gz(folder):
    text = pd.DataFrame(with_name(ROWS)).to_csv(sep="\t", index=False)
    (folder / "a.tsv.gz").write_bytes(gzip.compress(text.encode()))
    return folder / "a.tsv.gz"


def write_csv_zst(folder):
    text = pd.DataFrame(with_name(ROWS)).to_csv(index=False)
    (folder / "a.csv.zst").write_bytes(pa.Codec("zstd").compress(text.encode(), asbytes=True))
    return folder / "a.csv.zst"


def write_tabs_in_csv(folder):
    pd.DataFrame(with_name(ROWS)).to_csv(folder / "a.csv", sep="\t", index=False)
    return folder / "a.csv"


def write_json(folder):
    pd.DataFrame(with_name(ROWS)).to_json(folder / "a.json")
    return folder / "a.json"


def write_json_records(folder):
    pd.DataFrame(with_name(ROWS)).to_json(folder / "a.json.gz", orient="records")
    return folder / "a.json.gz"


def write_json_lines(folder):
    return jsonl(folder / "a.json", ROWS)


def write_parquet(folder):
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "a.parquet")
    return folder / "a.parquet"


def write_pandas_parquet(folder):
    pd.DataFrame(with_name(ROWS), index=range(100, 124)).to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def write_feather(folder):
    pd.DataFrame(with_name(ROWS)).to_feather(folder / "a.feather")
    return folder / "a.feather"


def write_arrow_stream(folder):
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(str(folder / "a.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=5)
    return folder / "a.arrow"


def write_arrow_folder(folder):
    inner = folder / "parts"
    inner.mkdir()
    (inner / "README.md").write_text("not a table")
    pyarrow.feather.write_feather(pa.Table.from_pylist(ROWS[:10]), inner / "part-0.arrow")
    pyarrow.feather.write_feather(pa.Table.from_pylist(ROWS[10:]), inner / "part-1.arrow")
    return inner


def write_saved_dataset(folder):
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved")
    return folder / "saved"


def write_categories(folder):
    frame = pd.DataFrame(with_name(ROWS)).astype({"labels": "category"})
    frame.to_parquet(folder / "c.parquet")
    return folder / "c.parquet"


WRITERS = [
    *(write_jsonl, write_csv, write_tsv_gz, write_parquet, write_pandas_parquet, write_feather),
    *(write_csv_zst, write_tabs_in_csv, write_json, write_json_records, write_json_lines),
    *(write_arrow_stream, write_arrow_folder, write_saved_dataset, write_categories),
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__.removeprefix("write_"))
def test_every_format_gives_the_same(tmp_path, write):
    corpus = read(write(tmp_path))
    assert corpus.labels == LabelSet(("health", "sport", "trade"), {}, "multiclass")
    assert corpus.table["text"].to_pylist() == [row["text"] for row in ROWS]
    assert corpus.table["labels"].to_pylist() == [row["labels"] for row in ROWS]
    assert corpus.table["sentence"].to_pylist() == list(range(1, 25))
    assert len(set(corpus.table["article"].to_pylist())) == 24
    assert set(corpus.table["split"].to_pylist()) == {"train"}
    assert corpus.warnings == []


def test_the_digest_is_that_of_the_content(tmp_path):
    one = read(write_jsonl(tmp_path)).table.schema.metadata[FINGERPRINT]
    other = read(write_csv(tmp_path)).table.schema.metadata[FINGERPRINT]
    assert len(one) == 64
    # Only the names of the rows differ: lines of JSON, rows of the others.
    assert other == read(write_feather(tmp_path)).table.schema.metadata[FINGERPRINT] != one
    changed = read(jsonl(tmp_path / "b.jsonl", [*ROWS[:-1], {"text": "x y z", "labels": ["trade"]}]))
    assert changed.table.schema.metadata[FINGERPRINT] != one


# --- labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [None, "multiclass"])
def test_whole_numbers_are_sorted_as_numbers(tmp_path, task):
    rows = [{"text": f"t{i} w{i % 11}", "labels": i % 11} for i in range(66)]
    corpus = read(jsonl(tmp_path / "a.jsonl", rows), task=task)
    assert corpus.labels.names == tuple(map(str, range(11)))


def test_names_for_whole_numbers(tmp_path):
    rows = [{"text": f"text {i}", "labels": i % 2} for i in range(20)]
    corpus = read(jsonl(tmp_path / "a.jsonl", rows), names=["neg", "pos"])
    assert corpus.labels.names == ("neg", "pos")
    assert corpus.table["labels"][1].as_py() == ["pos"]


def test_names_that_the_file_knows(tmp_path):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = [{"text": f"text {i}", "labels": i % 2} for i in range(20)]
    data = datasets.Dataset.from_list(rows, features=features)
    data.to_parquet(tmp_path / "a.parquet")
    data.save_to_disk(tmp_path / "saved")
    for path in (tmp_path / "a.parquet", tmp_path / "saved"):
        assert read(path).labels.names == ("neg", "pos")


def test_numbers_are_the_same_in_every_format(tmp_path):
    rows = [{"text": f"word{i} other", "labels": float(i % 2)} for i in range(20)]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    corpus = read(tmp_path / "a.csv", test=str(tmp_path / "a.parquet"))
    assert corpus.labels.names == ("0", "1")


def test_digits_that_are_no_numbers_are_names(tmp_path):
    rows = [{"text": f"word{i} other", "labels": "²" if i % 2 else "9" * 5000} for i in range(20)]
    assert set(read(jsonl(tmp_path / "a.jsonl", rows)).labels.names) == {"²", "9" * 5000}
    assert read(jsonl(tmp_path / "a.jsonl", rows), names=["²", "9" * 5000]).labels.names[0] == "²"


def test_lines_may_lack_columns(tmp_path):
    rows = [{"text": "first of all"}, *ROWS]
    assert read(jsonl(tmp_path / "a.jsonl", rows), task="multiclass").table.num_rows == 24


def test_several_labels_in_a_string(tmp_path):
    rows = [{"text": f"text {i}", "labels": "a;b" if i % 2 else ("a" if i % 4 else "")} for i in range(24)]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    corpus = read(tmp_path / "a.csv")
    assert corpus.labels == LabelSet(("a", "b"), {}, "multilabel")
    assert corpus.table["labels"].to_pylist()[:3] == [[], ["a", "b"], ["a"]]
    with_bar = [{**row, "labels": row["labels"].replace(";", "|")} for row in rows]
    assert read(jsonl(tmp_path / "b.jsonl", with_bar), separator="|").labels.names == ("a", "b")


def test_a_column_for_each_label(tmp_path):
    rows = [{"text": f"text {i}", "b": i % 2, "a": i % 3 == 0} for i in range(24)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    corpus = read(path, label=["b", "a"])
    assert corpus.labels.task == "multilabel"
    assert set(corpus.labels.names) == {"a", "b"}
    assert corpus.table["labels"].to_pylist()[:4] == [["a"], ["b"], [], ["b", "a"]]
    rows[3]["a"] = "perhaps"
    with pytest.raises(InputError, match=r"a.jsonl: line 4: 'perhaps' in column 'a': must be 1 or 0"):
        read(jsonl(path, rows), label=["b", "a"])


def test_other_columns_and_a_test_file(tmp_path):
    rows = [{"body": r["text"], "topic": r["labels"][0], "source": f"s{i % 6}"} for i, r in enumerate(ROWS)]
    train, test = jsonl(tmp_path / "a.jsonl", rows), jsonl(tmp_path / "t.jsonl", rows[:3])
    corpus = read(train, test=str(test), text="body", label="topic", group="source")
    assert corpus.table["split"].to_pylist() == ["train"] * 24 + ["test"] * 3
    assert corpus.table["article"].to_pylist()[:2] == ["s0", "s1"]
    assert corpus.warnings == ["3 groups (corpus.group) have rows in both training and test: s0, s1, s2"]


def test_rows_marked_as_test(tmp_path):
    rows = [{**row, "split": "test" if i % 4 == 0 else "validation"} for i, row in enumerate(ROWS)]
    assert read(jsonl(tmp_path / "a.jsonl", rows)).table["split"].to_pylist().count("test") == 6


def test_articles_are_groups_where_there_are_some(tmp_path):
    rows = [{**row, "article": i // 3} for i, row in enumerate(ROWS)]
    assert read(jsonl(tmp_path / "a.jsonl", rows)).table["article"].to_pylist()[:4] == ["0", "0", "0", "1"]


def test_splits_that_were_saved(tmp_path):
    import datasets

    parts = {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:6])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    wanted = ["train"] * 24 + ["test"] * 6
    for test in (None, str(tmp_path / "saved")):
        assert read(tmp_path / "saved", test=test).table["split"].to_pylist() == wanted


def test_a_folder_whose_files_are_named_by_split_is_not_trained_on_its_test(tmp_path):
    jsonl(tmp_path / "train-1.jsonl", ROWS[:12])
    jsonl(tmp_path / "Train_2.jsonl", ROWS[12:])
    assert set(read(tmp_path).table["split"].to_pylist()) == {"train"}
    tests = [row | {"text": f"{row['text']} new"} for row in ROWS[:6]]
    jsonl(tmp_path / "test.jsonl", tests)
    jsonl(tmp_path / "dev.jsonl", [row | {"text": f"{row['text']} other"} for row in ROWS[:6]])
    table = read(tmp_path).table
    assert table["split"].to_pylist() == ["train"] * 24 + ["test"] * 6
    assert table["text"].to_pylist()[24:] == [row["text"] for row in tests]
    own = jsonl(tmp_path.parent / "own.jsonl", ROWS[:3])
    assert read(tmp_path, test=str(own)).table.num_rows == 24 + 3


@pytest.mark.parametrize(
    "names", [("a.jsonl", "b.jsonl"), ("test.jsonl", "b.jsonl"), ("trainers.jsonl", "test.jsonl")]
)
def test_a_folder_without_splits_is_one_table(tmp_path, names):
    for name, rows in zip(names, (ROWS[:12], ROWS[12:]), strict=True):
        jsonl(tmp_path / name, rows)
    table = read(tmp_path).table
    assert table.num_rows == 24 and set(table["split"].to_pylist()) == {"train"}


# --- the hub ------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"text": row["text"], "label": row["labels"][0]} for row in ROWS]
    jsonl(folder / "train.jsonl", rows)
    jsonl(folder / "test.jsonl", rows[:6])
    return folder


def from_hub(name, **settings):
    own = {"kind": "hub", "name": str(name), "config": None, "train": "train", "label": "label"}
    return read_corpus({**SETTINGS, **own, **settings}, {"task": None, "names": None, "definitions": {}}, 5)


def test_a_folder_of_the_hub(hub):
    corpus = from_hub(hub)
    assert corpus.table["split"].to_pylist() == ["train"] * 24 + ["test"] * 6
    assert corpus.table["text"].to_pylist()[:24] == [row["text"] for row in ROWS]
    assert corpus.labels.names == ("health", "sport", "trade")
    (hub / "test.jsonl").unlink()
    assert set(from_hub(hub).table["split"].to_pylist()) == {"train"}


def test_a_split_or_data_set_that_is_not_there(hub, tmp_path):
    with pytest.raises(ConfigError, match=r"no split 'trian'; did you mean 'train'"):
        from_hub(hub, train="trian")
    with pytest.raises(InputError, match=r"no column 'lable'; did you mean 'label'"):
        from_hub(hub, label="lable")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded as a data set"):
        from_hub(tmp_path / "empty")


# --- what stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "txet"}, r"a.jsonl: no column 'txet'; did you mean 'text'"),
        ({"label": "label"}, r"a.jsonl: no column 'label'; did you mean 'labels'"),
        ({"group": "source"}, r"a.jsonl: no column 'source'; known: text, labels"),
        ({"names": ["sport", "trade"]}, r"a.jsonl: line 3: unknown label 'health'; known: sport, trade"),
        ({"task": "binary"}, r"a.jsonl: task=binary needs two classes, found 3: health, sport, trade"),
        ({"task": "regression"}, "task=regression: must be one of multilabel, multiclass, binary"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, settings, message):
    with pytest.raises((InputError, ConfigError), match=message):
        read(write_jsonl(tmp_path), **settings)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, "is empty"),
        ([{"text": f"t {i}", "labels": ["a"]} for i in range(9)], {}, r"the same label \(a\)"),
        ([{"text": f"t {i}", "labels": []} for i in range(9)], {}, "no row has a label"),
        ([*ROWS, {"text": "t", "labels": ["sport", "trade"]}], {"task": "multiclass"}, "line 25: 2 labels"),
        ([*ROWS, {"text": 3, "labels": ["sport"]}], {}, "line 25: 'text' must be a string, got int"),
        ([*ROWS, {"text": "t", "labels": {"a": 1}}], {}, "line 25: .*expected names, whole numbers"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, rows, settings, message):
    with pytest.raises(InputError, match=message):
        read(jsonl(tmp_path / "a.jsonl", rows), **settings)


@pytest.mark.parametrize("name", ["a.pkl", "a.pickle", "a.joblib"])
def test_pickles_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80")
    with pytest.raises(InputError, match=r"pickles are not read.*to_parquet"):
        read(tmp_path / name)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.csv")
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"unknown extension '.docx'; use one of .jsonl"):
        read(tmp_path / "a.docx")
    (tmp_path / "a.feather").write_bytes(b"no Arrow")
    with pytest.raises(InputError, match=r"not a readable .feather file"):
        read(tmp_path / "a.feather")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no table in this folder"):
        read(tmp_path / "folder")


def test_a_column_that_is_there_twice(tmp_path):
    columns = [pa.array(["a b"] * 4), pa.array(["x", "y"] * 2), pa.array(["x", "y"] * 2)]
    pq.write_table(pa.table(columns, names=["text", "labels", "labels"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: two columns are named 'labels'; rename one"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("content", ["[1, 2]", '{"text": "a"}', "{}", "[]", "no JSON"])
def test_json_that_is_no_table(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json: "):
        read(tmp_path / "a.json")


@pytest.mark.parametrize("lines", [1, 3])
def test_lines_of_json_in_a_json_file(tmp_path, lines):
    (tmp_path / "a.json").write_text('{"text": "a b", "labels": ["x"]}\n' * lines)
    assert len(list(open_path(tmp_path / "a.json", ("text",)).rows)) == lines


def test_mixed_encodings_are_named_by_line(tmp_path):
    good, bad = b'{"text": "caf\xc3\xa9", "labels": ["a"]}\n', b'{"text": "caf\xe9", "labels": ["a"]}\n'
    (tmp_path / "a.jsonl").write_bytes(good * 3 + bad)
    with pytest.raises(
        InputError, match=r"a.jsonl: not UTF-8 at byte 118, line 4 \(0xe9\); save it as UTF-8"
    ):
        read(tmp_path / "a.jsonl")


# --- what is warned of --------------------------------------------------------------------------------


def warned(tmp_path, rows, test=None, **settings):
    if test is not None:
        settings["test"] = str(jsonl(tmp_path / "t.jsonl", test))
    return read(jsonl(tmp_path / "a.jsonl", rows), **settings).warnings


def test_empty_texts_and_missing_labels_are_left_out(tmp_path):
    extra = [
        {"text": " ", "labels": ["sport"]},
        {"text": None, "labels": ["trade"]},
        {"text": "x", "labels": None},
    ]
    path, test = (
        jsonl(tmp_path / "a.jsonl", [*ROWS, *extra]),
        jsonl(tmp_path / "t.jsonl", [ROWS[0], extra[1]]),
    )
    corpus = read(path, test=str(test), task="multiclass")
    assert corpus.warnings == [
        f"{path}: line 25, 26: left out: no text",
        f"{test}: line 2: without text, scored as empty",
        f"{path}: line 27: left out: no label",
    ]
    assert corpus.table.num_rows == 26
    with pytest.raises(InputError, match=r"line 25, 26: left out: no text \(with corpus.strict=false"):
        read(path, task="multiclass", strict=True)


CELLS = [row["labels"][0] for row in ROWS]


@pytest.mark.parametrize(
    ("cells", "task", "names", "words"),
    [
        ([*CELLS, *[""] * 5], "multiclass", ("health", "sport", "trade"), "row 25, 26, 27, 28, 29: left out"),
        (
            [*CELLS, "NaN", "null"],
            "multiclass",
            ("health", "sport", "trade"),
            "row 25, 26: left out: no label",
        ),
        ([*CELLS, *["R&D; ops"] * 8], "multiclass", ("R&D; ops", "health", "sport", "trade"), "R&D; ops"),
        ([*CELLS, "sport;trade"], "multilabel", ("health", "sport", "trade"), None),
        ([*CELLS, "a;b", "b;c"], "multilabel", ("a", "b", "c", "health", "sport", "trade"), None),
        ([*CELLS, "[]"], "multilabel", ("health", "sport", "trade"), None),
        ([*["spam"] * 12, *[""] * 12], "multilabel", ("spam",), None),
        ([*["sport", "trade"] * 6, *[""] * 18], "multilabel", ("sport", "trade"), None),
    ],
)
def test_the_task_is_told_from_the_cells(tmp_path, cells, task, names, words):
    rows = [{"text": f"word{i} other{i}", "labels": cell} for i, cell in enumerate(cells)]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    corpus = read(tmp_path / "a.csv")
    assert (corpus.labels.task, corpus.labels.names) == (task, names)
    said = [warning for warning in corpus.warnings if "fewer examples" not in warning]
    assert [words in warning for warning in said] == ([] if words is None else [True])


@pytest.mark.parametrize(
    ("cells", "joined"),
    [(["sport|trade"], "|"), (["sport, trade"], ","), (["up | down"], None), (["sport|up"], None)],
)
def test_names_that_are_several_joined(tmp_path, cells, joined):
    rows = [*ROWS, *[{"text": "one more", "labels": cells}]]
    found = [warning for warning in warned(tmp_path, rows) if "whose parts" in warning]
    assert len(found) == (joined is not None)
    if joined:
        assert f"line 25: label {cells[0]!r}, whose parts are labels too" in found[0]
        assert f"corpus.separator='{joined}'" in found[0]


def test_a_row_without_a_label_is_one_of_several_labels(tmp_path):
    corpus = read(jsonl(tmp_path / "a.jsonl", [*ROWS, {"text": "none of them", "labels": []}]))
    assert (corpus.labels.task, corpus.table.num_rows, corpus.warnings) == ("multilabel", 25, [])


def test_misspelt_labels(tmp_path):
    rows = [{"text": f"text number{i}", "labels": ["politics" if i % 2 else "weather"]} for i in range(60)]
    rows += [{"text": "one more", "labels": ["polittics"]}, {"text": "another", "labels": ["Weather"]}]
    found = warned(tmp_path, rows)
    assert f"{tmp_path / 'a.jsonl'}: line 61: label 'polittics'; is it 'politics' misspelt?" in found
    assert f"{tmp_path / 'a.jsonl'}: line 62: label 'Weather'; is it 'weather' misspelt?" in found
    assert "2 of 4 labels have fewer examples than split.folds=5: Weather (1), polittics (1)" in found[0]


@pytest.mark.parametrize(
    ("usual", "other", "rows", "warns"),
    [("politics", "poltics", 4, True), ("politics", "poltics", 12, False), ("level 1", "level 2", 4, False)],
)
def test_a_slip_may_be_in_several_rows(tmp_path, usual, other, rows, warns):
    names = [usual] * 30 + [other] * rows + ["weather"] * 30
    found = warned(tmp_path, [{"text": f"text number{i}", "labels": [n]} for i, n in enumerate(names)])
    assert any(f"label {other!r}; is it {usual!r} misspelt?" in warning for warning in found) == warns


def test_labels_of_the_test_alone(tmp_path):
    path = tmp_path / "t.jsonl"
    found = warned(tmp_path, ROWS, [{"text": "x", "labels": ["Sport"]}, {"text": "y", "labels": ["war"]}])
    assert found == [
        f"{path}: line 1: labelled 'Sport', which no training row is; did you mean 'sport'?",
        f"{path}: line 2: labelled 'war', which no training row is",
    ]


def test_the_same_text_with_other_labels(tmp_path):
    found = warned(tmp_path, [*ROWS, {**ROWS[0], "labels": ["trade"]}, ROWS[1]])
    line = f"{tmp_path / 'a.jsonl'}: line"
    wanted = f"1 text has different labels in different rows: {line} 1 (sport) and {line} 25 (trade)"
    assert found == [wanted]
    shouted = {"text": ROWS[0]["text"].upper().replace(" ", "  "), "labels": ["trade"]}
    assert warned(tmp_path, [*ROWS, shouted]) == [wanted]


def test_text_decoded_wrongly(tmp_path):
    found = warned(
        tmp_path,
        [*ROWS, {"text": "FranÃ§ois a gagnÃ©", "labels": ["sport"]}, {"text": "café", "labels": ["sport"]}],
    )
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path / 'a.jsonl'}: line 25: text decoded wrongly")


def test_words_that_give_a_label_away():
    texts = [f"ticket{i} {'zz_pos' if i % 2 else 'plain'} word{i % 7}" for i in range(80)]
    given = [["pos"] if i % 2 else ["neg"] for i in range(80)]
    (first, second) = leaks(texts, given, LabelSet(("neg", "pos"), {}, "multiclass"))
    assert "label 'neg' is given away by plain" in first
    assert "label 'pos' is given away by zz_pos" in second
    texts[1:7:2] = ["no mark here"] * 3
    texts[0:4:2] = ["zz_pos"] * 2
    assert leaks(texts, given, LabelSet(("neg", "pos"), {}, "multiclass")) == []
