"""From a table of any labelled texts to a classifier that predicts, reports and is evaluated."""

import html
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from pipeline.bundle import load
from pipeline.train import corpus_of, leaks, train

# Written for this test: (weather, sport) in Spanish, Arabic, Chinese and Hindi; the last of each is held out.
SENTENCES = {
    "es": (
        [
            "La lluvia fuerte caerá mañana en toda la costa",
            "Mañana habrá lluvia y viento fuerte en el norte",
            "El viento y la lluvia causaron frío en la costa",
            "Hace mucho calor y no habrá lluvia esta semana",
            "La nieve y el frío llegarán mañana al norte",
            "Se espera lluvia con viento en la costa norte",
        ],
        [
            "El equipo ganó el partido con dos goles",
            "La jugadora marcó dos goles en el partido final",
            "El entrenador del equipo celebró el gol",
            "El equipo perdió el partido y la liga",
            "Un gol de la jugadora dio la liga al equipo",
            "La jugadora del equipo marcó un gol en el partido",
        ],
    ),
    "ar": (
        [
            "ستهطل الأمطار الغزيرة غدا على الساحل",
            "تهب رياح قوية مع أمطار في الشمال غدا",
            "انخفضت درجة الحرارة مع رياح باردة في الشمال",
            "ارتفعت درجة الحرارة ولا أمطار هذا الأسبوع",
            "تساقطت الثلوج والأمطار على الساحل والشمال",
            "أمطار غزيرة مع رياح قوية على الساحل غدا",
        ],
        [
            "فاز الفريق في المباراة بهدفين",
            "سجلت اللاعبة هدفين في المباراة النهائية",
            "احتفل مدرب الفريق بهدف اللاعبة",
            "خسر الفريق المباراة وخسر الدوري",
            "هدف اللاعبة منح الفريق لقب الدوري",
            "سجلت اللاعبة هدف الفريق في المباراة",
        ],
    ),
    "zh": (
        [
            "明天沿海地区有大雨和大风。",
            "北方明天降雨，气温下降。",
            "大雨和大风使沿海气温下降。",
            "本周气温升高，没有降雨。",
            "明天北方降雪，天气寒冷。",
            "明天沿海天气寒冷，有大雨。",
        ],
        [
            "球队以两个进球赢得了比赛。",
            "这名球员在决赛中打进两球。",
            "球队教练庆祝球员的进球。",
            "球队输掉了比赛和联赛。",
            "球员的进球让球队赢得联赛。",
            "球员打进一球，球队赢得比赛。",
        ],
    ),
    "hi": (
        [
            "कल तट पर भारी बारिश होगी",
            "उत्तर में कल तेज हवा और बारिश होगी",
            "बारिश और हवा से तट पर तापमान गिरा",
            "इस सप्ताह गर्मी होगी और बारिश नहीं होगी",
            "कल उत्तर में बर्फ और ठंडी हवा होगी",
            "कल तट पर तेज हवा और भारी बारिश होगी",
        ],
        [
            "टीम ने दो गोल से मैच जीता",
            "खिलाड़ी ने फाइनल मैच में दो गोल किए",
            "टीम के कोच ने खिलाड़ी के गोल का जश्न मनाया",
            "टीम मैच और लीग हार गई",
            "खिलाड़ी के गोल से टीम ने लीग जीती",
            "खिलाड़ी ने टीम के लिए मैच में गोल किया",
        ],
    ),
}
NAMES = ("天气 / طقس", "deporte & खेल")


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory, compose, store):
    """A classifier of weather and sport in four scripts, and where everything is."""
    folder = tmp_path_factory.mktemp("tables")
    rows = [
        {"text": text, "labels": [NAMES[k]], "language": language, "held": i == 5}
        for language, both in SENTENCES.items()
        for k, texts in enumerate(both)
        for i, text in enumerate(texts)
    ]
    jsonl(folder / "train.jsonl", [row for row in rows if not row["held"]])
    jsonl(folder / "test.jsonl", [row for row in rows if row["held"]])
    overrides = [
        *("corpus=table", f"corpus.train={folder / 'train.jsonl'}", f"corpus.test={folder / 'test.jsonl'}"),
        *(f"output={folder / 'bundle'}", f"report={folder / 'report'}", f"tracking.uri={store}"),
        *("task=multiclass", "split.folds=3"),
    ]
    return folder, train(compose("train", overrides))


def test_four_scripts_are_learnt(multilingual):
    folder, metrics = multilingual
    assert metrics["labels"] == sorted(NAMES)
    assert metrics["model"] == "adaptive"
    assert metrics["data"]["test"] == 8
    assert metrics["test"]["subset_accuracy"]["value"] >= 7 / 8
    assert metrics == json.loads((folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    for block in ("cross_validation", "test"):
        assert {"macro_f1", "micro_f1", "subset_accuracy", "per_label"} <= set(metrics[block])
        assert metrics[block]["micro_f1"]["value"] == metrics[block]["subset_accuracy"]["value"]


def test_the_card_names_the_tables_and_speaks_of_no_news(multilingual):
    card = load(multilingual[0] / "bundle").card
    assert card["corpus"] == "train.jsonl, test.jsonl"
    assert "train.jsonl" in card["intended_use"] and "train.jsonl" in card["limits"]
    assert "news" not in card["intended_use"] + card["limits"]


def test_the_page_of_labels_in_other_scripts(multilingual):
    page = (multilingual[0] / "report" / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(set(ids)) == len(ids)
    for name in NAMES:
        cells = re.findall(rf"<(?:th|h3|b)([^>]*)>{re.escape(html.escape(name))}<", page)
        assert len(cells) > 5 and all('dir="auto"' in cell for cell in cells), name


def test_probabilities_are_those_of_classes_that_exclude_each_other(multilingual):
    folder, _ = multilingual
    bundle = load(folder / "bundle")
    assert bundle.labels.task == "multiclass"
    assert bundle.probabilities(["球队赢得比赛", "", "xyz"]).sum(axis=1) == pytest.approx(1)
    assert bundle.label(["球队赢得比赛"]) == [["deporte & खेल"]]


def test_the_run_is_logged_under_names_that_mlflow_takes(multilingual, store):
    from mlflow import MlflowClient

    from pipeline.tracking.run import metric_names

    _, metrics = multilingual
    run = MlflowClient(tracking_uri=store).get_run(metrics["run_id"])
    assert run.data.tags["task"] == "multiclass"
    value = metrics["test"]["per_label"][NAMES[1]]["f1"]
    (name,) = metric_names([NAMES[1]])
    assert name.startswith("deporte _ ख")
    assert run.data.metrics[f"test/{name}/f1"] == pytest.approx(value)
    assert metric_names(["C++", "C--", "C&&", "天气"]) == ["C__", "C--", "C___", "天气"]


@pytest.mark.parametrize("extension", ["jsonl", "csv", "parquet", "html"])
def test_predict(multilingual, stage, tmp_path, extension):
    folder, _ = multilingual
    output = tmp_path / f"out.{extension}"
    done = stage(
        *("predict", f"input={folder / 'test.jsonl'}", "unit=sentence"),
        *(f"output={output}", f"model_uri={folder / 'bundle'}"),
    )
    assert done.code == 0, done.err
    if extension == "jsonl":
        found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        right = [row["labels"] == row["input_labels"] for row in found]
        assert len(right) == 8 and sum(right) >= 7
    if extension == "html":
        page = output.read_text(encoding="utf-8")
        # The direction of each paragraph is that of its own text; the label is apart from it.
        assert '<p dir="auto"><span class="s"' in page
        assert "أمطار غزيرة مع رياح قوية" in page
        assert '<span dir="auto" class="tag' in page


def test_evaluate(multilingual, stage, tmp_path):
    folder, metrics = multilingual
    done = stage(
        *("evaluate", f"input={folder / 'test.jsonl'}", f"model_uri={folder / 'bundle'}", "by=language"),
        f"output={tmp_path / 'e.json'}",
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))
    assert found["external"]["macro_f1"]["value"] == metrics["test"]["macro_f1"]["value"]
    assert set(found["by"]) == {"es", "ar", "zh", "hi"}


def test_the_report_has_labels_and_texts_of_every_script(multilingual):
    folder, _ = multilingual
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert all(html.escape(name) in page for name in NAMES)
    assert "behaviour" not in page.lower()
    errors = json.loads((folder / "report" / "metrics.json").read_text(encoding="utf-8"))["test"]
    if errors["subset_accuracy"]["value"] < 1:
        assert '<blockquote dir="auto">' in page


def test_suggest_what_to_label_and_what_to_look_at_again(multilingual, stage, tmp_path):
    folder, _ = multilingual
    new = jsonl(tmp_path / "new.jsonl", [{"text": texts[5]} for one in SENTENCES.values() for texts in one])
    label = ("suggest", f"input={new}", "unit=sentence", f"model_uri={folder / 'bundle'}", "count=3")
    relabel = (
        "suggest",
        "what=relabel",
        f"out_of_fold={folder / 'report' / 'out_of_fold.parquet'}",
        "count=3",
    )
    for n, arguments in enumerate((label, relabel)):
        output = tmp_path / f"{n}.jsonl"
        done = stage(*arguments, f"output={output}")
        assert done.code == 0, done.err
        assert 0 < len(output.read_text(encoding="utf-8").splitlines()) <= 3


def test_compare(multilingual, stage, tmp_path, store):
    folder, _ = multilingual
    done = stage(
        *("train", "corpus=table", f"corpus.train={folder / 'train.jsonl'}", "split.folds=3"),
        *(f"corpus.test={folder / 'test.jsonl'}", "model=tfidf_svm", *outputs(tmp_path, store)),
    )
    assert done.code == 0, done.err
    runs = f"runs=[{folder / 'report'},{tmp_path / 'report'}]"
    done = stage("compare", runs, f"output={tmp_path / 'c.json'}", f"tracking.uri={store}")
    assert done.code == 0, done.err
    assert len(json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["runs"]) == 2
    assert html.escape(NAMES[1]) in (tmp_path / "c.html").read_text(encoding="utf-8")


# --- the command line ---------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    """Texts of two topics, in groups of three."""
    nouns = {"trade": ["tariff", "export", "port", "cargo"], "health": ["nurse", "clinic", "vaccine", "ward"]}
    rows = [
        {
            "text": f"{words[i % 4]} {words[(i + 1) % 4]} report {100 + i * 7 % 23}",
            "labels": [name],
            "article": i // 3,
        }
        for i in range(30)
        for name, words in nouns.items()
    ]
    return jsonl(tmp_path / "train.jsonl", rows)


def outputs(folder, store):
    return [f"output={folder / 'bundle'}", f"report={folder / 'report'}", f"tracking.uri={store}"]


@pytest.mark.parametrize("model", ["adaptive", "tfidf_logreg", "majority"])
def test_without_a_test_file_whole_groups_are_held_out(table, stage, tmp_path, store, model):
    done = stage(
        *("train", "corpus=table", f"corpus.train={table}", f"model={model}", "split.folds=3"),
        *outputs(tmp_path, store),
    )
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["labels"] == ["health", "trade"]
    assert metrics["model"] == model
    assert metrics["data"]["test"] % 6 == 0 and metrics["data"]["test"] > 0
    assert metrics["data"]["train"] + metrics["data"]["test"] == 60
    assert (metrics["test"]["macro_f1"]["value"] > 0.9) == (model != "majority")
    assert "task: multiclass, 2 labels" in done.out
    assert ("chosen within the training part: words, pairs" in done.out) == (model == "adaptive")
    assert not (tmp_path / "labelled.parquet").exists()


def test_what_the_test_repeats_is_left_out_and_named(table, stage, tmp_path, store):
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    test = jsonl(tmp_path / "test.jsonl", [{**row, "article": "new"} for row in rows[:2]])
    done = stage(
        *("train", "corpus=table", f"corpus.train={table}", f"corpus.test={test}", "split.folds=3"),
        *outputs(tmp_path, store),
    )
    assert done.code == 0, done.err
    assert f"warning: {table}: line 1, 2: left out, for the test repeats or nearly repeats it" in done.err


TOPICS = {"sport": "goal match team referee", "trade": "tariff export port cargo", "war": "front siege"}


def topics(**counts):
    """Return so many rows of each topic."""
    return [
        {"text": f"{words[i % len(words)]} {words[(i + 1) % len(words)]} item{i}", "labels": [name]}
        for name, n in counts.items()
        for words in [TOPICS[name].split()]
        for i in range(n)
    ]


@pytest.mark.parametrize("model", ["adaptive", "tfidf_svm"])
@pytest.mark.parametrize(
    ("train", "test", "overrides"),
    [
        ({"sport": 20, "trade": 20}, {"sport": 3, "trade": 3, "war": 2}, []),
        ({"sport": 20, "trade": 20, "war": 1}, None, []),
        ({"sport": 20, "trade": 20}, None, ["labels.names=[sport,trade,war]"]),
        ({"sport": 20, "trade": 20, "war": 4}, None, ["split.test_ratio=0.5"]),
    ],
    ids=["only_in_the_test", "one_example", "named_but_not_there", "four_examples"],
)
def test_labels_with_few_rows_or_none(stage, tmp_path, store, model, train, test, overrides):
    path = jsonl(tmp_path / "a.jsonl", topics(**train))
    if test:
        rows = [{**row, "text": f"new {row['text']}"} for row in topics(**test)]
        overrides = [f"corpus.test={jsonl(tmp_path / 't.jsonl', rows)}"]
    done = stage(
        *("train", "corpus=table", f"corpus.train={path}", f"model={model}", "split.folds=3", *overrides),
        *("task=multiclass", *outputs(tmp_path, store)),
    )
    assert done.code == 0, done.err
    assert "in 3 folds" in done.out
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert set(metrics["labels"]) >= {"sport", "trade"}
    assert (metrics["data"]["support"].get("war", 0) > 0) == ("war" in train)


def test_leaks_are_warnings_unless_errors_are_asked_for(stage, tmp_path, store, monkeypatch):
    from pipeline.evaluation import leakage

    monkeypatch.setitem(leakage.LIMITS, "boilerplate", -1.0)
    path = jsonl(tmp_path / "a.jsonl", topics(sport=20, trade=20))
    usual = ["train", "corpus=table", f"corpus.train={path}", "model=tfidf_svm", *outputs(tmp_path, store)]
    done = stage(*usual)
    assert done.code == 0, done.err
    assert "warning: split: 0.0% of the test sentences are in training ten times" in done.err
    assert "behaviour" not in json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert stage(*usual, "split.leakage=error").refused("are in training ten times or more")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["corpus.text=txet"], ["no column 'txet'", "did you mean 'text'"]),
        (["corpus.train=nowhere.csv"], ["nowhere.csv: does not exist"]),
        (["task=regression"], ["task=regression"]),
        (["labels.names=[trade]"], ["line 2: unknown label 'health'"]),
        (["split.folds=40"], ["split.folds=40"]),
    ],
)
def test_what_cannot_be_trained_on(table, stage, tmp_path, store, overrides, words):
    done = stage("train", "corpus=table", f"corpus.train={table}", *outputs(tmp_path, store), *overrides)
    assert done.refused(*words)
    assert not (tmp_path / "bundle").exists() and not (tmp_path / "report").exists()


def test_a_data_set_folder(table, stage, tmp_path, store, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    jsonl(folder / "train.jsonl", [{"text": row["text"], "label": row["labels"][0]} for row in rows])
    done = stage(
        *("train", "corpus=hub", f"corpus.name={folder}", "split.folds=3", "model=tfidf_svm"),
        *outputs(tmp_path, store),
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["labels"] == ["health", "trade"]
    assert load(tmp_path / "bundle").card["corpus"] == "set"


@pytest.mark.parametrize(("name", "least"), [("trec6", 0.886), ("cr", 0.780)])
@pytest.mark.slow
def test_public_sets(shared, stage, tmp_path, store, name, least):
    """Better than words and pairs in a linear SVM."""
    folder = shared / "benchmarks" / name
    done = stage(
        *("train", "corpus=table", f"corpus.train={folder / 'train.jsonl'}", "task=multiclass"),
        *(f"corpus.test={folder / 'test.jsonl'}", *outputs(tmp_path, store)),
    )
    assert done.code == 0, done.err
    score = json.loads((tmp_path / "report" / "metrics.json").read_text())["test"]["subset_accuracy"]
    assert score["value"] > least


@pytest.mark.parametrize("name", ["agnews", "reuters90"])
@pytest.mark.slow
def test_public_sets_that_names_tell_much_of(shared, compose, capsys, name):
    folder = shared / "benchmarks" / name
    files = (f"corpus.{part}={folder / part}.jsonl" for part in ("train", "test"))
    config = compose("train", ["corpus=table", *files])
    data = corpus_of(config)
    assert set(data.split.folds[data.split.train]) == set(range(5))
    assert leaks(data, config)["leaks"]
    assert "warning: split: names alone tell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "rows", "choice", "gigabytes"),
    [
        (1200, 9_600, "words, pairs and triples, character n-grams, word vectors; centroids", 4),
        (3, 200_000, "words, pairs and triples; linear SVM", 2),
    ],
)
@pytest.mark.slow
def test_many_classes_and_many_rows(tmp_path, store, classes, rows, choice, gigabytes):
    """In a process of its own, whose memory is measured."""
    rng = np.random.default_rng(0)
    names = rng.choice(list("bdfgklmnprst"), (3 * classes + 3000, 6))
    words = np.array(["".join(name) for name in names])
    own = 3 * (np.arange(rows) % classes)[:, None] + rng.integers(0, 3, (rows, 2))
    texts = np.hstack([words[own], words[rng.integers(3 * classes, len(words), (rows, 9))]])
    made = (
        {"text": " ".join(text), "labels": f"class {i % classes}"} for i, text in enumerate(texts.tolist())
    )
    path = jsonl(tmp_path / "a.jsonl", made)
    command = [sys.executable, "-m", "pipeline.train", "corpus=table", f"corpus.train={path}"]
    with (tmp_path / "said").open("w") as said:
        child = subprocess.Popen(
            [*command, *outputs(tmp_path, store)], stdout=said, stderr=said, cwd=tmp_path
        )
        _, status, used = os.wait4(child.pid, 0)
    out = (tmp_path / "said").read_text()
    assert status == 0, out
    assert f"chosen within the training part: {choice}" in out
    assert used.ru_maxrss < gigabytes * 1e6
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["data"]["train"] + metrics["data"]["test"] + metrics["data"]["left_out"] == rows
    assert metrics["test"]["subset_accuracy"]["value"] > 0.9
