"""Lists of sentences for people to read: tables, and tasks for Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.schema import InputError

TASKS = ".json"
FORMATS = (".csv", ".jsonl", ".parquet", TASKS)
Row = dict[str, Any]


def write_worklist(
    output: str | Path,
    rows: Sequence[Row],
    predicted: Sequence[Sequence[str]] | None = None,
    *,
    model: str = "",
) -> None:
    """Write rows as a table, or as Label Studio's tasks where the extension is .json.

    Parameters
    ----------
    output : path
    rows : sequence of dict
    predicted : sequence of sequence of str, optional
        A classifier's labels for each row, for Label Studio to show as its own.
    model : str
        Name of the classifier.

    Raises
    ------
    InputError
        Where a table cannot hold the rows.
    """
    import pyarrow as pa

    from pipeline.files import write_json, write_rows

    output = Path(output)
    if output.suffix == TASKS:
        write_json(output, tasks(rows, predicted, model=model))
        return
    names = dict.fromkeys(key for row in rows for key in row)
    try:
        table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    except pa.ArrowException as error:
        raise InputError(f"{output}: cannot hold these columns ({str(error)[:120]}); write .json") from None
    write_rows(output, table.to_batches(), table.schema)


def tasks(
    rows: Sequence[Row], predicted: Sequence[Sequence[str]] | None = None, *, model: str = ""
) -> list[Row]:
    """Return rows as Label Studio's tasks; see `write_worklist`."""
    around = {"before": "", "after": ""}
    found: list[Row] = [
        {
            "data": around
            | {key: value for key, value in row.items() if key not in ("rank", "score", "scores")}
        }
        for row in rows
    ]
    for task, labels in zip(found, predicted or (), strict=predicted is not None):
        ticked = {"from_name": "labels", "to_name": "text", "type": "choices"}
        result = [ticked | {"value": {"choices": list(labels)}}] if labels else []
        task["predictions"] = [{"model_version": model or "pipeline", "result": result}]
    return found
