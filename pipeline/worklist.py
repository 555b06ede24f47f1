"""Lists of sentences for people: files that coders fill in, and plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.labels.tasks import Task
from pipeline.schema import ConfigError, InputError, LabelSet
from pipeline.toolfiles import KNOWN_BY, format_of, write_tasks

TABLES = (".jsonl", ".parquet")
TO_FILL_IN = (".csv", ".json", ".xlsx")
Row = dict[str, Any]


def form_of(output: str, form: str | None) -> str | None:
    """Return the format of the tool that an output is for, None for a plain table.

    Raises
    ------
    ConfigError
        For an extension or a format that is not known.
    """
    suffix = Path(output).suffix
    if form is None and suffix not in (*TABLES, *TO_FILL_IN):
        raise ConfigError(
            f"output={output}: extension must be one of {', '.join(sorted((*TABLES, *TO_FILL_IN)))}"
        )
    return None if form is None and suffix not in KNOWN_BY else format_of(output, form)


def write_worklist(
    output: str | Path,
    form: str | None,
    rows: Sequence[Row],
    labels: LabelSet,
    predicted: Sequence[Sequence[str]] | None = None,
) -> list[Path]:
    """Write sentences as `pipeline.exchange` gives them out, or as a plain table, and return the files.

    Parameters
    ----------
    output : path
    form : str, optional
        See `form_of`.
    rows : sequence of dict
        With the fields of `labels.tasks.Task`; a table has their other columns too.
    labels : LabelSet
        The codebook; a table needs none.
    predicted : sequence of sequence of str, optional
        A classifier's labels for each row, for the coders to see.
    """
    if form is None:
        write_table(output, rows)
        return [Path(output)]
    given: Sequence[Sequence[str] | None] = predicted or [None] * len(rows)
    tasks = [
        Task(
            **{name: row[name] for name in ("article", "start", "end", "kind", "text", "before", "after")},
            suggested=None if names is None else tuple(names),
        )
        for row, names in zip(rows, given, strict=True)
    ]
    return write_tasks(output, form, tasks, labels)


def write_table(output: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as a table; raises InputError where one cannot hold them."""
    import pyarrow as pa

    from pipeline.rows import row_writer

    names = dict.fromkeys(key for row in rows for key in row)
    try:
        table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    except pa.ArrowException as error:
        raise InputError(f"{output}: cannot hold these columns ({str(error)[:120]})") from None
    with row_writer(output, table.schema, to_fill_in=True) as write:
        write(table.to_pylist())
