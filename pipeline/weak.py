"""Stage: let labelling functions vote on sentences, judge them, and write weak labels to train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pipeline.app import stage
from pipeline.schema import ConfigError, InputError, LabelSet, nearest
from pipeline.terminal import say

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from pipeline.labels.votes import Voter
    from pipeline.models.functions import LabellingFunction

COUNTED = ("function", "label", "for", "against", "coverage", "overlap", "conflict")
JUDGED = ("judged", "accuracy", "low", "high", "guessing")
COLUMNS = (*COUNTED, *JUDGED)


def vote(
    functions: Iterable[LabellingFunction], texts: Sequence[str], labels: LabelSet
) -> tuple[NDArray[np.int8], list[Voter]]:
    """Return the votes of all functions on all texts, shape (n_texts, n_voters), and the voters.

    Raises
    ------
    ConfigError
        For a function of an unknown label, or two of one name and label.
    """
    import numpy as np

    from pipeline.labels.votes import Voter

    functions = list(functions)
    voters = [Voter(*column) for function in functions for column in function.columns()]
    for voter in voters:
        if voter.label not in labels.names:
            hint = nearest(voter.label, labels.names)
            raise ConfigError(
                f"functions: {voter.function!r}: unknown label {voter.label!r}{hint}; functions for labels "
                "of your own: functions=NAME, from conf/functions/NAME.yaml"
            )
        if voters.count(voter) > 1:
            raise ConfigError(f"functions: two called {voter.function!r} for {voter.label!r}; rename one")
    return np.hstack([function.votes(texts) for function in functions]), voters


def judge(
    votes: NDArray[np.int8],
    voters: Sequence[Voter],
    judged: NDArray[np.int8],
    gold: dict[str, NDArray[np.int8]],
) -> list[dict[str, Any]]:
    """Return the analysis table: coverage, overlap and conflict on the input, accuracy on gold.

    Parameters
    ----------
    votes, judged : ndarray of shape (n_sentences, n_voters)
        On the input, and on the gold sentences.
    gold : dict of str to ndarray
        Of the gold sentences, by label; empty without gold.
    """
    from pipeline.labels.votes import analysis

    rows = analysis(votes, voters, {})
    if gold:
        for row, other in zip(rows, analysis(judged, voters, gold), strict=True):
            row |= {name: other[name] for name in JUDGED}
    return rows


def weak_rows(
    sentences: pa.Table,
    votes: NDArray[np.int8],
    voters: Sequence[Voter],
    labels: LabelSet,
    *,
    label_model: str = "majority",
    silence: float = 0.5,
) -> pa.Table:
    """Return the sentences with `labels`, `probabilities` of each label, and the `weight` of the row.

    The weight is the mean over the labels of how far the probability is from one half, doubled; where
    no function voted on a label it is `silence`.
    """
    import numpy as np
    import pyarrow as pa

    from pipeline.labels.votes import settle

    p = settle(votes, voters, labels.names, label_model)
    given = p > 0.5
    if labels.task == "multiclass":
        given = np.eye(p.shape[1], dtype=bool)[p.argmax(axis=1)]
    spoken = np.column_stack(
        [votes[:, [v.label == name for v in voters]].any(axis=1) for name in labels.names]
    )
    weight = np.where(spoken, np.abs(2 * p - 1), silence).mean(axis=1)
    names = np.array(labels.names, dtype=object)
    scores = pa.StructArray.from_arrays([pa.array(column) for column in p.T], names=list(labels.names))
    chosen = pa.array([names[row].tolist() for row in given], pa.list_(pa.string()))
    table = sentences.append_column("labels", chosen).append_column("probabilities", scores)
    return table.append_column("weight", pa.array(weight))


def without_repeats(sentences: pa.Table, gold: Sequence[str], threshold: float) -> pa.Table:
    """Return the sentences that nearly repeat none of the gold texts, each text once."""
    import numpy as np

    from pipeline.evaluation.splits import near_duplicates

    texts = sentences["text"].to_pylist()
    seen, keep = set(gold), np.zeros(len(texts), bool)
    for row, text in enumerate(texts):
        keep[row] = text not in seen
        seen.add(text)
    pairs = near_duplicates([*gold, *texts], threshold)
    straddling = (pairs[:, 0] < len(gold)) & (pairs[:, 1] >= len(gold))
    keep[pairs[straddling, 1] - len(gold)] = False
    return sentences.filter(keep)


def sentences_of(path: str | Path, unit: str) -> pa.Table:
    """Return the sentences of articles, or the rows of a table, as `schema.SENTENCES`."""
    import pyarrow as pa

    from pipeline.schema import SENTENCES
    from pipeline.text.readers import read_articles
    from pipeline.text.sentences import split_article

    if unit not in ("article", "sentence"):
        raise ConfigError(f"unit={unit}: must be article or sentence")
    rows = []
    for article in read_articles(path):
        if unit == "sentence":
            text = article.text
            rows.append((article.id, 0, "body", 0, len(text), text))
        else:
            rows += [
                (s.article, s.sentence, s.kind, s.start, s.end, s.text) for s in split_article(article)[0]
            ]
    if not rows:
        raise InputError(f"{path}: no sentences")
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SENTENCES, strict=True)]
    return pa.table(arrays, schema=SENTENCES)


@stage("weak")
def main(config: DictConfig) -> None:
    """Run the stage."""
    import numpy as np
    from hydra.utils import instantiate

    from pipeline.labels.labelset import label_set
    from pipeline.rows import write_rows

    labels = label_set(OmegaConf.to_container(config.labels, resolve=True))  # type: ignore[arg-type]
    functions = list(instantiate(config.functions, _convert_="all").values())
    sentences = sentences_of(config.input, config.unit)
    known: dict[str, NDArray[np.int8]] = {}
    judged = np.zeros((0, 0), np.int8)
    if config.gold:
        texts, y, test = gold_of(config.gold, labels)
        known = {name: y[~test, k] for k, name in enumerate(labels.names)}
        judged, _ = vote(functions, [texts[row] for row in np.flatnonzero(~test)], labels)
        before = sentences.num_rows
        sentences = without_repeats(sentences, texts, config.near_duplicate)
        say(f"{before} sentences; {before - sentences.num_rows} left out that repeat gold or one another")
        if not sentences.num_rows:
            raise InputError(f"{config.input}: no sentence is left; take news that nobody labelled")
        say(f"functions are judged by {len(judged)} gold sentences, not by the {test.sum()} of the test set")
    votes, voters = vote(functions, sentences["text"].to_pylist(), labels)
    rows = judge(votes, voters, judged, known)
    write_table(Path(config.analysis), rows)
    table = weak_rows(
        sentences, votes, voters, labels, label_model=config.label_model, silence=config.silence
    )
    write_rows(config.output, table.to_batches(), table.schema)
    show(rows)
    found = table["labels"].to_pylist()
    tally = ", ".join(f"{name} {sum(name in row for row in found)}" for name in labels.names)
    say(f"{len(found)} sentences: {tally}\nwritten to {config.output} and {config.analysis}")


def gold_of(path: str | Path, labels: LabelSet) -> tuple[list[str], NDArray[np.int8], NDArray[np.bool_]]:
    """Return texts of labelled sentences, their 0/1 labels, and which are of the test set.

    Raises
    ------
    InputError, ConfigError
        Where there is no such file, or a row has no such labels.
    """
    import numpy as np

    from pipeline.labels.labelset import indicator
    from pipeline.labels.values import label_names
    from pipeline.text.readers import read_rows

    if not Path(path).is_file():
        raise ConfigError(
            f"gold={path}: no such file; python -m pipeline.label writes it, or judge by none: gold=null"
        )
    rows = list(read_rows(path))
    try:
        y = indicator([label_names(row.get("labels")) for row in rows], labels)
    except InputError as error:
        raise InputError(f"gold={path}: {error}; another file: gold=FILE, none: gold=null") from None
    return [row["text"] for row in rows], y, np.array([row.get("split") == "test" for row in rows])


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the analysis table as CSV."""
    import pyarrow as pa

    from pipeline.rows import row_writer

    with row_writer(path, pa.schema([(name, pa.string()) for name in COLUMNS])) as write:
        write([{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows])


def show(rows: Sequence[dict[str, Any]], most: int = 8) -> None:
    """Print the analysis table: of each label, the functions that vote most."""
    counted = f"{'for':>7}{'against':>8}{'cover':>8}{'overlap':>8}{'conflict':>9}"
    say(f"{'label':<16}{'function':<24}{counted}  {'accuracy':<18}guessing")
    for label in dict.fromkeys(row["label"] for row in rows):
        mine = sorted((row for row in rows if row["label"] == label), key=lambda row: -row["coverage"])
        for row in mine[:most]:
            shares = f"{row['coverage']:>8.2%}{row['overlap']:>8.2%}{row['conflict']:>9.2%}"
            known = row["accuracy"] is not None
            right = (
                f"{row['accuracy']:.2f} [{row['low']:.2f}, {row['high']:.2f}] {row['guessing']:>8.2f}"
                if known
                else "-"
            )
            say(f"{label:<16}{row['function']:<24}{row['for']:>7}{row['against']:>8}{shares}  {right}")
        if len(mine) > most:
            say(f"{label:<16}{len(mine) - most} more in the file")


if __name__ == "__main__":
    main()
