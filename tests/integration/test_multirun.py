"""Grids: folders and runs of their own, under one parent, on one core or two."""

import json
import re
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.conftest import runs_of_news

pytestmark = pytest.mark.slow


def client(store):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


def multirun(corpus, tmp_path, store, *overrides):
    own = [one for one in corpus.overrides(tmp_path) if not one.startswith(("output", "report", "model"))]
    where = [
        f"tracking.uri={store}",
        f"hydra.sweep.dir={tmp_path / 'outputs'}",
        f"paths.models={tmp_path / 'models'}",
    ]
    command = [sys.executable, "-m", "pipeline.train", "-m", *own, *where, *overrides]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)


def family(store, name):
    (parent,) = [run for run in runs_of_news(store) if run.info.run_name == name]
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return parent, runs_of_news(store, query)


JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


@pytest.mark.parametrize(
    "launcher", [[], pytest.param(JOBLIB, marks=pytest.mark.extra)], ids=["basic", "joblib"]
)
def test_a_grid(corpus, tmp_path, launcher):
    """A new store: with two cores, two jobs come to make its tables at once."""
    if launcher:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="make extra-sweep")
    store = f"sqlite:///{tmp_path / 'new.db'}"
    done = multirun(corpus, tmp_path, store, "model=tfidf_logreg,majority", *launcher)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    found = [
        json.loads((tmp_path / "outputs" / str(n) / "report" / "metrics.json").read_text()) for n in range(2)
    ]
    assert [one["model"] for one in found] == ["tfidf_logreg", "majority"]
    assert all((tmp_path / "outputs" / str(n) / "bundle" / "manifest.json").is_file() for n in range(2))
    assert not (tmp_path / "models").exists(), "the latest model is left alone"
    parent, children = family(store, "multirun model=tfidf_logreg,majority")
    assert parent.info.status == "FINISHED"
    assert {run.info.run_id for run in children} == {one["run_id"] for one in found}
    table = done.stdout.rpartition("macro-F1, cross-validation\n")[2]
    assert re.findall(r"^ +(0\.\d{4})  model=(\w+)  ", table, re.M) == [
        (f"{one['cross_validation']['macro_f1']['value']:.4f}", one["model"]) for one in found
    ]


def test_a_job_that_fails_ends_it_in_one_line(corpus, tmp_path, store):
    done = multirun(corpus, tmp_path, store, "model=majority", "split.folds=3,4000")
    assert done.returncode == 2
    assert done.stderr.startswith("error: split.folds=4000") and done.stderr.count("\n") == 1
    parent, children = family(store, "multirun split.folds=3,4000")
    assert parent.info.status == "FAILED"
    assert sorted(child.info.status for child in children) == ["FAILED", "FINISHED"]


def test_outputs_named_for_all_stay(corpus, tmp_path, store):
    output = tmp_path / "named"
    done = multirun(corpus, tmp_path, store, "model=majority", "seed=1,2", f"output={output}-${{seed}}")
    assert done.returncode == 0, done.stderr
    assert all((Path(f"{output}-{seed}") / "manifest.json").is_file() for seed in (1, 2))


def log_runs(uri, count):
    from pipeline.tracking.run import run

    for n in range(count):
        with run(uri, "news", f"run {n}", Path("/")) as opened:
            opened.parameters({f"p{k}": k for k in range(120)})
            opened.numbers({f"m{k}": k for k in range(5)})
            opened.tags({"a": "b"})


def test_many_writers_to_a_store_that_is_not_there_yet(tmp_path):
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    with get_context("spawn").Pool(4) as pool:
        pool.starmap(log_runs, [(uri, 3)] * 4)
    found = runs_of_news(uri)
    assert [(run.info.status, len(run.data.params), len(run.data.metrics)) for run in found] == [
        ("FINISHED", 120, 5)
    ] * 12
