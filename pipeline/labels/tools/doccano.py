"""doccano: JSONL of its text classification projects, out and in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Placed, Row, Task, earlier, strings, vote
from pipeline.schema import InputError


def rows(tasks: Iterable[Task]) -> Iterator[Row]:
    """Yield the documents to import; doccano keeps the other columns as metadata.

    What a classifier would give is metadata too: doccano exports a label that nobody confirmed as if
    somebody had given it.
    """
    for task in tasks:
        row = task.carried() | {"label": []}
        yield row if task.suggested is None else row | {"suggested": list(task.suggested)}


def read(placed: Iterable[Placed], names: Names) -> Iterator[Annotation | None]:
    """Yield what the rows of an export say.

    Raises
    ------
    InputError
        Naming the place of a row that is no document of ours.
    """
    for where, row in placed:
        if "label" not in row:
            raise InputError(f"{where}: no field 'label'; export a text classification project as JSONL")
        yield from earlier(where, row)
        try:
            annotator = names.of(None)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        given = {
            "labels": strings(row["label"], where, "label"),
            "notes": "\n".join(strings(row.get("Comments"), where, "Comments")),
            "annotator": annotator,
        }
        yield vote(where, row, given)
