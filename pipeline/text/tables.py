"""Rows of JSON lines, CSV, TSV and Parquet files, one dictionary each, streamed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pipeline.schema import InputError, nearest
from pipeline.text.decoding import COMPRESSED, LONGEST, lines, open_bytes, open_text

#: What to do with a bad row: raise, or note it and go on.
OnError = Callable[[InputError], None]
Row = tuple[str, dict[str, Any]]

_BATCH = 1024
_MOST_UNPACKED = 1 << 34


def stop(error: InputError) -> None:
    """Raise the error: what is done with a bad row unless told otherwise."""
    raise error


def rows(path: Path, kind: str, column: str, on_error: OnError = stop) -> Iterator[Row]:
    """Yield the rows of a table with the place each has in its file.

    Parameters
    ----------
    path : Path
    kind : {"jsonl", "csv", "tsv", "parquet"}
    column : str
        A column that must exist.
    on_error : callable, default=stop
        Given an InputError for each row that cannot be read; may raise it.

    Yields
    ------
    (place, row)
        Such as ("line 3", {...}) for messages.
    """
    if kind == "jsonl":
        return _jsonl(path, on_error)
    if kind == "parquet":
        return _parquet(path, column)
    return _csv(path, "\t" if kind == "tsv" else ",", column, on_error)


def require(path: Path, column: str, columns: list[str]) -> None:
    """Raise InputError where `column` is not one of `columns`."""
    if column not in columns:
        raise InputError(f"{path}: no column {column!r}{nearest(column, columns)}")


def json_row(line: str | bytes) -> dict[str, Any]:
    """Return the object on a line of JSON; raises InputError without a place."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at column {error.colno}"
        raise InputError(f"invalid JSON ({where}); mend or remove the line") from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start} of the line; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # a number too long, a nest too deep
        raise InputError(f"unusable JSON ({error})") from None
    if not isinstance(row, dict):
        raise InputError(f"must be an object {{...}}, got {type(row).__name__}")
    return row


def _jsonl(path: Path, on_error: OnError) -> Iterator[Row]:
    with open_text(path) as stream:
        for number, line in enumerate(lines(stream, path), 1):
            if not line.strip():
                continue
            try:
                row = json_row(line)
            except InputError as error:
                on_error(InputError(f"{path}: line {number}: {error}"))
                continue
            yield f"line {number}", row


def _csv(path: Path, delimiter: str, column: str, on_error: OnError) -> Iterator[Row]:
    from pipeline.rows import restore

    # A cell holds an article: longer than the module's default of 128 KiB.
    csv.field_size_limit(LONGEST)
    with open_text(path, newline="") as stream:
        first = stream.readline(LONGEST)
        if delimiter == "," and "," not in first:
            delimiter = next((other for other in "\t;" if other in first), ",")
        names = [restore(name) for name in next(csv.reader([first], delimiter=delimiter), [])]
        require(path, column, names)
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"{path}: two columns are named {twice!r}; rename one")
        reader = csv.reader(lines(stream, path), delimiter=delimiter)
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise InputError(f"{path}: row {number}: {error}; check its quotes") from error
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(names):
                message = f"{len(cells)} cells for {len(names)} columns; check its quotes"
                on_error(InputError(f"{path}: row {number}: {message}"))
                continue
            yield f"row {number}", dict(zip(names, map(restore, cells), strict=True))


def _parquet(path: Path, column: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_bytes(path) as raw:
        if not raw.peek(1):
            raise InputError(f"{path}: is empty")
        try:
            # Parquet is read from its end: a compressed one has to be unpacked first.
            packed = path.suffix.lower() in COMPRESSED
            file = pq.ParquetFile(_unpacked(raw, path) if packed else raw)
            require(path, column, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise InputError(f"{path}: not a readable Parquet file ({reason}); write it again") from error


def _unpacked(raw: io.BufferedReader, path: Path) -> Any:
    """Return a temporary file of what is inside; what Parquet compresses itself should not need it."""
    with TemporaryFile() as file:
        while chunk := raw.read(LONGEST):
            if file.tell() > _MOST_UNPACKED:
                raise InputError(f"{path}: over {_MOST_UNPACKED:,} bytes unpacked; unpack it yourself")
            file.write(chunk)
        file.seek(0)
        return io.BufferedReader(io.FileIO(os.dup(file.fileno())))
