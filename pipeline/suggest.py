"""Stage: say which sentences to label next, and which labels to look at again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import ROOT, stage
from pipeline.schema import ConfigError, InputError, LabelSet, nearest
from pipeline.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.bundle import Bundle

Row = dict[str, Any]
STRATEGIES = ("uncertainty", "disagreement", "rare", "diversity", "random")
UNITS = ("article", "sentence")


def suggest(
    bundles: Sequence[Bundle],
    rows: Sequence[Row],
    *,
    strategy: str,
    count: int,
    labelled: Sequence[str] = (),
    near_duplicate: float = 0.7,
    among: int = 1,
    seed: int = 0,
) -> list[Row]:
    """Return the rows worth labelling next, best first.

    Parameters
    ----------
    bundles : sequence of Bundle
        The classifier to improve, and for "disagreement" others of the same labels.
    rows : sequence of dict
        With `text`.
    strategy : {"uncertainty", "disagreement", "rare", "diversity"}
        See `labels.querying`.
    count : int
    labelled : sequence of str
        Texts that are labelled already.
    near_duplicate : float
        See `evaluation.splits.near_duplicates`.
    among : int
        The batch is the best of each of `count` clusters of the `among * count` best.
    seed : int
        Of the clustering.

    Returns
    -------
    list of dict
        The chosen rows with `rank` from 1, `score` (what the strategy maximises; 0 for "diversity") and
        `scores`, name to probability.

    Raises
    ------
    InputError
        Where every row is empty or labelled already.
    """
    from pipeline.labels import querying

    pool, pairs, blocked = _candidates(rows, labelled, near_duplicate)
    texts = [row["text"] for row in pool]
    members = [_probabilities(bundle, texts) for bundle in bundles]
    scores = _scores(strategy, bundles[0], members)
    few = len(pool) if strategy == "diversity" else max(among, 1) * count
    chosen = querying.pick(scores, pairs, few, blocked)
    if strategy == "diversity":
        chosen = querying.representative(chosen, _vectors(texts, chosen), count, seed=seed)
    elif len(chosen) > count:
        chosen = querying.spread(chosen, scores[chosen], _vectors(texts, chosen), count, seed=seed)
    added = [
        {
            "rank": rank,
            "score": round(float(scores[row]), 6),
            "scores": dict(zip(bundles[0].labels.names, members[0][row].round(6).tolist(), strict=True)),
        }
        for rank, row in enumerate(chosen.tolist(), 1)
    ]
    return [pool[row] | more for row, more in zip(chosen.tolist(), added, strict=True)]


def relabel(rows: Sequence[Row], *, where: str = "input") -> list[Row]:
    """Return the sentences whose labels are probably wrong, the most doubtful first.

    Parameters
    ----------
    rows : sequence of dict
        With `text`, `labels` and `scores`, name to out-of-fold probability.
    where : str
        Name of the input in error messages.

    Returns
    -------
    list of dict
        The rows with `rank`, `wrong` (labels given, probably wrongly), `missing` (labels probably
        missing) and `doubt`, the probability that the most doubtful of them is a mistake.

    Raises
    ------
    InputError
        For rows without scores or with a label that has none.

    See Also
    --------
    labels.suspects.suspect : the method.
    """
    import numpy as np

    from pipeline.evaluate import names
    from pipeline.labels.labelset import indicator
    from pipeline.labels.suspects import ranked

    for n, row in enumerate(rows, 1):
        if not isinstance(row.get("scores"), Mapping) or list(row["scores"]) != list(rows[0]["scores"]):
            raise InputError(
                f"{where}: row {n}: field 'scores': expected a probability for each label; take "
                "reports/latest/out_of_fold.parquet, which training writes"
            )
    if not rows:
        raise InputError(f"{where}: no rows")
    labels = LabelSet(tuple(rows[0]["scores"]))
    given = [names(row, f"{where}: row {n}") for n, row in enumerate(rows, 1)]
    try:
        y = indicator(given, labels)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    probabilities = np.array([list(row["scores"].values()) for row in rows], dtype=np.float64)
    found: dict[int, Row] = {}
    for one in ranked(y, probabilities):
        row = found.setdefault(
            one.row,
            rows[one.row]
            | {"rank": len(found) + 1, "wrong": [], "missing": [], "doubt": round(one.doubt, 6)},
        )
        row["wrong" if one.given else "missing"].append(labels.names[one.column])
    return list(found.values())


@stage("suggest")
def main(config: DictConfig) -> None:
    """Run the stage."""
    if config.what not in ("label", "relabel"):
        raise ConfigError(f"what={config.what}: must be label or relabel")
    if not isinstance(config.count, int) or config.count < 1:
        raise ConfigError(f"count={config.count}: must be at least 1")
    if config.what == "relabel" and config.format is not None:
        raise ConfigError(f"format={config.format}: relabel writes plain tables; leave it out")
    say(_relabel(config) if config.what == "relabel" else _label(config))


def _label(config: DictConfig) -> str:
    from pipeline.bundle import load
    from pipeline.labels import querying
    from pipeline.labels.labelset import label_set
    from pipeline.text.readers import read_rows
    from pipeline.tracking.locate import local_folder
    from pipeline.worklist import form_of, write_worklist

    form = form_of(config.output, config.format)
    labels = label_set(OmegaConf.to_container(config.labels, resolve=True))  # type: ignore[arg-type]
    _check(config)
    random = config.strategy == "random"
    source = Path(config.input)
    rows, total = querying.sample(
        _read(source, config.unit), config.count if random else config.pool, config.seed
    )
    if not rows:
        raise InputError(f"{source}: no sentences")
    if random:
        chosen = [row | {"rank": rank} for rank, row in enumerate(rows, 1)]
        files = write_worklist(config.output, form, chosen, labels)
        return f"{len(chosen)} of {total} sentences, each as likely as any other{_written(files)}"
    bundles = [load(local_folder(uri, ROOT)) for uri in (config.model_uri, *config.committee)]
    _check_committee(config, bundles)
    if form and set(labels.names) != set(bundles[0].labels.names):
        raise ConfigError(
            f"labels: {', '.join(labels.names)}, but {config.model_uri} gives "
            f"{', '.join(bundles[0].labels.names)}; name its codebook: labels=NAME"
        )
    labelled = [row["text"] for row in read_rows(config.labelled)] if config.labelled else []
    chosen = suggest(
        bundles,
        rows,
        strategy=config.strategy,
        count=config.count,
        labelled=labelled,
        near_duplicate=config.near_duplicate,
        among=config.among,
        seed=config.seed,
    )
    chosen = _without_scores(chosen, config.predictions)
    given = bundles[0].label([row["text"] for row in chosen]) if config.predictions else None
    files = write_worklist(config.output, form, chosen, labels, given)
    sampled = f", of which {len(rows)} were looked at (pool)" if total > len(rows) else ""
    return f"{len(chosen)} of {total} sentences to label next, by {config.strategy}{sampled}{_written(files)}"


def _written(files: Sequence[Path]) -> str:
    return f"\nwritten to {' and '.join(map(str, files))}"


def _relabel(config: DictConfig) -> str:
    from pipeline.text.readers import read_rows
    from pipeline.worklist import write_table

    source = Path(config.input or config.out_of_fold)
    if not source.is_file():
        raise InputError(f"{source}: no such file; run python -m pipeline.train, or set input")
    rows = list(read_rows(source))
    found = relabel(rows, where=str(source))
    suspects = sum(len(row["wrong"]) + len(row["missing"]) for row in found)
    write_table(config.output, _without_scores(found[: config.count], config.predictions))
    kept = min(len(found), config.count)
    return (
        f"{suspects} labels of {len(found)} sentences are suspect, of {len(rows)} sentences; the {kept} most "
        f"doubtful sentences are listed, nothing is changed{_written([Path(config.output)])}"
    )


def _check(config: DictConfig) -> None:
    if config.input is None:
        raise ConfigError("input: which news to choose from? Set input=PATH")
    if config.strategy not in STRATEGIES:
        raise ConfigError(f"strategy={config.strategy}: unknown{nearest(config.strategy, STRATEGIES)}")
    if config.unit not in UNITS:
        raise ConfigError(f"unit={config.unit}: must be one of {', '.join(UNITS)}")
    if config.strategy == "random" and config.labelled:
        raise ConfigError("strategy=random draws from all sentences alike: leave out labelled")
    if config.strategy == "disagreement" and not config.committee:
        raise ConfigError(
            "strategy=disagreement needs others to disagree: committee=[FOLDER,...], such as what "
            "python -m pipeline.train model=cues output=models/cues writes"
        )


def _check_committee(config: DictConfig, bundles: Sequence[Bundle]) -> None:
    for uri, bundle in zip(config.committee, bundles[1:], strict=True):
        if bundle.labels.names != bundles[0].labels.names:
            raise ConfigError(
                f"committee: {uri} gives the labels {', '.join(bundle.labels.names)}, "
                f"{config.model_uri} {', '.join(bundles[0].labels.names)}"
            )


def _read(source: Path, unit: str) -> Iterator[Row]:
    """Yield sentences with their places, and their neighbours, which a coder may need to see."""
    from pipeline.labels.tasks import task_of
    from pipeline.rows import encodable
    from pipeline.scoring import sentences_of
    from pipeline.text.readers import read_articles

    for article in read_articles(source):
        if unit == "sentence":
            task = task_of(article, str(source))
            around = {"before": task.before, "after": task.after}
            yield encodable(article.meta | task.place() | around)
            continue
        rows = list(sentences_of([article]))
        texts = ["", *(row["text"] for row in rows), ""]
        for n, row in enumerate(rows):
            yield encodable(article.meta) | row | {"before": texts[n], "after": texts[n + 2]}


def _candidates(
    rows: Sequence[Row], labelled: Sequence[str], near_duplicate: float
) -> tuple[list[Row], NDArray[np.int64], NDArray[np.bool_]]:
    """Return rows whose texts differ, which nearly repeat each other, and which are out."""
    import numpy as np

    from pipeline.evaluation.splits import near_duplicates

    known = {_key(text) for text in labelled} | {""}
    pool = []
    for row in rows:
        if (key := _key(row["text"])) not in known:
            known.add(key)
            pool.append(row)
    pairs = near_duplicates([*(row["text"] for row in pool), *labelled], near_duplicate)
    blocked = np.zeros(len(pool), bool)
    blocked[pairs[(pairs[:, 0] < len(pool)) & (pairs[:, 1] >= len(pool)), 0]] = True
    if blocked.all():
        raise InputError(
            f"none of {len(rows)} sentences is left to suggest: all are empty or labelled already"
        )
    return pool, pairs[pairs[:, 1] < len(pool)], blocked


def _key(text: str) -> str:
    return " ".join(text.lower().split())


def _probabilities(bundle: Bundle, texts: Sequence[str], size: int = 4096) -> NDArray[np.float64]:
    import numpy as np

    from pipeline.progress import counter
    from pipeline.scoring import batches

    found = []
    with counter("sentences scored") as advance:
        for batch in batches(texts, size):
            found.append(bundle.probabilities(batch))
            advance(len(batch))
    return np.vstack(found)


def _scores(strategy: str, bundle: Bundle, members: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    import numpy as np

    from pipeline.labels import querying

    if strategy == "diversity":
        return np.zeros(len(members[0]))
    if strategy == "uncertainty":
        return querying.uncertainty(members[0])
    if strategy == "disagreement":
        return querying.disagreement(members)
    support = bundle.card.get("data", {}).get("support", {})
    expected = members[0].sum(axis=0).tolist()  # where the bundle does not say what it was trained on
    counts = [support.get(name, many) for name, many in zip(bundle.labels.names, expected, strict=True)]
    return querying.rarity(members[0], counts)


def _vectors(texts: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what some texts are about: the means of their words' vectors."""
    from pipeline.models.static import Static

    return Static(anchors=0).fit_transform([texts[row] for row in rows.tolist()]).toarray()


def _without_scores(rows: Sequence[Row], keep: bool) -> list[Row]:
    return [{key: value for key, value in row.items() if keep or key != "scores"} for row in rows]


if __name__ == "__main__":
    main()
