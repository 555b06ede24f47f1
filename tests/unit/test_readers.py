import csv
import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.rows import row_writer
from pipeline.schema import InputError
from pipeline.text.readers import read_articles, read_rows

ROWS = [
    {"id": "a1", "title": "Quay shut", "text": "The quay is shut.", "topic": "harbours"},
    {"id": "a2", "title": "Cranes", "text": "Cranes fell. “Two” of them.", "topic": "harbours"},
]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path, rows, delimiter=","):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


WRITERS = {
    "jsonl": jsonl,
    "ndjson": jsonl,
    "csv": table,
    "tsv": lambda path, rows: table(path, rows, "\t"),
    "parquet": parquet,
}


def packed(path):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path.with_name(f"{path.name}.gz")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("extension", WRITERS)
def test_tables(tmp_path, extension, compress):
    path = WRITERS[extension](tmp_path / f"news.{extension}", ROWS)
    articles = list(read_articles(packed(path) if compress else path))
    assert [one.id for one in articles] == ["a1", "a2"]
    assert articles[0].text == "Quay shut\n\nThe quay is shut."
    assert articles[1].text == "Cranes fell. “Two” of them.", "starts with its title"
    assert articles[0].meta == {"topic": "harbours"}
    assert list(read_rows(path)) == ROWS


@pytest.mark.parametrize("text", ["-5 degrees", "=Sales, of tea", "'+1", "'Sorry', she said", "@home"])
def test_csv_that_is_defused_reads_as_it_was(tmp_path, text):
    row = {"text": text, "=odd": "+x"}
    path = tmp_path / "a.csv"
    with row_writer(path, pa.schema([(name, pa.string()) for name in row])) as write:
        write([row])
    assert list(read_rows(path)) == [row]
    assert next(read_articles(path)).text == text


def test_a_title_that_the_text_starts_with_is_not_repeated(tmp_path):
    path = jsonl(tmp_path / "news.jsonl", [{"title": "Cranes", "text": "Cranes\nThey fell."}])
    assert next(read_articles(path)).text == "Cranes\nThey fell."


def test_rows_without_ids_are_numbered(tmp_path):
    path = jsonl(
        tmp_path / "news.jsonl", [{"text": "One."}, {"text": "Two.", "id": None}, {"text": "3.", "id": 7}]
    )
    assert [one.id for one in read_articles(path)] == ["news:1", "news:2", "7"]


def test_another_text_column(tmp_path):
    path = jsonl(tmp_path / "news.jsonl", [{"body": "One.", "text": "kept"}])
    article = next(read_articles(path, text="body"))
    assert (article.text, article.meta) == ("One.", {"text": "kept"})


def test_long_cells_and_semicolons(tmp_path):
    path = table(tmp_path / "news.csv", [{"text": "word " * 50_000, "id": "a"}], delimiter=";")
    assert len(next(read_articles(path)).text) == 250_000


@pytest.mark.parametrize(
    ("encoding", "extension"),
    [("utf-8", "txt"), ("utf-8-sig", "txt"), ("utf-16", "txt"), ("utf-16", "jsonl"), ("utf-8-sig", "csv")],
)
def test_encodings(tmp_path, encoding, extension):
    path = tmp_path / f"a.{extension}"
    source = {"txt": "Café shut.", "jsonl": '{"text": "Café shut."}\n', "csv": "text\nCafé shut.\n"}[
        extension
    ]
    path.write_text(source, encoding=encoding)
    assert [one.text for one in read_articles(path)] == ["Café shut."]


def test_folder_is_searched_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b/one.txt", "b/two.md", "one.txt", ".hidden.txt", ".git/x.txt", "notes.pdf"):
        (tmp_path / name).write_text("# Some *text*.", encoding="utf-8")
    jsonl(tmp_path / "c.jsonl", [{"text": "A row."}])
    articles = list(read_articles(tmp_path))
    assert [one.id for one in articles] == ["b/one.txt", "two", "c:1", "one.txt"]
    assert articles[1].text == "Some text."


def test_markdown_marks_go(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(
        "---\ntopic: x\n---\n## Quay **shut**\n\nThe [quay](http://q.example) is shut. ![map](m.png)\n"
    )
    assert next(read_articles(path)).text.split() == ["Quay", "shut", "The", "quay", "is", "shut."]


def test_html_main_text(tmp_path):
    body = "".join(
        f"<p>The harbour board said on day {n} that the quay would stay closed.</p>" for n in range(6)
    )
    head = "<head><title>Quay shut</title></head>"
    page = f"<html>{head}<body><nav>Home | Sport</nav><article>{body}</article></body></html>"
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    text = next(read_articles(tmp_path / "a.html")).text
    assert text.startswith("Quay shut\n\nThe harbour board said on day 0")
    assert "Sport" not in text
    assert text.count("\n") >= 6


def test_short_html_and_declared_encoding(tmp_path):
    page = '<html><head><meta charset="iso-8859-1"></head><body><p>Café shut.</p></body></html>'
    (tmp_path / "a.htm").write_bytes(page.encode("latin-1"))
    assert next(read_articles(tmp_path / "a.htm")).text == "Café shut."


def bad(name, content, *needles):
    return pytest.param(name, content, needles, id=f"{name}-{needles[0]}")


@pytest.mark.parametrize(
    ("name", "content", "needles"),
    [
        bad("a.txt", b"", "empty"),
        bad("a.txt", b" \n\n", "empty"),
        bad("a.txt", b"\x89PNG\x00\x01", "binary", "UTF-8"),
        bad("a.txt", b"abc\xe9def", "byte 3", "0xe9"),
        bad("a.txt", b"x" * 3_000_000 + b"\xff", "byte 3000000"),
        bad("a.doc", b"x", "'.doc'", ".txt"),
        bad("a", b"x", "unknown extension"),
        bad("a.txt.gz", b"no gzip", "damaged gzip"),
        bad("a.txt.gz", gzip.compress(b"x" * 9999)[:30], "damaged gzip"),
        bad("a.jsonl", b'{"text": "x"}\n{"text": \n', "line 2", "invalid JSON"),
        bad("a.jsonl", b"[1]\n", "line 1", "object"),
        bad("a.jsonl", b"[" * 100_000, "line 1"),
        bad("a.jsonl", b'{"text": 1' + b"0" * 5000 + b"}", "line 1"),
        bad("a.jsonl", b'{"txt": "x"}\n', "line 1", "'text'"),
        bad("a.jsonl", b'{"text": null}\n', "line 1", "'text'", "null"),
        bad("a.jsonl", b'{"text": 3}\n', "'text'", "int"),
        bad("a.jsonl", b'{"text": " "}\n', "'text'", "empty"),
        bad("a.jsonl", b'{"text": "x", "title": 3}\n', "'title'"),
        bad("a.jsonl", b'{"text": "x", "id": [3]}\n', "'id'"),
        bad("a.jsonl", b'{"text": "x", "id": 1}\n{"text": "y", "id": "1"}\n', "line 2", "duplicate id '1'"),
        bad("a.jsonl", b"\n\n", "no rows"),
        bad("a.csv", b"txt,id\nx,1\n", "'text'", "did you mean 'txt'"),
        bad("a.csv", b"text,id\nx,1,2\n", "row 1", "3 cells"),
        bad("a.csv", b"text,text\nx,1\n", "two columns"),
        bad("a.csv", b"text\n", "no rows"),
        bad("a.parquet", b"no parquet", "Parquet"),
        bad("a.parquet", b"", "empty"),
        bad("a.html", b"", "empty"),
        bad("a.html", b"<html><body></body></html>", "no article text"),
        bad("a.html", b'<meta charset="utf-8"><p>caf\xe9', "byte 28"),
        bad("a.html", b'<meta charset="klingon"><p>x', "klingon"),
    ],
)
def test_bad_inputs_are_one_line_errors(tmp_path, name, content, needles):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_articles(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for needle in needles:
        assert needle in message


def test_missing_paths_name_the_nearest(tmp_path):
    (tmp_path / "articles.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"does not exist; did you mean 'articles\.jsonl'"):
        list(read_articles(tmp_path / "artcles.jsonl"))
    with pytest.raises(InputError, match="no folder"):
        list(read_articles(tmp_path / "no" / "articles.jsonl"))
    with pytest.raises(InputError, match="no articles in this folder"):
        (tmp_path / "sub").mkdir()
        list(read_articles(tmp_path / "sub"))


def test_bad_rows_can_be_left_out(tmp_path):
    lines = ['{"text": "One."}', "{", '{"text": null}', "[]", '{"text": "Five."}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_bytes(b"\xff")
    errors = []
    articles = list(read_articles(tmp_path, on_error=errors.append))
    assert [one.text for one in articles] == ["One.", "Five."]
    assert len(errors) == 4


def test_rows_may_be_empty_but_not_numbers(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"text": "One.", "n": 1}, {"text": None, "n": 2}, {"n": 3}])
    assert [row["text"] for row in read_rows(path)] == ["One.", "", ""]
    with pytest.raises(InputError, match="line 1: 'text' must be a string, got int"):
        list(read_rows(jsonl(tmp_path / "b.jsonl", [{"text": 4}])))
    with pytest.raises(InputError, match="no column 'text'; did you mean 'txt'"):
        list(read_rows(jsonl(tmp_path / "c.jsonl", [{"txt": "One."}])))
    with pytest.raises(InputError, match="need a table"):
        (tmp_path / "d.txt").write_text("x")
        list(read_rows(tmp_path / "d.txt"))


def test_reading_streams(tmp_path):
    lines = ['{"text": "One."}', "{"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert next(read_articles(tmp_path / "a.jsonl")).text == "One."


def test_importing_is_light():
    code = (
        "import sys, pipeline.text.readers, pipeline.text.sentences;"
        "sys.exit(bool({'pandas', 'datasets', 'mlflow', 'trafilatura', 'lxml', 'ftfy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
