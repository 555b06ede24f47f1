"""Kill -9 at random moments: what is there then is whole, and the same command gives the right result.

    python benchmarks/kill_rounds.py [--rounds 60] [--seed 7]

Each round starts a stage in a folder of its own, kills it with all its processes at a moment drawn at random
from the time that it takes, and looks: an output that is there must be the whole right one. Then the
same command runs to its end, and its output must be that of a run that nobody disturbed, byte for byte
except ids and times. After training and sweeps, MLflow must show no run as running.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
ARTICLES = 40
NOT_THE_SAME = {"run_id", "seconds"}


def corpus(folder: Path) -> list[str]:
    """Copy a part of the repository's corpus, and return what trains on it."""
    (folder / "articles").mkdir(parents=True)
    names = set()
    for path in sorted((ROOT / "data/articles").iterdir())[::13][:ARTICLES]:
        shutil.copy(path, folder / "articles")
        names.add(path.stem)
    lines = (ROOT / "data/annotations.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["article"] in names]
    (folder / "annotations.jsonl").write_text("".join(kept), encoding="utf-8")
    head, *rows = (ROOT / "data/articles.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    known = [row for row in rows if row.partition(",")[0] in names]
    (folder / "articles.csv").write_text(head + "".join(known), encoding="utf-8")
    text = "".join(json.dumps({"text": json.loads(line)["text"]}) + "\n" for line in lines)
    (folder / "news.jsonl").write_text(text, encoding="utf-8")
    parts = (("articles", "articles"), ("metadata", "articles.csv"), ("annotations", "annotations.jsonl"))
    return [f"corpus.{key}={folder / name}" for key, name in parts]


def commands(at: Path, shared: Path, where: list[str]) -> dict[str, list[str]]:
    """Return the command line of each stage, writing below `at`."""
    train = [
        *where,
        f"tracking.uri=sqlite:///{at}/mlflow.db",
        f"labelled={at}/labelled.parquet",
        "split.folds=2",
    ]
    train += [f"output={at}/bundle", f"report={at}/report", "split.leakage=off"]
    return {
        "ingest": [f"input={ROOT}/data/articles", f"output={at}/sentences.parquet"],
        "label": [*where, f"output={at}/labelled.parquet", f"statistics={at}/labelled.json"],
        "train": [*train, "behaviour=false", "model=tfidf_logreg"],
        "sweep": [*train, "trials=3", f"folder={at}/sweep", "sweep=tfidf_logreg"],
        "predict": [
            *(f"input={shared}/news.jsonl", "unit=sentence", f"output={at}/labelled.csv", "batch_size=500"),
            *(f"model_uri={shared}/bundle", "workers=2"),
        ],
    }


OUTPUTS = {
    "ingest": ["sentences.parquet"],
    "label": ["labelled.parquet", "labelled.json", "labelled.disputed.jsonl"],
    "train": ["bundle", "report", "labelled.parquet"],
    "sweep": ["bundle", "report", "labelled.parquet"],
    "predict": ["labelled.csv"],
}


def content(path: Path) -> object:
    """Return what must be the same again: bytes, of metrics without ids and times."""
    if path.is_dir():
        return {str(one.relative_to(path)): content(one) for one in sorted(path.rglob("*")) if one.is_file()}
    if path.name in ("metrics.json", "scores.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in found.items() if key not in NOT_THE_SAME}
    return path.read_bytes()


def start(stage: str, arguments: list[str], at: Path) -> subprocess.Popen[bytes]:
    """Start a stage in a group of processes of its own."""
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}
    with (at / "said.txt").open("ab") as said:
        command = [sys.executable, "-m", f"pipeline.{stage}", *arguments]
        return subprocess.Popen(command, stdout=said, stderr=said, cwd=at, env=env, start_new_session=True)


def finished(stage: str, arguments: list[str], at: Path) -> float:
    """Run a stage to its end and return the seconds it took."""
    begun = time.monotonic()
    if start(stage, arguments, at).wait():
        raise SystemExit(f"{stage} failed: {(at / 'said.txt').read_text()}")
    return time.monotonic() - begun


def statuses(at: Path) -> Counter[str]:
    """Return how many runs are in which state."""
    if not (at / "mlflow.db").is_file():
        return Counter()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{at}/mlflow.db")
    every = [one.experiment_id for one in client.search_experiments()]
    return Counter(run.info.status for run in client.search_runs(every))


def one_round(
    stage: str, wait: float, at: Path, make: Callable[[Path], list[str]], right: dict[str, object]
) -> str:
    """Kill a stage after some seconds, look, and run it again; return what is wrong, or ""."""
    arguments = make(at)
    process = start(stage, arguments, at)
    time.sleep(wait)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for name in OUTPUTS[stage]:
        if (at / name).exists() and content(at / name) != right[name]:
            return f"{name} is there after the kill, and is not whole"
    finished(stage, arguments, at)
    if wrong := [name for name in OUTPUTS[stage] if content(at / name) != right[name]]:
        return f"{wrong[0]} is another after the rerun"
    found = statuses(at)
    if stage in ("train", "sweep") and (found["RUNNING"] or not found["FINISHED"]):
        return f"runs: {dict(found)}"
    return ""


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    rng = Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "shared"
        where = corpus(shared)
        (shared / "store").mkdir()
        finished("train", commands(shared / "store", shared, where)["train"], shared / "store")
        shutil.copytree(shared / "store" / "bundle", shared / "bundle")
        took, right = {}, {}
        for stage in OUTPUTS:
            at = Path(folder) / f"right-{stage}"
            at.mkdir()
            shutil.copy(shared / "store" / "mlflow.db", at)
            took[stage] = finished(stage, commands(at, shared, where)[stage], at)
            right[stage] = {name: content(at / name) for name in OUTPUTS[stage]}
        wrong, rounds, killed = [], Counter(), Counter()
        for number in range(given.rounds):
            stage = list(OUTPUTS)[number % len(OUTPUTS)]
            at = Path(folder) / f"round-{number}"
            at.mkdir()
            shutil.copy(shared / "store" / "mlflow.db", at)
            wait = rng.uniform(0, took[stage])

            def make(here: Path, stage: str = stage) -> list[str]:
                return commands(here, shared, where)[stage]

            said = one_round(stage, wait, at, make, right[stage])
            rounds[stage] += 1
            killed[stage] += statuses(at)["KILLED"]
            if said:
                wrong.append(f"round {number}: {stage} killed after {wait:.2f} s: {said}")
                print(wrong[-1], flush=True)
            shutil.rmtree(at)
    print(f"{'stage':<10}{'seconds':>9}{'rounds':>8}{'wrong':>7}{'runs marked killed':>20}")
    for stage, count in rounds.items():
        failed = sum(f": {stage} " in one for one in wrong)
        print(f"{stage:<10}{took[stage]:>9.1f}{count:>8}{failed:>7}{killed[stage]:>20}")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
