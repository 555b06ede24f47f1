"""How many wrong labels does pipeline.suggest what=relabel find? On the corpus, with two kinds of mistakes.

    python benchmarks/relabel.py [--model tfidf_logreg]

Planted: one label in twenty is taken away, and as many are given to other sentences, at random. Real: the
labels of the first annotator alone, against what the majority of two or three settled on. Classifiers are
trained and cross-validated on the labels with the mistakes; what is wrong is known only here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def mistakes(y: np.ndarray, part: float, seed: int) -> np.ndarray:
    """Return the labels with so many of each turned round on either side."""
    rng = np.random.default_rng(seed)
    wrong = y.copy()
    for k in range(y.shape[1]):
        for side in (0, 1):
            rows = np.flatnonzero(y[:, k] == side)
            many = round(part * int(y[:, k].sum()))
            wrong[rng.choice(rows, many, replace=False), k] = 1 - side
    return wrong


def first_annotator(path: Path, rows: list[dict[str, Any]], labels: tuple[str, ...]) -> np.ndarray:
    """Return the labels that each sentence's first annotator gave."""
    from pipeline.labels.annotations import by_sentence, read_annotations

    said = by_sentence(read_annotations(path))
    votes = [said[row["article"], row["start"], row["end"]][0] for row in rows]
    return np.array([[name in vote.labels for name in labels] for vote in votes], np.int8)


def line(name: str, given: np.ndarray, right: np.ndarray, p: np.ndarray) -> str:
    """Return precision and recall of what is suspect, of all and of the most doubtful, as Markdown."""
    from pipeline.labels.suspects import ranked

    wrong = given != right
    found = ranked(given, p)
    hits = np.array([wrong[one.row, one.column] for one in found])
    total = int(wrong.sum())
    cells = [name, f"{total:,} of {wrong.size:,}", f"{len(found):,}", f"{hits.mean():.0%}"]
    cells += [f"{hits.sum() / total:.0%}"]
    cells += [f"{hits[: min(many, len(hits))].mean():.0%}" for many in (100, 500)]
    by_chance = total / wrong.size
    return f"| {' | '.join([*cells, f'{by_chance:.1%}'])} |"


def main() -> None:
    """Train twice, and print the table."""
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate
    from rich.progress import track

    from pipeline.app import CONF
    from pipeline.models.training import cross_validate
    from pipeline.train import label_set_of, labelled_sentences, split

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tfidf_logreg", help="name under conf/model")
    parser.add_argument("--part", type=float, default=0.05, help="of the labels given, planted mistakes")
    given = parser.parse_args()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        config = compose("train", [f"model={given.model}"])
    labels = label_set_of(config)
    data = split(labelled_sentences(config), labels, config)
    rows = data.split.train
    texts, y, folds = data.column("text", rows), data.y[rows], data.split.folds[rows]
    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=labels.task)
    annotations = Path(config.corpus.annotations)
    cases = {
        "planted": mistakes(y, given.part, config.seed),
        "first annotator": first_annotator(annotations, data.table.take(rows).to_pylist(), labels.names),
    }
    head = [
        "mistakes",
        "wrong labels",
        "suspect",
        "precision",
        "recall",
        "of the first 100",
        "of the first 500",
    ]
    print(f"| {' | '.join([*head, 'by chance'])} |\n|{' --- |' * (len(head) + 1)}")
    for name, noisy in cases.items():
        crossed = cross_validate(
            model,
            decision,
            texts,
            noisy,
            folds,
            track=lambda f: track(f, description="folds", disable=not sys.stderr.isatty()),
        )
        print(line(name, noisy, y, crossed.probabilities), flush=True)


if __name__ == "__main__":
    main()
