"""Scoring much: several processes, jobs that are killed, compression, pipes, drift."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

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


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv.gz", "out.parquet"])
def test_an_interrupted_job_goes_on_and_ends_with_the_same_bytes(
    label, stage, trained, source, tmp_path, monkeypatch, output
):
    wanted = label(output, "batch_size=400", "drift=" + str(tmp_path / "one.json"))
    (tmp_path / output).unlink()
    scored, whole = [], Scorer.__call__

    def until_interrupted(self, chunk):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(chunk)
        return whole(self, chunk)

    again = [
        f"input={source}",
        f"output={tmp_path / output}",
        f"model_uri={trained.bundle}",
        "batch_size=400",
    ]
    again.append(f"drift={tmp_path / 'other.json'}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Scorer, "__call__", until_interrupted)
        stage("predict", *again)
    assert not (tmp_path / output).exists()
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
    while job.poll() is None and not state.exists():
        time.sleep(0.001)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert state.exists() and not (tmp_path / "out.jsonl").exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert "going on after" in done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


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
