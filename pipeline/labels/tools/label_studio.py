"""Label Studio: tasks and label configuration out; JSON and JSON-MIN exports in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import quoteattr

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Placed, Row, Task, earlier, strings, vote
from pipeline.schema import InputError, LabelSet

LABELS, NOTES = "labels", "notes"


def config(labels: LabelSet, *, votes: bool = False) -> str:
    """Return the labelling interface as XML: choices with their definitions as hints, and notes.

    A sentence may carry no label unless the task is "multiclass", so only there one is required.
    With `votes`, what annotators said before is shown, for whoever settles it.
    """
    single = labels.task == "multiclass"
    choices = "\n".join(
        f"    <Choice value={quoteattr(name)} hint={quoteattr(_hint(name, labels))}/>"
        for name in labels.names
    )
    how = 'choice="single" required="true"' if single else 'choice="multiple"'
    return (
        "<View>\n"
        '  <View style="opacity: 0.55"><Text name="before" value="$before"/></View>\n'
        '  <View style="font-size: 1.25em"><Text name="text" value="$text"/></View>\n'
        '  <View style="opacity: 0.55"><Text name="after" value="$after"/></View>\n'
        + ('  <Text name="said" value="$said"/>\n' if votes else "")
        + f'  <Choices name="{LABELS}" toName="text" {how}>\n'
        f"{choices}\n"
        "  </Choices>\n"
        f'  <TextArea name="{NOTES}" toName="text" placeholder="Notes" rows="1" maxSubmissions="1"/>\n'
        "</View>\n"
    )


def rows(tasks: Iterable[Task]) -> Iterator[Row]:
    """Yield the tasks to import; what a classifier would give is a prediction, shown as ticked boxes."""
    for task in tasks:
        data = task.carried() | {"before": task.before, "after": task.after}
        if task.votes:
            data["said"] = "; ".join(
                f"{one.annotator}: {', '.join(one.labels) or 'none'}" for one in task.votes
            )
        row: Row = {"data": data}
        if task.suggested:
            value = {"choices": list(task.suggested)}
            ticked = {"from_name": LABELS, "to_name": "text", "type": "choices", "value": value}
            row["predictions"] = [{"model_version": "pipeline", "result": [ticked]}]
        yield row


def read(placed: Iterable[Placed], names: Names) -> Iterator[Annotation | None]:
    """Yield what the rows of an export say; None for a sentence that an annotator skipped.

    Raises
    ------
    InputError
        Naming the place of a row that is no task of ours.
    """
    for where, row in placed:
        if "data" in row:
            yield from _full(where, row, names)
        else:
            yield from _minimal(where, row, names)


def _full(where: str, row: Row, names: Names) -> Iterator[Annotation | None]:
    data, given = row["data"], row.get("annotations")
    if not isinstance(data, dict) or not isinstance(given, list):
        raise InputError(f"{where}: no list of 'annotations'; export the project as JSON or JSON-MIN")
    yield from earlier(where, data)
    for one in given:
        if one.get("was_cancelled"):
            yield None
            continue
        who = one.get("completed_by")
        said: Row = {LABELS: [], NOTES: ""}
        for part in one.get("result") or []:
            value = part.get("value") or {}
            if part.get("from_name") == LABELS:
                said[LABELS] = strings(value.get("choices"), where, "choices")
            elif part.get("from_name") == NOTES:
                said[NOTES] = "\n".join(strings(value.get("text"), where, NOTES))
        said["annotator"] = _name(names, who.get("email") if isinstance(who, dict) else who, where)
        said["time"] = one.get("updated_at") or one.get("created_at")
        yield vote(where, data, said | {"seconds": one.get("lead_time")})


def _minimal(where: str, row: Row, names: Names) -> Iterator[Annotation | None]:
    yield from earlier(where, row)
    if row.get("annotation_id") is None:
        return
    value = row.get(LABELS)
    yield vote(
        where,
        row,
        {
            # One choice is a bare string there, several an object.
            LABELS: strings(value.get("choices") if isinstance(value, dict) else value, where, LABELS),
            NOTES: "\n".join(strings(row.get(NOTES), where, NOTES)),
            "annotator": _name(names, row.get("annotator"), where),
            "time": row.get("updated_at") or row.get("created_at"),
            "seconds": row.get("lead_time"),
        },
    )


def _name(names: Names, given: object, where: str) -> str:
    try:
        return names.of(given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _hint(name: str, labels: LabelSet) -> str:
    examples = [f"“{one}”" for one in labels.examples.get(name, ())]
    return " ".join([labels.definitions.get(name, ""), *examples]).strip()
