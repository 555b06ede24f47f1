"""Stages on Apache Spark: rows go to Python workers as Arrow batches and come back so."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.engines.partition import LINE, PLACE, Kind, Work, carried
from pipeline.engines.source import Source
from pipeline.engines.storage import SUFFIXES, Storage
from pipeline.schema import SENTENCES, ConfigError, InputError, PipelineError, nearest, need
from pipeline.scoring import LEFT, added

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from pipeline.bundle import Bundle

PACKAGE = Path(__file__).resolve().parents[1]
# Pieces small enough that cores finish together and a lost one costs little.
_PIECE = "32m"
_ALWAYS = {
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.files.maxPartitionBytes": _PIECE,
    # Of year=007/ the rows get "007", as the folder says.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
_ON_THIS_MACHINE = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.log.level": "OFF",
    "spark.driver.extraJavaOptions": "-Dlog4j2.level=OFF",
}
_OURS = re.compile(r"InputError: (?:@(\d+) )?(.+)")
_UNREADABLE = ("FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "CONFLICTING_PARTITION_COLUMN_NAMES")


@contextmanager
def spark(master: str, conf: Mapping[str, Any]) -> Iterator[SparkSession]:
    """Start Spark, and stop it afterwards.

    Parameters
    ----------
    master : str
        `local[N]`, `spark://HOST:PORT`, `yarn` or `k8s://https://HOST:PORT`.
    conf : mapping
        Properties, flat (`{"spark.executor.memory": "4g"}`) or nested.

    Raises
    ------
    ConfigError
        Where PySpark or Java is missing.
    """
    need("engine=spark", "spark", "pyspark")
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(str(Path(home, "bin", "java")) if home else "java"):
        raise ConfigError("engine=spark needs Java 17 or later: install it, or set JAVA_HOME to where it is")
    settings = dict(_ALWAYS)
    if master.startswith("local"):
        settings |= _ON_THIS_MACHINE
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings["spark.ui.showConsoleProgress"] = str(sys.stderr.isatty()).lower()
    settings |= dict(_flat(conf))
    # Pandas 3 works.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("pipeline")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def label(
    session: SparkSession,
    source: str,
    output: str,
    *,
    folder: Path,
    bundle: Bundle,
    unit: str,
    batch_size: int = 8192,
    partition_by: Sequence[str] = (),
) -> dict[str, int]:
    """Label articles or sentences, as `pipeline.predict` does in one process.

    Parameters
    ----------
    session : SparkSession
    source, output : str
        Parquet or JSON lines: a file or folder to read, a folder to write whose extension tells the
        format. With a scheme, wherever Spark reads and writes: `s3a://…`, `hdfs://…`.
    folder : path
        Of the bundle; goes once to each executor.
    bundle : Bundle
    unit : {"article", "sentence"}
    batch_size : int
        Rows scored at once.
    partition_by : sequence of str
        Columns of the output that name its folders.

    Returns
    -------
    dict
        Number of `rows`, of each label, and of rows left to a person where the bundle abstains.

    Raises
    ------
    InputError
        As the local engine does, with file and line; nothing is written then.
    """
    table = Source(session, source)
    work = Work(table.kind, _format(output), unit, batch_size=batch_size, apart=tuple(partition_by))  # type: ignore[arg-type]
    names = bundle.labels.names
    scores = pa.struct([(name, pa.float64()) for name in names])
    new = pa.schema([(name, scores if name == "scores" else pa.list_(pa.string())) for name in added(bundle)])
    counted = tuple(name for name in new.names if name != "scores")
    work = replace(work, bundle=_ship(session, folder), counted=counted)
    return _run(table, output, work, new, names)


def cut(
    session: SparkSession, source: str, output: str, *, text: str = "text", partition_by: Sequence[str] = ()
) -> dict[str, int]:
    """Cut articles into sentences, as `pipeline.ingest` does; see `label`. Returns the number of `rows`."""
    table = Source(session, source, text)
    work = Work(table.kind, _format(output), "article", text=text, apart=tuple(partition_by))
    return _run(table, output, work, pa.schema([]), ())


def _run(source: Source, output: str, work: Work, new: pa.Schema, labels: Sequence[str]) -> dict[str, int]:
    session, target = source.session, Storage(source.session, output)
    if target.inside(source.storage) or source.storage.inside(target):
        raise InputError(f"output={output}: is or holds the input, or lies in it; choose another output")
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", work.batch_size)
    session.sparkContext.addPyFile(_zipped(session, PACKAGE, "code.zip", "pipeline/", "*.py"))
    try:
        source.check()
        if work.unit == "article":
            source.check_ids()
            work = replace(work, names=source.names())
        work, columns = _columns(source, work, new)
        with target.written() as folder:
            rows = source.rows.mapInArrow(work, columns)
            counts = _write(rows, folder, work, labels, "undecided" in new.names)
            if work.target == "jsonl":
                target.rename_parts(folder, ".txt", ".jsonl")
            if not counts["rows"] and not work.bundle:
                raise InputError(f"{source.path}: no sentences; nothing written")
        return counts
    except Exception as error:
        if (known := _known(source, error)) is None:
            raise
        raise known from None


def _columns(source: Source, work: Work, new: pa.Schema) -> tuple[Work, StructType]:
    """Return the work with the columns of its output, and what its batches hold as Spark says it."""
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    if work.unit == "article":
        work = replace(work, schema=pa.schema([*SENTENCES, *new]))
    elif work.source == "jsonl":
        fields = source.fields(work.batch_size, new.names, typed=work.target == "parquet")
        work = replace(work, schema=pa.schema([*fields, *new]))
    if work.schema is None:
        kept = [f for f in source.rows.schema if f.name != PLACE]
        given = [StructField(carried(f.name, new.names), f.dataType) for f in kept]
        columns = StructType([*given, *from_arrow_schema(new)])
    else:
        columns = from_arrow_schema(work.schema)
    for name in work.apart:
        if name not in columns.names or name in new.names:
            known = [other for other in columns.names if other not in new.names]
            raise ConfigError(f"spark.partition_by: no column {name!r}{nearest(name, known)}")
    if work.target == "jsonl":
        columns = StructType([StructField(name, StringType()) for name in (LINE, *work.apart)])
        for name in work.counted:
            columns = columns.add(name, ArrayType(StringType()))
    return work, columns


def _write(
    frame: DataFrame, folder: str, work: Work, labels: Sequence[str], abstains: bool
) -> dict[str, int]:
    """Run the job; return the number of rows, of each label, and of rows left to a person."""
    from pyspark.sql import Observation
    from pyspark.sql import functions as F  # noqa: N812

    seen = Observation()
    given = [F.count_if(F.array_contains("labels", name)).alias(f"n{i}") for i, name in enumerate(labels)]
    given += [F.count_if(F.size("undecided") > 0).alias("left")] if abstains else []
    frame = frame.observe(seen, F.count("*").alias("rows"), *given)
    if work.target == "jsonl":
        frame = frame.drop("labels", "undecided")
    # The mark that all is there is set when it is in its place.
    writer = frame.write.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    writer = writer.partitionBy(*work.apart)
    if work.target == "jsonl":
        writer.text(folder)
    else:
        writer.parquet(folder)
    counts = {"rows": seen.get["rows"]} | {name: seen.get[f"n{i}"] for i, name in enumerate(labels)}
    return counts | ({LEFT: seen.get["left"]} if abstains else {})


def _format(output: str) -> Kind:
    kind = SUFFIXES.get(PurePosixPath(output).suffix)
    if kind is None:
        raise ConfigError(f"output={output}: extension must be one of .jsonl, .parquet with engine=spark")
    return kind  # type: ignore[return-value]


def _ship(session: SparkSession, folder: Path) -> str:
    """Send the bundle, once to each executor; return the name under which workers find it."""
    name = f"bundle-{hashlib.sha256((folder / 'manifest.json').read_bytes()).hexdigest()[:16]}"
    session.sparkContext.addArchive(f"{_zipped(session, folder, f'{name}.zip', '', '*')}#{name}")
    return name


def _zipped(session: SparkSession, folder: Path, name: str, prefix: str, pattern: str) -> str:
    """Return the path of an archive of a folder; executors fetch it from there while Spark runs."""
    archive = Path(session.sparkContext._temp_dir, name)
    if not archive.exists():
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob(pattern)):
                if path.is_file() and "__pycache__" not in path.parts:
                    file.write(path, f"{prefix}{path.relative_to(folder).as_posix()}")
    return str(archive)


def _known(source: Source, error: Exception) -> PipelineError | None:
    """Return the error of ours, or about the input, that made Spark fail, with file and line."""
    if isinstance(error, ConfigError):
        return error
    said = f"InputError: {error}" if isinstance(error, InputError) else str(error)
    if found := _OURS.search(said):
        place, message = found.groups()
        if place is None:
            return InputError(message)
        file, number = source.places([path for path, _ in source.files]).find(int(place))
        what = "line" if source.kind == "jsonl" else "row"
        return InputError(f"{file.removeprefix('file:')}: {what} {number}: {message}")
    if any(condition in said for condition in _UNREADABLE):
        reason = said.splitlines()[0][:200]
        return InputError(f"{source.path}: Spark cannot read it ({reason})")
    return None


def _flat(conf: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the properties of nested mappings, which dots on a command line make."""
    for key, value in conf.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else str(value)
