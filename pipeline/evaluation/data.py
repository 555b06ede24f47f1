"""Labelled sentences and how they are split: what is trained and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from pipeline.evaluation.splits import Split
    from pipeline.schema import LabelSet


@dataclass(slots=True)
class Data:
    """Labelled sentences and how they are split.

    Attributes
    ----------
    table : pyarrow.Table
        As `pipeline.label` writes it.
    y : ndarray of shape (n_rows, n_labels)
    split : Split
    """

    table: pa.Table
    labels: LabelSet
    y: NDArray[np.int8]
    split: Split

    def column(self, name: str, rows: NDArray[np.int64]) -> list[Any]:
        """Return the values of some rows."""
        return self.table[name].take(rows).to_pylist()
