"""Stage: cut articles into sentences."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig

from pipeline.app import stage
from pipeline.files import distinct
from pipeline.rows import row_writer
from pipeline.schema import SENTENCES, Article, ConfigError, InputError, Sentence
from pipeline.terminal import one_line
from pipeline.text.readers import read_articles
from pipeline.text.sentences import Dropped, split_article

DROPPED = pa.schema(
    [
        ("article", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        ("reason", pa.string()),
    ]
)
ON_ERROR = ("raise", "skip")
_BATCH = 8192


def ingest(
    path: str | Path, *, text: str = "text", on_error: Callable[[InputError], None] | None = None
) -> Iterator[Sentence]:
    """Read articles and yield their sentences, in order.

    Parameters
    ----------
    path : path
        A file or folder of articles; see `pipeline.text.readers.read_articles`.
    text : str
        Column of a table that holds the text.
    on_error : callable, optional
        Given the InputError of a file or row, which is then left out; by default it is raised.
    """
    for article in read_articles(path, text=text, on_error=on_error):
        yield from split_article(article)[0]


def batches(
    articles: Iterable[Article], note: Callable[[Article, list[Sentence], list[Dropped]], None]
) -> Iterator[pa.RecordBatch]:
    """Split articles and yield their sentences in batches of schema.SENTENCES.

    Parameters
    ----------
    articles : iterable of Article
    note : callable
        Told of each article with its sentences and what was dropped.
    """
    pending: list[Sentence] = []
    for article in articles:
        kept, dropped = split_article(article)
        note(article, kept, dropped)
        pending += kept
        if len(pending) >= _BATCH:
            yield _batch(pending, SENTENCES)
            pending = []
    if pending:
        yield _batch(pending, SENTENCES)


def _batch(records: list[Sentence] | list[Dropped], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([getattr(one, field.name) for one in records], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _Tally:
    """What the last line reports, and the dropped segments where they are to be explained."""

    def __init__(self, explain: bool, advance: Callable[[int], None]) -> None:
        self.articles = self.sentences = self.segments = self.skipped = 0
        self.dropped: list[Dropped] = []
        self.explain = explain
        self.advance = advance

    def note(self, article: Article, kept: list[Sentence], dropped: list[Dropped]) -> None:
        self.articles += 1
        self.sentences += len(kept)
        self.segments += len(dropped)
        if self.explain:
            self.dropped += dropped
        self.advance(1)

    def skip(self, error: InputError) -> None:
        self.skipped += 1
        sys.stderr.write(f"skipped: {one_line(error)}\n")

    def __str__(self) -> str:
        skipped = f", {self.skipped} files or rows skipped" if self.skipped else ""
        return (
            f"{self.articles} articles, {self.sentences} sentences, {self.segments} segments dropped{skipped}"
        )


@stage("ingest")
def main(config: DictConfig) -> None:
    """Cut the articles of `input` into sentences and write them to `output`."""
    from pipeline.progress import counter

    if config.on_error not in ON_ERROR:
        raise ConfigError(f"on_error={config.on_error}: must be one of {', '.join(ON_ERROR)}")
    if config.engine == "spark":
        return _on_spark(config)
    source, output = Path(config.input), Path(config.output)
    distinct(source, output)
    with counter("articles") as advance:
        tally = _Tally(bool(config.explain), advance)
        on_error = tally.skip if config.on_error == "skip" else None
        articles = read_articles(source, text=config.text, on_error=on_error)
        with row_writer(output, SENTENCES) as write:
            for batch in batches(articles, tally.note):
                write(batch)
            if not tally.sentences:
                raise InputError(f"{source}: no sentences in {tally.articles} articles; nothing written")
    if config.explain:
        beside = output.with_name(f"{output.stem}.dropped.jsonl")
        with row_writer(beside, DROPPED) as write:
            write(_batch(tally.dropped, DROPPED))
        _show(tally.dropped)
        sys.stdout.write(f"dropped segments are in {beside}\n")
    sys.stdout.write(f"{tally}; written to {output}\n")


def _on_spark(config: DictConfig) -> None:
    from pipeline.engines.spark import cut, spark

    if config.explain or config.on_error != "raise":
        raise ConfigError("explain=true and on_error=skip are for engine=local")
    with spark(config.spark.master, config.spark.conf) as session:
        how = {"text": config.text, "partition_by": config.spark.partition_by}
        counts = cut(session, config.input, config.output, **how)
    sys.stdout.write(f"{counts['rows']} sentences; written to {config.output}\n")


def _show(dropped: list[Dropped]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("article", "reason", "text", box=None)
    for one in dropped:
        # Text, not str: square brackets in news are no markup.
        table.add_row(Text(one_line(one.article)), one.reason, Text(one_line(one.text)))
    Console().print(table)


if __name__ == "__main__":
    main()
