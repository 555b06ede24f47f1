"""What the Spark engine does without Spark."""

import re
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pytest

from pipeline.engines.partition import LINE, PLACE, Places, Work, parsed, table
from pipeline.engines.spark import _flat
from pipeline.engines.storage import literal, suffix
from pipeline.schema import InputError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "spark.md"


def commands():
    """Return the arguments of every command in the documentation that runs a stage on Spark."""
    text = DOCS.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"python -m pipeline\.(\w+) +(.*engine=spark.*)", text)


def test_the_documented_commands_compose(compose):
    found = {}
    for stage, arguments in commands():
        config = compose(stage, arguments.split())
        assert config.engine == "spark"
        found |= dict(_flat(config.spark.conf))
    assert found["spark.executor.memory"] == "2g"
    assert found["spark.kubernetes.container.image"] == "registry/labels:1"
    assert len(commands()) == 4


def test_properties_are_flat_nested_or_both():
    given = {"spark.a": 1, "spark": {"b": {"c": True}, "d.e": "4g"}}
    assert dict(_flat(given)) == {"spark.a": "1", "spark.b.c": "true", "spark.d.e": "4g"}


def test_places_find_the_file_and_line_of_a_row():
    places = Places((0, 10, 1 << 33), ("b", "a", "b"), (1, 1, 11))
    assert [places.find(n) for n in (0, 9, 10, (1 << 33) + 2)] == [("b", 1), ("b", 10), ("a", 1), ("b", 13)]


def lines(*texts):
    return pa.record_batch(
        {LINE: pa.array(texts, pa.binary()), "year": ["07"] * len(texts), PLACE: range(len(texts))}
    )


def test_lines_become_rows_with_the_columns_of_their_folders():
    batch = lines(b'{"text": "a"}', b" \r", b'{"text": "\xc3\xa9"}')
    assert list(parsed([batch], "jsonl")) == [
        (0, {"text": "a", "year": "07"}),
        (2, {"text": "é", "year": "07"}),
    ]


@pytest.mark.parametrize("line", [b"{", b"5", b'{"text": "\xff"}', b'{"text": 5}'])
def test_an_error_carries_the_place_of_its_row(line):
    work = Work("jsonl", "jsonl", "sentence")
    with pytest.raises(InputError, match=r"^@1 \S"):
        list(work(iter([lines(b'{"text": "fine"}', line)])))


def test_articles_without_an_id_are_numbered_by_file():
    names = Places((0, 1), ("x", "y"), (41, 1))
    work = Work("jsonl", "jsonl", "article", names=names)
    out = list(work(iter([lines(b'{"text": "One fell. Two rose."}', b'{"text": "Three."}')])))
    text = "".join(out[0][LINE].to_pylist())
    assert text.count('"x:41"') == 2
    assert text.count('"y:1"') == 1


def test_rows_that_do_not_fit_the_first_are_refused():
    schema = pa.schema([("text", pa.string()), ("n", pa.int64())])
    assert table([{"text": "a"}], schema).to_pylist() == [{"text": "a", "n": None}]
    with pytest.raises(InputError, match="'late' is not in the first rows"):
        table([{"text": "a", "late": 1}], schema)
    with pytest.raises(InputError, match=r"write \.jsonl"):
        table([{"text": "a", "n": "x"}], schema)


def test_names_are_no_patterns():
    assert literal("a[1]{b}*?\\") == "a\\[1\\]\\{b\\}\\*\\?\\\\"
    assert suffix(PurePosixPath("x/A.JSONL.gz")) == ".jsonl"
