"""Bundles of earlier formats load, and score as they did when they were written.

The stored bundles are of `tests.conftest.make_corpus`. That of the default classifier has a vocabulary of
word pieces cut to those of the corpus, vectors of 32 dimensions and a network of 24 filters.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import FORMAT, load
from pipeline.models.portable import CLASSES
from pipeline.schema import InputError

STORED = sorted((Path(__file__).resolve().parents[1] / "bundles").glob("format-*.zip"))


def test_there_is_one_of_each_format_and_of_each_part_of_the_default():
    assert {path.stem for path in STORED} >= {f"format-{n}" for n in range(1, FORMAT + 1)}
    with zipfile.ZipFile(STORED[0].with_name("format-1-ensemble.zip")) as archive:
        found = json.loads(archive.read("format-1-ensemble/model.json"))["model"]
    wanted = {"Blend", "Chain", "Concatenation", "ArrowTfidf", "Static", "Cues", "LinearHead", "Convolution"}
    assert set(classes(found)) == wanted <= set(CLASSES)


def classes(node):
    return [node["class"], *(name for part in node["parts"] for name in classes(part))]


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def path(request, tmp_path):
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    return request.param


@pytest.mark.parametrize("later", [0, 1])
def test_a_stored_bundle_scores_as_it_did(path, tmp_path, monkeypatch, later):
    monkeypatch.setattr("pipeline.bundle.FORMAT", FORMAT + later)
    wanted = json.loads((tmp_path / "expected.json").read_text())
    bundle = load(tmp_path / path.stem)
    assert bundle.probabilities(wanted["texts"]) == pytest.approx(np.array(wanted["probabilities"]), abs=1e-9)
    assert bundle.label(wanted["texts"]) == wanted["labels"]
    assert any(wanted["labels"])


def test_a_bundle_of_a_later_format_is_refused(path, tmp_path):
    manifest = tmp_path / path.stem / "manifest.json"
    stored = json.loads(manifest.read_text())
    for later, said in (
        (FORMAT + 1, f"of format {FORMAT + 1}, this version reads {FORMAT}; upgrade"),
        ("2", "has no number of a format"),
    ):
        manifest.write_text(json.dumps(stored | {"format": later}))
        with pytest.raises(InputError, match=said):
            load(tmp_path / path.stem)
