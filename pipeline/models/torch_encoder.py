"""Encoders as torch modules, and from there to ONNX; imported only where torch is installed."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.models.onnx_text import Bytes
from pipeline.schema import ConfigError

OPSET = 17


class TokenStates(nn.Module):
    """The last layer of an encoder, one row a token."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return states of shape (n_texts, n_tokens, n_dimensions)."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Classifier(nn.Module):
    """The mean of an encoder's tokens, perhaps scaled to unit length, dropout, and a linear layer.

    Parameters
    ----------
    encoder : nn.Module
    n_labels : int
    dropout : float
    unit : bool
        Whether the mean is scaled to unit length.
    """

    def __init__(self, encoder: Any, n_labels: int, dropout: float, unit: bool = False) -> None:
        super().__init__()
        self.states = TokenStates(encoder)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, n_labels)
        self.unit = unit

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (n_texts, n_labels)."""
        return self.head(self.dropout(self.embed(input_ids, attention_mask)))

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return vectors of shape (n_texts, n_dimensions)."""
        weight = attention_mask.unsqueeze(-1).to(torch.float32)
        states = self.states(input_ids, attention_mask)
        mean = (states * weight).sum(1) / weight.sum(1).clamp(min=1)
        return nn.functional.normalize(mean, dim=1) if self.unit else mean


def load_encoder(folder: Path) -> Any:
    """Return the encoder of a folder, in the form of attention that can be exported."""
    from transformers import AutoModel
    from transformers.utils import logging

    if not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder}: no *.safetensors there; give another source")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return AutoModel.from_pretrained(folder, attn_implementation="eager", trust_remote_code=False)
    finally:
        if shown:
            logging.enable_progress_bar()


def export_encoder(folder: Path) -> Bytes:
    """Return the encoder of a folder as an ONNX file that gives a row a token."""
    return export(TokenStates(load_encoder(folder)), "last_hidden_state")


def export(module: nn.Module, output: str) -> Bytes:
    """Return a module over token ids and mask as an ONNX file.

    Parameters
    ----------
    module : nn.Module
        `forward(input_ids, attention_mask)`.
    output : str
        Name of what it returns.
    """
    example = torch.ones((2, 7), dtype=torch.long)
    inputs = ["input_ids", "attention_mask"]
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the traced exporter, that there is another one
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(),
            (example, example),
            path,
            dynamo=False,
            input_names=inputs,
            output_names=[output],
            dynamic_axes={name: {0: "texts", 1: "tokens"} for name in inputs} | {output: {0: "texts"}},
            opset_version=OPSET,
        )
        if [other for other in Path(folder).iterdir() if other != path]:
            raise ConfigError("the encoder is too large for a single ONNX file (2 GB); choose a smaller one")
        return np.fromfile(path, np.uint8)
