"""Does weak supervision help? Gold alone against gold with rule-labelled news, by amount of gold.

    python benchmarks/weak_supervision.py NEWS [--external FILE] [--models NAME ...] [--shares 5 25 100]
        [--ratios 0.3] [--label-models NAME ...] [--add] [--write docs/labelling-functions.md]
    python benchmarks/weak_supervision.py NEWS --speed

NEWS is unlabelled articles. A share is of the training articles, in hundredths; calibration and
thresholds come from gold alone. The test articles are always the same. --speed measures how many
sentences a second the functions of conf/functions/news.yaml vote on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from public import write

if TYPE_CHECKING:
    from pipeline.evaluation.data import Data

ROOT = Path(__file__).resolve().parents[1]
UNIFORM = "uniform"
Row = dict[str, Any]


def composed(name: str, *overrides: str) -> Any:
    """Return a stage's configuration."""
    from hydra import compose, initialize_config_dir

    from pipeline.app import CONF

    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return compose(name, list(overrides))


def subset(data: Data, share: int, seed: int) -> Data:
    """Return the data with so many hundredths of the training articles; a smaller share is part of it."""
    from pipeline.evaluation.data import Data
    from pipeline.evaluation.splits import LEFT_OUT, Split

    rows = data.split.train
    articles = np.array(data.column("article", rows))
    names = np.unique(articles)
    chosen = np.random.default_rng(seed).permutation(names)[: -(-len(names) * share // 100)]
    folds = data.split.folds.copy()
    folds[rows[~np.isin(articles, chosen)]] = LEFT_OUT
    return Data(data.table, data.labels, data.y, Split(folds))


def measure(config: Any, data: Data, external: list[Row]) -> Row:
    """Return the scores of a model trained on the data, as blocks by name."""
    from hydra.utils import instantiate

    from pipeline.bundle import Bundle
    from pipeline.evaluate import evaluate
    from pipeline.models.portable import portable
    from pipeline.reports.tested import evaluate_both
    from pipeline.train import fit

    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=data.labels.task)
    fitted, crossed = fit(model, decision, data)
    bundle = Bundle(portable(fitted), crossed.decision, data.labels)
    blocks, _ = evaluate_both(bundle, crossed, data, config.seed)
    if external:
        by = "sample" if "sample" in external[0] else None
        found = evaluate(bundle, external, by=by, group="article", seed=config.seed)
        blocks["external"] = found["external"]
        if UNIFORM in found.get("by", {}):
            blocks["external, uniform"] = found["by"][UNIFORM]
    return blocks


def blocks_of(found: list[Row]) -> list[str]:
    """Return the names of the blocks of scores, cross-validation aside."""
    return [name for name in ("test", "external", "external, uniform") if name in found[0]]


def weak_files(news: Path, external: list[str], folder: Path, models: list[str]) -> dict[str, Path]:
    """Label the news by each label model, leaving out what repeats a gold or external sentence."""
    import pyarrow.parquet as pq
    from hydra.utils import instantiate

    from pipeline.labels.labelset import label_set
    from pipeline.train import labelled_sentences
    from pipeline.weak import sentences_of, vote, weak_rows, without_repeats

    config = composed("weak", f"input={news}")
    labels = label_set(config.labels)
    functions = list(instantiate(config.functions, _convert_="all").values())
    known = [*labelled_sentences(composed("train"))["text"].to_pylist(), *external]
    sentences = without_repeats(sentences_of(news, "article"), known, config.near_duplicate)
    votes, voters = vote(functions, sentences["text"].to_pylist(), labels)
    files = {}
    for model in models:
        files[model] = folder / f"{model}.parquet"
        pq.write_table(weak_rows(sentences, votes, voters, labels, label_model=model), files[model])
    return files


def speed(news: Path) -> None:
    """Print how many sentences a second the patterns vote on."""
    from hydra.utils import instantiate

    from pipeline.weak import sentences_of

    config = composed("weak", f"input={news}")
    texts = sentences_of(news, "article")["text"].to_pylist()
    texts = (texts * (1 + 60_000 // len(texts)))[:60_000]
    for name, described in config.functions.items():
        function = instantiate(described, _convert_="all")
        function.votes(texts[:2000])
        rates = []
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            function.votes(texts)
            rates.append(
                (len(texts) / (time.perf_counter() - wall), len(texts) / (time.process_time() - cpu))
            )
        a_second, a_cpu_second = map(max, zip(*rates, strict=True))
        columns = len(function.columns())
        print(f"{name}: {columns} functions, {a_second:,.0f} sentences/s, {a_cpu_second:,.0f} a CPU second")


def points(given: argparse.Namespace, external: list[Row], files: dict[str, Path]) -> Iterator[Row]:
    """Yield the scores of each way of training."""
    from pipeline.train import label_set_of, labelled_sentences, split

    ways: list[tuple[str, float]] = [("gold alone", 0.0)]
    ways += [(f"+ {model}", ratio) for model in files for ratio in given.ratios]
    for model in given.models:
        base = composed("train", f"model={model}", "split.folds=3")
        data = split(labelled_sentences(base), label_set_of(base), base)
        for share in given.shares:
            part = subset(data, share, base.seed)
            for way, ratio in ways:
                config = base
                if ratio:
                    more = [f"model.estimator.weak={files[way[2:]]}", f"model.estimator.ratio={ratio}"]
                    config = composed(
                        "train", "model=weak", f"model@model.gold={model}", "split.folds=3", *more
                    )
                begun = time.perf_counter()
                blocks = measure(config, part, external)
                sizes = {"sentences": len(part.split.train), "seconds": time.perf_counter() - begun}
                yield {"model": model, "share": share, "way": way, "ratio": ratio} | sizes | blocks


def table(found: list[Row]) -> str:
    """Return macro-F1 with intervals as Markdown."""
    names = blocks_of(found)
    titles = [f"{name} ({found[0][name]['sentences']})" for name in names]
    lines = [
        f"| model | gold sentences | trained on | {' | '.join(titles)} |",
        "| --- " * (3 + len(names)) + "|",
    ]
    for row in found:
        way = row["way"] + (f", ratio {row['ratio']:g}" if row["ratio"] else "")
        scores = [row[name]["macro_f1"] for name in names]
        cells = [f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for s in scores]
        lines.append(f"| {row['model']} | {row['sentences']:,} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, and print the table or write it into the page's marked place."""
    from pipeline.files import write_json
    from pipeline.text.readers import read_rows

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("news", type=Path)
    parser.add_argument("--external", type=Path, help="labelled file of other news, scored beside the test")
    parser.add_argument("--models", nargs="+", default=["tfidf_logreg", "hybrid"])
    parser.add_argument("--shares", type=int, nargs="+", default=[5, 25, 100])
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.3])
    parser.add_argument("--results", type=Path, default=ROOT / "reports" / "weak_supervision.json")
    parser.add_argument("--write", type=Path, help="page whose table is to be replaced")
    parser.add_argument("--label-models", nargs="+", default=["majority", "generative"])
    parser.add_argument("--add", action="store_true", help="to the rows that --results has")
    parser.add_argument("--speed", action="store_true")
    given = parser.parse_args()
    if given.speed:
        speed(given.news)
        return
    external = list(read_rows(given.external)) if given.external else []
    known = given.add and given.results.is_file()
    found: list[Row] = json.loads(given.results.read_text(encoding="utf-8")) if known else []
    with tempfile.TemporaryDirectory() as folder:
        texts = [row["text"] for row in external]
        files = weak_files(given.news, texts, Path(folder), given.label_models)
        for row in points(given, external, files):
            found.append(row)
            write_json(given.results, found)
            scores = {name: round(row[name]["macro_f1"]["value"], 3) for name in blocks_of([row])}
            print(
                json.dumps({k: row[k] for k in ("model", "share", "way", "ratio", "seconds")} | scores),
                flush=True,
            )
    if given.write:
        write(given.write, "table", table(found))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
