"""Workbooks to label in."""

import pytest

from pipeline.labels.tasks import Names, Task
from pipeline.labels.tools import excel, spreadsheet
from pipeline.schema import InputError, LabelSet

openpyxl = pytest.importorskip("openpyxl", reason="make extra-excel")
pytestmark = pytest.mark.extra
LABELS = LabelSet(("accusation", "denial"), {"denial": "=Says no"}, examples={"denial": ("No!",)})


def written(path, text, labels=LABELS):
    rows = spreadsheet.rows([Task("007", 3, 3 + len(text), "body", text)], labels)
    columns, choices = spreadsheet.columns(labels), spreadsheet.choices(labels)
    excel.workbook(str(path), rows, columns, choices, labels).save(path)
    return openpyxl.load_workbook(path)


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "@SUM(A1)", "-2 percent", "plain", "1/2"])
def test_text_stays_text(tmp_path, text):
    sheet = written(tmp_path / "a.xlsx", text)["sentences"]
    assert (sheet["A2"].value, sheet["A2"].data_type, sheet["A2"].number_format) == (text, "s", "@")
    assert sheet["A2"].quotePrefix
    found = dict(zip([c.value for c in sheet[1]], [c.value for c in sheet[2]], strict=True))
    assert found["article"] == "007"


def test_labels_are_chosen_from_lists(tmp_path):
    book = written(tmp_path / "a.xlsx", "text")
    rules = {str(rule.sqref): rule.formula1 for rule in book["sentences"].data_validations.dataValidation}
    assert rules == {"B2": "choices!$A$1:$A$2", "C2": "choices!$B$1:$B$2", "D2": "choices!$C$1:$C$1"}
    assert [cell.value for cell in book["choices"]["A"]] == ["yes", "no"]
    assert book["choices"].sheet_state == "hidden"
    assert [cell.value for cell in book["codebook"][3]] == ["denial", "=Says no", "No!"]
    assert book["codebook"]["B3"].data_type == "s"


def test_one_of_many_classes_is_chosen_from_a_long_list(tmp_path):
    classes = LabelSet(tuple(f"class number {n}" for n in range(60)), task="multiclass")
    book = written(tmp_path / "a.xlsx", "text", classes)
    rule = book["sentences"].data_validations.dataValidation[0]
    assert (str(rule.sqref), rule.formula1) == ("B2", "choices!$A$1:$A$60")


def test_what_was_filled_in_is_read(tmp_path):
    path = tmp_path / "a.xlsx"
    book = written(path, "=1+1")
    book["sentences"]["C2"] = "yes"
    book.save(path)
    (one,) = spreadsheet.read(excel.read(path), LABELS, Names("anna"))
    assert (one.article, one.start, one.text, one.labels) == ("007", 3, "=1+1", ("denial",))


def test_what_a_cell_cannot_hold_is_named(tmp_path):
    with pytest.raises(InputError, match="row 2: column 'text': 40,000 characters"):
        written(tmp_path / "a.xlsx", "x" * 40_000)
    with pytest.raises(InputError, match="control characters"):
        written(tmp_path / "a.xlsx", "x\x01")
    (tmp_path / "b.xlsx").write_text("no workbook")
    with pytest.raises(InputError, match="not a readable workbook"):
        list(excel.read(tmp_path / "b.xlsx"))
