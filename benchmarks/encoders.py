"""Sentence encoders: ONNX Runtime beside sentence-transformers' torch, speed and what it costs in F1.

    python benchmarks/encoders.py [sentences=1000] [rounds=3]

Needs `make extra-finetune` and data/interim/labelled.parquet. Embeds sentences of the corpus with
all-MiniLM-L6-v2 in torch (fp32, sentence-transformers, its own sorting and batches of 32), in ONNX fp32
and in ONNX int8, on all cores, rounds alternating, best wall time of each. Then fits one logistic
regression per label on the fp32 embeddings of articles for training and scores those for testing in
each precision: macro-F1 at 0.5, and its difference to torch. Says how many sentences are cut.
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
    scores = qualities(embedders, texts, [[table["labels"][int(i)].as_py() for i in part] for part in chosen])
    print(
        f"{size} sentences, {cores()} cores\n\n                sentences/s   of torch   macro-F1   difference"
    )
    for name, one in seconds.items():
        ratio, lost = seconds["torch fp32"] / one, scores[name] - scores["torch fp32"]
        print(f"{name:<16}{size / one:11,.0f}{ratio:11.2f}{scores[name]:11.4f}{lost:+13.4f}")


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


def qualities(
    embedders: dict[str, Any], texts: list[list[str]], given: list[list[list[str]]]
) -> dict[str, float]:
    """Return the macro-F1 on test sentences of each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.multiclass import OneVsRestClassifier

    names = sorted({name for some in given[0] for name in some})
    train, test = (np.array([[n in some for n in names] for some in part]).astype(int) for part in given)
    head = OneVsRestClassifier(LogisticRegression(C=10, class_weight="balanced", max_iter=300))
    head.fit(embedders["torch fp32"](texts[0]), train)
    return {
        name: f1_score(test, head.predict(np.asarray(embed(texts[1]))), average="macro")
        for name, embed in embedders.items()
    }


if __name__ == "__main__":
    main()
