"""A search from the command line's view: trials, the best, and the test articles left alone."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.schema import ConfigError, InputError
from tests.conftest import ROOT, make_corpus

MODEL = "model.estimator.steps.1.1.estimator.C"


def client(store):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


def given(corpus, folder, store):
    own = [one for one in corpus.overrides(folder) if not one.startswith("model=")]
    return [*own, f"folder={folder / 'sweep'}", f"tracking.uri={store}"]


@pytest.fixture
def search(compose, corpus, store, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="make extra-sweep")
    monkeypatch.chdir(Path(store.removeprefix("sqlite:///")).parent)

    def searched(*overrides, corpus=corpus, folder=tmp_path, space=None):
        from pipeline.sweep import sweep

        config = compose("sweep", [*given(corpus, folder, store), *overrides])
        if space is not None:
            config.sweep.space = space
        return sweep(config)

    return searched


SPACES = sorted(path.stem for path in (ROOT / "conf" / "sweep").glob("*.yaml"))


@pytest.mark.parametrize("name", SPACES)
def test_every_space_fits_its_model(name, compose):
    from hydra.utils import instantiate

    from pipeline.sweep import checked, configured

    config = compose("sweep", [f"sweep={name}"])
    space = checked(OmegaConf.to_container(config.sweep.space, resolve=True))
    for last in (False, True):
        chosen = {
            key: (values["high" if last else "low"] if isinstance(values, dict) else values[-last])
            for key, values in space.items()
        }
        made = configured(config, chosen)
        assert made.model.name == config.sweep.model
        instantiate(made.model.estimator, _convert_="all")


def test_the_page_names_every_space():
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == SPACES
    shown = page.split("```yaml\n")[1].split("```")[0]
    assert shown == (ROOT / "conf" / "sweep" / "tfidf_logreg.yaml").read_text(encoding="utf-8")


def trials(folder):
    kept = json.loads((folder / "sweep" / "trials.json").read_text())["trials"]
    return [(one["trial"], one["macro_f1"], one["settings"]) for one in kept]


@pytest.mark.extra
def test_the_best_is_trained_and_tested(search, store, tmp_path, capsys):
    metrics = search("trials=4")
    best = max(trials(tmp_path), key=lambda one: one[1])
    assert metrics["cross_validation"]["macro_f1"]["value"] == pytest.approx(best[1]), (
        "with the best settings"
    )
    assert (tmp_path / "bundle" / "manifest.json").is_file() and (
        tmp_path / "report" / "metrics.json"
    ).is_file()
    said = capsys.readouterr().out
    assert all(f"trial {n} of 4: 0." in said for n in range(1, 5))
    text = (tmp_path / "sweep" / "summary.md").read_text()
    assert text in said
    assert text.count(" [0.") >= 5 and "| setting " in text and "4 trials." in text
    assert (tmp_path / "sweep" / "importance.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.extra
def test_the_summary_names_the_command_that_trains_the_best(search, tmp_path, compose):
    search("trials=2")
    text = (tmp_path / "sweep" / "summary.md").read_text()
    command = shlex.split(re.search(r"`python -m pipeline.train (.*)`", text)[1])
    best = max(trials(tmp_path), key=lambda one: one[1])[2]
    assert best[MODEL] == compose("train", command).model.estimator.steps[1][1].estimator.C


@pytest.mark.extra
def test_the_test_articles_are_not_looked_at(search, corpus, tmp_path):
    """Every label of every test sentence is turned round: trials and choice are the same."""
    first = search("trials=3")
    other = make_corpus(tmp_path / "other")
    held = {f"story-{n:02}" for n in (4, 8, 13, 18, 20)}
    names = first["labels"]
    for row in other.rows:
        if row["article"] in held:
            row["labels"] = [name for name in names if name not in row["labels"]]
    other.write_annotations(other.rows)
    second = search("trials=3", corpus=other, folder=tmp_path / "second")
    assert trials(tmp_path / "second") == trials(tmp_path)
    assert second["cross_validation"] == first["cross_validation"]
    assert second["test"]["macro_f1"] != first["test"]["macro_f1"]


@pytest.mark.extra
def test_it_goes_on_to_more_trials(search, store, tmp_path, capsys):
    search("trials=2")
    before = trials(tmp_path)
    capsys.readouterr()
    search("trials=3")
    said = capsys.readouterr().out
    assert "2 trials were kept" in said and "trial 3 of 3" in said and "trial 2 of 3" not in said
    assert trials(tmp_path)[:2] == before


@pytest.mark.extra
def test_the_runs_are_a_family(search, store):
    metrics = search("trials=2")
    best = client(store).get_run(metrics["run_id"])
    parent = client(store).get_run(best.data.tags["mlflow.parentRunId"])
    assert parent.info.run_name.startswith(
        "sweep tfidf_logreg"
    )  # a number follows where others have the name
    assert parent.info.status == "FINISHED"
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client(store).search_runs([parent.info.experiment_id], query)
    names = {re.sub(r"-\d+$", "", run.info.run_name) for run in children}  # as the parent's
    assert names == {"tfidf_logreg", "tfidf_logreg 1", "tfidf_logreg 2"}
    for run in children:
        assert run.info.status == "FINISHED"
        assert MODEL in run.data.params
        has_test = any(key.startswith("test/") for key in run.data.metrics)
        assert has_test == (run.info.run_id == metrics["run_id"]), "only the best is tested"
        assert "cv/macro_f1" in run.data.metrics
    history = client(store).get_metric_history(parent.info.run_id, "cv/macro_f1")
    assert [point.step for point in history] == [1, 2]
    assert {one.path for one in client(store).list_artifacts(parent.info.run_id)} >= {
        "summary.md",
        "trials.json",
    }


@pytest.mark.extra
def test_settings_that_do_not_go_together_are_passed_over(search, tmp_path, capsys):
    search("trials=4", space={"model.estimator.steps.0.1.min_df": [1, 100_000]})
    found = trials(tmp_path)
    assert {one[1] is None for one in found} == {True, False}
    assert "failed" in capsys.readouterr().out
    failed = sum(one[1] is None for one in found)
    assert f"4 trials, {failed} failed" in (tmp_path / "sweep" / "summary.md").read_text()


@pytest.mark.extra
@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"split.folds": [3, 5]}, "split.folds: trials can differ in model and decision only"),
        ({"seed": [1, 2]}, "seed: trials can differ"),
        ({}, "expected keys of the configuration"),
        ({"model.estimator.steps.1.1.estimator.D": [1, 2]}, "estimator.D: unknown key"),
        ({"decision": ["f2"]}, "decision=f2: no such choice"),
        ({"model.name": {"low": 3}}, "expected a list of choices"),
    ],
)
def test_a_space_that_cannot_be_searched(search, space, said):
    with pytest.raises(ConfigError, match=said):
        search("trials=3", space=space)


@pytest.mark.extra
def test_one_at_a_time(search, tmp_path):
    from pipeline.files import locked

    (tmp_path / "sweep").mkdir()
    with locked(tmp_path / "sweep" / "study.lock"), pytest.raises(InputError, match="another process"):
        search("trials=2")


def test_without_optuna_the_extra_is_named(stage, monkeypatch):
    monkeypatch.setattr("pipeline.schema.find_spec", lambda name: None)
    assert stage("sweep").refused("a sweep needs the package optuna: make extra-sweep")


@pytest.mark.extra
@pytest.mark.slow
def test_killed_it_ends_as_if_it_had_not_been(corpus, store, tmp_path):
    pytest.importorskip("optuna")

    def start(folder):
        arguments = [*given(corpus, folder, store), "trials=5"]
        command = [sys.executable, "-m", "pipeline.sweep", *arguments]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

    process = start(tmp_path / "killed")
    for line in process.stdout:
        if line.startswith("trial 2 of"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    said = start(tmp_path / "killed").communicate(timeout=900)[0]
    assert re.search(r"^[23] trials were kept", said, re.M)
    start(tmp_path / "whole").communicate(timeout=900)
    assert trials(tmp_path / "killed") == trials(tmp_path / "whole")
    name = "weights.safetensors"
    killed, whole = (tmp_path / one / "bundle" / name for one in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()


def commands():
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    return re.findall(r"^python -m pipeline\.(.+)$", page, re.M)


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.parametrize("line", [one for one in commands() if one != "leaderboard"])
def test_the_commands_of_the_page(line, corpus, store, tmp_path):
    """Fewer trials and models than the page names: `leaderboard` alone trains them all."""
    pytest.importorskip("optuna")
    (tmp_path / "labelled.jsonl").write_text(
        json.dumps({"text": "It denied it.", "labels": ["denial"], "source": "x"}) + "\n"
    )
    name, *arguments = shlex.split(line)
    own = [one for one in corpus.overrides(tmp_path) if not one.startswith(("model=", "output=", "report="))]
    paths = [f"paths.{key}={tmp_path / key}" for key in ("interim", "models", "reports")]
    arguments += [*own, *paths, f"tracking.uri={store}", f"hydra.sweep.dir={tmp_path / 'outputs'}"]
    arguments = [re.sub("trials=20", "trials=3", one) for one in arguments]
    arguments = [re.sub(r"^models=\[\w+,.*", "models=[majority]", one) for one in arguments]
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{name}", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    wanted = {"leaderboard": "written to", "sweep": "3 trials.", "train": "macro-F1, cross-validation\n"}
    assert wanted[name] in done.stdout
