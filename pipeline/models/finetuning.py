"""Training an encoder end to end; imported only where torch is installed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

from pipeline.files import atomic
from pipeline.models.onnx_export import content_hash
from pipeline.models.onnx_text import Tokens, padded
from pipeline.models.torch_encoder import Classifier, load_encoder
from pipeline.schema import ConfigError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
LOG = logging.getLogger(__name__)
BUCKET = 50  # batches' worth of texts that are sorted by length together
KEPT = 4  # checkpoints in the folder; the oldest go
VERSION = 2  # counts changes to training: checkpoints of another number are not resumed


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done in training; see `pipeline.models.finetuned.FineTuned`."""

    max_length: int
    epochs: int
    batch_size: int
    encoder_rate: float
    head_rate: float
    dropout: float
    warmup: float
    clip: float
    class_weight: str | None
    arithmetic: str
    seed: int


class Training:
    """One training of a classifier, its place in it, and its checkpoint.

    Parameters
    ----------
    folder : Path
        A sentence-transformers folder.
    tokens : list of ndarray
        Token ids of each text.
    y : ndarray of shape (n_texts, n_labels)
    recipe : Recipe
    checkpoint : Path
        The file that is written after each epoch, and resumed from where it is there.
    device : str

    Notes
    -----
    Whatever is random depends on the seed and the epoch only, so that a resumed training goes on as
    if it had never stopped.
    """

    unit = False  # sentences get vectors of any length

    def __init__(
        self, folder: Path, tokens: list[Ints], y: Floats, recipe: Recipe, checkpoint: Path, device: str
    ) -> None:
        self.tokens, self.y, self.recipe, self.checkpoint, self.device = tokens, y, recipe, checkpoint, device
        _seed(recipe.seed, 0)
        self.model = Classifier(load_encoder(folder), y.shape[1], recipe.dropout, self.unit).to(device)
        self.rates = (recipe.encoder_rate, recipe.head_rate)
        groups = [self.model.states.parameters(), self.model.head.parameters()]
        parameters = [{"params": list(g), "lr": r} for g, r in zip(groups, self.rates, strict=True)]
        self.optimizer = torch.optim.AdamW(parameters)
        self.loss = torch.nn.BCEWithLogitsLoss(pos_weight=_weights(y, recipe.class_weight, device))
        self.losses: list[float] = []
        self._each_epoch([len(one) for one in tokens])
        self._resume()

    def run(self) -> None:
        """Train for the epochs that are left."""
        left = range(len(self.losses), self.recipe.epochs)
        with _progress(len(left) * self.steps) as advance:
            for epoch in left:
                self.losses.append(self._epoch(epoch, advance))
                LOG.info("epoch %d of %d: loss %.4f", epoch + 1, self.recipe.epochs, self.losses[-1])
                self._save()
        self.model.eval()
        self._finish()
        self.model.cpu()

    def _each_epoch(self, lengths: Sequence[int]) -> None:
        """Set what an epoch goes through: items of so many tokens."""
        self.lengths = lengths
        self.steps = -(-len(lengths) // self.recipe.batch_size)

    def _finish(self) -> None:
        """Do what is to be done after the last epoch."""

    def _epoch(self, epoch: int, advance: Any) -> float:
        _seed(self.recipe.seed, epoch + 1)
        self.model.train()
        total = recent = 0.0
        rng = np.random.default_rng([self.recipe.seed, epoch])
        for n, rows in enumerate(buckets(self.lengths, self.recipe.batch_size, rng)):
            loss = self._step(epoch * self.steps + n, rows)
            if not np.isfinite(loss):
                raise ConfigError(f"training fails in epoch {epoch + 1} (loss {loss}); lower encoder_rate")
            total += loss * len(rows)
            recent = loss if n == 0 else 0.98 * recent + 0.02 * loss
            advance(f"epoch {epoch + 1} of {self.recipe.epochs}, loss {recent:.3f}")
        return total / len(self.lengths)

    def _step(self, step: int, rows: Ints) -> float:
        share = rate_share(step, self.steps * self.recipe.epochs, self.recipe.warmup)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        loss = self._loss(rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        return float(loss.detach())

    def _loss(self, rows: Ints) -> torch.Tensor:
        logits = self._through(self.model, rows)
        return self.loss(logits, torch.from_numpy(self.y[rows]).to(self.device))

    def _through(self, module: Any, rows: Ints) -> torch.Tensor:
        """Return what a module makes of the texts of some rows."""
        ids, mask = (torch.from_numpy(a).to(self.device) for a in padded([self.tokens[i] for i in rows]))
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, self.recipe.arithmetic == "bf16"):
            return module(ids, mask).float()

    def _save(self) -> None:
        """Write weights, and the optimiser's state unless this was the last epoch."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if len(self.losses) < self.recipe.epochs:
            for i, state in self.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer/{i}/{name}": value for name, value in state.items()}
        with atomic(self.checkpoint) as temporary:
            contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
            save_file(contiguous, temporary, {"losses": json.dumps(self.losses)})
        files = sorted(self.checkpoint.parent.glob("*.safetensors"), key=lambda p: p.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink(missing_ok=True)

    def _resume(self) -> None:
        if not self.checkpoint.is_file():
            return
        with safe_open(self.checkpoint, "pt", self.device) as file:
            self.losses = json.loads(file.metadata()["losses"])
            names = list(file.keys())
            weights = {n.removeprefix("model/"): file.get_tensor(n) for n in names if n.startswith("model/")}
            state: dict[int, dict[str, torch.Tensor]] = {}
            for name in names:
                if name.startswith("optimizer/"):
                    _, i, key = name.split("/")
                    value = file.get_tensor(name)
                    state.setdefault(int(i), {})[key] = value.cpu() if key == "step" else value
        self.model.load_state_dict(weights)
        if state:
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        LOG.info("resumed after epoch %d from %s", len(self.losses), self.checkpoint)


def train(
    folder: Path,
    texts: Sequence[str],
    y: Floats,
    recipe: Recipe,
    checkpoints: Path,
    device: str | None,
    kind: type[Training] = Training,
) -> tuple[Classifier, list[float]]:
    """Return the trained classifier and the mean loss of each epoch.

    Parameters
    ----------
    folder : Path
        A sentence-transformers folder.
    texts : sequence of str
    y : ndarray of shape (n_texts, n_labels)
    recipe : Recipe
    checkpoints : Path
        Folder of the checkpoints; each is named by all that its training depends on.
    device : str, optional
        A GPU where there is one, else the processor.
    kind : type
        How is trained.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    recipe = replace(recipe, arithmetic=arithmetic(recipe.arithmetic, device))
    tokens, _ = Tokens((folder / "tokenizer.json").read_text(encoding="utf-8"), recipe.max_length)(texts)
    key = hashlib.sha256(json.dumps([VERSION, content_hash(folder), asdict(recipe), list(texts)]).encode())
    key.update(y.tobytes())
    path = checkpoints / f"{key.hexdigest()[:32]}.safetensors"
    with torch.random.fork_rng():
        training = kind(folder, tokens, y, recipe, path, device)
        training.run()
    return training.model, training.losses


def arithmetic(wanted: str, device: str) -> str:
    """Return "fp32" or "bf16": for "auto", the faster one of this device."""
    if wanted not in ("auto", "fp32", "bf16"):
        raise ConfigError(f"arithmetic={wanted}: must be auto, fp32 or bf16")
    if wanted != "auto":
        return wanted
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    # Without matrix units for it, bf16 on a processor is slower than fp32.
    return "bf16" if device == "cpu" and torch.cpu._is_amx_tile_supported() else "fp32"


def buckets(lengths: Sequence[int], size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield all rows once in random batches of similar length."""
    order = rng.permutation(len(lengths))
    batches: list[Ints] = []
    for begin in range(0, len(order), size * BUCKET):
        part = order[begin : begin + size * BUCKET]
        part = part[np.argsort(np.asarray(lengths)[part], kind="stable")]
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    for i in rng.permutation(len(batches)):
        yield batches[i]


def rate_share(step: int, steps: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: up over the warm-up, then down to 0."""
    rise = max(round(steps * warmup), 1)
    return min((step + 1) / rise, (steps - step) / max(steps - rise, 1), 1.0)


def _weights(y: Floats, class_weight: str | None, device: str) -> torch.Tensor | None:
    """Return how much a positive counts more than a negative of each label."""
    if class_weight is None:
        return None
    if class_weight != "balanced":
        raise ConfigError(f"class_weight={class_weight}: must be null or balanced")
    positive = y.sum(axis=0)
    return torch.from_numpy((len(y) - positive) / np.maximum(positive, 1)).to(device)


def _seed(seed: int, epoch: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """Show a bar with the loss and the time left, on a terminal only."""
    from rich import get_console  # cross-validation shows its bar on it
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    watched = get_console().is_terminal and total > 0
    with Progress(*columns, transient=True, disable=not watched) as progress:
        task = progress.add_task("fine-tuning", total=total)
        yield lambda text: progress.update(task, advance=1, description=text)
