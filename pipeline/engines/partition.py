"""What an executor does with its part of the rows; sent there, so nothing of Spark's driver or Hydra's."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.rows import encodable
from pipeline.schema import SENTENCES, InputError
from pipeline.scoring import added, predict
from pipeline.text.readers import row_article, sentence_row
from pipeline.text.sentences import split_article
from pipeline.text.tables import json_row

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

Row = dict[str, Any]
Kind = Literal["jsonl", "parquet"]
# Column of a line of JSON, read or written, and that of the number by which Spark knows a row.
LINE, PLACE = "value", "__place__"
_loaded: dict[str, Bundle] = {}


@dataclass(frozen=True, slots=True)
class Places:
    """Where rows lie: Spark numbers those of each piece of a file one after the other.

    Attributes
    ----------
    firsts : tuple of int
        Spark's number of the first row of each piece, ascending.
    files : tuple of str
        The file of each piece, or what the ids of its articles start from.
    numbers : tuple of int
        The number in its file, from 1, of the first line or row of each piece.
    """

    firsts: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()

    def find(self, place: int) -> tuple[str, int]:
        """Return the file of a row and its number in it."""
        piece = bisect_right(self.firsts, place) - 1
        return self.files[piece], self.numbers[piece] + place - self.firsts[piece]


@dataclass(frozen=True, slots=True)
class Work:
    """Turn a partition's batches into those of the output; what `mapInArrow` is given.

    Attributes
    ----------
    source : {"jsonl", "parquet"}
        Batches are lines (`value`, and columns named by folders) or the columns of a table; both
        with `__place__`.
    target : {"jsonl", "parquet"}
    unit : {"article", "sentence"}
    schema : pyarrow.Schema, optional
        Columns of the output, where it is Parquet and made of JSON or of articles.
    text : str
        Column of the text.
    names : Places
        For the ids of articles that have none.
    bundle : str, optional
        Name of the archive that holds the classifier; without one, articles are only cut.
    batch_size : int
        Rows scored at once.
    apart : tuple of str
        Columns that name folders of the output: beside the lines, not in them.
    counted : tuple of str
        Columns of lists that the driver counts: beside the lines, too.
    """

    source: Kind
    target: Kind
    unit: Literal["article", "sentence"]
    schema: pa.Schema | None = None
    text: str = "text"
    names: Places = field(default_factory=Places)
    bundle: str | None = None
    batch_size: int = 8192
    apart: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of the output, rows in the order of the input's."""
        bundle = shipped(self.bundle) if self.bundle else None
        if self.unit == "sentence" and self.source == self.target == "parquet" and bundle:
            for batch in batches:
                yield scored_table(bundle, batch)
            return
        rows = parsed(batches, self.source)
        if self.unit == "article":
            found = self._sentences(rows)
        else:
            found = (_at(place, sentence_row, encodable(row), self.text) for place, row in rows)
        while batch := list(islice(found, self.batch_size)):
            yield self._written(next(predict(bundle, batch, batch_size=len(batch))) if bundle else batch)

    def _sentences(self, rows: Iterable[tuple[int, Row]]) -> Iterator[Row]:
        for place, row in rows:
            name, number = self.names.find(place)
            article = _at(place, row_article, row, self.text, f"{name}:{number}")
            for one in split_article(article)[0]:
                yield {key: getattr(one, key) for key in SENTENCES.names}

    def _written(self, rows: list[Row]) -> pa.RecordBatch:
        if self.target == "parquet":
            return table(rows, self.schema)
        apart = {name: pa.array([_folder(row.pop(name, None)) for row in rows]) for name in self.apart}
        encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
        columns = {LINE: pa.array(map(encode, rows), pa.string())}
        given = {}
        for name in self.counted:
            given[name] = pa.array([row[name] for row in rows], pa.list_(pa.string()))
        return pa.record_batch(columns | {k: v.cast(pa.string()) for k, v in apart.items()} | given)


def shipped(name: str) -> Bundle:
    """Return the classifier that came with the job, read once by each process."""
    if name not in _loaded:
        from pyspark import SparkFiles

        from pipeline.bundle import load

        _loaded[name] = load(SparkFiles.get(name))
    return _loaded[name]


def scored_table(bundle: Bundle, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the columns of a batch but `__place__`, with those that `pipeline.predict` adds."""
    probabilities = bundle.probabilities(batch)
    columns = {name: batch[name] for name in batch.schema.names if name != PLACE}
    columns["text"] = pc.fill_null(columns["text"], "")
    scores = [pa.array(column) for column in probabilities.round(6).T]
    new = {
        "labels": pa.array(bundle.names(bundle.decision.labels(probabilities)), pa.list_(pa.string())),
        "scores": pa.StructArray.from_arrays(scores, names=list(bundle.labels.names)),
    }
    if bundle.abstains:
        undecided = bundle.names(bundle.decision.undecided(probabilities))
        new["undecided"] = pa.array(undecided, pa.list_(pa.string()))
    adds = added(bundle)
    return pa.record_batch({carried(name, adds): column for name, column in columns.items()} | new)


def carried(name: str, added: Sequence[str]) -> str:
    """Return the name under which a column of the input goes on beside those that are added."""
    return f"input_{name}" if name in added else name


def table(rows: list[Row], schema: pa.Schema | None) -> pa.RecordBatch:
    """Return rows as columns.

    Raises
    ------
    InputError
        Where they do not fit those that the first rows of the input have.
    """
    assert schema is not None
    late = {key for row in rows for key in row} - set(schema.names)
    if late:
        raise InputError(f"column {min(late)!r} is not in the first rows; write .jsonl")
    try:
        return pa.RecordBatch.from_pylist(rows, schema=schema)
    except pa.ArrowException as error:
        raise InputError(unfit(error)) from None


def unfit(error: pa.ArrowException) -> str:
    """Say that rows are no table, and what to do."""
    reason = str(error).splitlines()[0][:120]
    return f"Parquet cannot hold these columns ({reason}); write .jsonl"


def parsed(batches: Iterable[pa.RecordBatch], kind: Kind) -> Iterator[tuple[int, Row]]:
    """Yield rows with their places; blank lines are none."""
    for batch in batches:
        for row in batch.to_pylist():
            place = row.pop(PLACE)
            if kind == "parquet":
                yield place, row
            elif (line := row.pop(LINE)).strip():
                yield place, _at(place, json_row, line) | row


def _at(place: int, function: Any, *arguments: Any) -> Any:
    """Call a function; the driver finds the file and line from the place that its error then has."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"@{place} {error}") from None


def _folder(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)
