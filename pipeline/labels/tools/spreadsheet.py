"""Spreadsheets: a column for each label, a row for each sentence and annotator, out and in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Placed, Row, Task, vote
from pipeline.schema import ConfigError, InputError, LabelSet, nearest

YES, NO = "yes", "no"
#: The column that says "read, and no label applies"; a row without any mark has not been read.
NONE = "none"
LABEL = "label"
AFTER = (
    *("notes", "annotator", "suggested", "before", "after"),
    *("article", "start", "end", "kind", "time", "seconds"),
)
_MARKS = {"yes": True, "y": True, "x": True, "1": True, "true": True}
_MARKS |= {"no": False, "n": False, "0": False, "false": False, "": False}


def marks(labels: LabelSet) -> tuple[str, ...]:
    """Return the columns that an annotator fills in: one for each label and `none`, or just `label`."""
    if labels.task == "multiclass":
        return (LABEL,)
    if taken := {NONE, "text", *AFTER}.intersection(labels.names):
        raise ConfigError(f"labels.names: {min(taken)!r} is a column of its own in a spreadsheet; rename it")
    return (*labels.names, NONE)


def columns(labels: LabelSet) -> tuple[str, ...]:
    """Return all columns, in order."""
    return ("text", *marks(labels), *AFTER)


def choices(labels: LabelSet) -> dict[str, tuple[str, ...]]:
    """Return what may be chosen in each column that an annotator fills in."""
    if labels.task == "multiclass":
        return {LABEL: labels.names}
    return {name: (YES,) if name == NONE else (YES, NO) for name in marks(labels)}


def rows(tasks: Iterable[Task], labels: LabelSet) -> Iterator[Row]:
    """Yield a row for each earlier vote on a sentence, or one to be filled in."""
    for task in tasks:
        place = task.place() | {"before": task.before, "after": task.after}
        place["suggested"] = "; ".join(task.suggested or ())
        if not task.votes:
            yield place
        for one in task.votes:
            said = _marked(one.labels, labels)
            about = {"annotator": one.annotator, "time": one.time, "notes": one.notes}
            yield place | said | about | {"seconds": one.seconds, "kind": one.kind}


def read(placed: Iterable[Placed], labels: LabelSet, names: Names) -> Iterator[Annotation | None]:
    """Yield what the filled-in rows say; None for a row that nobody filled in.

    Raises
    ------
    InputError
        Naming the row and column of what cannot be understood.
    """
    wanted = marks(labels)
    for where, row in placed:
        if missing := [name for name in (*wanted, "article", "start", "end", "text") if name not in row]:
            raise InputError(f"{where}: no column {missing[0]!r}{nearest(missing[0], list(row))}")
        chosen = _chosen(where, row, wanted, labels)
        if chosen is None:
            yield None
            continue
        try:
            annotator = names.of(row.get("annotator"))
        except InputError as error:
            raise InputError(f"{where}: {error}, or fill in the column") from None
        given: Row = {"labels": chosen, "annotator": annotator, "notes": row.get("notes") or ""}
        given["time"] = row.get("time") or None
        seconds = _text(row.get("seconds"))
        given["seconds"] = _number(where, row, "seconds") if seconds else None
        place: Row = {name: _text(row.get(name)) for name in ("article", "text")}
        place |= {name: int(_number(where, row, name)) for name in ("start", "end")}
        yield vote(where, place | {"kind": _text(row.get("kind")) or "body"}, given)


def _marked(given: Sequence[str], labels: LabelSet) -> Row:
    if labels.task == "multiclass":
        return {LABEL: next(iter(given), "")}
    return {name: YES for name in labels.names if name in given} | ({} if given else {NONE: YES})


def _chosen(where: str, row: Row, wanted: Sequence[str], labels: LabelSet) -> list[str] | None:
    """Return the labels of a row, or None where nothing was filled in."""
    if labels.task == "multiclass":
        return [name] if (name := _text(row[LABEL])) else None
    said = {name: _text(row[name]).lower() for name in wanted}
    if not any(said.values()):
        return None
    for name, mark in said.items():
        if mark not in _MARKS:
            raise InputError(f"{where}: column {name!r}: {row[name]!r} is neither {YES} nor {NO}")
    chosen = [name for name in labels.names if _MARKS[said[name]]]
    if chosen and _MARKS[said[NONE]]:
        raise InputError(f"{where}: both {chosen[0]!r} and {NONE!r} are marked; keep one")
    return chosen


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _number(where: str, row: Mapping[str, object], name: str) -> float:
    try:
        return float(_text(row.get(name)))
    except ValueError:
        raise InputError(f"{where}: column {name!r}: {row.get(name)!r} is not a number") from None
