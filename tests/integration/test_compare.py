"""Runs compared, promoted and rolled back, as a user would."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import registry
from pipeline.bundle import load
from pipeline.evaluation.predictions import read_predictions
from pipeline.registry import RegistryError, aliases, challenge, promote, roll_back
from pipeline.runs import find
from pipeline.schema import ConfigError
from tests.conftest import ROOT, make_corpus, runs_of_news


@pytest.fixture(scope="module")
def other(trained, train, tmp_path_factory):
    """A second run on the same corpus, of a classifier that reads nothing."""
    return train(trained.corpus, tmp_path_factory.mktemp("other"), "model=majority")


@pytest.fixture
def compare(stage, store, tmp_path):
    def ran(runs, *more):
        output = tmp_path / "comparison.json"
        arguments = [f"runs={runs}"] if runs else []
        done = stage("compare", *arguments, f"output={output}", f"tracking.uri={store}", *more)
        return done, json.loads(output.read_text()) if output.exists() else None

    return ran


def client(store):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


# --- what training leaves ------------------------------------------------------------------------------


def test_predictions_are_what_was_scored(trained):
    made = read_predictions(trained.report / "predictions.parquet")
    test = trained.metrics["test"]
    assert len(made.y) == test["sentences"]
    assert made.y.sum(axis=0).tolist() == [one["support"] for one in test["per_label"].values()]
    right = (made.y == made.predicted).all(axis=1).mean()
    assert right == pytest.approx(test["subset_accuracy"]["value"])
    assert {"sentence", "kind", "topic", "source"} <= set(made.table.column_names)


class Page(HTMLParser):
    """Tags, their attributes, and all text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(self.said)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.said.append(data.strip())


def is_closed(page):
    """Nothing is fetched, no script runs, and the policy says so."""
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form"} == set()
    for _, attributes in page.tags:
        assert not {"style", "src", "srcdoc"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
    return True


def test_the_page_shows_the_run(trained):
    page = Page(trained.report / "report.html")
    assert is_closed(page)
    for block in ("cross_validation", "test"):
        for one in trained.metrics[block]["per_label"].values():
            assert f"{one['f1']:.3f}" in page.text
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert targets <= {attributes.get("id") for _, attributes in page.tags}
    assert {"data", "main", "curves", "slices", "behaviour", "errors", "card"} <= targets
    charts = [attributes for tag, attributes in page.tags if attributes.get("class") == "chart"]
    assert len(charts) == 3 * 4 + 5  # and how much is decided: each label, and all
    assert all(chart["role"] == "img" for chart in charts)
    assert len({chart["aria-label"] for chart in charts}) == len(charts)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert str(trained.folder) not in page.text, "no path of this machine"
    assert "grouped, 3 folds" in page.text and "none was found: 2 of 35" in page.text
    assert f"tfidf_logreg, {trained.metrics['run_id']}; commit" in page.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_what_they_are_on(scheme):
    """WCAG 2.1, AA: 4.5 for text (1.4.3), 3 for what charts are drawn with (1.4.11)."""
    style = (ROOT / "pipeline" / "templates" / "report.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--(\w+): #(\w{6})", part)) for part in style.split("@media", 2)[:2])
    colours = light | (dark if scheme == "dark" else {})
    for name in ("ink", "soft", "link", "good", "bad", "s0", "s1", "s2"):
        for ground in ("paper", "box"):
            least = 3 if name.startswith("s") and name != "soft" else 4.5
            assert contrast(colours[name], colours[ground]) >= least, (name, ground)


def contrast(*colours):
    """The contrast ratio of two colours as hexadecimal digits."""
    parts = np.array([[int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)] for colour in colours])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


def test_words_of_the_corpus_are_not_read_as_markup(trained, train, tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    evil = '<script>alert("1")</script> & <b onclick=x>'
    for n, path in enumerate(sorted(corpus.articles.iterdir())):
        if n in (4, 8, 13):
            path.write_text(path.read_text() + f"\n\nNobody denied {evil}.")
            end = len(path.read_text())
            row = {"article": path.stem, "start": end - len(f"Nobody denied {evil}."), "end": end}
            text = {"text": f"Nobody denied {evil}.", "kind": "body"}
            corpus.rows.append(row | text | {"annotator": "first", "labels": ["economic_claim"]})
    corpus.write_annotations(corpus.rows)
    done = train(corpus, tmp_path / "out")
    page = Page(done.report / "report.html")
    assert is_closed(page)
    assert evil in page.text


# --- comparing -----------------------------------------------------------------------------------------


def test_two_runs(trained, other, compare, store, tmp_path):
    ids = [run.metrics["run_id"] for run in (trained, other)]
    done, found = compare(f"[{ids[0]},{ids[1][:12]}]")
    assert done.code == 0, done.err
    assert [run["run_id"] for run in found["runs"]] == ids
    score = found["pairs"][0]["scores"]["macro_f1"]
    for side, run in (("a", trained), ("b", other)):
        assert score[side] == pytest.approx(run.metrics["test"]["macro_f1"]["value"])
    assert found["pairs"][0]["verdict"] == "worse"
    assert "is worse than" in done.out and f"{score['difference']:+.3f}" in done.out
    assert all(run["train_seconds"] > 0 and run["sentences_per_second"] > 0 for run in found["runs"])
    page = Page(tmp_path / "comparison.html")
    assert is_closed(page)
    assert "fixed" in page.text and "is worse than" in page.text
    pair = found["pairs"][0]
    fixed = sum(row["change"] == "fixed" for row in pair["changed"])
    for said in (f"{fixed} fixed, {len(pair['changed']) - fixed} broken", "failures that differ most"):
        assert said in done.out
    rate = next(row for row in pair["behaviour"] if row["test"] == "insert_denial")
    assert rate["a"] == trained.metrics["behaviour"]["tests"]["insert_denial"]["rate"] < rate["b"] == 1
    assert "insert denial" in page.text and f"{100 * rate['a']:.1f} %" in page.text
    comparisons = client(store).get_experiment_by_name("news comparisons").experiment_id
    logged = client(store).search_runs([comparisons])[0]  # the latest
    numbers = logged.data.metrics
    assert numbers["macro_f1/difference"] == pytest.approx(score["difference"])
    assert numbers["denial/p"] == pytest.approx(pair["labels"]["denial"]["p_holm"])
    assert logged.data.tags["verdict"] == "worse"
    names = {artifact.path for artifact in client(store).list_artifacts(logged.info.run_id)}
    assert names == {"comparison.json", "comparison.html"}


def test_a_run_and_itself_on_disk(trained, compare):
    done, found = compare(f"[{trained.report},{trained.metrics['run_id']}]")
    assert done.code == 0, done.err
    assert "no evidence of a difference" in done.out
    assert found["pairs"][0]["changed"] == []


def test_each_pair_is_logged_with_what_the_verdict_rests_on(trained, other, compare, store):
    """A folder has no run; what its training cost is in its metrics."""
    done, found = compare(f"[{other.metrics['run_id']},{trained.report},{trained.metrics['run_id']}]")
    assert done.code == 0, done.err
    assert [run["train_seconds"] for run in found["runs"][1:]] == [trained.metrics["seconds"]["train"]] * 2
    experiment = client(store).get_experiment_by_name("news comparisons").experiment_id
    logged = client(store).search_runs([experiment])[0].data
    for run, pair in zip(found["runs"][1:], found["pairs"], strict=True):
        name = run["name"].replace("/", "_")
        assert logged.tags[f"{name}/verdict"] == pair["verdict"] == "better"
        score = pair["scores"]["macro_f1"]
        assert score["p"] < score["p_holm"] == pytest.approx(logged.metrics[f"{name}/macro_f1/p"])
        assert f"{name}/denial/difference" in logged.metrics


class Store:
    """Runs as a client gives them: name, cross-validated score, test set; the latest first."""

    def __init__(self, *runs):
        self.runs = [
            SimpleNamespace(
                info=SimpleNamespace(run_id=f"{n:032x}", run_name=name),
                data=SimpleNamespace(
                    metrics={"cv/macro_f1": score}, tags={"test_set": test_set} if test_set else {}
                ),
            )
            for n, (name, score, test_set) in enumerate(runs)
        ]

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="1")

    def search_runs(self, *_):
        return self.runs


RUNS = [
    ("a trial", 0.95, None),
    ("newest", 0.5, "t"),
    ("good", 0.8, "t"),
    ("elsewhere", 0.99, "u"),
    ("best", 0.9, "t"),
    ("old", 0.7, "t"),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("last 2", ["newest", "good"]),
        ("last 9", ["newest", "good", "best", "old"]),
        ("best 3", ["best", "good", "old"]),
        (["old", "best 2"], ["old", "best", "good"]),
        (["best 2", "good"], ["best", "good"]),
        (["champion", "newest"], ["champion good", "newest"]),
    ],
)
def test_the_last_and_the_best_are_of_the_newest_test_set(wanted, names):
    store = Store(*RUNS)
    store.get_run = lambda run_id: next(run for run in store.runs if run.info.run_id == run_id)
    found = find(store, "news", wanted, {"champion": f"{2:032x}"})
    assert [one.name for one in found] == names


def test_an_id_cut_short_must_tell_runs_apart():
    with pytest.raises(ConfigError, match="000000 begins the ids of 6 runs"):
        find(Store(*RUNS), "news", ["000000", "good"], {})
    with pytest.raises(ConfigError, match="did you mean 'newest'"):
        find(Store(*RUNS), "news", ["newst", "good"], {})


def test_a_trial_has_nothing_to_compare(trained, compare, store):
    run, _ = job(store, 0.5)
    client(store).set_terminated(run)
    done, _ = compare(f"[{trained.report},{run}]", "tracking.experiment=jobs")
    assert done.refused("was not tested, as trials of a sweep are not")


def test_classifiers_on_a_labelled_file(trained, other, compare, tmp_path):
    rows = [{"text": "The bank denied it.", "labels": ["denial"]}, {"text": "Nothing.", "labels": []}] * 9
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = f"[{trained.bundle},{other.metrics['run_id']}]"
    done, found = compare(runs, f"input={tmp_path / 'in.jsonl'}")
    assert done.code == 0, done.err
    assert found["sentences"] == 18
    for side, one in (("a", trained), ("b", other)):
        given = load(one.bundle).label([row["text"] for row in rows])
        right = sum(names == row["labels"] for names, row in zip(given, rows, strict=True))
        assert found["pairs"][0]["scores"]["subset_accuracy"][side] == pytest.approx(right / 18)


def test_other_test_data_are_refused(trained, train, compare, tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    for row in corpus.rows:
        if row["article"] == "story-04":
            row["labels"] = []
    corpus.write_annotations(corpus.rows)
    another = train(corpus, tmp_path / "out")
    done, found = compare(f"[{trained.report},{another.report}]")
    assert done.refused("were tested on other sentences or labels", "has other labels", "input=FILE")
    assert found is None


REFUSED = {
    "[]": ["two or more runs are needed, found none"],
    "[nosuchrun,another]": ["no finished run and no folder 'nosuchrun'"],
    "[/tmp,/usr]": ["neither metrics.json nor manifest.json"],
}


@pytest.mark.parametrize("runs", REFUSED)
def test_runs_that_are_not_there(compare, runs):
    done, found = compare(runs)
    assert done.refused(*REFUSED[runs])
    assert found is None


def test_a_bundle_without_its_report(trained, compare):
    done, _ = compare(f"[{trained.bundle},{trained.report}]")
    assert done.refused("has no report beside it", "input=FILE")


# --- champion and challenger ---------------------------------------------------------------------------


def test_promoted_when_not_worse_and_back(trained, train, compare, store, tmp_path):
    registered = "tracking.register=promotion"
    first = train(trained.corpus, tmp_path / "a", registered)
    again = train(trained.corpus, tmp_path / "b", registered)

    def named():
        found = client(store).get_registered_model("promotion").aliases
        return {alias: str(version) for alias, version in found.items()}

    assert named() == {"champion": "1", "challenger": "2"}
    versions = client(store).search_model_versions("name = 'promotion'")
    assert {v.run_id for v in versions} == {t.metrics["run_id"] for t in (first, again)}
    done, _ = compare("[champion,challenger]", registered, "promote=true", "margin=0.1")
    assert done.code == 0, done.err
    assert "version 2 of 'promotion' is champion now (before: 1)" in done.out
    assert named()["champion"] == "2"
    assert compare(None, registered, "rollback=true")[0].code == 0
    assert named()["champion"] == "1"
    done, _ = compare(None, registered, "rollback=true")
    assert done.refused("version 1 of 'promotion' replaced no other")

    # On sentences labelled elsewhere, behaviour must hold just as well.
    (tmp_path / "in.jsonl").write_text('{"text": "The bank denied it.", "labels": ["denial"]}\n' * 9)
    elsewhere = (registered, "promote=true", f"input={tmp_path / 'in.jsonl'}")
    done, found = compare("[champion,challenger]", *elsewhere)
    assert done.code == 0, done.err
    assert len(found["pairs"][0]["behaviour"]) > 20 and "left aside" not in done.out
    compare(None, registered, "rollback=true")
    train(trained.corpus, tmp_path / "untested", registered, "behaviour=false")
    done, _ = compare("[champion,challenger]", registered, "promote=true")
    assert done.refused("no behaviour tests were run for challenger tfidf_logreg", "behaviour=false")
    assert named() == {"champion": "1", "challenger": "3"}
    done, _ = compare("[champion,challenger]", *elsewhere, "behaviour=false")
    assert (
        "version 3 of 'promotion' is champion now" in done.out
        and "Behaviour tests were left aside" in done.out
    )
    compare(None, registered, "rollback=true")

    train(trained.corpus, tmp_path / "c", registered, "model=majority")
    done, found = compare("[champion,challenger]", registered, "promote=true")
    assert done.refused("majority", "is not promoted", "macro-F1 may be")
    assert found["pairs"][0]["verdict"] == "worse"
    assert named() == {"champion": "1", "challenger": "4"}
    wrong, _ = compare("[challenger,champion]", registered, "promote=true")
    assert wrong.refused("is not champion; give runs=[champion,RUN]")


@pytest.mark.parametrize("what", ["promote", "rollback"])
def test_without_a_registered_model_there_is_no_champion(compare, what):
    done, _ = compare("[champion,challenger]", f"{what}=true", "tracking.register=null")
    assert done.refused(f"{what}=true", "tracking.register=null names no model")


def job(store, score, parent=None):
    """A run with a cross-validated score and a logged model, as a training leaves it."""
    own = client(store)
    found = own.get_experiment_by_name("jobs")
    experiment = found.experiment_id if found else own.create_experiment("jobs")
    run = own.create_run(experiment, tags={"mlflow.parentRunId": parent} if parent else {}).info.run_id
    own.log_metric(run, "cv/macro_f1", score)
    return run, own.create_logged_model(experiment, source_run_id=run).model_id


def test_the_history_of_champions_is_walked_back(store):
    made = {}
    for _ in range(3):
        run, model = job(store, 0.5)
        made[challenge(client(store), "walked", model, run)] = run
    for version, before in (("2", "1"), ("1", "2"), ("2", "1"), ("3", "2")):
        done = promote(client(store), "walked", made[version])
        assert (done.version, done.before) == (version, before)
    for version in ("2", "1", "2", "1"):
        assert roll_back(client(store), "walked").version == version
        assert aliases(client(store), "walked")["champion"] == version
    with pytest.raises(RegistryError, match="version 1 of 'walked' replaced no other"):
        roll_back(client(store), "walked")
    client(store).set_registered_model_alias("walked", "champion", "3")  # by hand
    promote(client(store), "walked", made["2"])
    assert [roll_back(client(store), "walked").version for _ in range(2)] == ["3", "1"]


def test_the_last_hundred_champions_are_remembered():
    tags = {}
    fake = SimpleNamespace(
        set_registered_model_tag=lambda name, key, value: tags.update({key: value}),
        set_registered_model_alias=lambda *_: None,
    )
    registry._crown(fake, "long", [str(n) for n in range(150)])
    assert tags["champions"].split() == [str(n) for n in range(50, 150)]


def test_of_a_multirun_the_best_job_is_the_challenger(store):
    """Whichever ends last; a training by itself always is."""
    parent, _ = job(store, 0.0)
    for score, family, challenger in (
        *((0.9, None, "1"), (0.5, parent, "2"), (0.8, parent, "3"), (0.7, parent, "3")),
        (0.1, None, "5"),
    ):
        run, model = job(store, score, family)
        challenge(client(store), "grid", model, run)
        assert aliases(client(store), "grid")["challenger"] == challenger


def test_the_champion_can_be_used_by_its_alias(trained, store, monkeypatch, tmp_path):
    from pipeline.tracking.locate import local_folder

    version = client(store).get_model_version_by_alias("news", "challenger")
    folder = local_folder("models:/news@challenger", tmp_path, store)
    assert load(folder).labels.names == ("accusation", "denial", "policy_action", "economic_claim")
    assert version.run_id


# --- a list of runs that can be read -------------------------------------------------------------------


def test_names_say_the_difference_and_are_unique(command, trained, store, tmp_path):
    from pipeline.experiments import short_difference

    groups = ["model", "decision", "split"]
    given = [
        "model=hybrid",
        "decision=precise",
        "model.estimator.steps.1.1.estimator.C=10",
        "+seed=8",
        "output=x",
        "corpus.articles=a/b",
    ]
    assert short_difference(given, groups) == "precise-C:10-seed:8"
    overrides = [item for item in trained.corpus.overrides(tmp_path) if item != "split.folds=3"]
    for _ in range(2):
        done = command("train", *overrides, f"tracking.uri={store}", "split.folds=3", "decision=precise")
        assert done.code == 0, done.err
    names = [run.info.run_name for run in runs_of_news(store)]
    assert len(set(names)) == len(names)
    (one, two) = sorted(name for name in names if "precise" in name)
    assert two == f"{one}-2"
    assert one.startswith("tfidf_logreg") and one.endswith("-folds:3-precise")


def test_every_run_has_the_same_keys_and_tags(trained, other, store):
    one, two = (client(store).get_run(run.metrics["run_id"]) for run in (trained, other))
    assert set(one.data.metrics) == set(two.data.metrics)
    for run, family in ((one, "LogisticRegression"), (two, "DummyClassifier")):
        assert run.data.tags["family"] == family
        assert {"task", "corpus", "model", "commit"} <= set(run.data.tags)
    view = json.loads(
        client(store).get_experiment(one.info.experiment_id).tags["mlflow.sharedViewState.columns"]
    )
    shown = [c.split("`")[1] for c in view["selectedColumns"] if c.startswith("metrics.")]
    assert set(shown) <= set(one.data.metrics)


def test_a_run_whose_process_was_killed_is_marked_at_the_next_start(store, tmp_path):
    from pipeline.tracking.run import run

    code = (
        "import os, signal, sys; from pathlib import Path; from pipeline.tracking.run import run\n"
        "with run(sys.argv[1], 'killed', 'x', Path('.')) as opened:\n"
        "    print(opened.id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, store], capture_output=True, text=True, env=os.environ)
    dead = done.stdout.strip()
    assert client(store).get_run(dead).info.status == "RUNNING"
    with run(store, "killed", "y", tmp_path), run(store, "killed", "z", tmp_path) as alive:
        assert client(store).get_run(dead).info.status == "KILLED"
    stranger = client(store).create_run(alive.experiment, tags={"pipeline.process": "elsewhere 1 2.0"})
    with run(store, "killed", "x", tmp_path):
        assert client(store).get_run(stranger.info.run_id).info.status == "RUNNING"
