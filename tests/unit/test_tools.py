"""The file formats of annotation tools: what goes out comes back, whatever is in it."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.labels.annotations import Annotation
from pipeline.labels.tasks import Names, Task, merge
from pipeline.labels.tools import doccano, label_studio, prodigy, spreadsheet
from pipeline.rows import defuse, restore
from pipeline.schema import ConfigError, InputError, LabelSet

LABELS = LabelSet(
    ("accusation", "denial"), {"denial": 'Says "no" & <means> it.'}, examples={"denial": ("No!",)}
)
TOPICS = LabelSet(("sport", "money"), task="multiclass")
ANNA = Names("anna")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)


def placed(rows):
    return [(f"f:{n}", row) for n, row in enumerate(rows, 1)]


@st.composite
def tasks(draw):
    text = draw(TEXT)
    place = {"article": draw(TEXT), "start": 3, "end": 3 + len(text), "text": text}
    votes = tuple(
        Annotation(
            **place,
            labels=tuple(draw(st.sets(st.sampled_from(LABELS.names)))),
            annotator=name,
            kind="headline",
            where="",
            time=draw(st.sampled_from(["", "2024-02-03T04:05:06Z"])),
            seconds=draw(st.sampled_from([None, 1.25, 7.0])),
            notes=draw(TEXT | st.just("")),
        )
        for name in ("ben", "=cy")
    )
    return Task(**place, kind="headline", votes=votes)


def same(found, task):
    assert [{**one.row(), "labels": set(one.labels)} for one in found] == [
        {**one.row(), "labels": set(one.labels)} for one in task.votes
    ]


@settings(max_examples=60, deadline=None)
@given(tasks())
def test_earlier_votes_come_back_from_every_tool(task):
    sent = list(label_studio.rows([task]))
    back = label_studio.read(placed([{**row, "annotations": []} for row in sent]), Names())
    same(list(back), task)
    sent = [{**row, "answer": "ignore"} for row in prodigy.rows([task], LABELS)]
    same([one for one in prodigy.read(placed(sent), Names()) if one], task)
    sent = json.loads(json.dumps(list(doccano.rows([task]))))
    same(list(doccano.read(placed(sent), ANNA))[:2], task)


@settings(max_examples=100, deadline=None)
@given(tasks())
def test_cells_come_back_and_none_is_a_formula(task):
    rows = list(spreadsheet.rows([task], LABELS))
    cells = [{name: defuse(row.get(name)) for name in spreadsheet.columns(LABELS)} for row in rows]
    for cell in (value for row in cells for value in row.values() if isinstance(value, str)):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    back = [{name: restore(value) for name, value in row.items()} for row in cells]
    same(list(spreadsheet.read(placed(back), LABELS, Names())), task)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("'=+-@\t a"), max_size=6))
def test_defusing_can_be_undone(text):
    assert restore(defuse(text)) == text


def test_the_interface_says_what_labels_mean():
    view = ElementTree.fromstring(label_studio.config(LABELS))
    choices = view.find("Choices")
    assert [one.get("value") for one in choices] == list(LABELS.names)
    assert choices[1].get("hint") == 'Says "no" & <means> it. “No!”'
    assert choices.get("choice") == "multiple" and choices.get("required") is None
    single = ElementTree.fromstring(label_studio.config(TOPICS)).find("Choices")
    assert (single.get("choice"), single.get("required")) == ("single", "true")


PLACE = {"article": "a", "start": 0, "end": 4, "kind": "body", "text": "Text"}


def test_label_studio_minimal_gives_a_bare_string_for_one_choice():
    row = {
        **PLACE,
        "annotation_id": 1,
        "annotator": 7,
        "updated_at": "2024-01-01T00:00:00Z",
        "lead_time": 2.5,
    }
    rows = [
        {**row, "labels": "denial", "notes": "n"},
        {**row, "labels": {"choices": ["accusation", "denial"]}},
        row,
    ]
    found = list(label_studio.read(placed(rows), Names(known={"7": "anna"})))
    assert [one.labels for one in found] == [("denial",), ("accusation", "denial"), ()]
    assert (found[0].annotator, found[0].notes, found[0].seconds) == ("anna", "n", 2.5)


def test_prodigy():
    row = next(prodigy.rows([Task("a", 0, 4, "body", "Text", suggested=("denial",))], LABELS))
    assert row["accept"] == ["denial"] and row["config"] == {"choice_style": "multiple"}
    answer = {
        **row,
        "accept": ["accusation"],
        "answer": "accept",
        "_timestamp": 1700000000,
        "_session_id": "s-anna",
    }
    one, skipped = prodigy.read(
        placed([answer, {**answer, "answer": "ignore"}]), Names(known={"s-anna": "anna"})
    )
    assert skipped is None
    assert (one.annotator, one.labels, one.time) == ("anna", ("accusation",), "2023-11-14T22:13:20Z")


def test_doccano():
    row = next(doccano.rows([Task("a", 0, 4, "body", "Text", suggested=("denial",))]))
    assert row["label"] == [], "a suggestion that nobody confirmed is no label"
    one = next(doccano.read(placed([{**row, "id": 3, "label": ["denial"], "Comments": ["why", "so"]}]), ANNA))
    assert (one.labels, one.notes, one.annotator) == (("denial",), "why\nso", "anna")


def filled(**cells):
    return {**dict.fromkeys(spreadsheet.columns(LABELS), ""), **PLACE, **cells}


def test_a_row_without_a_mark_is_not_done_and_none_means_none():
    rows = [filled(), filled(none="yes"), filled(denial="X"), filled(accusation="no", denial=1.0)]
    found = list(spreadsheet.read(placed(rows), LABELS, ANNA))
    assert [one and one.labels for one in found] == [None, (), ("denial",), ("denial",)]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"denial": "perhaps"}, "f:1: column 'denial': 'perhaps' is neither yes nor no"),
        ({"denial": "yes", "none": "yes"}, "f:1: both 'denial' and 'none' are marked"),
        ({"none": "yes", "start": "three"}, "f:1: column 'start': 'three' is not a number"),
    ],
)
def test_what_a_row_says_wrong_is_named(cells, said):
    with pytest.raises(InputError, match=said):
        list(spreadsheet.read(placed([filled(**cells)]), LABELS, ANNA))


def test_a_missing_column_or_annotator_is_named():
    row = filled(none="yes")
    with pytest.raises(InputError, match="set annotator=NAME, or fill in the column"):
        list(spreadsheet.read(placed([row]), LABELS, Names()))
    del row["denial"]
    with pytest.raises(InputError, match="no column 'denial'"):
        list(spreadsheet.read(placed([row]), LABELS, ANNA))


def test_a_label_may_not_be_a_column_of_its_own():
    with pytest.raises(ConfigError, match="'notes' is a column"):
        spreadsheet.columns(LabelSet(("notes", "x")))


def test_one_column_where_one_label_is_asked_for():
    assert spreadsheet.choices(TOPICS) == {"label": ("sport", "money")}
    row = {**dict.fromkeys(spreadsheet.columns(TOPICS), ""), **PLACE, "label": "money"}
    assert next(spreadsheet.read(placed([row]), TOPICS, ANNA)).labels == ("money",)


def test_merging_is_by_sentence_and_annotator_and_time():
    def one(name, *labels, time=""):
        return Annotation("a", 0, 4, "Text", labels, name, "body", "", time=time)

    old = [one("anna", "denial", time="2024-02-01"), one("ben", time="2024-02-01")]
    new = [one("anna", time="2024-03-01"), one("ben", "denial", time="2024-01-01"), one("cy")]
    merged, counts = merge(old, new)
    assert [(x.annotator, x.labels) for x in merged] == [("anna", ()), ("ben", ()), ("cy", ())]
    assert counts == {"added": 1, "changed": 1, "unchanged": 1}
    assert merge(merged, new)[1]["added"] == 0
