"""Bundles of earlier formats load, and score as they did when they were written."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import load

STORED = sorted((Path(__file__).resolve().parents[1] / "bundles").glob("format-*.zip"))


def test_there_is_one_of_each_format():
    from pipeline.bundle import FORMAT

    assert [path.stem for path in STORED] == [f"format-{n}" for n in range(1, FORMAT + 1)]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_bundle_scores_as_it_did(path, tmp_path):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    wanted = json.loads((tmp_path / "expected.json").read_text())
    bundle = load(tmp_path / path.stem)
    assert bundle.probabilities(wanted["texts"]) == pytest.approx(np.array(wanted["probabilities"]), abs=1e-9)
    assert bundle.label(wanted["texts"]) == wanted["labels"]
    assert any(wanted["labels"])
