"""Every way to ask a bundle gives the same scores for the same 2,000 sentences, a row per row."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.bundle import load

pytestmark = pytest.mark.slow
SHARED = Path(__file__).resolve().parents[3] / "shared" / "news" / "articles.jsonl"
MLFLOW = Path(sys.executable).with_name("mlflow")
N = 2000


@pytest.fixture(scope="module", params=["tfidf_logreg", "ensemble"])
def classifier(request, trained, train, tmp_path_factory):
    """The quick one, and the default with all its parts."""
    if request.param == "tfidf_logreg":
        return trained
    more = (f"model={request.param}", "behaviour=false", "tracking.register=null")
    return train(trained.corpus, tmp_path_factory.mktemp(request.param), *more)


@pytest.fixture(scope="module")
def texts(trained):
    """Real news where it is at hand, else the small corpus again and again; and what no news is."""
    from pipeline.ingest import ingest

    found = ingest(SHARED) if SHARED.exists() else ingest(trained.corpus.articles)
    some = [sentence.text for sentence, _ in zip(found, range(N), strict=False)]
    odd = [
        None,
        "",
        " ",
        "word " * 2000,
        "x" * 10_000,
        "中文 😀",
        'quotes " ; ,',
        "two\nlines",
        "nan",
        "None",
    ]
    return (odd + some * (N // len(some) + 1))[:N]


@pytest.fixture(scope="module")
def wanted(classifier, texts):
    """Scores and labels of the bundle itself, given a list."""
    bundle = load(classifier.bundle)
    return bundle.probabilities(texts), bundle.label(texts)


def same(frame, wanted, *, decimals=None):
    scores, labels = wanted
    found = np.array([[row[name] for name in names(frame)] for row in frame])
    assert found.shape == scores.shape
    assert (found == (scores if decimals is None else scores.round(decimals))).all()
    assert [list(row["labels"]) for row in frame] == labels
    assert any(labels), "no label at all proves nothing"
    return True


def names(frame):
    return [name for name in frame[0] if name != "labels"]


def records(frame):
    return frame.to_dict("records")


CONTAINERS = {
    "list": list,
    "pandas column": lambda texts: pd.Series(texts, dtype=object),
    "pandas table": lambda texts: pd.DataFrame({"id": range(len(texts)), "text": texts}),
    "Arrow column": lambda texts: pa.array(texts),
    "Arrow table": lambda texts: pa.table({"text": texts}),
    "record batch": lambda texts: pa.record_batch({"text": texts}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_in_this_process(classifier, texts, wanted, name):
    bundle, given = load(classifier.bundle), CONTAINERS[name](texts)
    assert (bundle.probabilities(given) == wanted[0]).all()
    assert bundle.label(given) == wanted[1]


@pytest.mark.parametrize("name", ["list", "pandas column", "pandas table"])
def test_mlflow_pyfunc(classifier, texts, wanted, name):
    import mlflow

    found = mlflow.pyfunc.load_model(str(classifier.bundle)).predict(CONTAINERS[name](texts))
    assert same(records(found), wanted)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_mlflow_models_predict(classifier, texts, wanted, tmp_path, kind):
    source, output = tmp_path / f"in.{kind}", tmp_path / "out.json"
    if kind == "json":
        source.write_text(json.dumps({"inputs": texts}), encoding="utf-8")
    else:
        pd.DataFrame({"text": texts}).to_csv(source, index=False, quoting=csv.QUOTE_ALL)
        # pandas, which reads it for MLflow, takes these words for missing.
        texts = [None if text in ("", "nan", "None") else text for text in texts]
        bundle = load(classifier.bundle)
        wanted = bundle.probabilities(texts), bundle.label(texts)
    command = [MLFLOW, "models", "predict", "-m", classifier.bundle, "--env-manager", "local", "-t", kind]
    done = subprocess.run(
        [*command, "-i", source, "-o", output], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    assert same(json.loads(output.read_text())["predictions"], wanted)


@pytest.mark.parametrize("inputs", [list, lambda texts: {"text": texts}], ids=["list", "column"])
def test_mlflow_models_serve(server, texts, wanted, inputs):
    body = json.dumps({"inputs": inputs(texts)}).encode()
    request = urllib.request.Request(f"{server}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        assert same(json.load(answer)["predictions"], wanted)


@pytest.fixture(scope="module")
def server(classifier):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [MLFLOW, "models", "serve", "-m", classifier.bundle, "--env-manager", "local", "-p", str(port)]
    path = f"{MLFLOW.parent}{os.pathsep}{os.environ['PATH']}"  # it looks there for uvicorn
    process = subprocess.Popen(
        [*command, "-w", "1"],
        env={**os.environ, "PATH": path},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    try:
        yield waited(f"http://127.0.0.1:{port}", process)
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def waited(address, process):
    until = time.monotonic() + 900
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=5).read()
        except OSError:
            time.sleep(0.5)
        else:
            return address
    raise AssertionError("the server did not answer in time")


@pytest.mark.parametrize("extension", ["jsonl", "csv", "parquet"])
def test_the_command_line(command, classifier, texts, wanted, tmp_path, extension):
    import pyarrow.parquet as pq

    source, output = tmp_path / "in.parquet", tmp_path / f"out.{extension}"
    pq.write_table(pa.table({"text": texts}), source)
    done = command(
        "predict", f"input={source}", f"output={output}", f"model_uri={classifier.bundle}", "unit=sentence"
    )
    assert done.code == 0, done.err
    if extension == "jsonl":
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").split("\n")[:-1]]
    elif extension == "parquet":
        rows = pq.read_table(output).to_pylist()
    else:
        with output.open(encoding="utf-8", newline="") as file:
            rows = [
                row
                | {"labels": [x for x in row["labels"].split(";") if x], "scores": json.loads(row["scores"])}
                for row in csv.DictReader(file)
            ]
    # Files have six decimals.
    assert same([row["scores"] | {"labels": row["labels"]} for row in rows], wanted, decimals=6)


@pytest.mark.extra
def test_spark_udf_and_the_spark_engine(classifier, texts, wanted, tmp_path):
    pytest.importorskip("pyspark", reason="make extra-spark")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("no Java here")
    import mlflow
    import pyarrow.parquet as pq

    from pipeline.engines.spark import label, spark

    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"n": range(N), "text": texts}), source, row_group_size=500)
    with spark("local[2]", {"spark.sql.files.maxPartitionBytes": 100_000}) as session:
        udf = mlflow.pyfunc.spark_udf(session, str(classifier.bundle), env_manager="local")
        frame = session.read.parquet(str(source)).withColumn("found", udf("text"))
        rows = sorted(frame.select("n", "found").collect())
        assert same([row["found"].asDict() for row in rows], wanted)
        bundle = load(classifier.bundle)
        output = tmp_path / "out.parquet"
        label(session, str(source), str(output), folder=classifier.bundle, bundle=bundle, unit="sentence")
    rows = [row for part in sorted(output.glob("part-*")) for row in pq.read_table(part).to_pylist()]
    assert [row["n"] for row in rows] == list(range(N))
    assert same([row["scores"] | {"labels": row["labels"]} for row in rows], wanted, decimals=6)
