"""Bad inputs, one row each, with what the user sees: one line and exit status 2, a counted skip, or a result.

docs/security.md shows this table; `test_the_page_has_the_table` keeps the two together.
"""

import gzip
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GOOD = "The ministry denied on Monday that it had leaked the list of names."
PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def rows(*lines):
    """A JSON lines file: dictionaries, or lines as they are."""
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()


def many(bad, at=4711, of=5000):
    return rows(*(bad if n == at else {"text": GOOD} for n in range(1, of + 1)))


def file(name, data):
    def make(folder):
        (folder / name).write_bytes(data() if callable(data) else data)
        return folder / name

    return make


def bomb(name):
    """Gigabytes of one line in a few kilobytes; members and frames may follow one another."""

    def make(folder):
        zeros = b" " * (1 << 24)
        piece = gzip.compress(zeros, mtime=0) if name.endswith("gz") else pa.Codec("zstd").compress(zeros)
        (folder / name).write_bytes(bytes(piece) * 128)
        return folder / name

    return make


def no_articles(folder):
    (folder / "in").mkdir()
    (folder / "in" / ".hidden.txt").write_text(GOOD)
    (folder / "in" / "picture.png").write_bytes(b"\x89PNG")
    return folder / "in"


def loop(folder):
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "deep" / "up").symlink_to(folder / "in")
    (folder / "in" / "self.txt").symlink_to("self.txt")
    (folder / "in" / "one.txt").write_text(GOOD)
    return folder / "in"


def self_link(folder):
    (folder / "self.txt").symlink_to("self.txt")
    return folder / "self.txt"


def odd_name(folder):
    path = folder / "a\x1b[31mb\nerror: forged.jsonl"
    path.write_bytes(rows("{"))
    return path


def cut(folder):
    (folder / "in.jsonl.gz").write_bytes(gzip.compress(rows({"text": GOOD}) * 99)[:-20])
    return folder / "in.jsonl.gz"


def parquet(values, kind=None):
    def make(folder):
        pq.write_table(pa.table({"text": pa.array(values, kind)}), folder / "in.parquet")
        return folder / "in.parquet"

    return make


@dataclass(frozen=True)
class Case:
    """What is read, and what is seen.

    Attributes
    ----------
    says : str
        Pattern of the one line; "" where the input is taken.
    skips : str, optional
        What the tally says with on_error=skip; None where there is nothing left to go on with.
    text : str, optional
        What the sentences then are, where it is taken.
    """

    make: object
    says: str = ""
    skips: str | None = None
    text: str | None = None


ONE = "1 articles, 1 sentences, 0 segments dropped, 1 files or rows skipped"
ODD = "Él dijo que 👩\u200d👩\u200d👧 \u202eשלום\u202c e\u0301 no volvería."
INPUTS = {
    "missing path": Case(lambda at: at / "in.jsnol", r"in\.jsnol: does not exist"),
    "directory without articles": Case(no_articles, r"in: no articles in this folder; use files with \.txt"),
    "empty file": Case(file("in.txt", b""), r"in\.txt: is empty"),
    "file of white space": Case(file("in.txt", b" \n\t\n"), r"in\.txt: is empty"),
    "binary file": Case(
        file("in.txt", bytes(range(256))), r"looks binary \(a NUL at byte 0\); save it as UTF-8"
    ),
    "UTF-16 with a byte order mark": Case(file("in.txt", GOOD.encode("utf-16")), text=GOOD),
    "UTF-16 without one": Case(file("in.txt", GOOD.encode("utf-16-le")), r"looks binary .* save it as UTF-8"),
    "UTF-16 cut within a character": Case(
        file("in.txt", GOOD.encode("utf-16")[:-1]), r"in\.txt: not UTF-16 at byte \d+ .*; save it as UTF-8"
    ),
    "Latin-1": Case(
        file("in.jsonl", many('{"text": "Caf\xe9"}').replace("é".encode(), b"\xe9")),
        r"in\.jsonl: not UTF-8 at byte \d+, line 4711 \(0xe9\); save it as UTF-8",
    ),
    "mixed encodings": Case(
        file("in.txt", "Café. ".encode() * 9 + b"Caf\xe9."),
        r"in\.txt: not UTF-8 at byte \d+, line 1 \(0xe9\)",
    ),
    "NUL bytes in JSON": Case(file("in.jsonl", rows({"text": GOOD.replace("list", "li\0st")})), text=GOOD),
    "NUL bytes far into a file": Case(
        file("in.txt", (GOOD + "\n\n").encode() * 99 + b"\0\0"), text=" ".join([GOOD] * 99)
    ),
    "byte order mark": Case(file("in.jsonl", b"\xef\xbb\xbf" + rows({"text": GOOD})), text=GOOD),
    "invalid JSON on line 4,711 of 5,000": Case(
        file("in.jsonl", many('{"text": "a" "b"}')),
        r"in\.jsonl: line 4711: invalid JSON \(Expecting ',' delimiter at column 14\); mend or remove",
        "4999 articles, 4999 sentences, 0 segments dropped, 1 files or rows skipped",
    ),
    "JSON nested a hundred thousand deep": Case(
        file("in.jsonl", rows({"text": GOOD}, '{"text": ' + "[" * 100_000)),
        r"line 2: unusable JSON \(.*\)",
        ONE,
    ),
    "number of ten thousand digits": Case(
        file("in.jsonl", rows({"text": GOOD}, '{"text": ' + "9" * 10_000 + "}")),
        r"line 2: unusable JSON",
        ONE,
    ),
    "row that is not an object": Case(
        file("in.jsonl", rows({"text": GOOD}, "[1]")), r"line 2: must be an object \{\.\.\.\}, got list", ONE
    ),
    "missing text": Case(
        file("in.jsonl", rows({"text": GOOD}, {"txet": GOOD})),
        r"in\.jsonl: line 2: no field 'text'; did you mean 'txet'\?",
        ONE,
    ),
    "text not a string": Case(
        file("in.jsonl", rows({"text": GOOD}, {"text": 3})), r"line 2: 'text' must be a string, got int", ONE
    ),
    "text that is null": Case(
        file("in.jsonl", rows({"text": GOOD}, {"text": None})),
        r"line 2: 'text' must be a string, got null",
        ONE,
    ),
    "Parquet column of numbers": Case(parquet([1, 2]), r"row 1: 'text' must be a string, got int"),
    "Parquet strings that are not UTF-8": Case(
        parquet([b"Caf\xe9"], pa.binary()), r"row 1: 'text' must be a string, got bytes"
    ),
    "damaged Parquet": Case(
        file("in.parquet", b"PAR1" + b"\xff" * 99 + b"PAR1"), "not a readable Parquet file"
    ),
    "duplicate ids": Case(
        file("in.jsonl", rows({"id": "a", "text": GOOD}, {"id": "a", "text": GOOD})),
        r"line 2: duplicate id 'a'; make ids unique",
        ONE,
    ),
    "CSV without the column": Case(file("in.csv", b"txet\nx\n"), r"no column 'text'; did you mean 'txet'\?"),
    "CSV with an open quote": Case(
        file("in.csv", f'text,b\n{GOOD},1\n"x,2\n'.encode()), r"in\.csv: row 2: .*check its quotes", ONE
    ),
    "10 MB on one line": Case(
        file("in.jsonl", lambda: rows({"text": (GOOD + " ") * 9_000, "page": "<p>" * 3_200_000})),
        text=" ".join([GOOD] * 9_000),
    ),
    "one million empty lines": Case(file("in.jsonl", b"\n" * 1_000_000), r"in\.jsonl: has no rows"),
    "100,000-character word": Case(
        file("in.txt", f"He said {'x' * 100_000} on Monday.".encode()),
        text=f"He said {'x' * 100_000} on Monday.",
    ),
    "emoji, right-to-left marks, joiners, combining characters": Case(
        file("in.txt", ODD.encode()),
        text=unicodedata.normalize("NFC", ODD).replace("\u202e", "").replace("\u202c", ""),
    ),
    "lone surrogates": Case(file("in.jsonl", rows('{"text": "A \\ud800 said so on Monday."}')), text=None),
    "HTML with scripts": Case(
        file(
            "in.html",
            b"<html><head><script>alert(1)</script></head><body><article><h1>Denial</h1><p>"
            + GOOD.encode()
            + b"</p><script>document.write('forged')</script><p onclick=alert(2)>It was <b>late</b> "
            b"on Monday.</p></article></body></html>",
        ),
        text=f"Denial {GOOD} It was late on Monday.",
    ),
    "zip bomb, gzip": Case(bomb("in.jsonl.gz"), r"in\.jsonl\.gz: line 1: longer than 67,108,864 characters"),
    "zip bomb, zstd": Case(bomb("in.txt.zst"), r"in\.txt\.zst: longer than 67,108,864 characters; split it"),
    "cut gzip": Case(cut, r"in\.jsonl\.gz: damaged gzip file \(.*\); compress it again"),
    "symlink loops in a folder": Case(loop, text=GOOD),
    "symlink to itself": Case(
        self_link, r"self\.txt: is a symbolic link that leads nowhere; mend or remove it"
    ),
    "unknown extension": Case(file("in.doc", b"x"), r"in\.doc: unknown extension '\.doc'; use one of \.txt"),
    "file name with control characters": Case(
        odd_name, r"a\\x1b\[31mb error: forged\.jsonl: line 1: invalid JSON"
    ),
}


@pytest.fixture
def unwritten(tmp_path):
    """Check that a stage left nothing: no output, no temporary file, and what was there as it was."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.jsonl").write_text("before\n")
    yield out / "kept.jsonl"
    assert [path.name for path in out.iterdir()] == ["kept.jsonl"]


@pytest.mark.parametrize("name", [name for name, case in INPUTS.items() if case.says])
@pytest.mark.parametrize("which", ["ingest", "predict"])
def test_refused(name, which, stage, trained, tmp_path, unwritten):
    case = INPUTS[name]
    more = [f"model_uri={trained.bundle}"] if which == "predict" else []
    done = stage(which, quoted("input", case.make(tmp_path)), f"output={unwritten}", *more)
    assert done.refused()
    assert re.search(case.says, done.err), done.err
    assert "\x1b" not in done.err
    assert unwritten.read_text() == "before\n"


@pytest.mark.parametrize("name", [name for name, case in INPUTS.items() if case.skips])
def test_skipped_and_counted(name, stage, tmp_path):
    case, out = INPUTS[name], tmp_path / "out.jsonl"
    done = stage("ingest", f"input={case.make(tmp_path)}", f"output={out}", "on_error=skip")
    assert done.code == 0, done.err
    assert done.err.startswith("skipped: ") and done.err.count("\n") == 1
    assert re.search(case.says, done.err), done.err
    assert case.skips in done.out
    assert case.skips.split(" sentences")[0].endswith(f", {len(out.read_text().splitlines())}")


@pytest.mark.parametrize("name", [name for name, case in INPUTS.items() if not case.says])
def test_taken(name, stage, tmp_path):
    case, out = INPUTS[name], tmp_path / "out.jsonl"
    source = case.make(tmp_path)
    done = stage("ingest", f"input={source}", f"output={out}")
    assert (done.code, done.err) == (0, "")
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert found
    if case.text is not None:
        assert " ".join(row["text"] for row in found) == case.text


def quoted(key, path):
    """An override with a value that Hydra's grammar would stumble over."""
    value = str(path)
    return f"{key}={value}" if re.fullmatch(r"[\w./-]*", value) else f"{key}='{value}'"


def annotated(change=None, *, line=None, extra=()):
    def make(corpus):
        changed = [dict(row) for row in corpus.rows]
        if change:
            changed[2].update(change(changed[2]) if callable(change) else change)
        corpus.write_annotations([*changed, *(one(changed) for one in extra)])
        if line is not None:
            corpus.annotations.write_bytes(corpus.annotations.read_bytes() + line)

    return make


def accented(corpus):
    """The mark of an accent beside its letter, and an annotation that ends between them."""
    path = corpus.articles / "accent.txt"
    path.write_text("Headline of it\n\nThe cafe\u0301 closed.\n", encoding="utf-8")
    row = {
        "article": "accent",
        "start": 16,
        "end": 24,
        "text": "The cafe",
        "labels": [],
        "annotator": "first",
    }
    corpus.write_annotations([*corpus.rows, row])


def metadata(data):
    return lambda corpus: corpus.metadata.write_bytes(data)


HERE = r"annotations\.jsonl:3: "
ANNOTATIONS = {
    "no annotations": (
        lambda corpus: corpus.annotations.unlink(),
        r"annotations\.jsonl: no such file; set corpus",
    ),
    "annotation that is not JSON": (
        annotated(line=b'{"article": \n'),
        r"jsonl:\d+: not JSON \(.*\); mend or remove",
    ),
    "annotations not UTF-8": (
        annotated(line=b'{"article": "\xe9"}\n'),
        r"jsonl:\d+: not JSON \(.*0xe9.*\); mend",
    ),
    "annotations compressed by mistake": (
        lambda corpus: corpus.annotations.write_bytes(gzip.compress(b"{}")),
        r"annotations\.jsonl:1: not JSON",
    ),
    "annotation that is not an object": (
        annotated(line=b"[1]\n"),
        r"jsonl:\d+: expected an object with article, start",
    ),
    "annotation without text": (
        annotated(line=b'{"article": "a", "start": 1, "end": 2}\n'),
        r"field 'text' missing",
    ),
    "annotation with a wrong type": (annotated({"start": "4"}), HERE + "field 'start' is str, expected int"),
    "offsets outside the text": (
        annotated({"end": 10**9}),
        HERE + r"fields 'start', 'end': \d+-10{9} is outside",
    ),
    "negative offsets": (
        annotated({"start": -1}),
        HERE + r"fields 'start', 'end': -1-\d+ is outside article",
    ),
    "offsets backwards": (annotated({"start": 9, "end": 3}), HERE + r"fields 'start', 'end': 9-3 is outside"),
    "offsets of other text": (
        annotated(lambda row: {"start": row["start"] + 1, "end": row["end"] + 1}),
        HERE + r"field 'text': .* is not what article .* was the article edited\?",
    ),
    "offsets that cut a character": (accented, r"jsonl:\d+: fields 'start', 'end': 16-24 cuts a character"),
    "annotations for unknown articles": (
        annotated({"article": "story-99"}),
        HERE + "field 'article': no article 's",
    ),
    "unknown labels": (
        annotated({"labels": ["denail"]}),
        HERE + "field 'labels': unknown label 'denail'; did you",
    ),
    "labels in a string": (annotated({"labels": "denial"}), HERE + "field 'labels' is str, expected list"),
    "conflicting annotations": (
        annotated(extra=[lambda given: given[2] | {"labels": ["denial"]}]),
        r"jsonl:\d+: annotator 'first' labelled this sentence before, at .*jsonl:3; keep one",
    ),
    "overlapping annotations": (
        annotated(
            extra=[lambda given: given[2] | {"end": given[2]["end"] - 1, "text": given[2]["text"][:-1]}]
        ),
        r"jsonl:\d+: \d+-\d+ overlaps \d+-\d+ of the same article",
    ),
    "metadata twice": (
        metadata(b"article\nstory-01\nstory-01\n"),
        r"articles\.csv: row 2: second row for article 'story-01'",
    ),
    "metadata without the column": (
        metadata(b"id\nstory-01\n"),
        r"articles\.csv: no column 'article'; known: id",
    ),
    "metadata with a NUL": (metadata(b"article\nstory\0-01\n"), r"articles\.csv: looks binary"),
    "metadata with a huge cell": (metadata(b'article\n"' + b"x" * 200_000 + b'"\n'), ""),
    "metadata with more cells than columns": (
        metadata(b"article,topic\nstory-01,a,b\n"),
        r"csv: row 1: 3 cells for 2 columns",
    ),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations(name, stage, corpus, tmp_path, unwritten):
    make, says = ANNOTATIONS[name]
    make(corpus)
    where = [one for one in corpus.overrides(tmp_path) if one.startswith("corpus.")]
    out = tmp_path / "fine" if not says else unwritten.parent
    done = stage("label", *where, f"output={out / 'o.parquet'}", f"statistics={out / 'o.json'}")
    if not says:
        assert done.code == 0, done.err
        return
    assert done.refused()
    assert re.search(says, done.err), done.err


SAME = {
    "output equal to input": lambda at: at / "in.jsonl",
    "output a symlink to the input": lambda at: (at / "out.jsonl").symlink_to("in.jsonl") or at / "out.jsonl",
    "output within the input": lambda at: at / "in.jsonl" / "out.jsonl",
}


@pytest.mark.parametrize("which", ["ingest", "predict"])
@pytest.mark.parametrize("name", SAME)
def test_output_equal_to_input(name, which, stage, trained, tmp_path):
    source = file("in.jsonl", rows({"text": GOOD}))(tmp_path)
    more = [f"model_uri={trained.bundle}"] if which == "predict" else []
    before = source.read_bytes()
    output = SAME[name](tmp_path)
    listed = sorted(tmp_path.iterdir())
    assert stage(which, f"input={source}", f"output={output}", *more).refused(str(output), "choose another")
    assert source.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == listed


def told(case):
    if not case.says:
        return "read"
    return "left out and counted with `on_error=skip`, else refused" if case.skips else "refused"


def test_the_page_has_the_table():
    """docs/security.md says of every case here what happens, and of no other."""
    wanted = {name: told(case) for name, case in INPUTS.items()}
    wanted |= {name: "refused" if says else "read" for name, (_, says) in ANNOTATIONS.items()}
    wanted |= dict.fromkeys(SAME, "refused")
    rows = re.findall(r"^\| (.*) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: said for name, said in rows if not name.startswith("bundle: ")}
    assert shown == wanted | {"input": "what happens", "---": "---"}
