"""The files of annotation tools: which format is which, written whole and read row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Placed, Task
from pipeline.schema import ConfigError, InputError, LabelSet, nearest

FORMATS = ("label_studio", "doccano", "prodigy", "csv", "excel")
KNOWN_BY = {".json": "label_studio", ".csv": "csv", ".tsv": "csv", ".xlsx": "excel", ".zip": "doccano"}


def format_of(path: str, form: str | None) -> str:
    """Return the format of a tool's file, told by its extension unless it is given."""
    found = form or KNOWN_BY.get(Path(path).suffix.lower())
    if found is None:
        raise ConfigError(f"format: must be given for {path}: one of {', '.join(FORMATS)}")
    if found not in FORMATS:
        raise ConfigError(f"format={found}: unknown{nearest(str(found), FORMATS)}")
    return found


def write_tasks(path: str | Path, form: str, tasks: Sequence[Task], labels: LabelSet) -> list[Path]:
    """Write tasks in the format of a tool and return the files; beside Label Studio's, its interface.

    Raises
    ------
    InputError
        Where there is a file with other contents: what was filled in would be lost.
    """
    from pipeline.files import sheltered
    from pipeline.labels.tools import doccano, excel, label_studio, prodigy, spreadsheet
    from pipeline.rows import row_writer

    path = Path(path)
    if form == "label_studio":
        interface = path.with_name(f"{path.stem}.config.xml")
        rows = json.dumps(list(label_studio.rows(tasks)), indent=1, ensure_ascii=False)
        view = label_studio.config(labels, votes=any(task.votes for task in tasks))
        with sheltered(path) as temporary, sheltered(interface) as beside:
            temporary.write_text(f"{rows}\n", encoding="utf-8")
            beside.write_text(view, encoding="utf-8")
        return [path, interface]
    if form == "excel":
        columns, choices = spreadsheet.columns(labels), spreadsheet.choices(labels)
        book = excel.workbook(str(path), spreadsheet.rows(tasks, labels), columns, choices, labels)
        with sheltered(path, excel.same) as temporary:
            book.save(temporary)
        return [path]
    names: tuple[str, ...] = ()
    if form == "csv":
        names = spreadsheet.columns(labels)
        cells = list(spreadsheet.rows(tasks, labels))
    else:
        cells = list(doccano.rows(tasks) if form == "doccano" else prodigy.rows(tasks, labels))
    with row_writer(path, _schema(names), to_fill_in=True) as write:
        write(cells)
    return [path]


def read_export(path: str | Path, form: str, labels: LabelSet, names: Names) -> Iterator[Annotation | None]:
    """Yield the annotations in a tool's file, None for a sentence that was skipped or is not done.

    Raises
    ------
    InputError
        Naming file and row of what is no annotation of ours.
    """
    from pipeline.labels.tools import doccano, excel, label_studio, prodigy, spreadsheet

    path = Path(path)
    if form == "label_studio":
        yield from label_studio.read(_json(path), names)
    elif form == "excel":
        yield from spreadsheet.read(excel.read(path), labels, names)
    elif form == "csv":
        yield from spreadsheet.read(_table(path), labels, names)
    elif form == "prodigy":
        yield from prodigy.read(_table(path), names)
    elif path.suffix == ".zip":
        yield from _zipped(path, names)
    else:
        yield from doccano.read(_table(path), names)


def _schema(names: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in names])


def _json(path: Path) -> Iterator[Placed]:
    from pipeline.text.decoding import read_text

    try:
        rows = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); export the project as JSON or JSON-MIN") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a list of tasks; export the project as JSON or JSON-MIN")
    for number, row in enumerate(rows, 1):
        yield f"{path}: task {row.get('id', number)}", row


def _table(path: Path) -> Iterator[Placed]:
    from pipeline.text.tables import rows

    kind = {".csv": "csv", ".tsv": "tsv"}.get(path.suffix.lower(), "jsonl")

    def stop(error: InputError) -> None:
        raise error

    for place, row in rows(path, kind, "text", stop):
        yield f"{path}: {place}", row


def _zipped(path: Path, names: Names) -> Iterator[Annotation | None]:
    """Read what doccano packs: a file for each annotator, or one called "all"."""
    import tempfile
    from zipfile import BadZipFile, ZipFile

    from pipeline.labels.tools import doccano

    with tempfile.TemporaryDirectory() as folder:
        try:
            with ZipFile(path) as packed:
                packed.extractall(folder)
        except (BadZipFile, OSError) as error:
            raise InputError(f"{path}: not a readable zip file ({error})") from None
        for file in sorted(Path(folder).rglob("*.jsonl")):
            own = (
                names if file.stem == "all" else replace(names, default=names.known.get(file.stem, file.stem))
            )
            shown = ((where.replace(folder, str(path)), row) for where, row in _table(file))
            try:
                yield from doccano.read(shown, own)
            except InputError as error:
                raise InputError(str(error).replace(folder, str(path))) from None
