"""Annotations that do not fit are named by file, line and field."""

import json

import pytest

from pipeline.labels.annotations import Annotation, by_sentence, check, majority, read_annotations
from pipeline.labels.labelset import indicator, label_set
from pipeline.schema import Article, ConfigError, InputError, LabelSet

LABELS = LabelSet(("accusation", "denial", "policy_action"))
TEXT = "Bank denies it. Prices rose."
GOOD = {"article": "a", "start": 0, "end": 15, "text": "Bank denies it.", "labels": ["denial"]}
ARTICLES = {"a": Article("a", TEXT)}


@pytest.fixture
def read(tmp_path):
    def written(*rows):
        path = tmp_path / "votes.jsonl"
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path.write_bytes(b"\n".join(lines) + b"\n")
        return list(read_annotations(path))

    return written


def vote(annotator="x", labels=(), start=0, end=15, article="a", where="f:1"):
    return Annotation(article, start, end, TEXT[start:end], tuple(labels), annotator, "body", where)


def test_reads_what_is_there_and_fills_in_the_rest(read):
    first, second = read(GOOD, b"", {**GOOD, "annotator": "x", "kind": "headline", "note": "ignored"})
    assert (first.labels, first.annotator, first.kind) == (("denial",), "", "body")
    assert (second.annotator, second.kind) == ("x", "headline")
    assert second.where.endswith("votes.jsonl:3")


def test_a_byte_order_mark_is_no_part_of_the_first_line(read):
    assert read(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())[0].article == "a"


MALFORMED = [
    (b"{not json", ["not JSON"]),
    (b"[1, 2]", ["expected an object with article, start, end, text, labels"]),
    (b"null", ["expected an object"]),
    (b'{"article": "caf\xe9"}', ["not JSON", "0xe9"]),
    (b"[" * 100_000, ["not JSON"]),
    *(
        ({key: value for key, value in GOOD.items() if key != field}, [f"field '{field}' missing"])
        for field in GOOD
    ),
    ({**GOOD, "article": 7}, ["field 'article' is int, expected str"]),
    ({**GOOD, "start": "0"}, ["field 'start' is str, expected int"]),
    ({**GOOD, "start": True}, ["field 'start' is bool, expected int"]),
    ({**GOOD, "end": 15.0}, ["field 'end' is float, expected int"]),
    ({**GOOD, "text": None}, ["field 'text' is NoneType, expected str"]),
    ({**GOOD, "labels": "denial"}, ["field 'labels' is str, expected list"]),
    ({**GOOD, "labels": ["denial", 3]}, ["field 'labels' must hold strings"]),
    ({**GOOD, "kind": "title"}, ["field 'kind'", "headline", "body"]),
    ({**GOOD, "kind": 5}, ["field 'kind'"]),
    ({**GOOD, "annotator": ["x"]}, ["field 'annotator' is list, expected str"]),
]


@pytest.mark.parametrize(("row", "said"), MALFORMED, ids=lambda value: str(value)[:60])
def test_malformed_lines_are_named(read, row, said):
    with pytest.raises(InputError) as caught:
        read(GOOD, row)
    message = str(caught.value)
    assert "votes.jsonl:2:" in message
    assert all(part in message for part in said), message
    assert "\n" not in message


MISFITS = [
    ({"article": "b"}, ["field 'article'", "no article 'b' in the corpus"]),
    ({"start": -1}, ["'start', 'end'", "-1-15 is outside", "28 characters"]),
    ({"end": 99}, ["0-99 is outside"]),
    ({"start": 15}, ["15-15 is outside"]),
    ({"start": 10**30, "end": 10**31}, ["is outside"]),
    (
        {"text": "Bank denies it!"},
        ["field 'text'", "'Bank denies it!'", "'Bank denies it.'", "was the article edited?"],
    ),
    ({"start": 1}, ["field 'text'"]),
    ({"labels": ["deniel"]}, ["field 'labels'", "unknown label 'deniel'; did you mean 'denial'?"]),
    ({"labels": ["denial", "xyz"]}, ["unknown label 'xyz'; known: accusation, denial, policy_action"]),
]


@pytest.mark.parametrize(("change", "said"), MISFITS, ids=lambda value: str(value)[:60])
def test_misfits_are_named(read, change, said):
    votes = read(GOOD, {**GOOD, **change})
    check(votes[0], ARTICLES, LABELS)
    with pytest.raises(InputError) as caught:
        check(votes[1], ARTICLES, LABELS)
    message = str(caught.value)
    assert "votes.jsonl:2:" in message
    assert all(part in message for part in said), message


def test_one_class_at_most(read):
    votes = read(GOOD, {**GOOD, "labels": []}, {**GOOD, "labels": ["accusation", "denial"]})
    classes = LabelSet(LABELS.names, task="multiclass")
    for one in votes[:2]:
        check(one, ARTICLES, classes)
    with pytest.raises(
        InputError, match=r"votes.jsonl:3: field 'labels': accusation, denial: task multiclass"
    ):
        check(votes[2], ARTICLES, classes)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl: no such file; set corpus\.annotations"):
        list(read_annotations(tmp_path / "none.jsonl"))


def test_sentences_come_in_reading_order_with_all_votes():
    votes = [vote("x", start=16, end=28), vote("x"), vote("y"), vote("x", article="A")]
    grouped = by_sentence(votes)
    assert list(grouped) == [("A", 0, 15), ("a", 0, 15), ("a", 16, 28)]
    assert [v.annotator for v in grouped["a", 0, 15]] == ["x", "y"]


def test_voting_twice_is_refused():
    with pytest.raises(
        InputError, match=r"f:9: annotator 'x' labelled this sentence before, at f:1; keep one"
    ):
        by_sentence([vote("x"), vote("y", where="f:3"), vote("x", where="f:9")])


@pytest.mark.parametrize(("start", "end"), [(14, 28), (0, 10), (3, 5), (0, 28)])
def test_overlapping_sentences_are_refused(start, end):
    with pytest.raises(InputError, match=r"f:\d: .* overlaps .* of the same article"):
        by_sentence([vote("x"), vote("x", start=start, end=end, where="f:2")])


def test_touching_sentences_and_other_articles_are_fine():
    assert len(by_sentence([vote(), vote(start=15, end=28), vote(article="b", start=3, end=20)])) == 3


@pytest.mark.parametrize(
    ("votes", "wanted"),
    [
        ([["denial"]], ["denial"]),
        ([["denial"], ["denial"], []], ["denial"]),
        ([["denial"], [], []], []),
        ([["denial"], []], ["denial"]),  # a draw: the first decides
        ([[], ["denial"]], []),
        ([["policy_action", "accusation"]], ["accusation", "policy_action"]),  # order of the label set
        ([["denial", "accusation"], ["denial"], ["accusation"]], ["accusation", "denial"]),
        ([[]], []),
    ],
)
def test_majority(votes, wanted):
    assert majority([vote(str(i), given) for i, given in enumerate(votes)], LABELS) == wanted


def test_indicator():
    found = indicator([["denial"], [], ["policy_action", "accusation"]], LABELS)
    assert found.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 1]]
    with pytest.raises(InputError, match="unknown label 'Denial'; did you mean 'denial'"):
        indicator([["Denial"]], LABELS)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "labels.names: at least one label is needed"),
        ({"names": []}, "labels.names"),
        ({"names": ["a", "a"]}, "names must differ"),
        ({"names": ["a"], "task": "binary"}, "labels.task=binary: must be one of multilabel, multiclass"),
        ({"names": ["a"], "definitions": {"b": "?"}}, "definition of unknown label 'b'"),
        ({"names": ["a"], "definition": {"a": "?"}}, "definition"),
    ],
)
def test_label_sets_that_cannot_be_used(config, message):
    with pytest.raises(ConfigError, match=message):
        label_set(config)


def test_label_set():
    found = label_set({"names": ["b", "a"], "definitions": {"a": "first"}, "task": "multiclass"})
    assert found == LabelSet(("b", "a"), {"a": "first"}, "multiclass")
    assert label_set({"names": ["b"]}).task == "multilabel"
