"""Labelling a stream of articles or rows: in order, bounded in memory, on one core or several.

What is read is cut into chunks, a chunk becomes a piece of the output, and pieces are written in order.
A chunk depends on nothing but its own articles or rows, so that neither the number of workers nor where
a job was interrupted shows in the output.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.processes import with_this_code
from pipeline.rows import encodable, encoder, packed
from pipeline.schema import Article, ConfigError, InputError, PipelineError

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.bundle import Bundle

Row = dict[str, Any]
Item = TypeVar("Item")
# Counts beside those of the labels.
LEFT, CUT = "left to a person", "cut at max_length"
_CHARACTERS = 100  # of an article, that count as a sentence


def predict(bundle: Bundle, rows: Iterable[Row], *, batch_size: int = 8192) -> Iterator[list[Row]]:
    """Give each row its `labels` and `scores`, a batch at a time; `undecided` where the bundle abstains.

    Parameters
    ----------
    bundle : Bundle
    rows : iterable of dict
        With `text`. A column named as one that is added goes on as `input_labels`, `input_scores`, ...
    batch_size : int
        Rows scored at once; results do not depend on it.

    Yields
    ------
    list of dict
        One row out per row in, in order; `labels` a list of names, `scores` name to probability,
        `undecided` a list of the names that are to be left to a person.
    """
    columns, adds = bundle.labels.names, added(bundle)
    for batch in batches(rows, batch_size):
        probabilities = bundle.probabilities([row["text"] for row in batch])
        given = bundle.names(bundle.decision.labels(probabilities))
        scored = []
        for row, labels, scores in zip(batch, given, probabilities.round(6).tolist(), strict=True):
            carried = (
                row
                if row.keys().isdisjoint(adds)
                else {f"input_{key}" if key in adds else key: value for key, value in row.items()}
            )
            scored.append(carried | {"labels": labels, "scores": dict(zip(columns, scores, strict=True))})
        if bundle.abstains:
            for row, names in zip(
                scored, bundle.names(bundle.decision.undecided(probabilities)), strict=True
            ):
                row["undecided"] = names
        yield scored


def labelled(bundle: Bundle, rows: Iterable[Row], batch_size: int) -> list[Row]:
    """Return what `predict` gives, without a warning of texts that were cut: `tally` counts them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*max_length")
        return [row for batch in predict(bundle, rows, batch_size=batch_size) for row in batch]


def added(bundle: Bundle) -> tuple[str, ...]:
    """Return the columns that `predict` adds."""
    return ("labels", "scores", "undecided") if bundle.abstains else ("labels", "scores")


def tally(bundle: Bundle, rows: Iterable[Row]) -> dict[str, int]:
    """Return how many rows there are, how many of each label, and how many are left to a person or cut.

    The last two where the bundle abstains, or has an encoder that reads so many tokens and no more.
    """
    rows = list(rows)
    counts = zeros(bundle)
    if CUT in counts:
        counts[CUT] = bundle.truncated([row["text"] for row in rows]) or 0
    for row in rows:
        counts["rows"] += 1
        for name in row["labels"]:
            counts[name] += 1
        if row.get("undecided") and bundle.abstains:
            counts[LEFT] += 1
    return counts


def zeros(bundle: Bundle) -> dict[str, int]:
    """Return the counts of no rows."""
    more = [LEFT] if bundle.abstains else []
    more += [CUT] if bundle.truncated([]) is not None else []
    return dict.fromkeys(("rows", *bundle.labels.names, *more), 0)


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


def chunks(items: Iterable[Article] | Iterable[Row], size: int) -> Iterator[list[Any]]:
    """Yield lists of rows, or of articles of about as many sentences."""
    if size < 1:
        raise ConfigError(f"batch_size={size}: must be at least 1")
    chunk: list[Any] = []
    room = size * _CHARACTERS
    for item in items:
        chunk.append(item)
        room -= len(item.text) if isinstance(item, Article) else _CHARACTERS
        if room <= 0:
            yield chunk
            chunk, room = [], size * _CHARACTERS
    if chunk:
        yield chunk


class WorkerError(PipelineError):
    """A process that labels is gone; what it was given is not labelled, all before it is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the output, and what is in it.

    Attributes
    ----------
    data : bytes
    counts : dict
        See `tally`.
    drift : dict, optional
        See `pipeline.evaluation.drift.profile`.
    """

    data: bytes
    counts: dict[str, int]
    drift: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to know.

    Attributes
    ----------
    bundle : str
        Folder of the bundle.
    source, output : str
        For messages.
    form, packing : str
        Extensions: see `pipeline.rows.form_of`.
    schema : pyarrow.Schema
        Columns of the output.
    batch_size : int
    drift : bool
        Whether to count what drift is told from.
    """

    bundle: str
    source: str
    output: str
    form: str
    packing: str
    schema: pa.Schema
    batch_size: int
    drift: bool

    def head(self) -> bytes:
        """Return what the output begins with."""
        return packed(encoder(self.form, self.schema)[0], self.packing)


class Scorer:
    """Makes chunks into pieces.

    Parameters
    ----------
    bundle : Bundle
    job : Job
    """

    def __init__(self, bundle: Bundle, job: Job) -> None:
        self.bundle = bundle
        self.job = job
        self._encode = encoder(job.form, job.schema)[1]

    def __call__(self, chunk: list[Any]) -> Piece:
        """Label a chunk.

        Raises
        ------
        InputError
            Where a row has what the output cannot hold.
        """
        import pyarrow as pa

        articles = isinstance(chunk[0], Article)
        rows = list(sentences_of(chunk)) if articles else [encodable(row) for row in chunk]
        scored = labelled(self.bundle, rows, self.job.batch_size)
        if not articles and self.job.form != ".jsonl":
            self._check(scored)
        try:
            data = packed(self._encode(scored), self.job.packing) if scored else b""
        except pa.ArrowException as error:
            raise InputError(unfit(self.job.output, error)) from None
        profile = self._profile(scored) if self.job.drift else None
        return Piece(data, tally(self.bundle, scored), profile)

    def _check(self, rows: list[Row]) -> None:
        if late := {key for row in rows for key in row} - set(self.job.schema.names):
            raise InputError(
                f"{self.job.source}: column {min(late)!r} is not in the first rows; write .jsonl"
            )

    def _profile(self, rows: list[Row]) -> dict[str, Any]:
        import numpy as np

        from pipeline.evaluation.drift import profile

        names = self.bundle.labels.names
        scores = np.array([[*row["scores"].values()] for row in rows]).reshape(len(rows), len(names))
        given = np.array([[name in row["labels"] for name in names] for row in rows]).reshape(scores.shape)
        words = self.bundle.card["reference"]["vocabulary"]
        return profile([row["text"] for row in rows], scores, given, words)


def unfit(output: str, error: Exception) -> str:
    """Return what to say where rows do not fit the columns of a Parquet file."""
    return f"{output}: Parquet cannot hold these columns ({str(error).splitlines()[0][:120]}); write .jsonl"


def pieces(bundle: Bundle, job: Job, parts: Iterable[list[Any]], workers: int) -> Iterator[Piece]:
    """Label chunks, in order.

    Parameters
    ----------
    bundle : Bundle
    job : Job
    parts : iterable of list
        Chunks.
    workers : int
        Processes; with 1, this one.
    """
    if workers == 1:
        yield from map(Scorer(bundle, job), parts)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    with_this_code()
    others = set(active_children())
    # Not forked: Arrow and the tokenizer have threads, whose locks a fork would copy as they are.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(job,))
    try:
        waiting: deque[Any] = deque()
        for chunk in parts:
            waiting.append(pool.submit(_work, chunk))
            if len(waiting) > workers + 1:  # bounded: reading never runs far ahead of writing
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        # The pool ends the workers it had when one was killed, then waits for all: for one that was
        # just starting, for ever.
        for worker in set(active_children()) - others:
            worker.kill()
        raise WorkerError(
            "a worker was ended from outside, as where memory runs out; give fewer workers or a smaller "
            "batch_size: the job then goes on where it was"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_scorer: Scorer | None = None


def _start(job: Job) -> None:
    """Make this process a worker."""
    import os
    import threading
    import time

    from pipeline.bundle import load

    global _scorer
    parent = os.getppid()

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import pyarrow as pa
    from threadpoolctl import threadpool_limits

    pa.set_cpu_count(1)
    threadpool_limits(1)  # every worker's matrix products on all cores would be in each other's way
    _scorer = Scorer(load(job.bundle), job)


def _work(chunk: list[Any]) -> Piece:
    assert _scorer is not None
    return _scorer(chunk)
