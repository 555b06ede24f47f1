"""Prodigy: JSONL of its `choice` interface (`textcat.manual` makes it), out and in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Placed, Row, Task, earlier, iso, strings, vote
from pipeline.schema import InputError, LabelSet

NOTES = "notes"


def rows(tasks: Iterable[Task], labels: LabelSet) -> Iterator[Row]:
    """Yield tasks with the labels as options; what a classifier would give is ticked beforehand."""
    options = [{"id": name, "text": name} for name in labels.names]
    for task in tasks:
        row = task.carried() | {"options": options, "meta": {"article": task.article}}
        row["config"] = {"choice_style": "single" if labels.task == "multiclass" else "multiple"}
        yield row if task.suggested is None else row | {"accept": list(task.suggested)}


def read(placed: Iterable[Placed], names: Names) -> Iterator[Annotation | None]:
    """Yield what the rows of `prodigy db-out` say; None where the answer was not "accept".

    Raises
    ------
    InputError
        Naming the place of a row that is no answered task of ours.
    """
    for where, row in placed:
        if "answer" not in row or "options" not in row:
            raise InputError(f"{where}: no 'answer' to 'options'; label with a choice recipe, then db-out")
        yield from earlier(where, row)
        if row["answer"] != "accept":
            yield None
            continue
        stamp = row.get("_timestamp")
        try:
            annotator = names.of(row.get("_annotator_id") or row.get("_session_id"))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        given = {
            "labels": strings(row.get("accept"), where, "accept"),
            "notes": row.get(NOTES, ""),
            "annotator": annotator,
            "time": iso(stamp) if isinstance(stamp, int | float) else None,
        }
        yield vote(where, row, given)
