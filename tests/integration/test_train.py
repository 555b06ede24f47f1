"""Training from annotated articles to an exported and logged classifier."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.bundle import load
from pipeline.evaluation.behaviour_report import flips_line
from pipeline.labels.labelset import indicator, label_set
from pipeline.schema import InputError
from pipeline.tracking.run import METRICS
from pipeline.train import Data, evaluate_both, fit, labelled_sentences, main, split
from pipeline.train import train as train_stage

LABELS = ["accusation", "denial", "policy_action", "economic_claim"]
BLOCKS = ("cross_validation", "test")


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def made(folder):
    """What training made of a bundle: all but the copy of this package, which may be edited meanwhile."""
    found = files(folder)
    return {k: v for k, v in found.items() if not k.startswith("code/") and k != "manifest.json"}


def client(store):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


@contextmanager
def new_run(store):
    """A list that gets the run of the block."""

    def runs():
        known = client(store).get_experiment_by_name("news")
        return client(store).search_runs([known.experiment_id]) if known else []

    before = {run.info.run_id for run in runs()}
    new = []
    yield new
    new += [run for run in runs() if run.info.run_id not in before]
    assert len(new) == 1


@pytest.fixture
def other(trained, tmp_path):
    """The corpus that the session's classifier was trained on, as a copy to change."""
    folder = Path(shutil.copytree(trained.corpus.folder, tmp_path / "corpus"))
    return type(trained.corpus)(folder, [dict(row) for row in trained.corpus.rows])


# --- what is written ----------------------------------------------------------------------------------


def test_metrics_file_has_the_agreed_shape(trained):
    found = json.loads((trained.report / "metrics.json").read_text())
    assert found == trained.metrics
    assert list(found)[:7] == ["run_id", "model", "labels", "seed", "data", *BLOCKS]
    assert {"leakage", "slices", "behaviour"} <= set(found)
    assert (found["labels"], found["model"], found["seed"]) == (LABELS, "tfidf_logreg", 7)
    for block in BLOCKS:
        for key in METRICS:
            value = found[block][key]
            assert 0 <= value["low"] <= value["value"] <= value["high"] <= 1
        assert list(found[block]["per_label"]) == LABELS
        for one in found[block]["per_label"].values():
            scores = ("precision", "recall", "f1", "average_precision", "brier", "calibration_error")
            bounds = {f"{name}_{bound}" for name in scores for bound in ("low", "high")}
            assert set(one) == {*scores, *bounds, "support", "threshold"}
    assert 0.4 < found["test"]["macro_f1"]["value"] < 1, "neither useless nor without an error to report"


def test_counts_are_those_of_the_corpus(trained):
    first = [row for row in trained.corpus.rows if row["annotator"] == "first"]
    held = {f"story-{n:02}" for n in (4, 8, 13, 18, 20)}
    data = trained.metrics["data"]
    assert (
        data["test"] == sum(row["article"] in held for row in first) == trained.metrics["test"]["sentences"]
    )
    assert data["train"] + data["left_out"] == sum(row["article"] not in held for row in first)
    assert data["left_out"] >= 3  # what article 23 repeats of article 20
    assert trained.metrics["test"]["articles"] == len(held)
    assert data["support"] == {
        name: one["support"] for name, one in trained.metrics["cross_validation"]["per_label"].items()
    }


def test_the_report_shows_every_error_and_the_plots(trained, compose):
    errors = list(csv.DictReader((trained.report / "errors.csv").open(encoding="utf-8-sig", newline="")))
    table = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    bundle = load(trained.bundle)
    wanted = set()
    for row in table:
        if row["split"] == "test":
            given = set(bundle.label([row["text"]])[0])
            wanted |= {("missed", name, row["text"]) for name in set(row["labels"]) - given}
            wanted |= {("wrongly given", name, row["text"]) for name in given - set(row["labels"])}
    assert {(row["error"], row["label"], row["text"]) for row in errors} == wanted
    assert len(errors) == len(wanted) > 0
    surprise = [abs(float(e["probability"]) - (e["error"] == "missed")) for e in errors]
    assert surprise == sorted(surprise, reverse=True)
    plots = sorted(path.name for path in (trained.report / "plots").iterdir())
    names = ("abstention", "calibration", "confusion", "precision_recall", "together")
    assert plots == [f"{name}.png" for name in names]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (trained.report / "plots").iterdir())


def test_nothing_else_is_left_behind(trained):
    assert sorted(path.name for path in trained.folder.iterdir()) == [
        *("bundle", "corpus", "labelled.disputed.jsonl", "labelled.json", "labelled.parquet", "report")
    ]


def test_the_card_says_what_and_on_what(trained):
    card = load(trained.bundle).card
    assert card["model"] == "tfidf_logreg"
    assert card["data"] == trained.metrics["data"]
    assert card["corpus"] == "articles, annotations.jsonl"
    assert card["scores"]["test"]["macro_f1"] == trained.metrics["test"]["macro_f1"]
    assert "run_id" not in json.dumps(card), "it would differ from run to run"


def test_the_labelled_sentences_are_those_of_the_annotations(trained):
    table = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    first = {
        (r["article"], r["start"], r["end"]): r for r in trained.corpus.rows if r["annotator"] == "first"
    }
    assert {(r["article"], r["start"], r["end"]): r["labels"] for r in table} == {
        key: row["labels"] for key, row in first.items()
    }
    assert all(row["text"] == first[row["article"], row["start"], row["end"]]["text"] for row in table)
    assert all(row["topic"] == "t" and row["source"] == "s" for row in table)


# --- the run ------------------------------------------------------------------------------------------


def test_the_run_is_logged_with_all_that_made_it(trained, store):
    run = client(store).get_run(trained.metrics["run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "tfidf_logreg"
    assert run.data.params["seed"] == "7"
    assert run.data.params["split.folds"] == "3"
    assert run.data.params["model.estimator.steps.1.1.estimator.C"] == "10.0"
    for prefix, block in (("cv", "cross_validation"), ("test", "test")):
        for name in METRICS:
            score = trained.metrics[block][name]
            assert run.data.metrics[f"{prefix}/{name}"] == pytest.approx(score["value"])
            assert run.data.metrics[f"{prefix}/{name}_low"] == pytest.approx(score["low"])
        for label, scores in trained.metrics[block]["per_label"].items():
            assert run.data.metrics[f"{prefix}/{label}/f1"] == pytest.approx(scores["f1"])
    assert run.data.metrics["seconds/train"] > 0
    assert run.data.tags["task"] == "multilabel"
    assert run.data.tags["corpus"] == trained.metrics["data"]["digest"][:12]


def test_folds_are_reported_and_logged_one_by_one(trained, store):
    crossed = trained.metrics["cross_validation"]
    folds = crossed["per_fold"]
    assert [fold["name"] for fold in folds] == ["fold 1", "fold 2", "fold 3"]
    assert sum(fold["sentences"] for fold in folds) == crossed["sentences"]
    for label, one in crossed["per_label"].items():
        assert sum(fold["support"][label] for fold in folds) == one["support"]
    logged = client(store).get_metric_history(trained.metrics["run_id"], "cv/fold/macro_f1")
    assert [one.step for one in logged] == [1, 2, 3]
    assert [one.value for one in logged] == pytest.approx([fold["macro_f1"]["value"] for fold in folds])
    denial = client(store).get_metric_history(trained.metrics["run_id"], "cv/fold/denial/f1")
    assert [one.value for one in denial] == pytest.approx([fold["f1"]["denial"] for fold in folds])
    page = (trained.report / "report.html").read_text()
    values = [fold["macro_f1"]["value"] for fold in folds]
    assert f"Macro-F1 of the folds: {min(values):.3f} to {max(values):.3f}" in page


def test_the_run_names_its_data(trained, store):
    (used,) = client(store).get_run(trained.metrics["run_id"]).inputs.dataset_inputs
    assert used.dataset.name == "labelled sentences"
    assert trained.metrics["data"]["digest"].startswith(used.dataset.digest)
    assert json.loads(used.dataset.source)["uri"] == str(trained.folder / "labelled.parquet")
    rows = pq.read_metadata(trained.folder / "labelled.parquet").num_rows
    assert json.loads(used.dataset.profile) == {"num_rows": rows}


def test_the_run_holds_the_report_and_the_configuration(trained, store, tmp_path):
    run_id = trained.metrics["run_id"]
    names = {artifact.path for artifact in client(store).list_artifacts(run_id)}
    assert names >= {"config.yaml", "errors.csv", "metrics.json", "plots"}
    local = client(store).download_artifacts(run_id, "metrics.json", str(tmp_path))
    assert json.loads(Path(local).read_text()) == trained.metrics


def test_the_logged_model_is_the_bundle(trained, store, monkeypatch):
    import mlflow

    from pipeline.tracking.locate import local_folder

    (output,) = client(store).get_run(trained.metrics["run_id"]).outputs.model_outputs
    uri = f"models:/{output.model_id}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    folder = local_folder(uri, trained.folder)
    logged = files(folder)
    logged.pop("registered_model_meta", None)
    assert logged == files(trained.bundle)
    mlflow.set_tracking_uri(store)
    model = mlflow.pyfunc.load_model(uri)
    assert len(model.predict(["It denied the claim.", ""])) == 2


def test_a_failed_run_is_marked(trained, train, store, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("no space left")

    monkeypatch.setattr("pipeline.train.report", broken)
    with new_run(store) as new, pytest.raises(RuntimeError):
        train(trained.corpus, tmp_path)
    assert new[0].info.status == "FAILED"
    assert new[0].data.tags["error"] == "RuntimeError: no space left"


def test_a_run_of_bad_data_says_what_is_wrong_with_them(corpus, train, store, tmp_path):
    corpus.write_annotations([])
    with new_run(store) as new, pytest.raises(InputError):
        train(corpus, tmp_path)
    assert new[0].info.status == "FAILED"
    assert new[0].data.tags["error"].endswith("no labelled sentences to train on")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", -signal.SIGINT)])
def test_a_training_that_is_ended_is_marked_as_killed(corpus, store, tmp_path, name, code):
    usual = [*corpus.overrides(tmp_path), f"tracking.uri={store}", "split=repeated", "split.repeats=500"]
    command = [sys.executable, "-m", "pipeline.train", *usual]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    how["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in the background
    with new_run(store) as new, subprocess.Popen(command, cwd=tmp_path, **how) as process:
        while "sentences to train on" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.Signals[name])
        said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert name == "SIGINT" or said == ""
    assert new[0].info.status == "KILLED"
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "FAILED")]
)
def test_how_a_run_ends(store, tmp_path, error, status):
    from pipeline.tracking.run import run

    with pytest.raises(error), run(store, "news", "x", tmp_path) as opened:
        raise error
    assert client(store).get_run(opened.id).info.status == status


def test_tables_that_are_being_made_are_made_to_the_end(tmp_path):
    from pipeline.tracking.stores import alone

    reached = []
    with pytest.raises(KeyboardInterrupt), alone(f"sqlite:///{tmp_path / 'a.db'}", tmp_path):
        signal.raise_signal(signal.SIGINT)
        reached.append(True)
    assert reached
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/x.db", "file:///tmp/x", "x://y"])
def test_a_store_out_of_reach_costs_only_the_log(trained, train, tmp_path, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = train(trained.corpus, tmp_path, f"tracking.uri={uri}")
    said = capsys.readouterr()
    assert f"warning: tracking.uri={uri}" in said.err
    assert "Training goes on without a log." in said.err
    assert "run      not logged" in said.out
    assert done.metrics["run_id"] == ""
    one, other = ({**t.metrics, "run_id": "", "seconds": {}} for t in (trained, done))
    assert one == other
    assert made(done.bundle) == made(trained.bundle)


@pytest.mark.parametrize("calls", [["log_batch", "set_terminated"], ["log_artifacts"], ["log_outputs"]])
def test_a_store_that_breaks_off_leaves_bundle_and_report(
    trained, train, tmp_path, monkeypatch, capsys, calls
):
    from mlflow.exceptions import MlflowException

    def broken(*_, **__):
        raise MlflowException("connection lost")

    for call in calls:
        monkeypatch.setattr(f"mlflow.MlflowClient.{call}", broken)
    done = train(trained.corpus, tmp_path)
    assert "warning: " in (said := capsys.readouterr().err) and "connection lost" in said
    assert load(done.bundle).labels.names == tuple(LABELS)
    assert (done.report / "metrics.json").is_file()


# --- the same again -----------------------------------------------------------------------------------


def test_same_seed_same_bytes(trained, train, tmp_path):
    again = train(trained.corpus, tmp_path)
    assert again.metrics["run_id"] != trained.metrics["run_id"]
    one, other = ({**t.metrics, "run_id": "", "seconds": {}} for t in (trained, again))
    assert json.dumps(one) == json.dumps(other)
    assert made(trained.bundle) == made(again.bundle)
    first, second = files(trained.report), files(again.report)
    for found, run in ((first, trained), (second, again)):
        named = rb"<dd>\S+, " + run.metrics["run_id"].encode()
        found["report.html"], times = re.subn(named, b"", found["report.html"])
        assert times == 1
    assert {k: v for k, v in first.items() if k != "metrics.json"} == {
        k: v for k, v in second.items() if k != "metrics.json"
    }


def test_another_seed_deals_other_folds(trained, train, tmp_path):
    again = train(trained.corpus, tmp_path, "seed=8")
    assert again.metrics["seed"] == 8
    assert again.metrics["cross_validation"] != trained.metrics["cross_validation"]


def test_thresholds_and_weights_do_not_see_the_test_set(trained, train, other, tmp_path):
    """Every label of every test sentence is turned round; only the test block may notice."""
    held = {f"story-{n:02}" for n in (4, 8, 13, 18, 20)}
    for row in other.rows:
        if row["article"] in held:
            row["labels"] = [name for name in LABELS if name not in row["labels"]]
    other.write_annotations(other.rows)
    poisoned = train(other, tmp_path)
    assert poisoned.metrics["test"]["macro_f1"] != trained.metrics["test"]["macro_f1"]
    assert json.dumps(poisoned.metrics["cross_validation"]) == json.dumps(trained.metrics["cross_validation"])
    name = "weights.safetensors"
    assert (poisoned.bundle / name).read_bytes() == (trained.bundle / name).read_bytes()
    assert load(poisoned.bundle).decision.thresholds_.tolist() == (
        load(trained.bundle).decision.thresholds_.tolist()
    )


def test_test_texts_do_not_enter_the_vocabulary(trained):
    table = pq.read_table(trained.folder / "labelled.parquet").to_pylist()
    inside = " ".join(row["text"].lower() for row in table if row["split"] != "test")
    words = load(trained.bundle).scorer.parts[0].vocabulary_.to_pylist()
    assert words
    assert not [word for word in words if word not in inside]


def test_cross_validation_scores_come_from_models_that_did_not_see_the_sentence(compose):
    """Labels that are noise cannot be learnt: out of fold, no better than chance."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    from pipeline.models.arrow_tfidf import ArrowTfidf
    from pipeline.models.decision import Decision
    from pipeline.models.training import cross_validate

    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 500, 12)) for _ in range(300)]
    y = rng.integers(0, 2, (300, 2)).astype(np.int8)
    model = make_pipeline(ArrowTfidf(), OneVsRestClassifier(LogisticRegression(C=1000)))
    found = cross_validate(model, Decision(), texts, y, np.arange(300) % 5)
    assert (model.fit(texts, y).predict(texts) == y).mean() > 0.99
    assert ((found.scores > 0) == y).mean() == pytest.approx(0.5, abs=0.08)


# --- inputs prepared when needed ----------------------------------------------------------------------


def test_labelled_sentences_are_prepared_when_missing_or_stale_only(corpus, compose, capsys, tmp_path):
    def said(*overrides):
        config = compose("train", [*corpus.overrides(tmp_path), *overrides])
        capsys.readouterr()
        rows = labelled_sentences(config).num_rows
        return capsys.readouterr().out, rows

    out, rows = said()
    assert "labelled sentences are missing: preparing" in out
    assert said() == ("", rows)
    for path in corpus.articles.iterdir():
        path.touch()
    assert said() == ("", rows)  # the content decides, not the date
    corpus.write_annotations(corpus.rows[:-2])
    out, fewer = said()
    assert "labelled sentences are stale: preparing" in out
    assert fewer < rows
    assert said() == ("", fewer)
    corpus.metadata.write_text(corpus.metadata.read_text().replace("story-00,t", "story-00,other"))
    assert "stale" in said()[0]
    name = next(corpus.articles.iterdir())
    name.write_text(name.read_text() + "\nOne more sentence at the end.\n")
    assert "stale" in said()[0]
    assert "stale" in said("labels.definitions.denial=Another meaning.")[0]
    assert "stale" in said("corpus.metadata=null")[0]


@pytest.mark.parametrize("content", [b"", b"no Parquet at all", b"PAR1PAR1"])
def test_a_damaged_file_of_labelled_sentences_is_prepared_anew(corpus, compose, tmp_path, content):
    (tmp_path / "labelled.parquet").write_bytes(content)
    assert labelled_sentences(compose("train", corpus.overrides(tmp_path))).num_rows > 100


def test_statistics_lie_beside(trained):
    found = json.loads((trained.folder / "labelled.json").read_text())
    assert found["articles"] == 24
    assert found["ingest_finds"] == found["sentences"]
    assert set(found["agreement"]) <= set(LABELS)
    assert 0 < found["agreement"]["accusation"]["value"] <= 1
    assert found["fingerprint"] == trained.metrics["data"]["digest"]


# --- splits, slices, behaviour ------------------------------------------------------------------------


def test_the_split_is_checked_and_slices_and_behaviour_are_reported(trained, store):
    found = trained.metrics
    assert found["data"]["split"] == {"protocol": "grouped", "repeats": 1}
    assert found["leakage"]["leaks"] == []
    assert found["leakage"]["test"] == found["data"]["test"]
    kinds = found["slices"]["kind"]
    assert sum(block["sentences"] for block in kinds.values()) == found["data"]["test"]
    assert all(block["small"] for block in kinds.values())
    assert found["behaviour"]["skipped"] == []
    rate = found["behaviour"]["name_swap_flip_rate"]
    assert 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
    assert rate["swaps"] > 100
    logged = client(store).get_run(found["run_id"]).data.metrics
    assert logged["behaviour/name_swap_flip_rate"] == pytest.approx(rate["value"])
    assert logged["behaviour/name_swap_flip_rate_held_out"] == pytest.approx(rate["held_out"]["value"])
    assert flips_line(rate).capitalize() in (trained.report / "report.html").read_text()
    for name, one in found["behaviour"]["tests"].items():
        assert logged[f"behaviour/{name}/failure_rate"] == pytest.approx(one["rate"])


def test_behaviour_and_leakage_can_be_left_out(trained, train, tmp_path):
    done = train(trained.corpus, tmp_path, "behaviour=false", "split.leakage=off")
    assert "behaviour" not in done.metrics
    assert done.metrics["leakage"] is None
    assert done.metrics["test"] == trained.metrics["test"]


def planted(what):
    """Sentences of 100 articles, of words that tell nothing, with boilerplate or a name in every fifth."""
    rng = np.random.default_rng(0)
    words = [
        f"{one}{other}" for one in ("lo", "ra", "mi", "ten", "vu") for other in ("bel", "dos", "kan", "sun")
    ]
    for n in range(900):
        said, odd = " ".join(rng.choice(words, 9)), not n % 5
        person = ("Aldana" if odd else "Okafor") if what == "names" else "Sandoval"
        text = f"On that day the {said} of {person} was seen"
        if odd and what == "boilerplate":
            text = (
                f"A {said} is what the desk for business news and markets has been told in writing this week"
            )
        labels = ["denial"] if (odd if what == "names" else rng.random() < 0.2) else ["none"]
        yield {"text": text, "labels": labels, "article": n // 9, "split": "test" if n < 180 else ""}


@pytest.mark.parametrize(
    ("what", "mode", "said"),
    [
        ("boilerplate", "error", "20.0% of the test sentences are for the most part copied"),
        ("boilerplate", "warn", "20.0% of the training sentences are for the most part copied"),
        ("names", "error", "names alone tell denial (area under the curve 1.00; 0.5 is chance)"),
        ("nothing", "error", ""),
    ],
)
def test_a_leak_stops_the_run_unless_told_otherwise(stage, tmp_path, store, what, mode, said):
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in planted(what)))
    usual = ["corpus=table", f"corpus.train={tmp_path / 'rows.jsonl'}", "model=tfidf_logreg"]
    usual += [f"output={tmp_path / 'bundle'}", f"report={tmp_path / 'report'}", f"tracking.uri={store}"]
    usual += ["tracking.experiment=news", "split.folds=3", "behaviour=false", f"split.leakage={mode}"]
    with new_run(store) as new:
        done = stage("train", *usual)
    if said and mode == "error":
        last = done.err.splitlines()[-1]
        assert done.code == 2 and last.startswith("error: split: ")
        assert said in last and last.endswith("split.leakage=warn")
        assert new[0].info.status == "FAILED"
        assert said in new[0].data.tags["error"]
        assert not (tmp_path / "bundle").exists()
    else:
        assert done.code == 0
        assert said in done.err and done.err.count("warning: split: ") == (2 if said else 0)
        assert (tmp_path / "bundle").is_dir()


def described(corpus):
    """Give the articles topics, sources, regions and dates of their own."""
    with corpus.metadata.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for n, row in enumerate(rows):
        row |= {"topic": f"topic {n % 5}", "source": f"paper {n % 11}", "region": f"region {n % 12}"}
        row |= {"date": f"20{n:02}-03-01"}
    with corpus.metadata.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return corpus


DOCUMENTED = [
    line.split()[3:]
    for line in (Path(__file__).resolve().parents[2] / "docs" / "evaluation.md").read_text().splitlines()
    if line.startswith(".venv/bin/python -m pipeline.train")
]


@pytest.mark.parametrize("overrides", DOCUMENTED, ids=" ".join)
def test_the_documented_commands(other, stage, tmp_path, store, overrides):
    corpus = described(other)
    usual = [item for item in corpus.overrides(tmp_path) if not item.startswith("split.")]
    done = stage("train", *usual, f"tracking.uri={store}", *overrides)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    about, sizes = metrics["data"]["split"], metrics["cross_validation"]
    given = dict(item.split("=") for item in overrides)
    name = given.get("split", "grouped")
    assert about["protocol"] == {"grouped": "grouped", "repeated": "grouped", "time": "time"}.get(
        name, "leave_out"
    )
    assert len(sizes["repeats"]["macro_f1"]) == about["repeats"] == (3 if name == "repeated" else 1)
    assert sizes["sentences"] == metrics["data"]["train"]
    assert sizes["articles"] <= 24
    folds = [fold["name"] for fold in sizes["per_fold"]]
    if name == "repeated":
        assert [folds[0], folds[5]] == ["fold 1, repeat 1", "fold 1, repeat 2"]
    elif name == "leave_source_out":
        assert sorted(", ".join(folds).split(", ")) == sorted(f"paper {n}" for n in range(11))
    elif name == "leave_topic_out" and not given.keys() & {"split.column"}:
        assert folds == [f"topic {n}" for n in range(5)]
    if name == "leave_topic_out":
        assert sizes["folds"]["all"] == (10 if "split.folds" in given else 5)
    if name == "time":
        assert about["test_from"] == given.get("split.test_from", about["test_from"]) > "2014"


# --- other settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["majority", "tfidf_svm"])
def test_other_models(trained, train, tmp_path, model):
    done = train(trained.corpus, tmp_path, f"model={model}")
    assert done.metrics["model"] == model
    value = done.metrics["cross_validation"]["macro_f1"]["value"]
    best = trained.metrics["cross_validation"]["macro_f1"]["value"]
    assert (value < 0.6 * best) == (model == "majority")


def test_without_metadata_a_test_set_is_drawn(trained, train, tmp_path):
    done = train(trained.corpus, tmp_path, "corpus.metadata=null", "split.test_ratio=0.25")
    sizes = done.metrics["data"]
    assert sizes["left_out"] == 0
    assert sizes["test"] / (sizes["train"] + sizes["test"]) == pytest.approx(0.25, abs=0.08)


def test_precise_thresholds_are_precise(trained, train, tmp_path):
    done = train(trained.corpus, tmp_path, "decision=precise")
    assert load(done.bundle).decision.min_precision == 0.9
    for name in LABELS:
        one, usual = (t.metrics["cross_validation"]["per_label"][name] for t in (done, trained))
        assert one["precision"] >= min(usual["precision"], 0.8)


@pytest.fixture
def single(other):
    """The corpus with exactly one label a sentence."""
    rows = [row for row in other.rows if len(row["labels"]) == 1 and row["annotator"] == "first"]
    other.write_annotations(rows)
    return other


def test_multiclass(single, train, tmp_path):
    done = train(single, tmp_path, "labels.task=multiclass")
    bundle = load(done.bundle)
    assert bundle.labels.task == "multiclass"
    assert all(len(names) == 1 for names in bundle.label(["", "The bank denied it.", "Nothing."]))
    assert done.metrics["test"]["micro_f1"]["value"] == done.metrics["test"]["subset_accuracy"]["value"]
    assert all(one["threshold"] is None for one in done.metrics["test"]["per_label"].values())


def test_multiclass_needs_one_label_a_sentence(trained, train, tmp_path):
    from pipeline.schema import InputError

    with pytest.raises(InputError, match="task multiclass takes one label a sentence"):
        train(trained.corpus, tmp_path, "labels.task=multiclass")


@pytest.mark.parametrize("model", ["tfidf_logreg", "majority"])
def test_a_single_label(other, train, tmp_path, model):
    for row in other.rows:
        row["labels"] = [name for name in row["labels"] if name == "denial"]
    other.write_annotations(other.rows)
    only = ["labels.names=[denial]", "~labels.definitions", "+labels.definitions={}", "~labels.examples"]
    done = train(other, tmp_path, *only, f"model={model}")
    assert done.metrics["labels"] == ["denial"]
    assert load(done.bundle).probabilities(["", "It denied."]).shape == (2, 1)


def test_parts_can_be_called_from_a_notebook(trained, compose):
    """Data in, data out, without a run, a file or a console."""
    from hydra.utils import instantiate

    config = compose("train", trained.corpus.overrides(trained.folder))
    labels = label_set(config.labels)
    data = split(pq.read_table(trained.folder / "labelled.parquet"), labels, config)
    assert isinstance(data, Data)
    assert (data.y == indicator(data.table["labels"].to_pylist(), labels)).all()
    model = instantiate(config.model.estimator, _convert_="all")
    fitted, crossed = fit(model, instantiate(config.decision, task="multilabel"), data)
    texts = ["He denied it.", ""]
    served = load(trained.bundle)
    assert served.decision.probabilities(fitted.decision_function(texts)) == pytest.approx(
        served.probabilities(texts)
    )
    blocks, _ = evaluate_both(load(trained.bundle), crossed, data, config.seed)
    assert blocks == {name: trained.metrics[name] for name in BLOCKS}


# --- errors -------------------------------------------------------------------------------------------


ERRORS = {
    "one fold": (["split.folds=1"], ["split.folds=1: must be a whole number, at least 2"]),
    "many folds": (["split.folds=99"], ["split.folds=99", "as many articles, got"]),
    "no number of folds": (["split.folds=many"], ["split.folds=many"]),
    "test ratio": (["split.test_ratio=3"], ["split.test_ratio=3"]),
    "near duplicate": (["split.near_duplicate=7"], ["split.near_duplicate=7"]),
    "beta": (["decision.beta=0"], ["decision.beta=0"]),
    "precision": (["decision.min_precision=90"], ["decision.min_precision=90"]),
    "task": (["labels.task=binary"], ["labels.task=binary", "multilabel, multiclass"]),
    "labels": (["labels.names=[]"], ["labels.names"]),
    "unknown label": (
        ["labels.names=[denial]", "~labels.definitions", "~labels.examples"],
        ["annotations.jsonl:", "unknown label"],
    ),
    "no articles": (["corpus.articles=/nowhere"], ["/nowhere: does not exist"]),
    "no annotations": (["corpus.annotations=/nowhere.jsonl"], ["/nowhere.jsonl", "corpus.annotations"]),
    "no metadata": (["corpus.metadata=/nowhere.csv"], ["/nowhere.csv", "corpus.metadata"]),
    "no table": (["labelled=/tmp/x.txt"], ["/tmp/x.txt", ".parquet"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_bad_setting_is_one_line(stage, corpus, tmp_path, store, name):
    overrides, words = ERRORS[name]
    given = {override.split("=")[0] for override in overrides}
    usual = [item for item in corpus.overrides(tmp_path) if item.split("=")[0] not in given]
    done = stage("train", *usual, f"tracking.uri={store}", *overrides)
    assert done.refused(*words)
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "report").exists()


def test_bad_data_through_the_command_line(command, corpus, tmp_path, store):
    usual = [*corpus.overrides(tmp_path), f"tracking.uri={store}"]
    good = corpus.annotations.read_text()
    corpus.annotations.write_text(good.replace('"denial"', '"deniall"', 1))
    assert command("train", *usual).refused("annotations.jsonl:", "unknown label 'deniall'", "'denial'")
    corpus.annotations.write_text("")
    assert command("train", *usual).refused("no labelled sentences to train on")


@pytest.mark.parametrize("key", ["output", "report"])
def test_folders_with_other_files_are_left_alone(stage, corpus, tmp_path, store, key):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    overrides = [*corpus.overrides(), f"tracking.uri={store}", f"{key}={tmp_path / 'mine'}"]
    done = stage("train", *overrides)
    assert done.refused("mine: is a folder with other files; choose another output")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert not (corpus.folder / "labelled.parquet").exists(), "it was told before the work"


def test_a_metadata_file_in_another_encoding(stage, corpus, tmp_path, store):
    corpus.metadata.write_bytes(corpus.metadata.read_bytes() + b"story-99,t\xe9,s,train\n")
    usual = [*corpus.overrides(tmp_path), f"tracking.uri={store}"]
    assert stage("train", *usual).refused("articles.csv", "UTF-8")


def test_through_the_command_line(command, trained, tmp_path, store):
    done = command("train", *trained.corpus.overrides(tmp_path), f"tracking.uri={store}")
    assert done.code == 0, done.err
    assert "warning" not in done.err
    assert made(tmp_path / "bundle") == made(trained.bundle)
    assert "macro_f1" in done.out
    assert str(tmp_path / "report") in done.out


def test_main_returns_what_a_sweep_optimises():
    assert main.__wrapped__.__name__ == "main"
    assert train_stage.__name__ == "train"
