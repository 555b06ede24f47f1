"""Stage: label articles or sentences with a trained classifier."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.files import digest
from pipeline.schema import ConfigError, InputError
from pipeline.scoring import (
    Job,
    Piece,
    WorkerError,
    added,
    chunks,
    labelled,
    pieces,
    sentences_of,
    tally,
    unfit,
    zeros,
)
from pipeline.terminal import printable

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.bundle import Bundle

UNITS = ("article", "sentence")
PAGE = ".html"
LONGEST_PAGE = 10_000_000
SHOWN = ("article", "kind", "text")
PIPE = "-"
ENGINES = ("local", "spark")


@stage("predict")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from pipeline.bundle import load
    from pipeline.tracking.locate import local_folder

    _check(config)
    if config.engine == "spark":
        return _on_spark(config)
    folder = local_folder(config.model_uri, ROOT)
    bundle = load(folder)
    if config.drift and "reference" not in bundle.card:
        raise InputError(
            f"{folder}: has no profile of its training sentences; train it anew or leave out drift"
        )
    counts = _page(bundle, config) if str(config.output).endswith(PAGE) else _stream(bundle, folder, config)
    _say(counts, config.output)


def _say(counts: dict[str, int], output: str) -> None:
    each = ", ".join(f"{name} {n}" for name, n in counts.items() if name != "rows")
    where = "" if output == PIPE else f"written to {output}\n"
    out = sys.stderr if output == PIPE else sys.stdout
    out.write(printable(f"{counts['rows']} sentences labelled: {each}\n{where}"))


def _on_spark(config: DictConfig) -> None:
    from pipeline.bundle import load
    from pipeline.engines.spark import label, spark
    from pipeline.tracking.locate import local_folder

    folder = local_folder(config.model_uri, ROOT)
    bundle = load(folder)
    with spark(config.spark.master, config.spark.conf) as session:
        how = {
            "unit": config.unit,
            "batch_size": config.batch_size,
            "partition_by": config.spark.partition_by,
        }
        _say(label(session, config.input, config.output, folder=folder, bundle=bundle, **how), config.output)


def _check(config: DictConfig) -> None:
    from pipeline.files import distinct

    if config.unit not in UNITS:
        raise ConfigError(f"unit={config.unit}: must be one of {', '.join(UNITS)}")
    if config.engine not in ENGINES:
        raise ConfigError(f"engine={config.engine}: must be one of {', '.join(ENGINES)}")
    if not isinstance(config.workers, int) or config.workers < 1:
        raise ConfigError(f"workers={config.workers}: must be a number of processes, 1 or more")
    if config.drift and Path(config.drift).suffix not in (PAGE, ".json"):
        raise ConfigError(f"drift={config.drift}: extension must be .html or .json")
    if config.engine == "spark" and (config.drift or config.workers != 1):
        raise ConfigError(
            "drift and workers are for engine=local; on Spark, spark.master says how many cores"
        )
    if config.output == PIPE:
        return
    if str(config.output).endswith(PAGE) and config.drift:
        raise ConfigError("drift: not for a page of articles; write .jsonl, .csv or .parquet")
    distinct(config.input, config.output)


def _items(config: DictConfig) -> Iterator[Any]:
    from pipeline.text.readers import read_articles, read_rows

    return read_articles(config.input) if config.unit == "article" else read_rows(config.input)


def _page(bundle: Bundle, config: DictConfig) -> dict[str, int]:
    """Write articles, or rows, as a page."""
    from pipeline.pages import articles_page
    from pipeline.rows import encodable
    from pipeline.schema import Article

    items = list(_fitting(_items(config), config.output))
    articles = [item for item in items if isinstance(item, Article)]
    rows = sentences_of(articles) if articles else map(encodable, items)
    scored = labelled(bundle, rows, config.batch_size)
    articles_page(Path(config.output), articles, scored, bundle.labels, abstains=bundle.abstains)
    return tally(bundle, scored)


def _fitting(items: Iterable[Any], output: str) -> Iterator[Any]:
    """Yield articles, or what a page shows of rows, as far as a browser can hold them."""
    from pipeline.schema import Article

    room = LONGEST_PAGE
    for item in items:
        article = isinstance(item, Article)
        room -= 100 + len(item.text if article else item["text"])
        if room < 0:
            raise InputError(
                f"output={output}: a page holds no more than {LONGEST_PAGE:,} characters, an article or row "
                "counting 100 more; give less, or write .jsonl, .csv or .parquet"
            )
        yield Article(item.id, item.text) if article else {key: item[key] for key in SHOWN if key in item}


def _stream(bundle: Bundle, folder: Path, config: DictConfig) -> dict[str, int]:
    """Read, label and write piece by piece; return how many rows and how many of each label."""
    from pipeline.evaluation.drift import merged
    from pipeline.progress import counter
    from pipeline.rows import form_of
    from pipeline.text.decoding import bytes_read

    form, packing = (".jsonl", "") if config.output == PIPE else form_of(config.output)
    parts = chunks(_items(config), config.batch_size)
    first = next(parts, [])
    job = Job(
        bundle=str(folder),
        source=str(config.input),
        output=str(config.output),
        form=form,
        packing=packing,
        schema=_schema(first, form, bundle, config.output),
        batch_size=config.batch_size,
        drift=bool(config.drift),
    )
    total: dict[str, Any] = {"counts": zeros(bundle), "drift": None}
    with _output(config, job, folder) as output, counter("sentences", _size(config), bytes_read) as advance:
        total = output.notes or total
        left = _skipped(chain([first] if first else [], parts), output.done - 1)
        for piece in pieces(bundle, job, left, config.workers):
            total = _added(total, piece, merged)
            output.append(piece.data, total)
            advance(piece.counts["rows"])
    if config.drift:
        _report_drift(bundle, total["drift"], Path(config.drift))
    return total["counts"]


def _added(total: dict[str, Any], piece: Piece, merged: Any) -> dict[str, Any]:
    counts = {name: total["counts"][name] + n for name, n in piece.counts.items()}
    return {"counts": counts, "drift": merged(total["drift"], piece.drift) if piece.drift else None}


def _skipped(parts: Iterable[Any], done: int) -> Iterator[Any]:
    """Leave out the chunks that are in the output already; their ids were checked in reading them."""
    for number, chunk in enumerate(parts):
        if number >= done:
            yield chunk


class _Pipe:
    """Standard output, as an output that is not gone on with."""

    done, notes = 1, None

    def append(self, data: bytes, notes: object) -> None:
        """Write."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _output(config: DictConfig, job: Job, folder: Path) -> Iterator[Any]:
    """Open the output; what was interrupted stays to be gone on with, what went wrong goes."""
    from pipeline.resume import Partial
    from pipeline.rows import parquet_of

    if config.output == PIPE:
        yield _Pipe()
        return
    partial = Partial(config.output, _key(config, job, folder))
    try:
        if partial.done:
            done = partial.notes["counts"]["rows"] if partial.notes else 0
            sys.stderr.write(f"going on after {done} sentences\n")
        else:
            partial.append(job.head(), None)
        yield partial
        partial.finish(parquet_of if job.form == ".parquet" else None)
    except WorkerError:
        raise
    except Exception:
        partial.discard()
        raise


def _key(config: DictConfig, job: Job, folder: Path) -> list[Any]:
    """Return what an output follows from; something new each time where the input cannot be read again."""
    import os
    import time

    from pipeline.bundle import MANIFEST
    from pipeline.text.readers import files_of

    if config.input == PIPE:
        return [time.time_ns(), os.getpid()]
    files = [(str(file), (s := file.stat()).st_size, s.st_mtime_ns) for file in files_of(config.input)]
    settings = [config.unit, job.batch_size, job.form, job.packing, job.drift, str(job.schema)]
    return [files, settings, (folder / MANIFEST).read_text(encoding="utf-8"), digest(Path(__file__).parent)]


def _size(config: DictConfig) -> int | None:
    """Return the bytes there are to read, where that is known."""
    from pipeline.text.readers import files_of

    return None if config.input == PIPE else sum(file.stat().st_size for file in files_of(config.input))


def _schema(first: list[Any], form: str, bundle: Bundle, output: str) -> pa.Schema:
    """Return the columns of the output; those of a table of sentences are its first rows'."""
    import pyarrow as pa

    from pipeline.rows import encodable
    from pipeline.schema import SENTENCES, Article

    scores = pa.struct([(name, pa.float64()) for name in bundle.labels.names])
    adds = added(bundle)
    new = [pa.field(name, scores if name == "scores" else pa.list_(pa.string())) for name in adds]
    if not first or isinstance(first[0], Article):
        return pa.schema([*SENTENCES, *new])
    columns: dict[str, list[Any]] = {key: [] for row in first for key in row}
    if form != ".parquet":  # names are all that matters
        kinds = {name: pa.string() for name in columns}
    else:
        try:
            kinds = {name: pa.array([encodable(row.get(name)) for row in first]).type for name in columns}
        except pa.ArrowException as error:
            raise InputError(unfit(output, error)) from None
    carried = [
        pa.field(f"input_{name}" if name in adds else name, pa.string() if pa.types.is_null(kind) else kind)
        for name, kind in kinds.items()
    ]
    return pa.schema([*carried, *new])


def _report_drift(bundle: Bundle, counted: dict[str, Any] | None, path: Path) -> None:
    """Write how far the sentences are from the training sentences."""
    from pipeline.evaluation.drift import compare
    from pipeline.files import write_json
    from pipeline.pages import drift_page

    if counted is None:
        raise InputError("drift: there is no sentence to compare")
    report = compare(bundle.card["reference"], counted, bundle.labels.names)
    if path.suffix == ".json":
        write_json(path, report)
    else:
        drift_page(path, report, bundle.card["reference"], counted)
    sys.stderr.write(f"drift: {report['verdict']} (index {report['shift']:.2f}); see {path}\n")


if __name__ == "__main__":
    main()
