"""Every command of docs/your-tables.md, on tables such as it speaks of."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-tables.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A folder with the tables that the page names."""
    folder = tmp_path_factory.mktemp("tables")
    nouns = {1: ["dull", "broken", "late", "rude"], 5: ["bright", "kind", "quick", "lovely"]}
    rows = [
        {
            **{"text": f"{words[i % 4]} {words[(i + 1) % 4]} order {i * 7 % 29}", "stars": stars},
            **{"topic": "good" if stars == 5 else "bad", "labels": [str(stars)], "customer": f"c{i // 2}"},
            **{"toxic": int(stars == 1), "insult": int(stars == 1 and i % 2)},
        }
        for i in range(30)
        for stars, words in nouns.items()
    ]
    frame = pd.DataFrame(rows)
    for name in ("reviews.csv", "new.csv", "comments.csv"):
        frame.drop(columns="labels").to_csv(folder / name, index=False)
    frame.rename(columns={"text": "body"}).to_parquet(folder / "tickets.parquet")
    for name in ("train.jsonl", "test.jsonl", "checked.jsonl", "my_data_set/train.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True)
        part = rows[:48] if name == "train.jsonl" else rows[48:] if name == "test.jsonl" else rows
        lines = [json.dumps({**row, "label": row["labels"][0]}) for row in part]
        (folder / name).write_text("\n".join(lines))
    return folder


def test_every_command(tables, stage, store, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tables / "cache"))
    monkeypatch.chdir(tables)
    own = {
        "train": ["output=bundle", "report=report", f"tracking.uri={store}"],
        "predict": ["model_uri=bundle"],
        "evaluate": ["model_uri=bundle", "output=external.json"],
    }
    assert len(COMMANDS) == 7
    for line in COMMANDS:
        name, *arguments = shlex.split(line.removeprefix("python -m pipeline."))
        quick = name == "train" and "corpus.train=reviews.csv" not in arguments
        done = stage(name, *arguments, *own[name], *["model=tfidf_svm"] * quick)
        assert done.code == 0, (line, done.err)
        if name == "train":
            scores = json.loads(Path("report/metrics.json").read_text())["test"]
            assert {"macro_f1", "micro_f1", "subset_accuracy"} <= set(scores)
    assert Path("labelled.csv").is_file() and Path("external.json").is_file()
