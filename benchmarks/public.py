"""Public sets of labelled texts: this project's classifiers and what others would take, in one run.

    python benchmarks/public.py FOLDER [--sets NAME ...] [--models NAME ...] [--peers NAME ...]
        [--score-folds 1] [--shots 8 16 32 64 --seeds 5] [--write docs/benchmarks.md]

FOLDER has a folder for each set with train.jsonl and test.jsonl (`text`, `labels`). All train on the
same rows: those of the training file that the test does not repeat. Figures are kept in --results
after each fit; --redraw makes the tables from them. A classifier that fails, or whose package is missing,
is left out, and named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
from peers import PEERS, Outcome

if TYPE_CHECKING:
    from pipeline.evaluation.data import Data

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("adaptive", "tfidf_logreg", "tfidf_svm")
SCORES = ("macro_f1", "micro_f1", "subset_accuracy")
Point = dict[str, Any]


def load(folder: Path, model: str, seed: int, score_folds: int | None = None) -> tuple[Any, Data]:
    """Return the configuration of a training run on a set, and the set, split."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from pipeline.app import CONF
    from pipeline.train import corpus_of

    GlobalHydra.instance().clear()
    overrides = [f"corpus.train={folder / 'train.jsonl'}", f"corpus.test={folder / 'test.jsonl'}"]
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        overrides += [f"model={model}", f"seed={seed}", f"split.score_folds={score_folds or 'null'}"]
        config = compose("train", ["corpus=table", *overrides])
    return config, corpus_of(config)


def ours(config: Any, data: Data, rows: Any) -> Outcome:
    """Train one of this project's models on some rows, as `pipeline.train` does, thresholds included."""
    from hydra.utils import instantiate

    from pipeline.bundle import Bundle, save
    from pipeline.evaluation.data import Data
    from pipeline.evaluation.splits import LEFT_OUT, Split
    from pipeline.models import encoder
    from pipeline.models.portable import portable
    from pipeline.train import fit

    encoder._last = None  # what the classifier before had embedded
    began = time.process_time()
    folds = data.split.folds.copy()
    folds[np.setdiff1d(data.split.train, rows)] = LEFT_OUT
    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=data.labels.task)
    fitted, crossed = fit(
        model, decision, Data(data.table, data.labels, data.y, Split(folds)), config.split.score_folds
    )
    bundle = Bundle(portable(fitted), crossed.decision, data.labels)
    trained = time.process_time()
    predicted = bundle.decision.labels(bundle.probabilities(data.column("text", data.split.test)))
    scored = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        save(bundle, Path(folder) / "bundle")
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    return Outcome(predicted, trained - began + crossed.elsewhere, scored - trained, size)


def point(name: str, method: str, data: Data, rows: Any, outcome: Outcome, **more: Any) -> Point:
    """Return the scores of what a classifier gave on the test rows."""
    from pipeline.evaluation.metrics import evaluate

    test = data.split.test
    names = data.labels.names
    block = evaluate(
        data.y[test],
        outcome.predicted,
        outcome.predicted.astype(np.float64),
        labels=names,
        thresholds=[None] * len(names),
    )
    return {
        "set": name,
        "method": method,
        "train": len(rows),
        "test": len(test),
        "labels": len(names),
        **{score: block[score] for score in SCORES},
        "train_seconds": outcome.train_seconds,
        "texts_per_second": len(test) / max(outcome.score_seconds, 1e-9),
        "megabytes": outcome.megabytes,
        **more,
    }


def few(data: Data, shots: int, seed: int) -> Any:
    """Return training rows with so many of each label, drawn label by label, the rarest first."""
    rows = data.split.train
    order = np.random.default_rng(seed).permutation(rows)
    chosen: list[int] = []
    for label in np.argsort(data.y[rows].sum(axis=0), kind="stable"):
        have = int(data.y[chosen, label].sum()) if chosen else 0
        with_label = [i for i in order if data.y[i, label] and i not in set(chosen)]
        chosen += with_label[: max(0, shots - have)]
    return np.sort(np.array(chosen))


def fits(name: str, data: Data, rows: Any, given: argparse.Namespace, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield every classifier's name with a function that trains it on some rows."""
    for model in given.models:
        config, _ = load(given.folder / name, model, seed, given.score_folds)
        yield model, lambda config=config: ours(config, data, rows)
    texts, y, test = data.column("text", rows), data.y[rows], data.column("text", data.split.test)
    for peer in given.peers:
        yield peer, lambda peer=peer: PEERS[peer](texts, y, test, seed)


def run(given: argparse.Namespace) -> Iterator[Point]:
    """Yield a point for each set and classifier; with few labels, for each number of them and seed."""
    for name in given.sets or sorted(path.parent.name for path in given.folder.glob("*/train.jsonl")):
        _, data = load(given.folder / name, given.models[0] if given.models else MODELS[0], 7)
        draws = [(s, seed) for s in given.shots for seed in range(given.seeds)] or [(None, 7)]
        for shots, seed in draws:
            rows = data.split.train if shots is None else few(data, shots, seed)
            more = {} if shots is None else {"shots": shots, "seed": seed}
            for method, fit in fits(name, data, rows, given, seed):
                try:
                    yield point(name, method, data, rows, fit(), **more)
                except Exception as error:  # one of many fits, of hours: the others count
                    print(f"{name}, {method} left out: {type(error).__name__}: {error}", flush=True)


def table(points: Sequence[Point]) -> str:
    """Return the scores with 95 % intervals as Markdown, a table for each set."""
    parts = []
    for name in dict.fromkeys(p["set"] for p in points):
        mine = [p for p in points if p["set"] == name]
        first = mine[0]
        sizes = f"{first['labels']} labels, {first['train']:,} training and {first['test']:,} test texts"
        lines = [f"**{name}**: {sizes}", ""]
        head = ["", "macro-F1", "micro-F1", "accuracy", "training", "texts/s", "MB"]
        lines += [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        fastest = max(min(p["train_seconds"] for p in mine), 1e-3)
        for p in sorted(mine, key=lambda p: -p["micro_f1"]["value"]):
            cells = [f"{p[s]['value']:.3f} [{p[s]['low']:.3f}, {p[s]['high']:.3f}]" for s in SCORES]
            seconds = p["train_seconds"]
            cells += [f"{seconds:,.1f} s, {seconds / fastest:.0f}×", f"{p['texts_per_second']:,.0f}"]
            lines.append(f"| {' | '.join([p['method'], *cells, format(p['megabytes'], '.1f')])} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def few_table(points: Sequence[Point]) -> str:
    """Return accuracy by labels a class, mean and standard deviation over seeds, as Markdown."""
    shots = sorted({p["shots"] for p in points})
    head = ["set", "", *(f"{n} a label" for n in shots)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, method in dict.fromkeys((p["set"], p["method"]) for p in points):
        cells = []
        for n in shots:
            mine = [p for p in points if (p["set"], p["method"], p["shots"]) == (name, method, n)]
            values = [p["micro_f1"]["value"] for p in mine]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "–")
        lines.append(f"| {' | '.join([name, method, *cells])} |")
    return "\n".join(lines)


def write(page: Path, mark: str, text: str) -> None:
    """Replace what is between the page's marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    after = rest.partition("<!-- end -->")[2]
    page.write_text(f"{before}<!-- {mark} -->\n{text}\n<!-- end -->{after}", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", help="names of folders; default: all")
    parser.add_argument("--models", nargs="*", default=MODELS, metavar="MODEL", help="names under conf/model")
    parser.add_argument("--peers", nargs="*", default=tuple(PEERS), metavar="PEER", choices=tuple(PEERS))
    parser.add_argument(
        "--score-folds", type=int, help="of 5, that --models are cross-validated in; default: all"
    )
    parser.add_argument("--shots", type=int, nargs="*", default=(), help="labels a class; default: all rows")
    parser.add_argument("--seeds", type=int, default=5, help="draws of so few labels")
    parser.add_argument("--results", type=Path, default=ROOT / "reports" / "public.json")
    parser.add_argument("--write", type=Path, help="page whose tables are to be replaced")
    parser.add_argument("--redraw", action="store_true", help="from --results, without training")
    return parser.parse_args()


def main() -> None:
    """Train, and print the tables or write them into the page's marked places."""
    from pipeline.files import write_json
    from pipeline.schema import PipelineError

    given = arguments()
    kept = json.loads(given.results.read_text(encoding="utf-8")) if given.results.is_file() else []
    try:
        for new in () if given.redraw else run(given):
            key = [new.get(k) for k in ("set", "method", "shots", "seed")]
            kept = [p for p in kept if [p.get(k) for k in ("set", "method", "shots", "seed")] != key] + [new]
            write_json(given.results, kept)
            score = new["micro_f1"]
            print(
                f"{new['set']}, {new['method']}, {new['train']} texts: micro-F1 {score['value']:.3f} "
                f"[{score['low']:.3f}, {score['high']:.3f}], {new['train_seconds']:.0f} s",
                flush=True,
            )
    except PipelineError as error:
        sys.exit(f"error: {error}")
    whole, drawn = ([p for p in kept if ("shots" in p) == flag] for flag in (False, True))
    for mark, text in (("table", table(whole) if whole else ""), ("few", few_table(drawn) if drawn else "")):
        if given.write and text:
            write(given.write, mark, text)
        elif text:
            print(text)


if __name__ == "__main__":
    main()
