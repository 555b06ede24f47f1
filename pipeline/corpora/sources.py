"""Rows of a table, streamed: files, folders of them, and data sets of the `datasets` library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.schema import ConfigError, InputError, nearest
from pipeline.text import tables
from pipeline.text.decoding import COMPRESSED, LONGEST, open_text, read_text
from pipeline.text.readers import FORMATS

Row = dict[str, Any]
Place = tuple[int, Row]

ARROW = {".arrow": "arrow", ".feather": "arrow", ".parquet": "parquet"}
TEXT = {name: kind for name, kind in FORMATS.items() if kind in ("jsonl", "csv", "tsv")} | {".json": "json"}
PICKLES = (".pkl", ".pickle", ".p", ".joblib")
_SPLIT = re.compile(r"(train|test|validation|valid|val|dev)(?=[-_.])")
_BATCH = 4096
_LOOKED_AT = 1000  # lines of JSON, each of which may lack a column
_KNOWN = ", ".join((*TEXT, *ARROW))


@dataclass(slots=True)
class Source:
    """A table to read.

    Attributes
    ----------
    name : str
        For messages.
    noun : {"row", "line"}
        What its numbers count.
    rows : iterator of (int, dict)
        Number from 1, and the columns that were asked for.
    class_names : dict of str to list of str
        Columns of whole numbers whose names the table itself gives.
    """

    name: str
    noun: str
    rows: Iterator[Place]
    class_names: dict[str, list[str]] = field(default_factory=dict)


def open_path(
    path: str | Path, wanted: Sequence[str], optional: Sequence[str] = (), *, part: str = "train"
) -> Source:
    """Open a file, a folder of files, or a folder that `datasets` saved.

    Parameters
    ----------
    path : path
        .jsonl, .json, .csv, .tsv, .parquet, .feather or .arrow, the text files also with .gz or .zst; or
        a folder.
    wanted, optional : sequence of str
        Columns that must be there, and those read where they are.
    part : str, default="train"
        The split to read of a folder that `datasets` saved, or whose files are named by it
        (`train.csv`, `test-0001.csv`), where it has such a split.

    Raises
    ------
    InputError
        Naming the file, and a column that is missing with the nearest there is.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist")
    if not path.is_dir():
        return _open_file(path, wanted, optional)
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        split = part if part in dataset_splits(str(path), None) else "train"
        return open_dataset(str(path), None, split, wanted, optional)
    files = _named_splits(path).get(part) or _parts(path)
    if not files:
        raise InputError(f"{path}: no table in this folder; use files with {_KNOWN}")
    if len(files) == 1:
        return _open_file(files[0], wanted, optional)
    parts = [_open_file(file, wanted, optional) for file in files]

    def rows() -> Iterator[Place]:
        every = (row for part in parts for _, row in part.rows)
        yield from enumerate(every, 1)

    return Source(str(path), "row", rows(), parts[0].class_names)


def open_dataset(
    name: str,
    config: str | None,
    split: str,
    wanted: Sequence[str],
    optional: Sequence[str] = (),
    revision: str | None = None,
) -> Source:
    """Open one split of a data set: an id on the Hugging Face hub, or a local folder.

    Raises
    ------
    InputError
        Where it cannot be loaded.
    ConfigError
        For a split it does not have, naming those it has.
    """
    data = dataset_splits(name, config, revision)
    if split not in data:
        raise ConfigError(f"{name}: no split {split!r}{nearest(split, list(data))}")
    chosen = data[split]
    columns = _present(name, chosen.column_names, wanted, optional)

    def rows() -> Iterator[Place]:
        number = 0
        for batch in chosen.select_columns(columns).with_format("arrow").iter(_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row

    names = {column: found for column in columns if (found := _feature_names(chosen.features[column]))}
    return Source(f"{name}, split {split}", "row", rows(), names)


def dataset_splits(name: str, config: str | None, revision: str | None = None) -> dict[str, Any]:
    """Return the splits of a data set by name, memory-mapped; of the hub's, as of a revision."""
    import datasets

    from pipeline.settings import check_address

    check_address("HF_ENDPOINT", datasets.config.HF_ENDPOINT)
    datasets.disable_progress_bars()
    folder = Path(name)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # its own, pyarrow's, those of the hub's client, of the file system
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"{name}: cannot be loaded as a data set ({reason}); is it a folder or an id?"
        ) from None
    return dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}


def has_test(path: str | Path) -> bool:
    """Return whether a folder has a test of its own: a split that `datasets` saved, or files named so."""
    if not Path(path).is_dir():
        return False
    if "test" in _named_splits(Path(path)):
        return True
    described = Path(path) / "dataset_dict.json"
    with suppress(OSError, ValueError, TypeError):
        return "test" in json.loads(described.read_text(encoding="utf-8"))["splits"]
    return False


def _open_file(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Source:
    kind = _kind(path)
    if kind is None:
        if path.suffix.lower() in PICKLES:
            raise InputError(
                f"{path}: pickles are not read, loading one can run anything; "
                "write it with DataFrame.to_parquet or to_feather"
            )
        raise InputError(f"{path}: unknown extension {path.suffix!r}; use one of {_KNOWN}")
    if kind in ARROW.values():
        return _open_arrow(path, kind, wanted, optional)
    noun = "line" if kind == "jsonl" else "row"
    return Source(str(path), noun, _text_rows(path, kind, wanted, optional))


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    packed = Path(name).suffix in COMPRESSED
    return ARROW.get(Path(name).suffix) or TEXT.get(Path(Path(name).stem if packed else name).suffix)


def _named_splits(folder: Path) -> dict[str, list[Path]]:
    """Return the tables of a folder by the split in their names; none unless one is "train"."""
    splits: dict[str, list[Path]] = {}
    for file in _parts(folder):
        if named := _SPLIT.match(file.name.lower()):
            splits.setdefault(named[1], []).append(file)
    return splits if "train" in splits and len(splits) > 1 else {}


def _parts(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and _is_part(file))


def _is_part(path: Path) -> bool:
    """Return whether a file is one of a folder's tables; .json is as often what describes them."""
    return _kind(path) not in (None, "json") and not path.name.startswith(".")


def _text_rows(path: Path, kind: str, wanted: Sequence[str], optional: Sequence[str]) -> Iterator[Place]:
    every = _json_rows(path) if kind == "json" else None
    if every is None:
        places = tables.rows(path, "jsonl" if kind == "json" else kind, wanted[0])
        every = ((int(place.split()[-1]), row) for place, row in places)
    first = list(islice(every, _LOOKED_AT))
    known = list(dict.fromkeys(name for _, row in first for name in row))
    if first:
        _present(str(path), known, wanted, optional)
    for number, row in chain(first, every):
        yield number, {name: row.get(name) for name in (*wanted, *optional)}


def _json_rows(path: Path) -> Iterator[Place] | None:
    """Return the rows of a whole JSON file, as pandas writes them by default; None for lines of JSON."""
    with open_text(path) as stream, suppress(ValueError, RecursionError):
        first = json.loads(stream.readline(LONGEST))
        if isinstance(first, dict) and not all(isinstance(column, dict) for column in first.values()):
            return None
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict) and found and all(isinstance(column, dict) for column in found.values()):
        cells = zip(*(column.values() for column in found.values()), strict=False)
        found = [dict(zip(found, row, strict=True)) for row in cells]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(f"{path}: must be a list of objects, as to_json(orient='records') writes it")
    return iter(enumerate(found, 1))


def _open_arrow(path: Path, kind: str, wanted: Sequence[str], optional: Sequence[str]) -> Source:
    import pyarrow.parquet as pq

    try:
        if kind == "parquet":
            file = pq.ParquetFile(path)
            schema = file.schema_arrow
        else:
            reader = _ipc(path)
            schema = reader.schema
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{path}: not a readable {path.suffix} file ({reason}); write it again") from None
    columns = _present(str(path), schema.names, wanted, optional)

    def rows() -> Iterator[Place]:
        batches = file.iter_batches(_BATCH, columns=columns) if kind == "parquet" else _batches(reader)
        number = 0
        for batch in batches:
            for row in batch.select(columns).to_pylist():
                number += 1
                yield number, row

    return Source(str(path), "row", rows(), _schema_names(schema))


def _ipc(path: Path) -> Any:
    """Open an Arrow file or stream; `datasets` writes streams, pandas and Feather files."""
    mapped = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_stream(mapped)


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if hasattr(reader, "num_record_batches"):
        return (reader.get_batch(i) for i in range(reader.num_record_batches))
    return iter(reader)


def _present(name: str, columns: list[str], wanted: Sequence[str], optional: Sequence[str]) -> list[str]:
    for column in wanted:
        if column not in columns:
            raise InputError(f"{name}: no column {column!r}{nearest(column, columns)}")
        if columns.count(column) > 1:
            raise InputError(f"{name}: two columns are named {column!r}; rename one")
    return [*wanted, *(column for column in optional if column in columns)]


def _schema_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the class names that `datasets` wrote into the schema of an Arrow or Parquet file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        pairs = ((name, _feature_names(feature)) for name, feature in features.items())
        return {name: found for name, found in pairs if found}
    except (KeyError, TypeError, ValueError):
        return {}


def _feature_names(feature: Any) -> list[str] | None:
    """Return the names of a ClassLabel, or of a list of them, given as an object or as JSON."""
    if isinstance(feature, dict):
        inner, names = feature.get("feature"), feature.get("names")
    else:
        inner, names = getattr(feature, "feature", None), getattr(feature, "names", None)
    if isinstance(inner, dict) or (inner is not None and not isinstance(feature, dict)):
        return _feature_names(inner)
    return [str(name) for name in names] if names else None
