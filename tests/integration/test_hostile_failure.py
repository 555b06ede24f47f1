"""Failure: what dies, is full, forbidden, slow or away costs no result, and nothing half-done counts."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from urllib.request import urlopen

import pytest

from pipeline.bundle import load
from pipeline.record import kept_at
from pipeline.scoring import WorkerError, pieces
from tests.conftest import runs_of_news

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["behaviour=false"]


def made(folder):
    """The files of a bundle, without what differs between machines."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def client(store):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


@pytest.fixture
def no_retries(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


# --- the tracking store -------------------------------------------------------------------------------


def logged(done, store, stage):
    """Log afterwards, and return the run."""
    said = stage("log", f"report={done.report}", f"tracking.uri={store}")
    assert said.code == 0, said.err
    metrics = json.loads((done.report / "metrics.json").read_text())
    run = client(store).get_run(metrics["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test/macro_f1"] == metrics["test"]["macro_f1"]["value"]
    assert run.data.params["model.name"] == "tfidf_logreg"
    assert run.outputs.model_outputs
    assert {"metrics.json", "report.html"} <= {
        one.path for one in client(store).list_artifacts(run.info.run_id)
    }
    assert not kept_at(done.report).exists()
    return run


def test_a_server_that_is_down_costs_no_model_and_one_command_logs_it(
    train, corpus, tmp_path, store, stage, no_retries, capfd
):
    done = train(corpus, tmp_path, *QUICK, "tracking.uri=http://127.0.0.1:9")
    said = capfd.readouterr()
    assert f"python -m pipeline.log report={done.report}" in said.out
    assert load(done.bundle).card["model"] == "tfidf_logreg"
    assert (done.report / "report.html").is_file()
    down = stage("log", f"report={done.report}", "tracking.uri=http://127.0.0.1:9")
    assert down.refused("is the server running?")
    logged(done, store, stage)
    assert stage("log", f"report={done.report}").refused("has nothing left to be logged")


def test_a_server_that_never_answers_costs_no_model(train, corpus, tmp_path, store, stage, no_retries, capfd):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = train(corpus, tmp_path, *QUICK, f"tracking.uri=http://127.0.0.1:{silent.getsockname()[1]}")
    assert "Training goes on without a log." in capfd.readouterr().err
    logged(done, store, stage)


@pytest.mark.parametrize("call", ["log_batch", "log_outputs"])
def test_a_store_that_dies_in_the_middle(train, corpus, tmp_path, store, stage, monkeypatch, capfd, call):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def broken(*_, **__):
        raise MlflowException("connection lost")

    with monkeypatch.context() as broke:
        broke.setattr(MlflowClient, call, broken)
        done = train(corpus, tmp_path, *QUICK)
    said = capfd.readouterr()
    assert "The log is incomplete; bundle and report are not." in said.err
    assert f"python -m pipeline.log report={done.report}" in said.out
    run = logged(done, store, stage)
    assert run.info.run_id == done.metrics["run_id"], "the run goes on that was broken off"


def test_a_bundle_of_another_training_is_not_logged_with_it(train, corpus, tmp_path, stage, no_retries):
    done = train(corpus, tmp_path, *QUICK, "tracking.uri=http://127.0.0.1:9")
    train(corpus, tmp_path, *QUICK, f"report={tmp_path / 'other'}", "model=majority")
    assert stage("log", f"report={done.report}").refused("is of another training than")
    (done.report / "metrics.json").unlink()
    assert stage("log", f"report={done.report}").refused("metrics.json", "train again")


@pytest.mark.slow
def test_a_real_server_killed_in_the_middle(train, corpus, tmp_path, stage, monkeypatch, no_retries):
    import pipeline.bundle

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begin = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/m.db"]
    begin += ["--artifacts-destination", str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--workers", "1"]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    uri = f"http://127.0.0.1:{port}"

    def start():
        with (tmp_path / "log").open("a") as log:
            how = {"stdout": log, "stderr": log, "env": env, "start_new_session": True}
            process = subprocess.Popen([*begin, "--port", str(port)], **how)
        for _ in range(240):
            try:
                with urlopen(f"{uri}/health", timeout=5):
                    return process
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.5)
        raise AssertionError("the server does not start")

    def kill(process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    process = start()
    saved = pipeline.bundle.save

    def save(*arguments):
        kill(process)
        return saved(*arguments)

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    with monkeypatch.context() as dying:
        dying.setattr(pipeline.bundle, "save", save)
        done = train(corpus, tmp_path, *QUICK, f"tracking.uri={uri}")
    assert done.metrics["run_id"]
    assert load(done.bundle)
    process = start()
    try:
        assert logged(done, uri, stage).info.run_id == done.metrics["run_id"]
    finally:
        kill(process)


# --- the disk -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    at = tmp_path / "small"
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(at)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield at
    subprocess.run(["umount", str(at)], check=True)


@pytest.mark.parametrize("which", ["ingest", "predict", "train"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    which, stage, trained, corpus, small_disk, tmp_path, store, monkeypatch
):
    monkeypatch.chdir(Path(store.removeprefix("sqlite:///")).parent)
    kept = small_disk / "kept.jsonl"
    kept.write_text("before\n")
    rows = tmp_path / "in.jsonl"
    rows.write_text((json.dumps({"text": "The ministry denied that it had leaked it. " * 9}) + "\n") * 6000)
    arguments = {
        "ingest": [f"input={rows}", f"output={kept}"],
        "predict": [f"input={rows}", f"output={kept}", f"model_uri={trained.bundle}", "batch_size=500"],
        "train": [
            *corpus.overrides(tmp_path),
            f"output={small_disk / 'bundle'}",
            f"tracking.uri={store}",
            *QUICK,
        ],
    }
    if which == "train":
        (small_disk / "filler").write_bytes(bytes(900_000))
    done = stage(which, *arguments[which])
    assert done.code == 2
    assert "cannot be written (No space left on device); choose another output" in done.err
    left = {"kept.jsonl", "filler"} if which == "train" else {"kept.jsonl"}
    assert {path.name for path in small_disk.iterdir()} == left
    assert kept.read_text() == "before\n"


@pytest.mark.parametrize("which", ["ingest", "predict", "train"])
def test_without_permission_it_is_one_line(which, trained, corpus, tmp_path, store):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    before = []
    if os.geteuid() == 0:  # who may do anything; without that right, and in another's folder, not
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and there is no setpriv to give that up")
        os.chown(locked, 65534, 65534)
        before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    rows = tmp_path / "in.jsonl"
    rows.write_text(json.dumps({"text": "The ministry denied it."}) + "\n")
    arguments = {
        "ingest": [f"input={rows}", f"output={locked / 'o.jsonl'}"],
        "predict": [f"input={rows}", f"output={locked / 'o.jsonl'}", f"model_uri={trained.bundle}"],
        "train": [*corpus.overrides(locked), f"tracking.uri={store}"],
    }
    command = [*before, sys.executable, "-m", f"pipeline.{which}", *arguments[which]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "cannot be written (Permission denied); choose another output" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(locked.iterdir()) == []


# --- memory, time, two at once ------------------------------------------------------------------------


def test_a_worker_killed_for_memory_is_one_line_and_the_rerun_goes_on(stage, trained, tmp_path, monkeypatch):
    rows = tmp_path / "in.jsonl"
    rows.write_text(
        "".join(json.dumps({"text": f"The ministry denied it {n} times."}) + "\n" for n in range(900))
    )
    common = [f"input={rows}", "unit=sentence", f"model_uri={trained.bundle}", "batch_size=50"]
    alone = tmp_path / "alone.jsonl"
    assert stage("predict", *common, f"output={alone}").code == 0
    out = tmp_path / "out.jsonl"
    killed = threading.Thread(target=kill_a_child, args=(out,))
    killed.start()
    done = stage("predict", *common, f"output={out}", "workers=2")
    killed.join()
    assert done.refused("a worker was ended", "memory", "goes on")
    assert not out.exists()
    done = stage("predict", *common, f"output={out}", "workers=2")
    assert done.code == 0, done.err
    assert out.read_bytes() == alone.read_bytes()


def test_a_worker_that_was_just_starting_is_not_waited_for(monkeypatch):
    late = get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)

    class Broken:
        def __init__(self, *_, **__):
            late.start()

        def submit(self, *_):
            raise BrokenProcessPool

        def shutdown(self, **_):
            late.join(20)

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", Broken)
    with pytest.raises(WorkerError, match="a worker was ended"):
        list(pieces(None, None, [["row"]], 2))
    ended = not late.is_alive()
    late.kill()
    assert ended


def kill_a_child(out, wait=60):
    """Kill a worker as the system does where memory runs out, once something is written."""
    import psutil

    partial = out.with_name(f".{out.name}.state")
    for _ in range(wait * 100):
        workers = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
        if workers and partial.is_file():
            workers[-1].kill()
            return
        time.sleep(0.01)


def test_memory_that_runs_out_is_one_line(stage, tmp_path, monkeypatch):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr("pipeline.ingest.batches", greedy)
    (tmp_path / "in.txt").write_text("It rained.")
    done = stage("ingest", f"input={tmp_path / 'in.txt'}", f"output={tmp_path / 'o.jsonl'}")
    assert done.refused("out of memory; give fewer workers, a smaller batch_size or a smaller input")
    assert not (tmp_path / "o.jsonl").exists()


def test_a_clock_that_was_changed_makes_nothing_stale(stage, corpus, tmp_path, store, monkeypatch):
    """What is current is told by content, not by time."""
    shift = 10 * 365 * 86400
    monkeypatch.chdir(Path(store.removeprefix("sqlite:///")).parent)
    arguments = [*corpus.overrides(tmp_path), f"tracking.uri={store}", *QUICK, "model=majority"]
    assert stage("train", *arguments).code == 0
    now = time.time()
    for path in (tmp_path / "labelled.parquet", *corpus.folder.rglob("*")):
        os.utime(path, (now + shift, now + shift))
    monkeypatch.setattr(time, "time", lambda: now - shift)
    done = stage("train", *arguments)
    assert done.code == 0, done.err
    assert "labelled sentences are" not in done.out, "neither stale nor missing"


@pytest.mark.slow
def test_two_trainings_at_once_on_one_store_and_folder(corpus, tmp_path, command):
    store = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    (tmp_path / "new").mkdir()
    arguments = [*corpus.overrides(tmp_path), f"tracking.uri={store}", *QUICK]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: command("train", *arguments), range(2)))
    assert [done.code for done in both] == [0, 0], [done.err for done in both]
    assert load(tmp_path / "bundle").card["model"] == "tfidf_logreg"
    found = runs_of_news(store)
    first, second = sorted(run.info.run_name for run in found)
    assert second == f"{first}-2"
    assert {run.info.status for run in found} == {"FINISHED"}
    assert not [
        path.name for path in tmp_path.iterdir() if path.name.endswith((".tmp", ".old", ".unlogged.json"))
    ]
