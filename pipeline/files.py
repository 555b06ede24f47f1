"""Writing whole files or none, and rows by file extension."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.schema import ConfigError, InputError

# What a user mends by choosing another output; any other failure is none of the output's.
_UNWRITABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
}


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed onto it when the block succeeds.

    Works for a file or a directory, whichever the block creates; on any exception nothing is left.

    Raises
    ------
    InputError
        Where the folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _replace(temporary, path)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another output") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path`, which one process at a time can.

    Raises
    ------
    InputError
        With `wait=False`, where another process holds it.
    """
    import fcntl

    with Path(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is at this; wait for it, or end it") from None
        yield


def _replace(temporary: Path, path: Path) -> None:
    """Rename, moving a directory that is in the way aside first: rename replaces only empty ones."""
    if temporary.is_dir() and path.is_dir():
        aside = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            aside.rename(path)
            raise
        shutil.rmtree(aside)
    else:
        temporary.replace(path)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


Row = Mapping[str, Any]
Write = Callable[[Sequence[Row] | pa.RecordBatch], None]


@contextmanager
def row_writer(path: str | Path, schema: pa.Schema) -> Iterator[Write]:
    """Open `path` for batches of rows, dicts or Arrow; the file appears when the block succeeds.

    Parameters
    ----------
    path : path
        `.jsonl`, `.csv` (lists joined by ";", objects as JSON) or `.parquet`.
    schema : pyarrow.Schema
        Columns, in order.

    Raises
    ------
    ConfigError
        For any other extension.
    """
    path = Path(path)
    writers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in writers:
        raise ConfigError(f"output={path}: extension must be one of {', '.join(sorted(writers))}")
    with atomic(path) as temporary, writers[path.suffix](temporary, schema) as write:
        yield write


def write_rows(path: str | Path, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write all batches and return the number of rows; see `row_writer`."""
    count = 0
    with row_writer(path, schema) as write:
        for batch in rows:
            write(batch)
            count += batch.num_rows
    return count


def encodable(value: Any) -> Any:
    """Return a value that UTF-8 can carry: lone surrogates, which JSON has, become "?"."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def _rows(batch: Sequence[Row] | pa.RecordBatch) -> Sequence[Row]:
    return batch.to_pylist() if isinstance(batch, pa.RecordBatch) else batch


@contextmanager
def _jsonl(path: Path, schema: pa.Schema) -> Iterator[Write]:
    encode = json.JSONEncoder(ensure_ascii=False, default=str).encode  # Parquet has dates
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda batch: file.writelines(f"{encode(row)}\n" for row in _rows(batch))


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(schema.names)
        yield lambda batch: writer.writerows(
            [_cell(row.get(name)) for name in schema.names] for row in _rows(batch)
        )


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict) else value


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema) as writer:
        yield lambda batch: writer.write_batch(
            batch
            if isinstance(batch, pa.RecordBatch)
            else pa.RecordBatch.from_pylist(list(batch), schema=schema)
        )
