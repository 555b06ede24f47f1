"""Label cells in every form."""

import pytest

from pipeline.labels.values import flagged, label_names
from pipeline.schema import InputError


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("sport", ["sport"]),
        (" sport ", ["sport"]),
        ("sport;trade", ["sport", "trade"]),
        ("sport; ;trade;sport", ["sport", "trade"]),
        ("", []),
        (None, []),
        (float("nan"), []),
        (3, ["3"]),
        (3.0, ["3"]),
        (0, ["0"]),
        ("1.0", ["1"]),
        ("-2.00;v1.0", ["-2", "v1.0"]),
        *((missing, []) for missing in ("NaN", "nan", "null", "NULL", "<NA>", ["null"])),
        ("Nan", ["Nan"]),
        ("²", ["²"]),
        (True, ["true"]),
        (["a", "b"], ["a", "b"]),
        ([], []),
        ([2, 1], ["2", "1"]),
        (["a;b"], ["a;b"]),
        ('["a", "b"]', ["a", "b"]),
        ("['a', 'b']", ["a", "b"]),
        ("[1, 2]", ["1", "2"]),
        ("[]", []),
        ("[sic]", ["[sic]"]),
        ("政治;经济", ["政治", "经济"]),
    ],
)
def test_cells(value, names):
    assert label_names(value) == names


def test_a_string_is_one_name_where_the_task_has_one():
    assert label_names("a;b", separator=None) == ["a;b"]
    assert label_names("a|b", separator="|") == ["a", "b"]


def test_numbers_stand_for_names():
    names = ["neg", "pos"]
    assert label_names(1, class_names=names) == ["pos"]
    assert label_names("1", class_names=names) == ["pos"]
    assert label_names([0, 1], class_names=names) == ["neg", "pos"]
    assert label_names("1.0", class_names=names) == ["pos"]
    assert label_names("pos", class_names=names) == ["pos"]
    assert label_names("²", class_names=names) == ["²"]
    assert label_names(-1, class_names=names) == []
    with pytest.raises(InputError, match="2: the table names only 2 classes"):
        label_names(2, class_names=names)


@pytest.mark.parametrize("value", [{"a": 1}, 0.5, "0.5", "-.25", [["a"]], b"a", float("inf")])
def test_what_is_no_label(value):
    with pytest.raises(InputError, match="expected names"):
        label_names(value)


@pytest.mark.parametrize("yes", [1, 1.0, True, "1", "true", "Yes", " TRUE "])
@pytest.mark.parametrize("no", [0, 0.0, False, "0", "false", "", None, float("nan")])
def test_a_column_for_each_label(yes, no):
    assert flagged({"a": yes, "b": no, "c": yes}, ["a", "b", "c"]) == ["a", "c"]


@pytest.mark.parametrize("cell", [2, "maybe", 0.5])
def test_neither_yes_nor_no(cell):
    with pytest.raises(InputError, match="in column 'a': must be 1 or 0"):
        flagged({"a": cell}, ["a"])
