"""Whole files or none; rows by extension."""

import csv
import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.files import atomic, write_json
from pipeline.rows import encodable, row_writer, write_rows
from pipeline.schema import ConfigError, InputError

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("n", pa.int32()),
        ("labels", pa.list_(pa.string())),
        ("scores", pa.struct([("a", pa.float64()), ("b", pa.float64())])),
    ]
)
ROWS = [
    {"text": "“Prices, rose”\nand\r\nfell\t;", "n": 1, "labels": ["a", "b"], "scores": {"a": 0.25, "b": 1.0}},
    {"text": "", "n": None, "labels": [], "scores": {"a": 1e-300, "b": 0.1 + 0.2}},
    {"text": 'quote " and \\ and \u2028 and 中文', "n": -3, "labels": ["b"], "scores": {"a": 0.0, "b": 0.5}},
]
EXTENSIONS = ["jsonl", "csv", "parquet"]


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def read_back(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as file:
        return [
            row
            | {
                "n": int(row["n"]) if row["n"] else None,
                "labels": row["labels"].split(";") if row["labels"] else [],
                "scores": json.loads(row["scores"]),
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("arrow", [False, True])
def test_rows_come_back(tmp_path, extension, arrow):
    path = tmp_path / f"out.{extension}"
    with row_writer(path, SCHEMA) as write:
        for part in (ROWS[:2], [], ROWS[2:]):
            write(pa.RecordBatch.from_pylist(part, schema=SCHEMA) if arrow else part)
    assert read_back(path) == ROWS
    assert left(tmp_path) == [path.name]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_no_rows_are_a_file_all_the_same(tmp_path, extension):
    path = tmp_path / f"out.{extension}"
    assert write_rows(path, [], SCHEMA) == 0
    assert read_back(path) == []
    if extension == "csv":
        assert path.read_text().strip() == "text,n,labels,scores"


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_write_rows_counts(tmp_path, extension):
    batches = [pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)] * 3
    assert write_rows(tmp_path / f"out.{extension}", batches, SCHEMA) == 9


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("before", [None, b"old"])
def test_an_exception_among_rows_leaves_what_was_there(tmp_path, extension, before):
    path = tmp_path / f"out.{extension}"
    if before:
        path.write_bytes(before)
    with pytest.raises(ZeroDivisionError), row_writer(path, SCHEMA) as write:
        write(ROWS)
        1 / 0  # noqa: B018
    assert left(tmp_path) == ([path.name] if before else [])
    assert not before or path.read_bytes() == before


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
def test_values_that_json_and_csv_do_not_know_are_written_as_text(tmp_path, extension):
    """A Parquet file has dates, for one."""
    import datetime
    import decimal

    path = tmp_path / f"out.{extension}"
    values = {"date": datetime.date(2024, 5, 1), "sum": decimal.Decimal("1.50")}
    with row_writer(path, pa.schema([("date", pa.date32()), ("sum", pa.decimal128(5, 2))])) as write:
        write([values])
    assert "2024-05-01" in path.read_text() and "1.50" in path.read_text()


def test_encodable_replaces_lone_surrogates_only():
    rows = {"a\ud800": ["whole 😀", {"b": "half \ud83d emoji"}], "n": 1, "none": None}
    assert encodable(rows) == {"a?": ["whole 😀", {"b": "half ? emoji"}], "n": 1, "none": None}
    assert encodable(ROWS) == ROWS


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.JSONL.bak", "out.txt", ".csv"])
def test_other_extensions_are_refused_before_anything_is_written(tmp_path, name):
    message = r"extension must be one of \.csv, \.jsonl, \.parquet"
    with pytest.raises(ConfigError, match=message), row_writer(tmp_path / name, SCHEMA):
        pytest.fail("opened")
    assert left(tmp_path) == []


def test_a_folder_is_made_for_the_file(tmp_path):
    write_json(tmp_path / "a" / "b" / "c.json", {"ä": [1]})
    assert (tmp_path / "a" / "b" / "c.json").read_text(encoding="utf-8") == '{\n "ä": [\n  1\n ]\n}\n'


def test_nothing_is_seen_under_the_name_until_the_end(tmp_path):
    path = tmp_path / "out.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert left(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_old_file_survives_whatever_goes_wrong(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(error), atomic(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert left(tmp_path) == ["out.txt"]


def test_what_cannot_be_made_into_json_leaves_the_old(tmp_path):
    write_json(tmp_path / "out.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "out.json", {"a": object()})
    assert (tmp_path / "out.json").read_text() == "1\n"
    assert left(tmp_path) == ["out.json"]


@pytest.mark.parametrize("before", [None, "empty", "full"])
def test_a_folder_replaces_a_folder_whole(tmp_path, before):
    path = tmp_path / "out"
    if before:
        path.mkdir()
    if before == "full":
        (path / "old.txt").write_text("old")
    with atomic(path, ["old.txt"]) as temporary:
        temporary.mkdir()
        (temporary / "new.txt").write_text("new")
    assert left(tmp_path) == ["out"]
    assert left(path) == ["new.txt"]


@pytest.mark.parametrize("kinds", [[], [["old.txt", "more.txt"]], [["one.txt"], ["other.txt"]]])
def test_a_folder_with_other_files_is_not_replaced(tmp_path, kinds):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(InputError, match="out: is a folder with other files; choose"), atomic(path, *kinds):
        pytest.fail("opened")
    assert left(tmp_path) == ["out"]
    assert left(path) == ["old.txt"]


def test_an_old_folder_survives(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic(path, ["old.txt"]) as temporary:
        temporary.mkdir()
        (temporary / "new.txt").write_text("new")
        raise RuntimeError
    assert left(tmp_path) == ["out"]
    assert left(path) == ["old.txt"]


def test_an_old_folder_survives_when_the_renaming_fails(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old.txt").write_text("old")
    monkeypatch.setattr("pipeline.files._exchanged", lambda *_: False)  # as where the system cannot
    rename = Path.rename

    def failing(self, target):
        if self.name.endswith(".tmp"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(InputError, match="Permission denied"), atomic(path, ["old.txt"]) as temporary:
        temporary.mkdir()
    assert left(tmp_path) == ["out"]
    assert left(path) == ["old.txt"]


def test_a_file_does_not_replace_a_folder(tmp_path):
    path = tmp_path / "out.json"
    path.mkdir()
    with pytest.raises(InputError, match=r"out\.json: cannot be written .*; choose another output"):
        write_json(path, 1)
    assert left(tmp_path) == ["out.json"]


def test_a_folder_does_not_replace_a_file(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(InputError, match="out: cannot be written"), atomic(path) as temporary:
        temporary.mkdir()
    assert path.read_text() == "old"
    assert left(tmp_path) == ["out"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_json(tmp_path / "file" / "out.json", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
        write_json(tmp_path / "out.json", 1)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG]
)
def test_a_system_that_refuses_to_write(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(InputError, match=rf"out\.json: cannot be written \({os.strerror(number)}\)"):
        write_json(tmp_path / "out.json", 1)
    assert left(tmp_path) == []


def test_a_name_too_long(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_json(tmp_path / f"{'x' * 300}.json", 1)


def test_an_input_that_went_missing_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "out.json"):
        (tmp_path / "input.json").read_text()
