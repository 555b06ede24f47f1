"""What a classifier said of each test sentence: the file that runs are compared by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.schema import InputError

FILE = "predictions.parquet"
OWN = ("article", "text", "labels", "predicted", "scores")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Test sentences with truth and prediction.

    Attributes
    ----------
    table : pyarrow.Table
        As `prediction_table` makes it.
    labels : tuple of str
    y, predicted : ndarray of shape (n_sentences, n_labels)
    scores : ndarray of shape (n_sentences, n_labels)
        Probabilities.
    """

    table: pa.Table
    labels: tuple[str, ...]
    y: NDArray[np.int8]
    predicted: NDArray[np.int8]
    scores: NDArray[np.float64]

    @property
    def articles(self) -> list[str]:
        """Article of each sentence; the row itself where there is none."""
        values = self.table["article"].to_pylist()
        return [f"row {n}" if value is None else str(value) for n, value in enumerate(values)]

    @property
    def digest(self) -> str:
        """What the test data are: articles, texts and true labels, in order, as SHA-256."""
        rows = zip(
            self.table["article"].to_pylist(),
            self.table["text"].to_pylist(),
            self.y.tolist(),
            strict=True,
        )
        return hashlib.sha256(repr((self.labels, list(rows))).encode("utf-8", "replace")).hexdigest()

    def names(self, given: NDArray[np.int8]) -> list[list[str]]:
        """Return rows of 0/1 labels as lists of names."""
        return [[self.labels[k] for k in np.flatnonzero(row)] for row in given]


def predictions(
    table: pa.Table,
    y: NDArray[np.int8],
    predicted: NDArray[np.int8],
    scores: NDArray[np.float64],
    labels: tuple[str, ...],
) -> Predictions:
    """Return predictions for the sentences of a table, its other columns carried over.

    Parameters
    ----------
    table : pyarrow.Table of n_sentences
        With a column `text`; `article` where it has one.
    y, predicted, scores : ndarray of shape (n_sentences, n_labels)
    """
    carried = [name for name in table.column_names if name not in OWN]
    made = Predictions(pa.table({"n": range(table.num_rows)}), labels, y, predicted, scores)
    names = pa.list_(pa.string())
    article = table["article"].cast(pa.string()) if "article" in table.column_names else None
    columns = {
        "article": pa.nulls(table.num_rows, pa.string()) if article is None else article,
        **{name: table[name] for name in carried if name != "text"},
        "text": table["text"].cast(pa.string()),
        "labels": pa.array(made.names(y), names),
        "predicted": pa.array(made.names(predicted), names),
        "scores": pa.array(
            [dict(zip(labels, row, strict=True)) for row in scores.tolist()],
            pa.struct([(name, pa.float64()) for name in labels]),
        ),
    }
    return Predictions(pa.table(columns), labels, y, predicted, scores)


def read_predictions(path: Path) -> Predictions:
    """Read predictions from Parquet.

    Raises
    ------
    InputError
        Where the file is missing or has other columns.
    """
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(f"{path}: no predictions here; train the run again, this version writes them")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: no Parquet file ({error}); train the run again") from None
    if missing := [name for name in OWN if name not in table.column_names]:
        raise InputError(f"{path}: no column {missing[0]!r}; train the run again")
    labels = tuple(field.name for field in table.schema.field("scores").type)
    columns = table["scores"].combine_chunks()
    scores = np.column_stack([columns.field(name).to_numpy(zero_copy_only=False) for name in labels])
    return Predictions(
        table,
        labels,
        _indicator(table["labels"].to_pylist(), labels, path),
        _indicator(table["predicted"].to_pylist(), labels, path),
        scores.astype(np.float64),
    )


def write_predictions(path: Path, made: Predictions) -> None:
    """Write predictions as Parquet."""
    from pipeline.rows import write_rows

    write_rows(path, made.table.to_batches(), made.table.schema)


def _indicator(rows: list[Any], labels: tuple[str, ...], path: Path) -> NDArray[np.int8]:
    found = np.zeros((len(rows), len(labels)), np.int8)
    for n, names in enumerate(rows):
        for name in names or ():
            if name not in labels:
                raise InputError(f"{path}: row {n + 1}: label {name!r} has no score; train the run again")
            found[n, labels.index(name)] = 1
    return found
