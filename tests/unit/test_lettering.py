"""Plots with names in scripts that the usual font lacks."""

import warnings

import numpy as np
import pytest
from matplotlib import font_manager, rcParams

from pipeline.evaluation import lettering as module
from pipeline.evaluation.curve_charts import learning_curves, share_chart
from pipeline.evaluation.lettering import USUAL, lettering
from pipeline.evaluation.plots import draw, draw_abstention

STRANGE = ["指控", "आरोप", "plain", "Обвинение", "$cost$ and $"]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def bare(monkeypatch):
    """No font but those that matplotlib brings."""
    own = [one for one in font_manager.fontManager.ttflist if "mpl-data" in one.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    module._families.cache_clear()
    yield own
    module._families.cache_clear()


def test_what_no_font_has_becomes_a_number(bare):
    before = rcParams["font.family"]
    with lettering(STRANGE) as shown:
        assert shown == ["label 1", "label 2", "plain", "Обвинение", r"\$cost\$ and \$"]
    assert rcParams["font.family"] == before


def test_a_font_that_has_it_is_added(bare):
    usual, other = (
        module._characters(next(one.fname for one in bare if one.name == name))
        for name in (USUAL, "STIXGeneral")
    )
    character = min(other - usual)
    with lettering([f"a {character}", "b"], "value") as shown:
        assert shown == [f"a {character}", "b"]
        assert rcParams["font.family"][0] == USUAL
        assert len(rcParams["font.family"]) > 1
        with lettering(["plain"]):
            assert len(rcParams["font.family"]) > 1, "inner names do not take the outer ones' font"


@pytest.mark.parametrize("fonts", ["installed", "bare"])
def test_plots_are_drawn_without_a_warning(fonts, request, tmp_path):
    if fonts == "bare":
        request.getfixturevalue("bare")
    rng = np.random.default_rng(0)
    p = rng.random((60, len(STRANGE)))
    y = (rng.random(p.shape) < p).astype(np.int8)
    draw(tmp_path, y, (p > 0.5).astype(np.int8), p, STRANGE, "a title")
    one = {"decided": 0.5, "error": {"value": 0.1}}
    draw_abstention(tmp_path, [one | {"per_label": dict.fromkeys(STRANGE, one)}], STRANGE, "a title")
    assert len(list(tmp_path.glob("*.png"))) == 5
    fitted = {"n": [10, 20], "low": [0.1, 0.2], "high": [0.3, 0.4], "f1": [0.2, 0.3]}
    curve = {"n": [5, 10], "f1": [0.1, 0.2], "low": [0.05, 0.1], "high": [0.2, 0.3], "counted": "x"}
    learning_curves(tmp_path / "curve.png", {name: curve | {"fitted": fitted} for name in STRANGE}, "a title")
    rows = [
        {"label": label, "value": value, "counted": 0.2, "share": 0.2, "low": 0.1, "high": 0.3}
        | {"sample_share": 0.2, "sample_low": 0.1, "sample_high": 0.3}
        for label in STRANGE
        for value in STRANGE
    ]
    share_chart(tmp_path / "share.png", rows, "topic", 0.95)
