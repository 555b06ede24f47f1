"""Sentences of one's own articles that nobody has labelled, to learn from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.schema import InputError


def unlabelled_sentences(path: str | Path, labelled: Sequence[str], near_duplicate: float) -> list[str]:
    """Return the distinct sentences of articles, without those that a labelled sentence nearly repeats.

    Parameters
    ----------
    path : path
        Articles, as for `pipeline.ingest`.
    labelled : sequence of str
        All labelled sentences, test sentences included: a classifier that learned from a near-copy of
        one would be judged by what it has seen.
    near_duplicate : float
        Overlap from which a sentence is a near-copy; see `pipeline.evaluation.splits`.

    Raises
    ------
    InputError
        Where no sentence is left.
    """
    from pipeline.evaluation.splits import near_duplicates
    from pipeline.progress import counter
    from pipeline.text.readers import read_articles
    from pipeline.text.sentences import split_article

    found: dict[str, None] = {}
    articles = 0
    with counter("articles") as advance:
        for article in read_articles(Path(path)):
            found |= dict.fromkeys(sentence.text for sentence in split_article(article)[0])
            articles += 1
            advance(1)
    texts, known = list(found), len(labelled)
    pairs = near_duplicates([*labelled, *texts], near_duplicate)
    copies = set((pairs[(pairs[:, 0] < known) & (pairs[:, 1] >= known), 1] - known).tolist())
    kept = [text for i, text in enumerate(texts) if i not in copies]
    if not kept:
        raise InputError(f"distill.articles={path}: no sentence to learn from; give more articles")
    sys.stdout.write(
        f"{len(kept)} unlabelled sentences of {articles} articles"
        + (f", {len(copies)} left out that labelled ones nearly repeat" if len(copies) else "")
        + "\n"
    )
    return kept
