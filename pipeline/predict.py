"""Stage: label articles or sentences with a trained classifier."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.schema import Article, ConfigError, InputError

if TYPE_CHECKING:
    from pipeline.bundle import Bundle

Row = dict[str, Any]
Item = TypeVar("Item")
UNITS = ("article", "sentence")
ADDED = ("labels", "scores")
PAGE = ".html"


def predict(bundle: Bundle, rows: Iterable[Row], *, batch_size: int = 8192) -> Iterator[list[Row]]:
    """Give each row its `labels` and `scores`, a batch at a time.

    Parameters
    ----------
    bundle : Bundle
    rows : iterable of dict
        With `text`. A column called `labels` or `scores` goes on as `input_labels`, `input_scores`.
    batch_size : int
        Rows scored at once; results do not depend on it.

    Yields
    ------
    list of dict
        One row out per row in, in order; `labels` a list of names, `scores` name to probability.
    """
    columns = bundle.labels.names
    for batch in batches(rows, batch_size):
        probabilities = bundle.probabilities([row["text"] for row in batch])
        given = bundle.names(bundle.decision.labels(probabilities))
        scored = []
        for row, labels, scores in zip(batch, given, probabilities.round(6).tolist(), strict=True):
            carried = {f"input_{key}" if key in ADDED else key: value for key, value in row.items()}
            scored.append(carried | {"labels": labels, "scores": dict(zip(columns, scores, strict=True))})
        yield scored


def sentences_of(articles: Iterable[Article]) -> Iterator[Row]:
    """Yield the sentences of articles as rows."""
    from pipeline.text.sentences import split_article

    for article in articles:
        for s in split_article(article)[0]:
            yield {
                "article": s.article,
                "sentence": s.sentence,
                "kind": s.kind,
                "start": s.start,
                "end": s.end,
                "text": s.text,
            }


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of up to `size` items."""
    if size < 1:
        raise ConfigError(f"batch_size={size}: must be at least 1")
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


@stage("predict")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from pipeline.bundle import load
    from pipeline.tracking import local_folder

    if config.unit not in UNITS:
        raise ConfigError(f"unit={config.unit}: must be one of {', '.join(UNITS)}")
    if config.engine == "spark":
        return _on_spark(config)
    source, output = Path(config.input), Path(config.output)
    if source.resolve() == output.resolve():
        raise InputError(f"output={output}: is the input too; choose another file")
    bundle = load(local_folder(config.model_uri, ROOT))
    _say(_label(bundle, source, output, config.unit, config.batch_size), output)


def _say(counts: dict[str, int], output: Path | str) -> None:
    tally = ", ".join(f"{name} {n}" for name, n in counts.items() if name != "rows")
    sys.stdout.write(f"{counts['rows']} sentences labelled: {tally}\nwritten to {output}\n")


def _on_spark(config: DictConfig) -> None:
    from pipeline.bundle import load
    from pipeline.engines.spark import label, spark
    from pipeline.tracking import local_folder

    folder = local_folder(config.model_uri, ROOT)
    labels = load(folder).labels
    with spark(config.spark.master, config.spark.conf) as session:
        how = {
            "unit": config.unit,
            "batch_size": config.batch_size,
            "partition_by": config.spark.partition_by,
        }
        _say(label(session, config.input, config.output, folder=folder, labels=labels, **how), config.output)


def _label(bundle: Bundle, source: Path, output: Path, unit: str, batch_size: int) -> dict[str, int]:
    """Read, label, write; return how many rows and how many of each label."""
    import pyarrow as pa

    from pipeline.files import encodable
    from pipeline.text.readers import read_articles, read_rows

    counts = dict.fromkeys(("rows", *bundle.labels.names), 0)
    if output.suffix == PAGE:
        from pipeline.pages import articles_page

        articles = list(read_articles(source)) if unit == "article" else []
        rows = sentences_of(articles) if unit == "article" else map(encodable, read_rows(source))
        scored = list(chain.from_iterable(_counted(predict(bundle, rows, batch_size=batch_size), counts)))
        articles_page(output, articles, scored, bundle.labels)
        return counts
    rows = sentences_of(read_articles(source)) if unit == "article" else map(encodable, read_rows(source))
    stream = _counted(predict(bundle, rows, batch_size=batch_size), counts)
    first = next(stream, [])
    known = {key for row in first for key in row}
    try:
        with _writer(output, first, bundle.labels.names, unit) as write:
            for batch in chain([first] if first else [], stream):
                late = {key for row in batch for key in row} - known
                if late and output.suffix != ".jsonl":
                    raise InputError(f"{source}: column {min(late)!r} is not in the first rows; write .jsonl")
                write(batch)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"{output}: Parquet cannot hold these columns ({reason}); write .jsonl") from None
    return counts


def _counted(scored: Iterable[list[Row]], counts: dict[str, int]) -> Iterator[list[Row]]:
    from pipeline.progress import counter

    with counter("sentences") as advance:
        for batch in scored:
            counts["rows"] += len(batch)
            for row in batch:
                for name in row["labels"]:
                    counts[name] += 1
            advance(len(batch))
            yield batch


def _writer(
    output: Path, first: list[Row], labels: tuple[str, ...], unit: str
) -> AbstractContextManager[Any]:
    """Open the output; the columns of a table of sentences are those of its first rows."""
    import pyarrow as pa

    from pipeline.files import row_writer
    from pipeline.schema import SENTENCES

    added = [
        pa.field("labels", pa.list_(pa.string())),
        pa.field("scores", pa.struct([(name, pa.float64()) for name in labels])),
    ]
    if unit == "article":
        carried = list(SENTENCES)
    else:
        names = dict.fromkeys(key for row in first for key in row if key not in ADDED)
        if output.suffix == ".parquet":
            kinds = [pa.array([row.get(name) for row in first]).type for name in names]
        else:  # names are all that matters
            kinds = [pa.null()] * len(names)
        carried = [
            pa.field(name, pa.string() if pa.types.is_null(kind) else kind)
            for name, kind in zip(names, kinds, strict=True)
        ]
    return row_writer(output, pa.schema([*carried, *added]))


if __name__ == "__main__":
    main()
