"""An encoder trained end to end as a classifier; scores with ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.models.base import Estimator, check_fitted
from pipeline.models.onnx_export import DEFAULT, cache, quantised, source_folder
from pipeline.models.onnx_text import REQUIREMENTS, OnnxText, check_precision
from pipeline.models.tokens import as_texts
from pipeline.schema import ConfigError, need

OBJECTIVES = ("labels", "contrastive")


class FineTuned(Estimator):
    """Fine-tune a sentence encoder with a linear layer on top, every label for itself.

    With `objective="contrastive"` the encoder learns from pairs of sentences which are alike, then a
    logistic regression per label from its vectors: SetFit, for a few hundred labelled sentences or fewer.

    Parameters
    ----------
    source : str, default="all-MiniLM-L6-v2"
        See `pipeline.models.onnx_export.source_folder`.
    max_length : int, default=96
        Tokens a text is cut at. A warning says how many texts were.
    objective : {"labels", "contrastive"}, default="labels"
    pairs : int, default=10
        Pairs of like, and of unlike sentences, for each sentence and epoch; "contrastive" only.
    epochs : int, default=3
    batch_size : int, default=16
        In training; texts of similar length go together.
    encoder_rate, head_rate : float, default=5e-5 and 2e-3
        Learning rates of AdamW, after a linear warm-up; they then fall to 0. `head_rate` and `dropout` are
        of no matter to "contrastive".
    dropout : float, default=0.1
        Before the linear layer.
    warmup : float, default=0.1
        Share of the steps.
    clip : float, default=1.0
        Greatest norm of the gradient.
    class_weight : {None, "balanced"}, default=None
        "balanced" lets a label's sentences count as much as those without it.
    arithmetic : {"auto", "fp32", "bf16"}, default="auto"
        Of training: "bf16" keeps weights in fp32 and multiplies matrices in bf16; "auto" does so on
        a GPU or processor that is faster at it.
    precision : {"fp32", "int8"}, default="fp32"
        Of the exported model.
    threads : int, optional
        In scoring; default: all cores.
    checkpoints : str, optional
        Folder with a checkpoint of each training, from which it resumes; default: in the user's
        cache. A training is known again by its texts, labels, parameters and encoder.
    device : str, optional
        Default: a GPU where torch finds one.
    random_state : int, default=0

    Attributes
    ----------
    model_ : OnnxText
    losses_ : list of float
        Mean training loss of each epoch; empty when loaded from a bundle.
    truncated_ : int
        Texts given to `fit` that were cut.

    References
    ----------
    Mosbach, M. et al. (2021). On the stability of fine-tuning BERT: warm-up, small rates, more epochs.
    Tunstall, L. et al. (2022). Efficient few-shot learning without prompts: SetFit.
    """

    requirements = REQUIREMENTS
    all_cores = True

    def __init__(
        self,
        *,
        source: str = DEFAULT,
        max_length: int = 96,
        objective: str = "labels",
        pairs: int = 10,
        epochs: int = 3,
        batch_size: int = 16,
        encoder_rate: float = 5e-5,
        head_rate: float = 2e-3,
        dropout: float = 0.1,
        warmup: float = 0.1,
        clip: float = 1.0,
        class_weight: str | None = None,
        arithmetic: str = "auto",
        precision: str = "fp32",
        threads: int | None = None,
        checkpoints: str | None = None,
        device: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.source = source
        self.max_length = max_length
        self.objective = objective
        self.pairs = pairs
        self.epochs = epochs
        self.batch_size = batch_size
        self.encoder_rate = encoder_rate
        self.head_rate = head_rate
        self.dropout = dropout
        self.warmup = warmup
        self.clip = clip
        self.class_weight = class_weight
        self.arithmetic = arithmetic
        self.precision = precision
        self.threads = threads
        self.checkpoints = checkpoints
        self.device = device
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: Any) -> Self:  # noqa: N803
        """Train on texts and 0/1 labels of shape (n_texts, n_labels), and export to ONNX."""
        check_precision(self.precision)
        if self.objective not in OBJECTIVES:
            raise ConfigError(f"objective={self.objective}: must be one of {', '.join(OBJECTIVES)}")
        need("fine-tuning", "finetune", "torch", "transformers")
        from pipeline.models.contrastive import Contrastive, PairRecipe
        from pipeline.models.finetuning import Recipe, Training, train
        from pipeline.models.torch_encoder import export

        paired = self.objective == "contrastive"
        made, kind = (PairRecipe, Contrastive) if paired else (Recipe, Training)
        shared = set(made.__dataclass_fields__) - {"seed"}
        recipe = made(**{name: getattr(self, name) for name in shared}, seed=self.random_state)
        texts, folder = as_texts(X), source_folder(self.source)
        targets = np.ascontiguousarray(np.asarray(y, np.float32).reshape(len(texts), -1))
        checkpoints = Path(self.checkpoints) if self.checkpoints else cache() / "finetuned"
        network, self.losses_ = train(folder, texts, targets, recipe, checkpoints, self.device, kind)
        onnx = export(network, "logits")
        tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._open(quantised(onnx) if self.precision == "int8" else onnx, tokenizer)
        self.truncated_ = self.model_.cut(texts)
        return self

    def decision_function(self, X: Sequence[str]) -> NDArray[np.float64]:  # noqa: N803
        """Return logits of shape (n_texts, n_labels)."""
        check_fitted(self, "model_")
        return self.model_.run(as_texts(X), pool=False).astype(np.float64)

    def state(self) -> dict[str, Any]:
        """Return parameters, the ONNX file and the tokenizer."""
        check_fitted(self, "model_")
        arrays = {
            "onnx": self.model_.onnx,
            "tokenizer": np.frombuffer(self.model_.tokenizer.encode(), np.uint8),
        }
        # Paths and devices say something about whoever trained it, and are not needed any more.
        source = self.source.replace("\\", "/").rpartition("/")[2]
        own = {"source": source, "checkpoints": None, "device": None}
        return {"parameters": self.get_params() | own, "arrays": arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted classifier."""
        self = cls(**state["parameters"])
        self._open(state["arrays"]["onnx"], state["arrays"]["tokenizer"].tobytes().decode())
        self.losses_, self.truncated_ = [], 0
        return self

    def _open(self, onnx: NDArray[np.uint8], tokenizer: str) -> None:
        self.model_ = OnnxText(
            onnx, tokenizer, max_length=self.max_length, precision=self.precision, threads=self.threads
        )
