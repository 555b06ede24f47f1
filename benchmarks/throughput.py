"""Sentences a second: the bundles beside scikit-learn and fastText, on one core and on two, in one run.

    python benchmarks/throughput.py [bundle=models/latest] [news=../shared/news/articles.jsonl]
        [rounds=5] [sentences=100000]

Trains the linear classifiers on data/interim/labelled.parquet (`make train` writes it) and scores the
sentences of `news`, repeated to about 100,000. Every figure is processor time (user and system) of the
process that scores, the best of the rounds, which alternate, so that other work on the machine weighs on
all alike: read the ratios. "First time" is before the rounds, every word new to the process. Two cores
are two processes over halves of the sentences; their figure is wall time. fastText is left out where it is
not installed (`pip install fasttext-wheel`).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
LABELLED = ROOT / "data" / "interim" / "labelled.parquet"
BATCH = 8192
Score = Callable[[list[str]], Any]


def main() -> None:
    """Print one table after the other."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    pa.set_cpu_count(1)
    news = Path(options.get("news", ROOT.parent / "shared" / "news" / "articles.jsonl"))
    sentences, reading = read(news)
    once = len(sentences)
    sentences *= max(1, int(options.get("sentences", 100_000)) // once)
    print(f"{len(sentences):,} sentences, {np.mean(list(map(len, sentences))):.0f} characters on average\n")
    scorers: dict[str, Score | None] = {
        "scikit-learn TF-IDF + LR": sklearn_scorer(),
        "fastText": fasttext_scorer(),
        "tfidf_logreg (ArrowTfidf)": arrow_scorer(),
        "default bundle": bundle_scorer(options.get("bundle", str(ROOT / "models" / "latest"))),
    }
    present = {name: score for name, score in scorers.items() if score is not None}
    one = one_core(present, sentences, once, int(options.get("rounds", 5)))
    two_cores(present, sentences)
    batch_sizes(present["tfidf_logreg (ArrowTfidf)"], present["default bundle"], sentences)
    stages(sentences)
    bound(one, sentences, reading)


def read(news: Path) -> tuple[list[str], float]:
    """Return the sentences of articles, and the microseconds that reading and splitting took for each."""
    from pipeline.scoring import sentences_of
    from pipeline.text.readers import read_articles

    began = time.process_time()
    sentences = [row["text"] for row in sentences_of(read_articles(news))]
    return sentences, (time.process_time() - began) / len(sentences) * 1e6


def training() -> tuple[list[str], np.ndarray, list[list[str]]]:
    """Return texts, 0/1 labels, and labels by name."""
    table = pq.read_table(LABELLED, columns=["text", "labels"])
    given = table["labels"].to_pylist()
    names = sorted({name for some in given for name in some})
    return (
        table["text"].to_pylist(),
        np.array([[n in some for n in names] for some in given]).astype(int),
        given,
    )


def sklearn_scorer() -> Score:
    """Return scikit-learn's vectorizer and logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return _linear(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)).predict_proba


def arrow_scorer() -> Score:
    """Return the same classifier over our transformer, as a bundle scores it."""
    from pipeline.models.arrow_tfidf import ArrowTfidf
    from pipeline.models.portable import portable

    part = portable(_linear(ArrowTfidf(ngram_range=(1, 2), min_df=2, sublinear_tf=True)))
    return part.decision_function


def _linear(vectorizer: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    texts, y, _ = training()
    head = LogisticRegression(C=10, solver="liblinear", random_state=7)
    return make_pipeline(vectorizer, OneVsRestClassifier(head)).fit(texts, y)


def fasttext_scorer() -> Score | None:
    """Return fastText with word pairs and its own defaults, or None."""
    try:
        import fasttext
    except ImportError:
        print("fastText is not installed: left out (pip install fasttext-wheel)\n")
        return None
    texts, _, given = training()
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, some in zip(texts, given, strict=True):
            labels = " ".join(f"__label__{name}" for name in some or ["none"])
            file.write(f"{labels} {text.lower()}\n".replace("\n", " ").rstrip() + "\n")
        file.flush()
        model = fasttext.train_supervised(
            file.name, wordNgrams=2, loss="ova", bucket=200_000, thread=1, verbose=0
        )
    return lambda texts: model.predict([text.lower().replace("\n", " ") for text in texts], k=-1)


def bundle_scorer(folder: str) -> Score:
    """Return a bundle's probabilities."""
    from pipeline.bundle import load

    return load(folder).probabilities


def _all(score: Score, sentences: list[str], batch: int = BATCH) -> None:
    for begin in range(0, len(sentences), batch):
        score(sentences[begin : begin + batch])


def one_core(scorers: dict[str, Score], sentences: list[str], once: int, rounds: int) -> dict[str, float]:
    """Print and return sentences a second of each, in alternating rounds, and when words are new."""
    first = {}
    for name, score in scorers.items():
        score(training()[0][:1000])
        began = time.process_time()
        _all(score, sentences[:once])
        first[name] = once / (time.process_time() - began)
    best = dict.fromkeys(scorers, float("inf"))
    for _ in range(rounds):
        for name, score in scorers.items():
            began = time.process_time()
            _all(score, sentences)
            best[name] = min(best[name], time.process_time() - began)
    rates = {name: len(sentences) / seconds for name, seconds in best.items()}
    theirs = next(iter(rates.values()))
    print("one core                    sentences/s   of scikit-learn   of fastText   first time")
    for name, rate in rates.items():
        beside = f"{rate / rates['fastText']:11.2f}" if "fastText" in rates else "          –"
        print(f"{name:<28}{rate:11,.0f}{rate / theirs:18.2f}{beside}{first[name]:13,.0f}")
    print()
    return rates


def two_cores(scorers: dict[str, Score], sentences: list[str]) -> None:
    """Print wall time of one process over all, and of two over halves, and peak memory of one."""
    print("two cores                   speed-up   peak MB of one process")
    context = multiprocessing.get_context("fork")
    for name, score in scorers.items():
        walls = []
        for parts in (1, 2):
            barrier, queue = context.Barrier(parts + 1), context.Queue()
            halves = [sentences[k::parts] for k in range(parts)]
            jobs = [context.Process(target=_job, args=(score, half, barrier, queue)) for half in halves]
            for job in jobs:
                job.start()
            barrier.wait()
            began = time.perf_counter()
            peaks = [queue.get() for _ in jobs]
            walls.append(time.perf_counter() - began)
            for job in jobs:
                job.join()
        print(f"{name:<28}{walls[0] / walls[1]:8.2f}{max(peaks):25.0f}")
    print()


def _job(score: Score, sentences: list[str], barrier: Any, queue: Any) -> None:
    _all(score, sentences[:BATCH])
    barrier.wait()
    _all(score, sentences)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def batch_sizes(linear: Score, default: Score, sentences: list[str]) -> None:
    """Print sentences a second by batch size."""
    print("batch     tfidf_logreg/s   default/s")
    some = sentences[:20_000]
    for size in (1, 16, 128, 1024, 4096, 8192, 20_000):
        part = some[: max(200, size * 8)]
        rates = []
        for score in (linear, default):
            began = time.process_time()
            _all(score, part, size)
            rates.append(len(part) / (time.process_time() - began))
        print(f"{size:<10}{rates[0]:14,.0f}{rates[1]:12,.0f}")
    print()


def stages(sentences: list[str]) -> None:
    """Print where the time of the linear path goes."""
    from pipeline.models.arrow_tfidf import ArrowTfidf
    from pipeline.models.ngrams import Tokens
    from pipeline.models.tokens import Texts

    model = ArrowTfidf(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit(training()[0])
    some = sentences[:BATCH]

    def timed(what: str, function: Callable[[], Any]) -> Any:
        best = float("inf")
        for _ in range(5):
            began = time.process_time()
            found = function()
            best = min(best, time.process_time() - began)
        print(f"{what:<34}{best / len(some) * 1e6:8.2f} us a sentence")
        return found

    timed("to UTF-8, lower-case, find words", lambda: Texts(some).lower_words)
    words = Texts(some).lower_words
    longer = timed(
        "drop one-letter words", lambda: type(words)(words.ids, words.counts, words.vocabulary).longer
    )
    numbers = timed("look distinct words up", lambda: [model._numbers.get(w, -1) for w in longer.strings])
    tokens = Tokens(np.array(numbers, np.int64)[longer.ids], longer.counts)
    timed("find words and pairs as columns", lambda: model.index_.find(tokens))
    timed("… and count and weigh them", lambda: model.index_.tfidf(tokens, model.idf_, sublinear=True))
    print()


def bound(rates: dict[str, float], sentences: list[str], reading: float) -> None:
    """Print how far the linear path is from what reading and splitting text into words takes alone."""
    began = time.process_time()
    for sentence in sentences:
        sentence.lower().split()
    split = (time.process_time() - began) / len(sentences) * 1e6
    ours = 1e6 / rates["tfidf_logreg (ArrowTfidf)"]
    print(
        f"str.lower().split() alone       {split:6.2f} us a sentence; tfidf_logreg {ours / split:.1f} times"
    )
    print(f"articles from JSON to sentences {reading:6.2f} us a sentence: labelling them cannot be faster")
    print(json.dumps({name: round(rate) for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
