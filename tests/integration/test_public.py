"""The benchmark on public sets: its tables, and a run of it on a set made up here."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import public
from peers import PEERS

SKLEARN = "TF-IDF + LinearSVC (scikit-learn)"


def point(method, value, seconds=2.0, **more):
    score = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {
        **{"set": "toy", "method": method, "train": 1200, "test": 30, "labels": 2},
        **dict.fromkeys(public.SCORES, score),
        **{"train_seconds": seconds, "texts_per_second": 12345.6, "megabytes": 1.25},
        **more,
    }


def test_the_table_has_the_best_first_and_time_as_seconds_and_as_a_multiple():
    made = public.table([point("slow", 0.7, 20.0), point("quick", 0.8), point("nothing", 0.1, 0.0)])
    lines = made.splitlines()
    assert lines[0] == "**toy**: 2 labels, 1,200 training and 30 test texts"
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["quick", "slow", "nothing"]
    last = public.table([point("a", 0.7, 20.0), point("b", 0.8)]).splitlines()[-1]
    assert last == f"| a |{' 0.700 [0.600, 0.800] |' * 3} 20.0 s, 10× | 12,346 | 1.2 |"


def test_the_table_of_few_labels_has_mean_and_deviation():
    points = [point("one", value, shots=8, seed=seed) for seed, value in enumerate((0.5, 0.7))]
    made = public.few_table([*points, point("one", 0.9, shots=16, seed=0)])
    assert made.splitlines()[0] == "| set |  | 8 a label | 16 a label |"
    assert made.splitlines()[-1] == "| toy | one | 0.600 ± 0.141 | – |"


@pytest.mark.parametrize("shots", [[], ["--shots", "4", "--seeds", "2"]])
def test_a_run_in_which_one_classifier_fails(tmp_path, monkeypatch, capsys, shots):
    folder = tmp_path / "sets" / "toy"
    folder.mkdir(parents=True)
    words = {"sport": "goal match team league", "trade": "tariff export port cargo"}
    rows = [
        {"text": f"{some.split()[i % 4]} {some.split()[(i + 1) % 4]} item{i}", "labels": [name]}
        for i in range(40)
        for name, some in words.items()
    ]
    for name, part in (("train", rows[:60]), ("test", rows[60:])):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in part))
    page, results = tmp_path / "page.md", tmp_path / "public.json"
    page.write_text("<!-- table -->\n<!-- end -->\n\n<!-- few -->\nas it was\n<!-- end -->\n")
    monkeypatch.setitem(PEERS, "fastText", lambda *_: 1 / 0)
    arguments = ["public.py", str(folder.parent), "--models", "tfidf_svm", "--peers", SKLEARN, "fastText"]
    arguments += ["--results", str(results), "--write", str(page), *shots]
    monkeypatch.setattr(sys, "argv", arguments)
    public.main()
    kept = json.loads(results.read_text())
    assert [one["method"] for one in kept] == ["tfidf_svm", SKLEARN] * (2 if shots else 1)
    assert all(one["train"] == (8 if shots else 60) and one["megabytes"] > 0 for one in kept)
    assert all(one["micro_f1"]["value"] > (0.5 if shots else 0.9) for one in kept)
    assert "toy, fastText left out: ZeroDivisionError: division by zero" in capsys.readouterr().out
    table, few = page.read_text().split("\n\n<!-- few -->")
    assert ("tfidf_svm" in table) == (not shots) and ("tfidf_svm" in few) == bool(shots)
    assert (f"| toy | {SKLEARN} |" if shots else "as it was") in few
