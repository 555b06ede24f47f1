"""Stage: score a bundle on any labelled file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.labels.values import label_names
from pipeline.schema import ConfigError, InputError, nearest

if TYPE_CHECKING:
    from pipeline.bundle import Bundle


def evaluate(
    bundle: Bundle,
    rows: Sequence[dict[str, Any]],
    *,
    by: str | None = None,
    group: str | None = None,
    seed: int = 0,
    where: str = "input",
) -> dict[str, Any]:
    """Return the scores of a bundle on labelled rows.

    Parameters
    ----------
    bundle : Bundle
    rows : sequence of dict
        With `text` and `labels`: names as `pipeline.labels.values` reads them.
    by : str, optional
        Column whose every value gets a block of its own.
    group : str, optional
        Column of the article; where the rows have none, rows are resampled.
    seed : int
        Of the resampling.
    where : str
        Name of the input in error messages.

    Returns
    -------
    dict
        `external`, a block of scores, and `by`, one for each value of the column.

    Raises
    ------
    InputError, ConfigError
        For labels the bundle does not know, or a column the rows do not have.
    """
    import numpy as np

    from pipeline.evaluation import metrics
    from pipeline.labels.labelset import indicator

    if not rows:
        raise InputError(f"{where}: no rows")
    if by and by not in rows[0]:
        raise ConfigError(f"by={by}: no such column in {where}{nearest(by, list(rows[0]))}")
    given = [names(row, f"{where}: row {n}") for n, row in enumerate(rows, 1)]
    try:
        y = indicator(given, bundle.labels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    probabilities = bundle.probabilities([row["text"] for row in rows])
    predicted = bundle.decision.labels(probabilities)
    groups = None
    if group and any(row.get(group) is not None for row in rows):
        # A row without an article is one of its own.
        own = (row.get(group) for row in rows)
        groups = np.array([f"row {n}" if one is None else f"article {one}" for n, one in enumerate(own)])

    def block(chosen: Any) -> dict[str, Any]:
        return metrics.evaluate(
            y[chosen],
            predicted[chosen],
            probabilities[chosen],
            labels=bundle.labels.names,
            thresholds=bundle.decision.reported_thresholds(),
            groups=None if groups is None else groups[chosen],
            seed=seed,
        )

    result: dict[str, Any] = {"external": block(slice(None))}
    if by:
        values = np.array([str(row.get(by)) for row in rows])
        result["by"] = {value: block(values == value) for value in sorted(set(values.tolist()))}
    return result


def names(row: dict[str, Any], where: str) -> list[str]:
    """Return the labels of a row."""
    if "labels" not in row:
        raise InputError(f"{where}: no column 'labels'{nearest('labels', list(row))}")
    try:
        return label_names(row["labels"])
    except InputError as error:
        raise InputError(f"{where}: field 'labels': {error}") from None


@stage("evaluate")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from pipeline.bundle import load
    from pipeline.evaluation.tables import score_table
    from pipeline.files import write_json
    from pipeline.text.readers import read_rows
    from pipeline.tracking import local_folder

    bundle = load(local_folder(config.model_uri, ROOT))
    rows = list(read_rows(config.input))
    result = evaluate(
        bundle, rows, by=config.by, group=config.group, seed=config.seed, where=str(config.input)
    )
    header = {
        "input": str(config.input),
        "model": bundle.card.get("model"),
        "model_uri": str(config.model_uri),
    }
    write_json(Path(config.output), header | result)
    blocks = {"all": result["external"], **result.get("by", {})}
    sys.stdout.write(f"{score_table(blocks)}\nintervals: 95 %\nwritten to {config.output}\n")


if __name__ == "__main__":
    main()
