"""Excel workbooks to label in: drop-downs, the codebook on a second sheet, text that stays text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.labels.tasks import Placed, Row
from pipeline.schema import InputError, LabelSet, need

SHEET, CODEBOOK = "sentences", "codebook"
_LONGEST = 32_767
_WIDTHS = {"text": 90, "notes": 30, "suggested": 24, "before": 40, "after": 40}


def workbook(
    where: str,
    rows: Iterable[Row],
    columns: Sequence[str],
    choices: Mapping[str, Sequence[str]],
    labels: LabelSet,
) -> Any:
    """Return a workbook of rows with a drop-down in every column of `choices`; errors name `where`.

    Raises
    ------
    ConfigError
        Where openpyxl is not installed.
    InputError
        For a text that a cell cannot hold.
    """
    need("an Excel file", "excel", "openpyxl")
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    sheet = book.active
    sheet.title = SHEET
    sheet.append(list(columns))
    for number, row in enumerate(rows, 2):
        for column, name in enumerate(columns, 1):
            _put(sheet.cell(number, column), row.get(name), f"{where}: row {number}: column {name!r}")
        sheet.cell(number, 1).alignment = Alignment(wrap_text=True, vertical="top")
    for column, name in enumerate(columns, 1):
        sheet.cell(1, column).font = Font(bold=True)
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = _WIDTHS.get(name, 15)
    sheet.freeze_panes = "B2"
    _drop_downs(sheet, columns, choices)
    _codebook(book.create_sheet(CODEBOOK), labels)
    return book


def read(path: Path) -> Iterator[Placed]:
    """Yield the rows of the sheet of sentences, the first where none has that name.

    Raises
    ------
    InputError
        Where the file is no workbook.
    """
    need("an Excel file", "excel", "openpyxl")
    from io import BytesIO
    from zipfile import BadZipFile

    from openpyxl import load_workbook

    try:
        book = load_workbook(BytesIO(path.read_bytes()), read_only=True)
    except (BadZipFile, KeyError, OSError) as error:
        raise InputError(f"{path}: not a readable workbook ({error}); save it as .xlsx") from None
    sheet = book[SHEET] if SHEET in book.sheetnames else book.worksheets[0]
    lines = sheet.iter_rows(values_only=True)
    names = ["" if name is None else str(name) for name in next(lines, ())]
    for number, line in enumerate(lines, 2):
        if any(value is not None for value in line):
            yield f"{path}: row {number}", dict(zip(names, line, strict=False))


def same(one: Path, other: Path) -> bool:
    """Return whether two workbooks have the same sentences and marks; their times of writing differ."""
    return [row for _, row in read(one)] == [row for _, row in read(other)]


def _put(cell: Any, value: object, where: str) -> None:
    """Set a cell; text is marked as text, whatever it looks like, also when it is edited."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if value is None or value == "":
        return
    if not isinstance(value, str):
        cell.value = value
        return
    if len(value) > _LONGEST:
        raise InputError(f"{where}: {len(value):,} characters, a cell holds {_LONGEST:,}; write .csv")
    if ILLEGAL_CHARACTERS_RE.search(value):
        raise InputError(f"{where}: control characters, which a cell cannot hold; write .csv")
    cell.value = value
    cell.data_type = "s"
    cell.number_format = "@"
    cell.quotePrefix = True


def _drop_downs(sheet: Any, columns: Sequence[str], choices: Mapping[str, Sequence[str]]) -> None:
    """Offer the choices; they stand on a hidden sheet, since a list in a cell holds 255 characters."""
    from openpyxl.worksheet.datavalidation import DataValidation

    lists = sheet.parent.create_sheet("choices")
    lists.sheet_state = "hidden"
    for number, (name, offered) in enumerate(choices.items(), 1):
        for line, value in enumerate(offered, 1):
            _put(lists.cell(line, number), value, f"choice {value!r}")
        letter = lists.cell(1, number).column_letter
        rule = DataValidation(
            type="list", formula1=f"choices!${letter}$1:${letter}${len(offered)}", allow_blank=True
        )
        rule.error = f"Choose {', '.join(offered)}, or leave the cell empty."
        rule.errorTitle = name[:32]
        rule.showErrorMessage = True
        sheet.add_data_validation(rule)
        column = sheet.cell(1, list(columns).index(name) + 1).column_letter
        rule.add(f"{column}2:{column}{max(sheet.max_row, 2)}")


def _codebook(sheet: Any, labels: LabelSet) -> None:
    from openpyxl.styles import Alignment, Font

    lines = [("label", "definition", "examples")]
    lines += [
        (name, labels.definitions.get(name, ""), "\n".join(labels.examples.get(name, ())))
        for name in labels.names
    ]
    for number, line in enumerate(lines, 1):
        for column, value in enumerate(line, 1):
            cell = sheet.cell(number, column)
            _put(cell, value, f"label {line[0]!r}")
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.font = Font(bold=number == 1)
    for letter, width in (("A", 20), ("B", 80), ("C", 80)):
        sheet.column_dimensions[letter].width = width
