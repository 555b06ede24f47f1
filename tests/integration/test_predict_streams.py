"""Scoring much: several processes, jobs that are killed, compression, pipes, drift."""

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from pipeline import predict
from pipeline.scoring import Scorer
from pipeline.text.decoding import LONGEST


@pytest.fixture(scope="module")
def source(trained, tmp_path_factory):
    """A table of 400 articles."""
    path = tmp_path_factory.mktemp("many") / "in.jsonl"
    texts = [file.read_text() for file in sorted(trained.corpus.articles.iterdir())]
    rows = [{"id": f"{k}-{i}", "text": t} for k in range(17) for i, t in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def label(stage, trained, source, tmp_path):
    def labelled(output, *more, given=source):
        path = tmp_path / output
        done = stage("predict", f"input={given}", f"output={path}", f"model_uri={trained.bundle}", *more)
        assert done.code == 0, done.err
        return path.read_bytes()

    return labelled


def unpacked(data, packing):
    if packing == ".gz":
        return gzip.decompress(data)
    return pa.CompressedInputStream(io.BytesIO(data), "zstd").read() if packing else data


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv.gz", "out.parquet"])
def test_workers_change_nothing(label, output):
    one = label(output, "batch_size=200")
    assert label(f"two-{output}", "batch_size=200", "workers=2") == one


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_compressed_output_is_what_is_written_plain(label, form, packing):
    plain = label(f"out.{form}", "batch_size=500")
    packed = label(f"out.{form}{packing}", "batch_size=500")
    assert unpacked(packed, packing) == plain
    assert len(packed) < len(plain) / 2


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("form", [".jsonl", ".csv", ".parquet"])
def test_compressed_input_is_read(label, source, tmp_path, form, packing):
    rows = [json.loads(line) for line in source.read_text().splitlines()][:30]
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    if form == ".jsonl":
        sink.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    elif form == ".csv":
        csv.write_csv(table, sink)
    else:
        pq.write_table(table, sink)
    data = sink.getvalue()
    (tmp_path / f"in{form}").write_bytes(data)
    pack = gzip.compress if packing == ".gz" else lambda x: pa.Codec("zstd").compress(x, asbytes=True)
    halves = [data[: len(data) // 2], data[len(data) // 2 :]]  # one after the other: still one file
    (tmp_path / f"in{form}{packing}").write_bytes(b"".join(map(pack, halves)))
    plain, packed = (
        label(f"o{i}.jsonl", given=tmp_path / f"in{form}{p}") for i, p in enumerate(("", packing))
    )
    assert packed == plain
    assert plain.count(b"\n") > 100


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_cut_compressed_input_is_refused(stage, trained, tmp_path, packing):
    data = b'{"text": "The minister denied it."}\n' * 3000 + os.urandom(2000).hex().encode()
    pack = gzip.compress if packing == ".gz" else lambda x: pa.Codec("zstd").compress(x, asbytes=True)
    given = tmp_path / f"in.jsonl{packing}"
    given.write_bytes(pack(data)[:-500])
    done = stage("predict", f"input={given}", f"output={tmp_path / 'o.csv'}", f"model_uri={trained.bundle}")
    assert done.refused(given.name)
    assert [path.name for path in tmp_path.iterdir()] == [given.name]


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.csv.gz", "in.txt.gz", "in.html.gz"])
def test_a_small_file_that_unpacks_to_gigabytes_is_refused(stage, trained, tmp_path, name):
    block = gzip.compress(b"x" * (1 << 22))
    given = tmp_path / name
    given.write_bytes(block * (2 * LONGEST >> 22))
    assert given.stat().st_size < 1e6
    done = stage("predict", f"input={given}", f"output={tmp_path / 'o.jsonl'}", f"model_uri={trained.bundle}")
    assert done.refused(name)


def test_pipes(trained, source):
    command = [sys.executable, "-m", "pipeline.predict", f"model_uri={trained.bundle}", "input=-", "output=-"]
    some = "".join(source.read_text().splitlines(keepends=True)[:5])
    done = subprocess.run(command, input=some, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["article"] for row in rows} == {f"0-{i}" for i in range(5)}
    assert f"{len(rows)} sentences labelled" in done.stderr


@pytest.fixture
def interrupted(stage, trained, source, tmp_path, monkeypatch):
    """Interrupt a job after three pieces; returns its arguments."""

    def ran(output, *more):
        scored, whole = [], Scorer.__call__

        def until_interrupted(self, chunk):
            if len(scored) == 3:
                raise KeyboardInterrupt
            scored.append(chunk)
            return whole(self, chunk)

        path = tmp_path / output
        again = [f"input={source}", f"output={path}", f"model_uri={trained.bundle}", "batch_size=400", *more]
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Scorer, "__call__", until_interrupted)
            stage("predict", *again)
        assert not path.exists()
        return again

    return ran


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv.gz", "out.parquet"])
def test_an_interrupted_job_goes_on_and_ends_with_the_same_bytes(label, stage, interrupted, tmp_path, output):
    wanted = label(output, "batch_size=400", "drift=" + str(tmp_path / "one.json"))
    (tmp_path / output).unlink()
    again = interrupted(output, f"drift={tmp_path / 'other.json'}")
    done = stage("predict", *again)
    assert "going on after" in done.err
    assert (tmp_path / output).read_bytes() == wanted
    assert (tmp_path / "other.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([output, "one.json", "other.json"])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(label, trained, source, tmp_path, workers):
    wanted = label("out.jsonl", "batch_size=40")
    (tmp_path / "out.jsonl").unlink()
    arguments = [f"input={source}", f"output={tmp_path / 'out.jsonl'}", f"model_uri={trained.bundle}"]
    command = [sys.executable, "-m", "pipeline.predict", *arguments, "batch_size=40"]
    state = tmp_path / ".out.jsonl.state"
    job = subprocess.Popen([*command, f"workers={workers}"], stdout=subprocess.DEVNULL)
    while job.poll() is None and not (state.exists() and json.loads(state.read_text())["done"] > 3):
        time.sleep(0.001)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert state.exists() and not (tmp_path / "out.jsonl").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert int(re.search(r"going on after (\d+) sentences", done.stderr)[1]) > 0
    assert (tmp_path / "out.jsonl").read_bytes() == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


RUN_AND_MEASURE = """
import atexit, resource, runpy
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
runpy.run_module("pipeline.predict", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(trained, tmp_path):
    peaks = []
    for n in (20_000, 80_000):
        given, output = tmp_path / f"{n}.jsonl", tmp_path / "out.jsonl"
        with given.open("w") as file:
            for i in range(n):
                text = f"Prices of item{i % 5000} rose {i % 97} percent, word{i * 7919 % 30_011} said again."
                file.write(json.dumps({"id": i, "text": text}) + "\n")
        arguments = [f"input={given}", f"output={output}", "unit=sentence", f"model_uri={trained.bundle}"]
        done = subprocess.run(
            [sys.executable, "-c", RUN_AND_MEASURE, *arguments], capture_output=True, text=True, timeout=600
        )
        assert f"{n} sentences labelled" in done.stdout, done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    assert output.stat().st_size > 1.5e7
    assert peaks[1] < peaks[0] + 1.5e7, "the output alone is as much"


def test_another_version_of_the_project_begins_anew(stage, interrupted, tmp_path, monkeypatch):
    """As one that cuts sentences elsewhere."""
    again = interrupted("out.jsonl")
    package = Path(shutil.copytree(Path(predict.__file__).parent, tmp_path / "pipeline"))
    with (package / "text" / "sentences.py").open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr(predict, "__file__", str(package / "predict.py"))
    done = stage("predict", *again)
    assert done.code == 0 and "going on after" not in done.err


def test_a_changed_input_begins_anew(label, source, tmp_path):
    given = tmp_path / "in.jsonl"
    lines = source.read_text().splitlines(keepends=True)
    given.write_text("".join(lines[:50]))
    first = label("o.jsonl", given=given)
    given.write_text("".join(lines[:51]))
    assert label("o.jsonl", given=given) != first


def test_drift_is_counted_the_same_by_several(label, tmp_path):
    reports = []
    for workers in (1, 2):
        name = tmp_path / f"drift{workers}.json"
        label("out.jsonl", f"drift={name}", f"workers={workers}", "batch_size=500")
        reports.append(json.loads(name.read_text()))
    assert reports[0] == reports[1]
    assert reports[0]["sentences"]["now"] > 2000
    assert set(reports[0]["labels"]) == {"accusation", "denial", "policy_action", "economic_claim"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["workers=0"], ["workers=0"]),
        (["workers=two"], ["workers=two"]),
        (["drift=x.txt"], ["drift=x.txt", ".html or .json"]),
        (["output=x.parquet.gz"], ["x.parquet.gz", "compressed already"]),
        (["output=x.html", "drift=y.html"], ["drift"]),
        (["engine=spark", "drift=y.html"], ["drift and workers are for engine=local", "spark.master"]),
        (["engine=spark", "workers=2"], ["drift and workers are for engine=local", "spark.master"]),
    ],
)
def test_bad_settings_are_one_line(stage, trained, source, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    base = [f"input={source}", f"model_uri={trained.bundle}"]
    output = [] if more[0].startswith("output") else ["output=o.jsonl"]
    assert stage("predict", *base, *output, *more).refused(*words)
    assert not list(tmp_path.iterdir())
