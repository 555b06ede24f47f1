"""Sentence encoders: ONNX Runtime beside torch, speed and what it costs in scores and F1.

    python benchmarks/encoders.py [sentences=1000] [rounds=3] [finetuned=0]

Needs `make extra-finetune` and data/interim/labelled.parquet. Embeds sentences of the corpus with
all-MiniLM-L6-v2 in torch (fp32, sentence-transformers, its own sorting and batches of 32), in ONNX fp32
and in ONNX int8, on all cores, rounds alternating, best wall time of each. Then fits one logistic
regression per label on the fp32 embeddings of articles for training and scores those for testing in
each precision: macro-F1 at 0.5, its difference to torch, and the mean and largest difference of a
probability. With `finetuned=N`, the same of an encoder fine-tuned on N sentences (minutes), whose
network in torch is what was exported. Says how many sentences are cut.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.models.encoder import Encoder
from pipeline.models.onnx_export import DEFAULT, source_folder
from pipeline.models.onnx_text import cores

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print both tables."""
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    size, rounds = int(options.get("sentences", 1000)), int(options.get("rounds", 3))
    warnings.simplefilter("ignore")
    table = pq.read_table(ROOT / "data" / "interim" / "labelled.parquet", columns=["text", "labels", "split"])
    test = np.array(table["split"].to_pylist()) == "test"
    rng = np.random.default_rng(7)
    chosen = [rng.permutation(np.flatnonzero(part))[:size] for part in (~test, test)]
    texts = [[table["text"][int(i)].as_py() for i in part] for part in chosen]
    embedders = {"torch fp32": torch_embedder()}
    for precision in ("fp32", "int8"):
        embedders[f"ONNX {precision}"] = onnx_embedder(precision, texts[1])
    seconds = speeds(embedders, texts[1], rounds)
    labels = [[table["labels"][int(i)].as_py() for i in part] for part in chosen]
    train, test = indicators(labels)
    show("frozen", size, seconds, probabilities(embedders, texts, train), test)
    if n := int(options.get("finetuned", 0)):
        scorers = fine_tuned(texts[0][:n], train[:n])
        seconds = speeds(scorers, texts[1], rounds)
        show(f"fine-tuned on {n}", size, seconds, {k: f(texts[1]) for k, f in scorers.items()}, test)


def show(
    title: str, size: int, seconds: dict[str, float], found: dict[str, np.ndarray], y: np.ndarray
) -> None:
    """Print a table: speed, and probabilities of shape (n_sentences, n_labels) against torch's."""
    from sklearn.metrics import f1_score

    print(f"\n{title}: {size} sentences, {cores()} cores")
    print("                sentences/s   of torch   macro-F1   difference   |dp| mean   |dp| largest")
    exact = found["torch fp32"]
    scores = {name: f1_score(y, p >= 0.5, average="macro", zero_division=0) for name, p in found.items()}
    for name, one in seconds.items():
        ratio, lost = seconds["torch fp32"] / one, scores[name] - scores["torch fp32"]
        off = np.abs(found[name] - exact)
        print(
            f"{name:<16}{size / one:11,.0f}{ratio:11.2f}{scores[name]:11.4f}{lost:+13.4f}"
            f"{off.mean():12.5f}{off.max():15.5f}"
        )


def torch_embedder() -> Any:
    """Return sentence-transformers' encoder."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(cores())
    model = SentenceTransformer(str(source_folder(DEFAULT)), device="cpu")
    model.max_seq_length = 128
    return lambda texts: model.encode(
        texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
    )


def onnx_embedder(precision: str, texts: list[str]) -> Any:
    """Return ours, as a bundle has it: without a memory of what it has embedded."""
    encoder = Encoder(precision=precision).fit(texts)
    print(
        f"ONNX {precision}: {encoder.truncated_} of {len(texts)} sentences cut at {encoder.max_length} tokens"
    )
    return Encoder.from_state(encoder.state()).transform


def speeds(embedders: dict[str, Any], texts: list[str], rounds: int) -> dict[str, float]:
    """Return the best wall time of each."""
    best = dict.fromkeys(embedders, float("inf"))
    for _ in range(rounds):
        for name, embed in embedders.items():
            began = time.perf_counter()
            embed(texts)
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def indicators(given: list[list[list[str]]]) -> list[np.ndarray]:
    """Return 0/1 labels of each part."""
    names = sorted({name for some in given[0] for name in some})
    return [np.array([[n in some for n in names] for some in part]).astype(int) for part in given]


def probabilities(
    embedders: dict[str, Any], texts: list[list[str]], train: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the probabilities of the test sentences that one head gives on the vectors of each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    head = OneVsRestClassifier(LogisticRegression(C=10, class_weight="balanced", max_iter=300))
    head.fit(embedders["torch fp32"](texts[0]), train)
    return {name: head.predict_proba(np.asarray(embed(texts[1]))) for name, embed in embedders.items()}


def fine_tuned(texts: list[str], y: np.ndarray) -> dict[str, Any]:
    """Fine-tune once; return what gives probabilities in torch, in ONNX fp32 and in ONNX int8."""
    import torch
    from scipy.special import expit

    from pipeline.models.finetuned import FineTuned
    from pipeline.models.finetuning import Recipe, train
    from pipeline.models.onnx_export import cache
    from pipeline.models.onnx_text import Tokens, padded

    models = {
        precision: FineTuned(precision=precision, epochs=5).fit(texts, y) for precision in ("fp32", "int8")
    }
    fields = {name: getattr(models["fp32"], name) for name in Recipe.__dataclass_fields__ if name != "seed"}
    folder = source_folder(DEFAULT)
    network, _ = train(  # taken up finished, from its checkpoint
        folder, texts, y.astype(np.float32), Recipe(**fields, seed=0), cache() / "finetuned", None
    )
    tokens = Tokens((folder / "tokenizer.json").read_text(encoding="utf-8"), models["fp32"].max_length)

    def in_torch(some: list[str]) -> np.ndarray:
        ids, _ = tokens(some)
        order = np.argsort([len(one) for one in ids], kind="stable")
        found = np.empty((len(some), y.shape[1]))
        with torch.no_grad():
            for begin in range(0, len(order), 32):
                rows = order[begin : begin + 32]
                batch = (torch.from_numpy(array) for array in padded([ids[i] for i in rows]))
                found[rows] = network(*batch).numpy()
        return expit(found)

    scorers: dict[str, Any] = {"torch fp32": in_torch}
    for name, model in models.items():
        print(f"fine-tuned {name}: {model.model_.onnx.nbytes / 1e6:.0f} MB")
        scorers[f"ONNX {name}"] = lambda some, model=model: expit(model.decision_function(some))
    return scorers


if __name__ == "__main__":
    main()
