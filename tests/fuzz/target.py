"""Bytes that nobody thought of, into readers and splitter: python tests/fuzz/target.py -max_total_time=20

What is read may be refused with an InputError of one line; anything else is a finding. Arguments are
libFuzzer's.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline.text"]):
    from pipeline.schema import Article, InputError
    from pipeline.text.cleaning import clean
    from pipeline.text.readers import read_articles, read_rows
    from pipeline.text.sentences import split_article

KINDS = (".txt", ".md", ".html", ".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.zst", ".parquet.gz")
FOLDER = Path(tempfile.mkdtemp())


def check(article: Article) -> None:
    """Raise AssertionError where the sentences of an article are not what they should be."""
    kept, dropped = split_article(article)
    last = 0
    for one in sorted([*kept, *dropped], key=lambda one: (one.start, one.end)):
        assert last <= one.start < one.end <= len(article.text), (last, one)
        last = one.end
    for sentence in kept:
        assert sentence.text == clean(article.text[sentence.start : sentence.end]) != ""
        assert clean(sentence.text) == sentence.text


def one_input(data: bytes) -> None:
    """Read some bytes as a file of a kind that the first of them chooses, and split what comes."""
    path = FOLDER / f"in{KINDS[data[0] % len(KINDS)] if data else '.txt'}"
    path.write_bytes(data[1:])
    skipped: list[InputError] = []
    for read in (read_articles, read_rows):
        try:
            for item in read(path, on_error=skipped.append):
                if isinstance(item, Article):
                    check(item)
        except InputError as error:
            skipped.append(error)
    assert all("\n" not in str(error) and str(path) in str(error) for error in skipped)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
