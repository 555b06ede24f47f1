"""The Spark engine gives what the local one does. Needs PySpark and Java."""

import datetime
import gzip
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="make extra-spark")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("no Java here", allow_module_level=True)

from pipeline.bundle import load
from pipeline.engines import spark as engine
from pipeline.schema import ConfigError, InputError

pytestmark = [pytest.mark.slow, pytest.mark.extra]
# Small pieces, so that a small file is cut in many places.
CONF = {"spark.sql.files.maxPartitionBytes": "700", "spark.sql.shuffle.partitions": "3"}
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
            "predict", f"input={source}", f"output={here}", f"unit={unit}", f"model_uri={trained.bundle}"
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
    labels = load(trained.bundle).labels
    return engine.label(
        session, str(source), str(output), folder=trained.bundle, labels=labels, unit=unit, **more
    )


def sentences(trained, times=1):
    texts = [*TEXTS, *(row["text"] for row in trained.corpus.rows)] * times
    return [{"id": f"r{i}", "text": text, "labels": "old", "n": i, "w": i / 7} for i, text in enumerate(texts)]


# --- equal to the local engine ------------------------------------------------------------------------


@pytest.mark.parametrize("target", WRITE)
@pytest.mark.parametrize("source", WRITE)
def test_rows_of_a_file(both, trained, tmp_path, source, target):
    rows = sentences(trained)
    folder = both(WRITE[source](tmp_path / f"in [1] é.{source}", rows), target, batch_size=7)
    assert len(parts(folder)) > 3, "one piece proves nothing"
    assert [row["id"] for row in read(folder)] == [row["id"] for row in rows]
