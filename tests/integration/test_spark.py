"""The Spark engine gives what the local one does. Needs PySpark and Java."""

import datetime
import gzip
import json
import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="make extra-spark")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("no Java here", allow_module_level=True)

from pipeline.bundle import load, save
from pipeline.engines import spark as engine
from pipeline.schema import ConfigError, InputError

pytestmark = [pytest.mark.slow, pytest.mark.extra]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "spark.md"
# Small pieces, so that a small file is cut in many places.
CONF = {
    "spark.sql.files.maxPartitionBytes": "4000",
    "spark.sql.shuffle.partitions": "3",
    # A job is over before the second compiler would pay.
    "spark.driver.extraJavaOptions": "-Dlog4j2.level=OFF -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}
TEXTS = [
    "The minister denied that it had broken any rule.",
    "",
    "The regulator ordered the bank to stop selling loans; sales rose 3 percent.",
    None,
    'Quotes " and, commas;\nand a new\u2028line',
    "中文 and emoji 😀",
    "Residents accused the mayor of hiding costs.",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def session():
    with engine.spark("local[2]", CONF) as session:
        yield session


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parquet(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
    return path


WRITE = {"jsonl": jsonl, "parquet": parquet}


def parts(folder):
    names = sorted(path for path in folder.rglob("*") if path.is_file() and path.name[0] not in "._")
    assert {path.suffix for path in names} <= {folder.suffix}
    return names


def read(path):
    if path.is_dir():
        assert (path / "_SUCCESS").exists()
        return [row for part in parts(path) for row in read(part)]
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None).to_pylist()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def both(session, trained, stage, tmp_path):
    """Label with both engines; returns the folder that Spark wrote, after comparing the rows."""

    def ran(source, extension, unit="sentence", **more):
        here, there = tmp_path / f"local.{extension}", tmp_path / f"spark.{extension}"
        done = stage(
            "predict", f"input='{source}'", f"output={here}", f"unit={unit}", f"model_uri={trained.bundle}"
        )
        assert done.code == 0, done.err
        counts = label(session, trained, source, there, unit=unit, **more)
        assert read(there) == read(here)
        said = ", ".join(f"{name} {n}" for name, n in counts.items() if name != "rows")
        assert f"{counts['rows']} sentences labelled: {said}\n" in done.out
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        return there

    return ran


def label(session, trained, source, output, *, unit="sentence", **more):
    bundle = load(trained.bundle)
    return engine.label(
        session, str(source), str(output), folder=trained.bundle, bundle=bundle, unit=unit, **more
    )


def sentences(trained, times=1):
    texts = [*TEXTS, *(row["text"] for row in trained.corpus.rows)] * times
    return [
        {"id": f"r{i}", "text": text, "labels": "old", "n": i, "w": i / 7} for i, text in enumerate(texts)
    ]


# --- equal to the local engine ------------------------------------------------------------------------


@pytest.mark.parametrize("target", WRITE)
@pytest.mark.parametrize("source", WRITE)
def test_rows_of_a_file(both, trained, tmp_path, source, target):
    rows = sentences(trained)
    folder = both(WRITE[source](tmp_path / f"in é.{source}", rows), target, batch_size=7)
    assert len(parts(folder)) > 2, "one piece proves nothing"
    assert [row["id"] for row in read(folder)] == [row["id"] for row in rows]


@pytest.mark.parametrize("source", WRITE)
def test_articles(both, trained, tmp_path, source):
    """With ids, without, and in two files whose stems are the same."""
    texts = [path.read_text() for path in sorted(trained.corpus.articles.iterdir())]
    rows = [{"text": text, "title": f"Of {i}"} | ({"id": i} if i % 3 else {}) for i, text in enumerate(texts)]
    WRITE[source](tmp_path / "in" / "b" / f"x.{source}", rows[:14])
    WRITE[source](tmp_path / "in" / "a-b" / f"x.{source}", rows[14:])
    folder = both(tmp_path / "in", source, unit="article")
    assert {"a-b/x." + source + ":2", "b/x." + source + ":13"} <= {row["article"] for row in read(folder)}


@pytest.mark.parametrize(("source", "target"), [("jsonl", "parquet"), ("parquet", "jsonl"), ("parquet",) * 2])
def test_labels_left_to_a_person(session, trained, stage, tmp_path, source, target):
    careful = replace(trained, folder=tmp_path)
    bundle = load(trained.bundle)
    bundle.decision.error_rate, bundle.decision.least_ = 0.1, bundle.decision.thresholds_ / 2
    save(bundle, careful.bundle)
    rows = [row | {"undecided": "old"} for row in sentences(trained)]
    path, here = WRITE[source](tmp_path / f"in.{source}", rows), tmp_path / f"local.{target}"
    there = tmp_path / f"spark.{target}"
    done = stage("predict", f"input={path}", f"output={here}", "unit=sentence", f"model_uri={careful.bundle}")
    assert done.code == 0, done.err
    counts = label(session, careful, path, there)
    assert read(there) == read(here)
    left = sum(bool(row["undecided"]) for row in read(there))
    assert counts["left to a person"] == left and 0 < left < len(rows)
    assert f"left to a person {left}\n" in done.out
    assert {row["input_undecided"] for row in read(there)} == {"old"}


def test_many_files_in_the_order_of_their_names(session, trained, tmp_path):
    """Spark reads the largest first."""
    rows = sentences(trained)
    sizes = [3, 40, 1, 25, 60, 2]
    for i, size in enumerate(sizes):
        done = sum(sizes[:i])
        jsonl(tmp_path / "in" / f"[{i}] {'ab'[i % 2]}" / "same.jsonl", rows[done : done + size])
    label(session, trained, tmp_path / "in", tmp_path / "out.jsonl")
    found = [row["id"] for row in read(tmp_path / "out.jsonl")]
    assert found == [row["id"] for row in rows[: sum(sizes)]]


def test_folders_that_name_a_column_are_read_and_written(session, trained, tmp_path):
    for year in ("007", "2024"):
        parquet(tmp_path / "in" / f"year={year}" / "x.parquet", [{"text": text or ""} for text in TEXTS])
    for extension in WRITE:
        output = tmp_path / f"out.{extension}"
        label(session, trained, tmp_path / "in", output, partition_by=["year"])
        assert sorted(path.name for path in output.iterdir() if "=" in path.name) == ["year=007", "year=2024"]
        found = [row for part in parts(output) if part.parent.name == "year=007" for row in read(part)]
        assert len(found) == len(TEXTS)
        assert not [row for row in found if "year" in row]
    table = ds.dataset(tmp_path / "out.parquet", partitioning="hive").to_table()
    assert table.num_rows == 2 * len(TEXTS)


def test_gzipped_lines_byte_order_mark_and_dates(both, tmp_path):
    lines = "\ufeff" + "".join(json.dumps({"text": text}) + "\r\n\r\n" for text in TEXTS)
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    both(tmp_path / "in.jsonl.gz", "jsonl")
    rows = [{"text": "one", "day": datetime.date(2024, 5, 1), "at": datetime.datetime(2024, 5, 1, 12, 30)}]
    for extension in WRITE:
        both(parquet(tmp_path / "in.parquet", rows), extension)


@pytest.mark.parametrize("target", WRITE)
def test_ingest(session, trained, stage, tmp_path, target):
    rows = [{"id": p.stem, "body": p.read_text()} for p in sorted(trained.corpus.articles.iterdir())]
    source, here, there = (
        jsonl(tmp_path / "in.jsonl", rows),
        tmp_path / f"h.{target}",
        tmp_path / f"t.{target}",
    )
    assert stage("ingest", f"input={source}", f"output={here}", "text=body").code == 0
    counts = engine.cut(session, str(source), str(there), text="body")
    assert read(there) == read(here)
    assert counts == {"rows": len(read(here))}


# --- whole or not at all ------------------------------------------------------------------------------

BAD = {
    "not an object": ("[1]\n", ["in.jsonl: line 501: must be an object"]),
    "a number": ('{"text": 5}\n', ["in.jsonl: line 501: 'text' must be a string, got int"]),
    "cut off": ('{"text": \n', ["line 501: invalid JSON"]),
    "another encoding": ('{"text": "Caf\udce9"}\n', ["line 501: not UTF-8 at byte 13"]),
    "late column": ('{"text": "a", "late": 1}\n', ["column 'late' is not in the first rows; write .jsonl"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_and_the_old_output_stays(session, trained, tmp_path, name):
    line, words = BAD[name]
    text = '{"text": "fine"}\n' * 500 + line + '{"text": "fine"}\n' * 90
    (tmp_path / "in.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "out.parquet").write_text("old")
    with pytest.raises(InputError) as caught:
        label(session, trained, tmp_path / "in.jsonl", tmp_path / "out.parquet", batch_size=50)
    assert all(word in str(caught.value) for word in words)
    assert (tmp_path / "out.parquet").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.parquet"]


INPUTS = {
    "missing.jsonl": (None, "does not exist"),
    "empty.jsonl": ("", "is empty"),
    "blank.jsonl": ("\n\n", "has no rows"),
    "body.jsonl": ('{"body": "x"}\n', "no column 'text'"),
    "mixed.jsonl": ('{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n', "write .jsonl"),
    "notes.txt": ("x", "nothing that engine=spark reads"),
    "bad.parquet": ("PAR1", "Spark cannot read it"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_cannot_be_used(session, trained, tmp_path, name):
    content, words = INPUTS[name]
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        label(session, trained, tmp_path / name, tmp_path / "out.parquet")
    assert not [path for path in tmp_path.iterdir() if path.name != name]


def test_ids_twice_are_refused(session, trained, tmp_path):
    rows = [{"id": name, "text": "Prices rose."} for name in ("a", "b", " a")]
    for write in (jsonl, parquet):
        source = write(tmp_path / f"in.{write.__name__}", rows)
        with pytest.raises(InputError, match="duplicate id 'a'; make ids unique"):
            label(session, trained, source, tmp_path / "out.jsonl", unit="article")


def test_outputs_that_cannot_be_used(session, trained, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", [{"text": "x"}])
    (tmp_path / "full.jsonl").mkdir()
    (tmp_path / "full.jsonl" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="is a folder with other files"):
        label(session, trained, source, tmp_path / "full.jsonl")
    with pytest.raises(InputError, match="the input"):
        label(session, trained, source, source)
    with pytest.raises(ConfigError, match=r"extension must be one of \.jsonl, \.parquet"):
        label(session, trained, source, tmp_path / "out.csv")
    with pytest.raises(ConfigError, match=r"partition_by: no column 'txt'; did you mean 'text'"):
        label(session, trained, source, tmp_path / "out.jsonl", partition_by=["txt"])


def test_an_output_of_before_is_replaced(session, trained, tmp_path):
    output = tmp_path / "out.jsonl"
    for n in (900, 3):
        label(session, trained, jsonl(tmp_path / "in.jsonl", [{"text": "x"}] * n), output)
        assert len(read(output)) == n
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


# --- what happens on a cluster: sessions of their own, so these come last ------------------------------


def dying(monkeypatch, session, flag):
    """Make the first worker that comes to the middle of the input die as if killed for memory."""
    frames = type(session.range(1))
    plain = frames.mapInArrow

    def fragile(frame, work, columns):
        def worked(batches):
            for batch in work(batches):
                if any('"n": 200,' in line for line in batch["value"].to_pylist()):
                    try:
                        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
                    except FileExistsError:
                        pass
                    else:
                        os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        return plain(frame, worked, columns)

    monkeypatch.setattr(frames, "mapInArrow", fragile)


def test_a_lost_partition_is_done_again(session, trained, tmp_path, monkeypatch):
    session.stop()
    source = jsonl(tmp_path / "in.jsonl", sentences(trained, 3))
    with engine.spark("local[2,3]", CONF) as patient:
        counts = label(patient, trained, source, tmp_path / "quiet.jsonl")
        dying(monkeypatch, patient, tmp_path / "died")
        assert label(patient, trained, source, tmp_path / "out.jsonl") == counts
    assert (tmp_path / "died").exists()
    assert read(tmp_path / "out.jsonl") == read(tmp_path / "quiet.jsonl")


def test_without_a_second_try_nothing_is_written(trained, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "in.jsonl", sentences(trained, 3))
    with engine.spark("local[2]", CONF) as session:
        dying(monkeypatch, session, tmp_path / "died")
        with pytest.raises(Exception, match=r"crash|exited|EOF"):
            label(session, trained, source, tmp_path / "out.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["died", "in.jsonl"]


def test_executors_need_neither_the_project_nor_the_bundle(trained, tmp_path, monkeypatch):
    """Two executors in processes of their own, whose Python does not know this package."""

    def paths(batches):
        from pyspark import SparkFiles

        import pipeline

        for batch in batches:
            here = f"{SparkFiles.getRootDirectory()} {pipeline.__file__}"
            yield pa.record_batch({"path": [here] * batch.num_rows})

    python = tmp_path / "python"
    purelib = next(path for path in sys.path if path.endswith("site-packages"))
    # -S: no .pth file makes the project importable; the packages it needs are there.
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{purelib}" exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)  # of what ran before in this process
    monkeypatch.chdir(tmp_path)
    source = jsonl(tmp_path / "in.jsonl", sentences(trained))
    with engine.spark("local-cluster[2,1,1024]", CONF | {"spark.log.level": "OFF"}) as cluster:
        counts = label(cluster, trained, source, tmp_path / "out.jsonl")
        where = cluster.range(0, 4, 1, 4).mapInArrow(paths, "path string").collect()
    assert counts["rows"] == len(read(tmp_path / "out.jsonl")) == len(sentences(trained))
    # One executor may take all the partitions of a small job; those that took any had the code sent.
    assert where and all("code.zip" in row.path for row in where)


def test_the_command_line(stage, trained, tmp_path):
    """As docs/spark.md shows it: articles to sentences, and those to labels."""
    articles = [{"id": p.stem, "text": p.read_text()} for p in sorted(trained.corpus.articles.iterdir())]
    jsonl(tmp_path / "articles" / "all.jsonl", articles)
    sentences, output = tmp_path / "sentences.parquet", tmp_path / "labelled.parquet"
    engine = ["engine=spark", "spark.master='local[2]'", "+spark.conf.spark.sql.files.maxPartitionBytes=5000"]
    done = stage("ingest", f"input={tmp_path / 'articles'}", f"output={sentences}", *engine)
    assert done.code == 0, done.err
    n = len(read(sentences))
    assert f"{n} sentences; written to {sentences}" in done.out
    assert len(parts(sentences)) > 1
    more = ["unit=sentence", f"model_uri={trained.bundle}", *engine]
    done = stage("predict", f"input={sentences}", f"output={output}", *more, "spark.partition_by=[kind]")
    assert done.code == 0, done.err
    assert f"{n} sentences labelled: accusation " in done.out
    assert sorted(path.name for path in output.iterdir() if "=" in path.name) == [
        "kind=body",
        "kind=headline",
    ]
    assert len(read(output)) == n
    done = stage("predict", f"input={sentences}", f"output={tmp_path / 'out.csv'}", *more)
    assert (done.code, "extension must be one of .jsonl, .parquet" in done.err) == (2, True)
    done = stage("ingest", f"input={sentences}", f"output={output}", *engine, "on_error=skip")
    assert (done.code, "are for engine=local" in done.err) == (2, True)


def test_the_documented_python(trained, tmp_path, monkeypatch):
    jsonl(tmp_path / "in.jsonl", sentences(trained))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "latest").symlink_to(trained.bundle)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})
    assert len(read(tmp_path / "out.parquet")) == len(sentences(trained))


def test_without_java_one_line_says_so(stage, monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    done = stage("ingest", f"input={tmp_path}", f"output={tmp_path / 'x.jsonl'}", "engine=spark")
    assert done.refused("needs Java 17", "JAVA_HOME")
