"""Articles and rows from files: plain text, Markdown, HTML, JSON lines, CSV, TSV, Parquet, folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from pipeline.schema import Article, InputError, nearest
from pipeline.text.decoding import COMPRESSED, STDIN, read_text
from pipeline.text.pages import html_text, markdown_text
from pipeline.text.tables import OnError, require, rows, stop

FORMATS = {
    ".txt": "txt",
    ".md": "md",
    ".html": "html",
    ".htm": "html",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_TABLES = frozenset(("jsonl", "csv", "tsv", "parquet"))
_KNOWN = f"{', '.join(FORMATS)}, each also with .gz or .zst"


def read_articles(
    path: str | Path, *, text: str = "text", on_error: OnError | None = None
) -> Iterator[Article]:
    """Read articles, one at a time.

    Parameters
    ----------
    path : path
        A file (an article, or a table with an article a row) or a folder of them, searched
        recursively in sorted order without hidden files and unknown extensions. "-" is JSON lines on
        standard input.
    text : str
        Column of a table that holds the text. `id` and `title` are optional columns; the others
        become the article's `meta`.
    on_error : callable, optional
        Given the InputError of a file or row that cannot be used, which is then left out. By
        default the first one is raised.

    Yields
    ------
    Article
        With ids that differ: the `id` of a row, else the file's stem and the number of its line or row; the
        stem of a plain file, or its relative path where two share the stem.

    Raises
    ------
    InputError
        One line that names file, row, field and remedy.
    """
    report = on_error or stop
    seen: set[str] = set()
    for file, name in _files(Path(path)):
        try:
            for place, article in _file_articles(file, name, text, report):
                if article.id in seen:
                    report(InputError(f"{file}: {place}duplicate id {article.id!r}; make ids unique"))
                    continue
                seen.add(article.id)
                yield article
        except InputError as error:
            report(error)


def read_rows(
    path: str | Path, *, text: str = "text", on_error: OnError | None = None
) -> Iterator[dict[str, Any]]:
    """Read the rows of a table whose `text` column holds one sentence each.

    Parameters
    ----------
    path : path
        A .jsonl, .csv, .tsv or .parquet file, also with .gz or .zst; "-" is JSON lines on standard input.
    text : str
        Column of the text. Missing and null texts become "": one row out per row in.
    on_error : callable, optional
        As for `read_articles`.

    Raises
    ------
    InputError
        Where the file is no table, a row is unreadable or a text is not a string.
    """
    report = on_error or stop
    file = Path(path)
    kind = _kind(_existing(file))
    if kind not in _TABLES:
        raise InputError(f"{file}: rows need a table with a column {text!r}: .jsonl, .csv, .tsv or .parquet")
    found = False
    for place, row in rows(file, kind, text, report):
        if not found:
            require(file, text, list(row))
            found = True
        try:
            yield sentence_row(row, text)
        except InputError as error:
            report(InputError(f"{file}: {place}: {error}"))
    if not found:
        raise InputError(f"{file}: has no rows")


def sentence_row(row: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the row with a null text made ""; raises InputError where it is no string."""
    value = row.get(text)
    if value is None or isinstance(value, str):
        return {**row, text: value or ""}
    raise InputError(f"{text!r} must be a string, got {type(value).__name__}")


def _kind(path: PurePath) -> str | None:
    return "jsonl" if str(path) == STDIN else FORMATS.get(_plain(path).suffix.lower())


def _plain(path: PurePath) -> PurePath:
    """Return the path without the extension of a compression."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def _stem(path: PurePath) -> str:
    return "stdin" if str(path) == STDIN else _printable(_plain(path).stem)


def _printable(name: str) -> str:
    """Ids are written as UTF-8, which has no lone surrogates."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _existing(path: Path) -> Path:
    if str(path) == STDIN or path.exists():
        return path
    if path.is_symlink():
        raise InputError(f"{path}: is a symbolic link that leads nowhere; mend or remove it")
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    hint = nearest(path.name, names) if names else f"; there is no folder {str(folder)!r}"
    raise InputError(f"{path}: does not exist{hint if 'mean' in hint or 'folder' in hint else ''}")


def _files(path: Path) -> list[tuple[Path, str]]:
    """Return the files to read, each with the name that its ids start from."""
    if not _existing(path).is_dir():
        if _kind(path) is None:
            raise InputError(f"{path}: unknown extension {path.suffix!r}; use one of {_KNOWN}")
        return [(path, _stem(path))]
    found = sorted(
        file
        for file in path.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
        and _kind(file) is not None
        and file.is_file()
    )
    if not found:
        raise InputError(f"{path}: no articles in this folder; use files with {_KNOWN}")
    return list(zip(found, file_names([file.relative_to(path) for file in found]), strict=True))


def file_names(files: Sequence[PurePath]) -> list[str]:
    """Return what the ids of each file's articles start from: its stem, or its path where two share it."""
    stems = Counter(map(_stem, files))
    return [_stem(file) if stems[_stem(file)] == 1 else _printable(file.as_posix()) for file in files]


def _file_articles(file: Path, name: str, text: str, report: OnError) -> Iterator[tuple[str, Article]]:
    kind = _kind(file)
    if kind in _TABLES:
        yield from _table_articles(file, str(kind), name, text, report)
        return
    if kind == "html":
        body = _titled(*html_text(file))
    else:
        body = read_text(file)
        body = markdown_text(body) if kind == "md" else body
    if not body.strip():
        raise InputError(f"{file}: is empty")
    yield "", Article(name, body)


def _table_articles(
    file: Path, kind: str, name: str, text: str, report: OnError
) -> Iterator[tuple[str, Article]]:
    place = ""
    for place, row in rows(file, kind, text, report):
        try:
            yield f"{place}: ", row_article(row, text, f"{name}:{place.rpartition(' ')[2]}")
        except InputError as error:
            report(InputError(f"{file}: {place}: {error}"))
    if not place:
        raise InputError(f"{file}: has no rows")


def row_article(row: dict[str, Any], text: str, default_id: str) -> Article:
    """Return a row of a table as an article; raises InputError without a place."""
    body, title, name = row.get(text), row.get("title"), row.get("id")
    if text not in row:
        raise InputError(f"no field {text!r}{nearest(text, [str(key) for key in row])}")
    if not isinstance(body, str):
        raise InputError(f"{text!r} must be a string, got {'null' if body is None else type(body).__name__}")
    if not body.strip():
        raise InputError(f"{text!r} is empty; remove the row")
    if title is not None and not isinstance(title, str):
        raise InputError(f"'title' must be a string, got {type(title).__name__}")
    if isinstance(name, bool) or not isinstance(name, str | int | None):
        raise InputError(f"'id' must be a string or a whole number, got {type(name).__name__}")
    used = {text, "id", "title"}
    meta = {str(key): value for key, value in row.items() if key not in used}
    given = str(name).strip() if name is not None else ""
    return Article(_printable(given) or default_id, _titled(title or "", body), meta)


def _titled(title: str, text: str) -> str:
    title = title.strip()
    return text if not title or text.lstrip().startswith(title) else f"{title}\n\n{text}"


def files_of(path: str | Path) -> list[Path]:
    """Return the files that `read_articles` reads; none for standard input."""
    return [file for file, _ in _files(Path(path)) if str(file) != STDIN]
