"""Learning curves of a classifier on a corpus."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.curve import sentence


@pytest.fixture
def run(stage, trained, tmp_path):
    def ran(*more):
        made = [one for one in trained.corpus.overrides() if not one.startswith(("output=", "report="))]
        made += [f"labelled={trained.folder / 'labelled.parquet'}", "shares=[30,50,70,100]", "draws=2"]
        output, plot = tmp_path / "curve.json", tmp_path / "curve.png"
        return stage("curve", *made, f"output={output}", f"plot={plot}", *more), output, plot

    return ran


def test_points_and_what_a_gain_takes(run, trained):
    done, output, plot = run()
    assert done.code == 0, done.err
    found = json.loads(output.read_text())
    assert list(found["curves"]) == ["macro_f1", "accusation", "denial", "policy_action", "economic_claim"]
    for name, one in found["curves"].items():
        assert one["n"] == sorted(one["n"]) and len(one["n"]) == 4
        assert np.all(np.array(one["low"]) <= np.array(one["high"]))
        assert name in done.out
    # The last point is the classifier that training makes of the same folds.
    assert found["curves"]["macro_f1"]["n"][-1] == trained.metrics["data"]["train"]
    assert found["curves"]["denial"]["n"][-1] == trained.metrics["data"]["support"]["denial"]
    assert found["curves"]["macro_f1"]["f1"][-1] == pytest.approx(
        trained.metrics["test"]["macro_f1"]["value"]
    )
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_other_news_to_score_on(run, trained, tmp_path):
    rows = pq.read_table(trained.report / "test.parquet").to_pylist()
    source = tmp_path / "other.jsonl"
    source.write_text(
        "".join(json.dumps({k: r[k] for k in ("text", "labels", "article")}) + "\n" for r in rows)
    )
    _, output, _ = run()
    wanted = json.loads(output.read_text())["curves"]
    done, output, _ = run(f"test={source}")
    assert done.code == 0, done.err
    assert json.loads(output.read_text())["curves"]["denial"]["f1"] == wanted["denial"]["f1"]
    source.write_text('{"text": "x", "labels": ["denail"]}\n')
    assert run(f"test={source}")[0].refused("other.jsonl", "denial")


@pytest.mark.parametrize(
    "setting", ["shares=[50,100]", "shares=[100,50,70,90]", "shares=[10,20,30,40]", "draws=0", "gain=2"]
)
def test_wrong_settings(run, setting):
    assert run(setting)[0].refused(setting.partition("=")[0])


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"more": 412.3, "low": 148.0, "high": 2040.0}, "about 410 more with denial (95 %: 150 to 2,000)"),
        (
            {"more": 412.3, "low": 148.0, "high": None},
            "about 410 more with denial (95 %: 150 to out of reach)",
        ),
        ({"more": None, "low": 148.0, "high": None}, "perhaps out of reach (95 %: 150 to out of reach)"),
        ({"more": None, "low": None, "high": None}, "out of reach of this curve"),
    ],
)
def test_what_is_said(more, wanted):
    assert sentence(more, "with denial") == wanted
