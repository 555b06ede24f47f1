"""Writing rows as JSON lines, CSV or Parquet, by the extension of the file."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.files import atomic, sheltered
from pipeline.schema import ConfigError

# What a spreadsheet takes for a formula, also in full width; and what hides one.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+){0,9}(?:[eE][+-]?[0-9]{1,3})?%?")

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row] | pa.RecordBatch], None]
Encode = Callable[[Sequence[Row]], bytes]
FORMATS = (".jsonl", ".csv", ".parquet")
COMPRESSED = (".gz", ".zst")


def form_of(path: str | Path) -> tuple[str, str]:
    """Return the extensions of format and compression of an output, such as (".csv", ".gz").

    Raises
    ------
    ConfigError
        For an extension that is not known, or Parquet, which compresses itself, in something else.
    """
    path = Path(path)
    packing = path.suffix if path.suffix in COMPRESSED else ""
    form = Path(path.name.removesuffix(packing)).suffix
    if form not in FORMATS:
        raise ConfigError(f"output={path}: extension must be one of {', '.join(sorted(FORMATS))}")
    if packing and form == ".parquet":
        raise ConfigError(f"output={path}: Parquet is compressed already; leave out {packing}")
    return form, packing


@contextmanager
def row_writer(path: str | Path, schema: pa.Schema, *, to_fill_in: bool = False) -> Iterator[Write]:
    """Open `path` for batches of rows, dicts or Arrow; the file appears when the block succeeds.

    Parameters
    ----------
    path : path
        `.jsonl`, `.csv` (lists joined by ";", objects as JSON) or `.parquet`; the first two also with
        `.gz` or `.zst`.
    schema : pyarrow.Schema
        Columns, in order.
    to_fill_in : bool
        For people: `sheltered`, and CSV with the byte order mark that tells Excel it is UTF-8.

    Raises
    ------
    ConfigError
        For any other extension.
    """
    form, packing = form_of(path)
    with (sheltered if to_fill_in else atomic)(Path(path)) as temporary:
        if form == ".parquet":
            with _parquet(temporary, schema) as write:
                yield write
            return
        head, encode = encoder(form, schema)
        if to_fill_in and form == ".csv":
            head = codecs.BOM_UTF8 + head
        with temporary.open("wb") as file:
            file.write(packed(head, packing))

            def write_packed(batch: Sequence[Row] | pa.RecordBatch) -> None:
                file.write(packed(encode(_rows(batch)), packing))

            yield write_packed


def write_rows(path: str | Path, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Write all batches and return the number of rows; see `row_writer`."""
    count = 0
    with row_writer(path, schema) as write:
        for batch in rows:
            write(batch)
            count += batch.num_rows
    return count


def encoder(form: str, schema: pa.Schema) -> tuple[bytes, Encode]:
    """Return what a file begins with, and what makes rows into bytes to follow.

    For Parquet, which cannot be written piece by piece, the pieces are what `parquet_of` reads.
    """
    if form == ".jsonl":
        return b"", _json_lines
    if form == ".csv":
        head = _csv_lines([[defuse(name) for name in schema.names]])
        return head, lambda rows: _csv_lines([_cell(row.get(n)) for n in schema.names] for row in rows)
    return _framed(schema), lambda rows: _framed(schema, pa.RecordBatch.from_pylist(list(rows), schema))


def packed(data: bytes, packing: str) -> bytes:
    """Return a gzip member or a zstd frame; a file may be several, one after the other."""
    if packing == ".gz":
        import gzip

        return gzip.compress(data, compresslevel=6, mtime=0)
    return pa.Codec("zstd").compress(data, asbytes=True) if packing == ".zst" else data


def encodable(value: Any) -> Any:
    """Return a value that UTF-8 can carry: lone surrogates, which JSON has, become "?"."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def _rows(batch: Sequence[Row] | pa.RecordBatch) -> Sequence[Row]:
    return batch.to_pylist() if isinstance(batch, pa.RecordBatch) else batch


_encode_json = json.JSONEncoder(ensure_ascii=False, default=str).encode  # Parquet has dates


def _json_lines(rows: Sequence[Row]) -> bytes:
    return "".join([f"{_encode_json(row)}\n" for row in rows]).encode()


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return defuse(";".join(str(item) for item in value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return defuse(value)


def defuse(value: Any) -> Any:
    """Return a cell with ' in front where a spreadsheet would take it for a formula; numbers stay.

    OWASP, CSV Injection. `restore` takes it away again.
    """
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if formula else value


def restore(value: Any) -> Any:
    """Return the cell that `defuse` was given."""
    return value[1:] if isinstance(value, str) and value[:1] == "'" and _FORMULA.match(value) else value


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema) as writer:
        yield lambda batch: writer.write_batch(
            batch
            if isinstance(batch, pa.RecordBatch)
            else pa.RecordBatch.from_pylist(list(batch), schema=schema)
        )


def _framed(schema: pa.Schema, batch: pa.RecordBatch | None = None) -> bytes:
    """Return an Arrow stream of one batch, or none, behind its length."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        if batch is not None:
            stream.write_batch(batch)
    data = sink.getvalue().to_pybytes()
    return len(data).to_bytes(8, "little") + data


def parquet_of(pieces: Path, path: Path) -> None:
    """Write a Parquet file of the pieces that an `encoder` made."""
    with pieces.open("rb") as file:

        def streams() -> Iterator[pa.RecordBatchStreamReader]:
            while head := file.read(8):
                yield pa.ipc.open_stream(file.read(int.from_bytes(head, "little")))

        every = streams()
        with _parquet(path, next(every).schema) as write:
            for stream in every:
                for batch in stream:
                    write(batch)
