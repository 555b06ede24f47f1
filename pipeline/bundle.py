"""The bundle: a trained classifier as a folder, and all that knows its format.

The folder is an MLflow model directory, yet loads without MLflow: `load(folder).label(texts)`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.files import atomic
from pipeline.models.decision import Decision
from pipeline.models.portable import assemble, dismantle, requirements, truncated
from pipeline.models.tokens import as_texts
from pipeline.schema import InputError, LabelSet

FORMAT = 1
STRUCTURE, WEIGHTS, MANIFEST = "model.json", "weights.safetensors", "manifest.json"
MARKS = (MANIFEST, STRUCTURE)  # what tells a bundle from another folder
PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".pt", ".bin", ".npy", ".npz")  # or what may hold one
# What scoring needs of this package, copied into the bundle so that it loads where it is not installed.
CODE = ("__init__.py", "schema.py", "files.py", "processes.py", "bundle.py", "models")
REQUIREMENTS = ("numpy", "scipy", "pyarrow", "safetensors")
EXAMPLE = ["The ministry denied that it had leaked the list.", "Prices rose 3 percent in May.", ""]


@dataclass(slots=True)
class Bundle:
    """A trained classifier with its decision layer.

    Attributes
    ----------
    scorer : object
        `decision_function(texts)` gives scores of shape (n_texts, n_labels).
    decision : Decision
    labels : LabelSet
    card : dict
        What was trained on what, how well it does, and what it is not for.
    """

    scorer: Any
    decision: Decision
    labels: LabelSet
    card: dict[str, Any] = field(default_factory=dict)

    def probabilities(self, texts: Sequence[str] | Any) -> NDArray[np.float64]:
        """Return calibrated probabilities of shape (n_texts, n_labels).

        Parameters
        ----------
        texts : list of str, pandas or Arrow column, or table with a column `text`
            Nulls count as empty.
        """
        rows = as_texts(texts)
        if not rows:
            return np.zeros((0, len(self.labels.names)))
        return self.decision.probabilities(self.scorer.decision_function(rows))

    def score(self, texts: Sequence[str] | Any) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Return probabilities and 0/1 labels, both of shape (n_texts, n_labels)."""
        probabilities = self.probabilities(texts)
        return probabilities, self.decision.labels(probabilities)

    def label(self, texts: Sequence[str] | Any) -> list[list[str]]:
        """Return the names of the labels of each text."""
        return self.names(self.score(texts)[1])

    def truncated(self, texts: Sequence[str] | Any) -> int | None:
        """Return how many texts are longer than its encoder reads; None where it reads all of any text."""
        return truncated(self.scorer, as_texts(texts))

    @property
    def abstains(self) -> bool:
        """Whether it leaves sentences to a person: its decision has an error rate to keep."""
        return self.decision.error_rate is not None

    def undecided(self, texts: Sequence[str] | Any) -> list[list[str]]:
        """Return the names of the labels of each text that are to be left to a person."""
        return self.names(self.decision.undecided(self.probabilities(texts)))

    def names(self, given: NDArray[np.int8] | NDArray[np.bool_]) -> list[list[str]]:
        """Return rows of 0/1 labels as lists of names."""
        rows: list[list[str]] = [[] for _ in given]
        for row, column in zip(*np.nonzero(given), strict=True):
            rows[row].append(self.labels.names[column])
        return rows


def save(bundle: Bundle, folder: str | Path) -> None:
    """Write a bundle, in place of nothing but a bundle; the folder appears whole or not at all."""
    from safetensors.numpy import save as packed

    model, arrays = dismantle(bundle.scorer)
    decision, more = dismantle(bundle.decision, "decision")
    structure = {
        "format": FORMAT,
        "task": bundle.labels.task,
        "labels": list(bundle.labels.names),
        "definitions": bundle.labels.definitions,
        "model": model,
        "decision": decision,
        "card": bundle.card,
    }
    with atomic(folder, MARKS) as temporary:
        temporary.mkdir()
        _write(temporary / STRUCTURE, structure)
        (temporary / WEIGHTS).write_bytes(packed(arrays | more))
        _write_code(temporary / "code" / "pipeline")
        _write_mlflow(temporary, bundle)
        files = sorted(p for p in temporary.rglob("*") if p.is_file())
        digests = {p.relative_to(temporary).as_posix(): _sha256(p) for p in files}
        _write(temporary / MANIFEST, {"format": FORMAT, "sha256": digests})


def load(folder: str | Path) -> Bundle:
    """Read a bundle after checking every file against its manifest.

    Raises
    ------
    InputError
        Where the folder is no bundle, is of a later format, or a file was changed, added or lost.
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: no trained model here ({MANIFEST} is missing); run python -m pipeline.train first"
        )
    verify(folder)
    structure = _read(folder / STRUCTURE)
    if _names_a_target(structure):
        raise InputError(f"{folder / STRUCTURE}: has a `_target_`, which no bundle needs; do not trust it")
    try:
        arrays = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors' own, for a header or an array that does not fit the file
        raise InputError(f"{folder / WEIGHTS}: not readable ({error}); export the bundle anew") from None
    try:
        scorer = assemble(structure["model"], arrays)
        decision = assemble(structure["decision"], arrays, "decision")
        labels = LabelSet(tuple(structure["labels"]), structure["definitions"], structure["task"])
        return Bundle(scorer, decision, labels, structure["card"])
    except InputError as error:
        raise InputError(f"{folder / STRUCTURE}: {error}") from None
    except Exception as error:  # whatever skops, ONNX Runtime or a tokenizer make of what does not fit
        raise InputError(
            f"{folder / STRUCTURE}: does not fit this version of the package ({error!r}); export it anew"
        ) from None


def verify(folder: Path) -> None:
    """Raise InputError unless the files are exactly those of the manifest."""
    manifest = _read(folder / MANIFEST)
    if not isinstance(manifest.get("format"), int):
        raise InputError(f"{folder / MANIFEST}: has no number of a format; export the bundle anew")
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{folder}: bundle of format {manifest['format']}, this version reads {FORMAT}; upgrade"
        )
    wanted = manifest.get("sha256")
    if not isinstance(wanted, dict):
        raise InputError(f"{folder / MANIFEST}: lists no files; export the bundle anew")
    for name in wanted:
        _check_name(folder, name)
    extra = {"registered_model_meta"}  # MLflow adds it to what it downloads
    files = [p for p in folder.rglob("*") if "__pycache__" not in p.parts]
    for path in files:
        if path.is_symlink():
            raise InputError(
                f"{path}: is a link, which may lead out of the bundle; put the file itself there"
            )
    found = {p.relative_to(folder).as_posix() for p in files if p.is_file()}
    for name in sorted(found - set(wanted) - {MANIFEST} - extra):
        raise InputError(
            f"{folder / name}: not in the bundle's manifest; remove it or export the bundle anew"
        )
    for name, digest in wanted.items():
        if name not in found:
            raise InputError(f"{folder / name}: listed in the bundle's manifest but missing; export it anew")
        if _sha256(folder / name) != digest:
            raise InputError(f"{folder / name}: changed since the bundle was written; export it anew")


def _check_name(folder: Path, name: str) -> None:
    """Raise InputError for what a manifest may not list: paths that lead elsewhere, and pickles."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InputError(f"{folder / MANIFEST}: lists {name!r}, which is not in the bundle; do not trust it")
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{folder / name}: pickles are not read, loading one can run anything; do not trust it"
        )


def _names_a_target(value: object) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_names_a_target, value.values()))
    return isinstance(value, list) and any(map(_names_a_target, value))


def _load_pyfunc(folder: str) -> Any:
    """Give MLflow its model; the name is MLflow's."""
    return _Pyfunc(load(folder))


class _Pyfunc:
    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return a DataFrame of `labels` and one probability column per label, a row per row.

        After `labels`, a bundle that abstains has `undecided`.
        """
        import pandas as pd

        probabilities = self.bundle.probabilities(model_input)
        frame = pd.DataFrame(probabilities, columns=list(self.bundle.labels.names))
        frame.insert(0, "labels", self.bundle.names(self.bundle.decision.labels(probabilities)))
        if self.bundle.abstains:
            undecided = self.bundle.names(self.bundle.decision.undecided(probabilities))
            frame.insert(1, "undecided", undecided)
        return frame


def _write_code(folder: Path) -> None:
    source = Path(__file__).parent
    folder.mkdir(parents=True)
    for name in CODE:
        for path in sorted((source / name).rglob("*.py")) or [source / name]:
            copy = folder / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _write_mlflow(folder: Path, bundle: Bundle) -> None:
    """Write what makes the folder an MLflow model: description, signature, example, requirements."""
    from importlib.metadata import version
    from platform import python_version

    pins = [f"{name}=={version(name)}" for name in (*REQUIREMENTS, *sorted(requirements(bundle.scorer)))]
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n")
    # Only who loads the bundle through MLflow needs it: it makes its environments from this file.
    needs = [f"mlflow-skinny=={version('mlflow-skinny')}", "-r requirements.txt"]
    dependencies = "".join(f"- {need}\n" for need in needs)
    (folder / "python_env.yaml").write_text(
        f"python: {python_version()}\nbuild_dependencies:\n- pip\ndependencies:\n{dependencies}"
    )
    _write(folder / "input_example.json", {"columns": ["text"], "data": [[t] for t in EXAMPLE]})
    lists = ("labels", "undecided") if bundle.abstains else ("labels",)
    outputs = [
        *({"type": "array", "items": {"type": "string"}, "name": name, "required": True} for name in lists),
        *({"type": "double", "name": name, "required": True} for name in bundle.labels.names),
    ]
    mlmodel = {
        "flavors": {
            "python_function": {
                "loader_module": "pipeline.bundle",
                "code": "code",
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": python_version(),
            }
        },
        "signature": {
            "inputs": json.dumps([{"type": "string", "name": "text", "required": True}]),
            "outputs": json.dumps(outputs),
            "params": None,
        },
        # MLflow then hands the input on as it is, list or table, and `as_texts` checks it.
        "is_signature_from_type_hint": True,
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        },
    }
    _write(folder / "MLmodel", mlmodel)  # JSON is YAML


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); export the bundle anew") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; export the bundle anew")
    return value


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
