"""Stage: how common each label is in a corpus, with intervals that account for the classifier's errors."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pipeline.app import ROOT, stage
from pipeline.schema import ConfigError, InputError
from pipeline.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.bundle import Bundle

Row = dict[str, Any]
UNITS = ("article", "sentence")
ALL = "all"
SUSPICIOUS = 4.0


@dataclass(slots=True)
class Scored:
    """The corpus without its texts.

    Attributes
    ----------
    probabilities : ndarray of shape (n_sentences, n_labels)
    given : ndarray of shape (n_sentences, n_labels)
        0/1 labels that the classifier gives.
    articles : ndarray of shape (n_sentences,)
        Numbers of the articles.
    values : dict of str to ndarray of shape (n_sentences,)
        For each column, numbers of its values in `names`.
    names : dict of str to dict of str to int
    """

    probabilities: NDArray[np.float32]
    given: NDArray[np.int8]
    articles: NDArray[np.int32]
    values: dict[str, NDArray[np.int32]]
    names: dict[str, dict[str, int]]


def estimate(
    bundle: Bundle,
    rows: Iterable[Row],
    labelled: Sequence[Row],
    *,
    by: Sequence[str] = (),
    group: str = "article",
    least: int = 20,
    level: float = 0.95,
    where: str = "labelled",
) -> tuple[list[Row], dict[str, Any]]:
    """Return the share of each label over all rows, and for each value of some columns.

    Parameters
    ----------
    bundle : Bundle
        Not trained on the labelled rows.
    rows : iterable of dict
        The corpus: `text`, and the columns of `by`; read once, a batch at a time.
    labelled : sequence of dict
        A random sample of it: `text` and `labels`. Columns it lacks are taken from the corpus.
    by : sequence of str
        Columns; a date as "date:year", "date:month" or "date:day".
    group : str
        Column of the article; a row without one is one of its own.
    least : int
        Values with fewer labelled sentences get no estimate.
    level : float
        Of the intervals.
    where : str
        Name of the labelled sample in error messages.

    Returns
    -------
    shares : list of dict
        `by`, `value`, `label`; `share`, `low`, `high`; the same from the labelled sample alone
        (`sample_...`); `counted`, the share of sentences that the classifier labels, which is biased;
        `sentences`, `labelled`, and `power` (see `evaluation.prevalence.Share`).
    about : dict
        `found`: how many labelled sentences are in the corpus; `distance`: see
        `evaluation.prevalence.distance`, the largest of all labels.

    Raises
    ------
    InputError, ConfigError
        For an unknown column, label or date, or a sample that is not from the corpus.
    """
    import numpy as np

    from pipeline.evaluate import names
    from pipeline.evaluation.prevalence import distance
    from pipeline.labels.labelset import indicator

    sample = [dict(row) for row in labelled]
    if len(sample) < 2:
        raise InputError(f"{where}: {len(sample)} labelled sentences; at least {max(least, 2)} are needed")
    try:
        y = indicator([names(row, f"{where}: row {n}") for n, row in enumerate(sample, 1)], bundle.labels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    corpus, found = score(bundle, rows, sample, by=by, group=group)
    if not found:
        raise InputError(
            f"{where}: none of its sentences is in the input; label a random sample of it, as "
            "python -m pipeline.suggest strategy=random draws one"
        )
    p = bundle.probabilities([row["text"] for row in sample])
    articles = np.array([_article(row, group, n) for n, row in enumerate(sample)])
    shares = [
        {"by": column, "value": value, "label": label}
        | _share(y[mine, k], p[mine, k], articles[mine], corpus, inside, k, least, level)
        for column, value, inside, mine in _parts(corpus, sample, by, found)
        for k, label in enumerate(bundle.labels.names)
    ]
    every = corpus.probabilities.astype(np.float64)
    gaps = [distance(p[:, k], every[:, k], articles) for k in range(y.shape[1])]
    return shares, {"found": len(found), "distance": max(gaps)}


def _share(
    y: NDArray[np.int8],
    p: NDArray[np.float64],
    articles: NDArray[Any],
    corpus: Scored,
    inside: Any,
    label: int,
    least: int,
    level: float,
) -> Row:
    """Return one label's share among the sentences `inside`, from those labelled among them."""
    import numpy as np

    from pipeline.evaluation.prevalence import prevalence

    every = corpus.probabilities[inside, label].astype(np.float64)
    row: Row = {"counted": float(corpus.given[inside, label].mean())}
    row |= {"sentences": len(every), "labelled": len(y)}
    if len(y) < max(least, 2):
        return row
    best = prevalence(y, p, every, groups=articles, corpus_groups=corpus.articles[inside], level=level)
    alone = prevalence(y, np.zeros(len(y)), np.zeros(len(every)), groups=articles, level=level)
    row |= {"share": best.value, "low": best.low, "high": best.high, "power": best.power}
    return row | {"sample_share": alone.value, "sample_low": alone.low, "sample_high": alone.high}


def score(
    bundle: Bundle, rows: Iterable[Row], sample: Sequence[Row], *, by: Sequence[str], group: str
) -> tuple[Scored, set[int]]:
    """Score a corpus, keeping no text; fill in what the sample's rows lack, and say which are in it."""
    import numpy as np

    from pipeline.evaluation.periods import value_of
    from pipeline.progress import counter
    from pipeline.scoring import batches

    wanted: dict[str, list[int]] = defaultdict(list)
    for n, row in enumerate(sample):
        wanted[row["text"]].append(n)
    names: dict[str, dict[str, int]] = {column: {} for column in by}
    articles: dict[str, int] = {}
    found: set[int] = set()
    parts: dict[str, list[Any]] = defaultdict(list)
    seen = 0
    with counter("sentences") as advance:
        for batch in batches(rows, 8192):
            p = bundle.probabilities([row["text"] for row in batch])
            parts["p"].append(p.astype(np.float32))
            parts["given"].append(bundle.decision.labels(p))
            own = [_article(row, group, seen + n) for n, row in enumerate(batch)]
            parts["articles"].append(_numbers(own, articles))
            for column in by:
                values = [value_of(row, column, f"input: row {seen + n}") for n, row in enumerate(batch, 1)]
                parts[column].append(_numbers(values, names[column]))
            for row in batch:
                for n in wanted.get(row["text"], ()):
                    sample[n].update({key: v for key, v in row.items() if sample[n].get(key) in (None, "")})
                    found.add(n)
            seen += len(batch)
            advance(len(batch))
    if not seen:
        raise InputError("input: no sentences")
    kept = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    scored = Scored(kept["p"], kept["given"], kept["articles"], {c: kept[c] for c in by}, names)
    return scored, found


def _article(row: Mapping[str, Any], group: str, n: int) -> str:
    own = row.get(group)
    return f"row {n}" if own in (None, "") else f"article {own}"


def _numbers(values: Sequence[str], known: dict[str, int]) -> NDArray[np.int32]:
    import numpy as np

    return np.array([known.setdefault(value, len(known)) for value in values], np.int32)


def _parts(
    corpus: Scored, sample: Sequence[Row], by: Sequence[str], found: set[int]
) -> Iterator[tuple[str, str, Any, NDArray[np.int64]]]:
    """Yield column, value, and which rows of corpus and sample have it; all of them first."""
    import numpy as np

    from pipeline.evaluation.periods import value_of

    yield ALL, "", slice(None), np.arange(len(sample))
    for column in by:
        name = column.partition(":")[0]
        # A sentence that is not in the corpus, and does not say itself, has no value: it counts over all.
        own = [
            value_of(row, column, f"labelled: row {n + 1}") if n in found or row.get(name) else None
            for n, row in enumerate(sample)
        ]
        for value, number in sorted(corpus.names[column].items()):
            mine = np.array([n for n, one in enumerate(own) if one == value], np.int64)
            yield column, value, corpus.values[column] == number, mine


def table(shares: Sequence[Row], level: float) -> str:
    """Return the shares over all as text."""
    lines = [f"{'':<16}{'share':>7}  {f'{level:.0%} interval':<18}{'sample alone':<18}counted"]
    for row in shares:
        if row["by"] == ALL and "share" in row:
            both = [f"[{row[f'{a}low']:.1%}, {row[f'{a}high']:.1%}]" for a in ("", "sample_")]
            lines.append(
                f"{row['label']:<16}{row['share']:>7.1%}  {both[0]:<18}{both[1]:<18}{row['counted']:.1%}"
            )
    return "\n".join(lines)


@stage("estimate")
def main(config: DictConfig) -> None:
    """Run the stage."""
    import pyarrow as pa

    from pipeline.bundle import load
    from pipeline.evaluation.curve_charts import share_chart
    from pipeline.files import atomic
    from pipeline.rows import write_rows
    from pipeline.text.readers import read_rows
    from pipeline.tracking.locate import local_folder

    by = list(config.by)
    _check(config, by)
    bundle = load(local_folder(config.model_uri, ROOT))
    shares, about = estimate(
        bundle,
        _read(Path(config.input), config.unit),
        list(read_rows(config.labelled)),
        by=by,
        group=config.group,
        least=config.least,
        level=config.level,
        where=str(config.labelled),
    )
    numbers = ("share", "low", "high", "sample_share", "sample_low", "sample_high", "counted")
    schema = pa.schema(
        [(name, pa.string()) for name in ("by", "value", "label")]
        + [(name, pa.float64()) for name in numbers]
        + [("sentences", pa.int64()), ("labelled", pa.int64()), ("power", pa.float64())]
    )
    write_rows(config.output, pa.Table.from_pylist(shares, schema=schema).to_batches(), schema)
    said = [table(shares, config.level), f"written to {config.output}"]
    if config.plot:
        column = next((one for one in by if ":" in one), by[0])
        with atomic(config.plot) as temporary:
            share_chart(temporary, [row for row in shares if row["by"] == column], column, config.level)
        said.append(f"drawn in {config.plot}")
    say("\n".join(said))
    _warn(about, shares[0]["labelled"], config.least)


def _warn(about: Mapping[str, Any], labelled: int, least: int) -> None:
    if about["found"] < labelled:
        sys.stderr.write(
            f"warning: {labelled - about['found']} of {labelled} labelled sentences are not in the input; "
            "the intervals hold for a random sample of it\n"
        )
    if about["distance"] > SUSPICIOUS:
        sys.stderr.write(
            f"warning: the labelled sentences are no random sample by their scores ({about['distance']:.0f} "
            "standard errors away); the estimates may be wrong\n"
        )
    if labelled < least:
        sys.stderr.write(
            f"warning: {labelled} labelled sentences, {least} are the least; nothing is estimated\n"
        )


def _read(source: Path, unit: str) -> Iterator[Row]:
    from pipeline.scoring import sentences_of
    from pipeline.text.readers import read_articles, read_rows

    if unit == "sentence":
        return read_rows(source)
    articles = read_articles(source)
    return chain.from_iterable((a.meta | row for row in sentences_of([a])) for a in articles)


def _check(config: DictConfig, by: Sequence[str]) -> None:
    if config.unit not in UNITS:
        raise ConfigError(f"unit={config.unit}: must be one of {', '.join(UNITS)}")
    if not 0 < config.level < 1:
        raise ConfigError(f"level={config.level}: must be between 0 and 1")
    if config.plot and not by:
        raise ConfigError("plot: over what? Set by=[COLUMN], such as by=[date:month]")
    if Path(config.output).suffix not in (".csv", ".jsonl", ".parquet"):
        raise ConfigError(f"output={config.output}: extension must be one of .csv, .jsonl, .parquet")


if __name__ == "__main__":
    main()
