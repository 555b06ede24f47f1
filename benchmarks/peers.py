"""Classifiers that others would take for labelled texts, for benchmarks/public.py to compare with.

Each takes training texts, their 0/1 labels and the test texts, and returns the 0/1 labels it gives, the
processor seconds it trained and scored, and the megabytes it takes on disk.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.schema import need


@dataclass(slots=True)
class Outcome:
    """What a classifier gave, and what it took."""

    predicted: Any
    train_seconds: float
    score_seconds: float
    megabytes: float


Fit = Callable[[Sequence[str], Any, Sequence[str], int], Outcome]


def tfidf_svm(texts: Sequence[str], y: Any, test: Sequence[str], seed: int) -> Outcome:
    """Fit scikit-learn's TF-IDF over words and pairs, and LinearSVC, as they come."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(features, _head(LinearSVC(random_state=seed), y))
    return _scikit_learn(model, texts, y, test, lambda: _size(model))


def encoder_logreg(texts: Sequence[str], y: Any, test: Sequence[str], seed: int) -> Outcome:
    """Fit a logistic regression on the vectors of a frozen sentence encoder, all-MiniLM-L6-v2."""
    need("encoder_logreg", "finetune", "sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    from pipeline.models.onnx_export import DEFAULT, source_folder

    folder = source_folder(DEFAULT)
    encoder = SentenceTransformer(str(folder))
    head = _head(LogisticRegression(C=10.0, max_iter=1000), y)
    began = time.process_time()
    head.fit(encoder.encode(list(texts)), _target(y))
    trained = time.process_time()
    predicted = _labels(head.predict(encoder.encode(list(test))), y)
    scored = time.process_time()
    return Outcome(predicted, trained - began, scored - trained, _saved_size(encoder) + _size(head))


def setfit(texts: Sequence[str], y: Any, test: Sequence[str], seed: int) -> Outcome:
    """Fine-tune all-MiniLM-L6-v2 with SetFit: 20 pairs of each kind a text, as in its paper, in one epoch.

    Of 1,000 steps at most, without which it takes days on thousands of texts; its defaults otherwise.
    """
    need("setfit", "finetune", "sentence_transformers")
    if not _installed("setfit"):
        raise ModuleNotFoundError("setfit is not installed: pip install setfit, in an environment of its own")
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    from pipeline.models.onnx_export import DEFAULT, source_folder

    folder = source_folder(DEFAULT)
    strategy = {"multi_target_strategy": "one-vs-rest"} if _several(y) else {}
    model = SetFitModel.from_pretrained(str(folder), **strategy)
    labels = np.asarray(y).tolist() if _several(y) else _target(y).tolist()
    data = Dataset.from_dict({"text": list(texts), "label": labels})
    pairs, batch, most = 20, 16, 1000
    steps = {"max_steps": most} if 2 * pairs * len(texts) > batch * most else {}
    settings = TrainingArguments(
        num_iterations=pairs, batch_size=batch, num_epochs=1, seed=seed, report_to="none", **steps
    )
    began = time.process_time()
    Trainer(model=model, args=settings, train_dataset=data).train()
    trained = time.process_time()
    predicted = _labels(np.asarray(model.predict(list(test))), y)
    scored = time.process_time()
    return Outcome(predicted, trained - began, scored - trained, _saved_size(model))


def fasttext(texts: Sequence[str], y: Any, test: Sequence[str], seed: int) -> Outcome:
    """Fit fastText with word pairs, 25 epochs and a learning rate of 0.5."""
    return _fasttext(texts, y, test, seed, {"wordNgrams": 2, "epoch": 25, "lr": 0.5})


def fasttext_autotune(texts: Sequence[str], y: Any, test: Sequence[str], seed: int) -> Outcome:
    """Let fastText choose its settings for a minute on a tenth of the training texts.

    In a process of its own, which it may end: it aborts where a trial diverges.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_fasttext, texts, y, test, seed, None).result()


PEERS: dict[str, Fit] = {
    "TF-IDF + LinearSVC (scikit-learn)": tfidf_svm,
    "fastText": fasttext,
    "fastText, autotuned 60 s": fasttext_autotune,
    "MiniLM frozen + logistic regression": encoder_logreg,
    "SetFit (MiniLM)": setfit,
}


def _fasttext(
    texts: Sequence[str], y: Any, test: Sequence[str], seed: int, settings: dict[str, Any] | None
) -> Outcome:
    need("fastText", "bench", "fasttext")
    import fasttext

    loss = {"loss": "ova"} if _several(y) else {}
    common = {"thread": len(os.sched_getaffinity(0)), "verbose": 0, **loss}
    with _lines(texts, y, seed) as (every, most, rest):
        began = time.process_time()
        if settings is None:
            tuned = {"autotuneValidationFile": str(rest), "autotuneDuration": 60}
            model = fasttext.train_supervised(str(most), **tuned, **common)
        else:
            model = fasttext.train_supervised(str(every), seed=seed, **settings, **common)
        trained = time.process_time()
        predicted = np.zeros((len(test), y.shape[1]), np.int8)
        most, least = (y.shape[1], 0.5) if _several(y) else (1, 0.0)
        for row, text in enumerate(test):
            # Not model.predict: of a list it gives all labels of a text the probability of the first.
            for _, name in model.f.predict(f"{_line(text)}\n", most, least, "strict"):
                predicted[row, int(name.removeprefix("__label__"))] = 1
        scored = time.process_time()
        model.save_model(str(every.with_suffix(".bin")))
        size = every.with_suffix(".bin").stat().st_size / 1e6
    return Outcome(predicted, trained - began, scored - trained, size)


@contextmanager
def _lines(texts: Sequence[str], y: Any, seed: int) -> Iterator[list[Path]]:
    """Yield fastText's files of all texts, nine tenths and one tenth of them."""
    lines = [
        " ".join([*(f"__label__{k}" for k in np.flatnonzero(row)), _line(text)])
        for text, row in zip(texts, y, strict=True)
    ]
    order = np.random.default_rng(seed).permutation(len(lines))
    tenth = max(1, len(lines) // 10)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("all.txt", "most.txt", "rest.txt")]
        for path, rows in zip(paths, (order, order[tenth:], order[:tenth]), strict=True):
            path.write_text("".join(f"{lines[i]}\n" for i in rows), encoding="utf-8")
        yield paths


def _line(text: str) -> str:
    """Return a text as fastText's tutorial prepares it: lower case, punctuation apart."""
    apart = "".join(f" {c} " if not (c.isalnum() or c.isspace()) else c for c in text.lower())
    return " ".join(apart.split())


def _scikit_learn(
    model: Any, texts: Sequence[str], y: Any, test: Sequence[str], size: Callable[[], float]
) -> Outcome:
    began = time.process_time()
    model.fit(list(texts), _target(y))
    trained = time.process_time()
    predicted = _labels(model.predict(list(test)), y)
    return Outcome(predicted, trained - began, time.process_time() - trained, size())


def _head(estimator: Any, y: Any) -> Any:
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(estimator) if _several(y) else estimator


def _several(y: Any) -> bool:
    return bool((np.asarray(y).sum(axis=1) != 1).any())


def _target(y: Any) -> Any:
    return np.asarray(y) if _several(y) else np.asarray(y).argmax(axis=1)


def _labels(predicted: Any, y: Any) -> Any:
    predicted = np.asarray(predicted)
    if _several(y):
        return predicted.astype(np.int8)
    return np.eye(np.asarray(y).shape[1], dtype=np.int8)[predicted.astype(int)]


def _size(model: Any) -> float:
    import skops.io

    return len(skops.io.dumps(model)) / 1e6


def _saved_size(model: Any) -> float:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
