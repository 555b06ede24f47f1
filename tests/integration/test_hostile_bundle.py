"""Models from strangers: refused with the reason, before anything in them runs."""

import io
import json
import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import MANIFEST, STRUCTURE, WEIGHTS, load
from pipeline.schema import ConfigError, InputError
from tests.conftest import reseal

ROOT = Path(__file__).resolve().parents[2]


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def structure(change):
    def damage(folder):
        found = json.loads((folder / STRUCTURE).read_text())
        change(found)
        (folder / STRUCTURE).write_text(json.dumps(found))
        reseal(folder, STRUCTURE)

    return damage


def weights(data):
    def damage(folder):
        (folder / WEIGHTS).write_bytes(data)
        reseal(folder, WEIGHTS)

    return damage


def header(text, size=None):
    return struct.pack("<Q", len(text) if size is None else size) + text


def with_pickle(name, listed=True):
    def damage(folder):
        (folder / name).write_bytes(pickle.dumps(Bomb()))
        if listed:
            reseal(folder, name)

    return damage


def listed(name):
    def damage(folder):
        (folder.parent / "outside.json").write_text("{}")
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest["sha256"][name] = "0" * 64
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


def linked(folder):
    (folder / WEIGHTS).rename(folder.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to("../elsewhere")


def flipped(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def skops_of(schema):
    """A bundle whose classifier is carried by skops, in a file as a stranger would write it."""

    def damage(folder):
        from safetensors.numpy import load_file, save_file

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("schema.json", json.dumps(schema))
            archive.writestr("evil.pkl", pickle.dumps(Bomb()))
        arrays = load_file(folder / WEIGHTS)
        save_file(
            arrays | {"model/skops": np.frombuffer(buffer.getvalue(), np.uint8).copy()}, folder / WEIGHTS
        )
        structure(lambda found: found.update(model={"class": "SkopsPart", "parameters": {}, "parts": []}))(
            folder
        )
        reseal(folder, WEIGHTS)

    return damage


SYSTEM = {
    "__class__": "system",
    "__module__": "posix",
    "__loader__": "FunctionNode",
    "__id__": 1,
    "content": "touch ran",
    "protocol": 2,
    "_skops_version": "0.16.0",
}
DAMAGES = {
    "pickle": (with_pickle("model.pkl", listed=False), r"model\.pkl: not in the bundle's manifest"),
    "pickle in the manifest": (
        with_pickle("model.pkl"),
        r"model\.pkl: pickles are not read, loading one can run any",
    ),
    "array file that may hold a pickle": (with_pickle("a.npy"), r"a\.npy: pickles are not read"),
    "pickle for weights": (weights(pickle.dumps(Bomb())), r"weights\.safetensors: not readable \(.*header"),
    "custom class": (
        structure(lambda found: found["model"].update({"class": "subprocess.Popen"})),
        r"model\.json: class 'subprocess\.Popen' is not one that a bundle may hold",
    ),
    "class within a part": (
        structure(lambda found: found["model"]["parts"][0].update({"class": "Evil"})),
        r"model\.json: class 'Evil' is not one",
    ),
    "class of another kind": (
        structure(lambda found: found["model"].update({"class": ["Chain"]})),
        r"model\.json: does not fit this version",
    ),
    "target in its metadata": (
        structure(lambda found: found["card"].update(x=[{"_target_": "os.system", "command": "touch ran"}])),
        r"model\.json: has a `_target_`, which no bundle needs; do not trust it",
    ),
    "function in skops": (skops_of(SYSTEM), r"model\.json: .*(?:posix|system|[Uu]ntrusted)"),
    "skops that is none": (skops_of([]), r"model\.json: does not fit this version"),
    "path leaving the bundle": (
        listed("../outside.json"),
        r"lists '\.\./outside\.json', which is not in the bundle",
    ),
    "absolute path": (listed("/etc/passwd"), r"lists '/etc/passwd', which is not in the bundle"),
    "link leaving the bundle": (linked, r"weights\.safetensors: is a link, which may lead out of the bundle"),
    "changed byte": (flipped, r"weights\.safetensors: changed since the bundle was written; export it anew"),
    "huge header": (weights(header(b"{}", 1 << 60)), r"weights\.safetensors: not readable \(.*header"),
    "huge array": (
        weights(header(b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}')),
        r"weights\.safetensors: not readable",
    ),
    "array whose size overflows": (
        weights(
            header(b'{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}') + bytes(8)
        ),
        r"weights\.safetensors: not readable",
    ),
    "metadata nested a hundred thousand deep": (
        lambda folder: (folder / STRUCTURE).write_text("[" * 100_000) and reseal(folder, STRUCTURE),
        r"model\.json: not JSON",
    ),
    "pattern that never ends": (
        structure(
            lambda found: found.update(
                model={
                    "class": "CueRules",
                    "parameters": {
                        "cues": {
                            "labels": {
                                name: [{"name": "x", "weight": 1, "patterns": ["(?=a)(a+)+$"]}]
                                for name in found["labels"]
                            }
                        },
                        "labels": None,
                    },
                    "parts": [],
                }
            )
        ),
        r"model\.json: .*(?:invalid|pattern|perl)",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_refused_before_anything_runs(name, bundle_copy, monkeypatch):
    damage, says = DAMAGES[name]
    monkeypatch.chdir(bundle_copy.parent)
    damage(bundle_copy)
    with pytest.raises((InputError, ConfigError)) as refused:
        load(bundle_copy)
    assert re.search(says, str(refused.value)), refused.value
    assert "\n" not in str(refused.value)
    assert not Path("ran").exists()


def test_the_trap_would_spring(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Bomb()))
    assert Path("ran").exists()


@pytest.mark.parametrize(
    "uri", ["http://example.org/bundle", "HTTP://example.org/bundle", "ftp://example.org/bundle"]
)
def test_bundles_of_other_machines_come_over_tls(stage, tmp_path, uri):
    done = stage("export", f"model_uri={uri}", f"output={tmp_path / 'b'}")
    assert done.refused(f"model_uri={uri}", "use https")


def test_so_do_those_of_a_tracking_server(stage, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hunter2@example.org")
    done = stage("export", "model_uri=models:/news@champion", f"output={tmp_path / 'b'}")
    assert done.refused("tracking.uri=http://***@example.org", "use https")


def test_what_was_fetched_is_said(trained, store, tmp_path, stage, monkeypatch):
    import hashlib

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    done = stage("export", "model_uri=models:/news@challenger", f"output={tmp_path / 'b'}")
    assert done.code == 0, done.err
    digest = hashlib.sha256((tmp_path / "b" / MANIFEST).read_bytes()).hexdigest()
    told = rf"fetched from (?:file://)?/.*/m-\w+/artifacts, manifest sha256 {digest}"
    assert re.fullmatch(rf"model_uri=models:/news@challenger: {told}\n", done.err)


@pytest.mark.parametrize("endpoint", ["http://hub.example.org"])
def test_the_hub_is_read_over_tls_and_at_a_revision(endpoint, monkeypatch):
    import datasets
    import huggingface_hub

    from pipeline.corpora.sources import dataset_splits
    from pipeline.models.onnx_export import from_hub

    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *a, **k: asked.append((a, k)) or "/there"
    )
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or datasets.DatasetDict()
    )
    from_hub("org/model@0123abc", ["model.safetensors"])
    dataset_splits("org/data", None, "4567def")
    assert [(given[0], how["revision"]) for given, how in asked] == [
        ("org/model", "0123abc"),
        ("org/data", "4567def"),
    ]
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", endpoint)
    for fetch in (lambda: from_hub("org/model", ["x"]), lambda: dataset_splits("org/data", None)):
        with pytest.raises(ConfigError, match=f"HF_ENDPOINT={endpoint}: .*use https"):
            fetch()
    assert len(asked) == 2


def test_no_code_of_others_is_trusted():
    for path in (ROOT / "pipeline").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"trust_remote_code\s*=\s*(?!False)", text), path
        assert not re.search(
            r"\b(?:pickle|joblib)\.loads?\(|allow_pickle\s*=\s*True|weights_only\s*=\s*False", text
        ), path
        assert not re.search(r"(?<![.\w])(?:eval|exec)\(|yaml\.load\(|shell\s*=\s*True", text), path


def test_the_page_has_the_table():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| bundle: (.*) \| refused \|$", page, re.MULTILINE) == list(DAMAGES)
