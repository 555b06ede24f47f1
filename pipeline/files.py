"""Writing whole files or none, and rows by file extension."""

from __future__ import annotations

import codecs
import csv
import errno
import glob
import io
import json
import os
import re
import shutil
import time
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
def atomic(path: str | Path, *kinds: Sequence[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed onto it when the block succeeds.

    Works for a file or a directory, whichever the block creates; on any exception nothing is left.

    Parameters
    ----------
    path : path
    *kinds : sequence of str
        See `replaceable`.

    Raises
    ------
    InputError
        Where the folder cannot be made or written to, or has in it what was not written here.
    """
    path = Path(path)
    replaceable(path, *kinds)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path)
            yield temporary
            _replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Turn what the operating system says of an output that cannot be written into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(
            f"{path}: cannot be written ({os.strerror(error.errno)}); choose another output"
        ) from error


def replaceable(path: str | Path, *kinds: Sequence[str]) -> None:
    """Raise InputError for a folder that is neither empty nor one of ours.

    Parameters
    ----------
    path : path
    *kinds : sequence of str
        Names of files that are all in a folder of one kind.
    """
    path = Path(path)
    with unwritable(path):
        ours = any(all((path / name).is_file() for name in kind) for kind in kinds)
        if path.is_dir() and not ours and any(path.iterdir()):
            raise InputError(f"{path}: is a folder with other files; choose another output")


def distinct(source: str | Path, output: str | Path) -> None:
    """Raise InputError where an output is the input itself, by whatever path or link."""
    here, there = (os.path.realpath(path) for path in (source, output))
    if here == there:
        raise InputError(f"output={output}: is the input too; choose another file")


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


def _clear(path: Path) -> None:
    """Remove what processes that were killed a day ago have left of an output."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _replace(temporary: Path, path: Path) -> None:
    """Rename; a directory that is in the way changes places, as rename replaces only empty ones."""
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
    elif not _exchanged(temporary, path):
        aside = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            aside.rename(path)
            raise
        shutil.rmtree(aside)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two names change places at once, so that a kill finds one or the other; False where it cannot."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # no Linux, or an old one
        return False
    here, exchange = -100, 2
    return rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def sheltered(path: Path, same: Callable[[Path, Path], bool] | None = None) -> Iterator[Path]:
    """Give a temporary path like `atomic`, for what people fill in: other contents are not replaced.

    Parameters
    ----------
    path : Path
    same : callable, optional
        Tells whether two files have the same contents; default: byte by byte.

    Raises
    ------
    InputError
        Where there is a file with other contents.
    """
    import filecmp

    same = same or (lambda one, other: filecmp.cmp(one, other, shallow=False))
    with atomic(path) as temporary:
        yield temporary
        if path.exists() and not same(temporary, path):
            raise InputError(
                f"{path}: exists with other contents, perhaps filled in; import it and remove it, "
                "or choose another file"
            )


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# What a spreadsheet takes for a formula, also in full width; and what hides one.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+){0,9}(?:[eE][+-]?[0-9]{1,3})?%?")

_ABANDONED = 86400  # seconds since a temporary file was last written to

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
