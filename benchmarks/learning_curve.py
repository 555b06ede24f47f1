"""Learning curves: what a quarter, a half, three quarters and all of the training articles give.

    python benchmarks/learning_curve.py [MODEL ...] [--external FILE]
        [--write docs/learning-curve.md] [--plot docs/figures/learning_curve.png] [--redraw]

The smaller sets of articles are parts of the larger ones. Calibration and thresholds come from
out-of-fold scores within each set; the test articles are always the same. Figures are kept in
--results after each fit; --redraw makes table and plot from them without training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from pipeline.train import Data

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("tfidf_logreg", "hybrid", "encoder")
SHARES = (25, 50, 75, 100)
UNIFORM = "uniform"
Row = dict[str, Any]


def configured(model: str, folds: int) -> DictConfig:
    """Return the configuration of a training run."""
    from hydra import compose, initialize_config_dir

    from pipeline.app import CONF

    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return compose("train", [f"model={model}", f"split.folds={folds}"])


def subset(data: Data, share: int, seed: int) -> Data:
    """Return the data with so many hundredths of the training articles; a smaller share is part of it."""
    from pipeline.evaluation.splits import LEFT_OUT, Split
    from pipeline.train import Data

    rows = data.split.train
    articles = np.array(data.column("article", rows))
    names = np.unique(articles)
    chosen = np.random.default_rng(seed).permutation(names)[: -(-len(names) * share // 100)]
    folds = data.split.folds.copy()
    folds[rows[~np.isin(articles, chosen)]] = LEFT_OUT
    return Data(data.table, data.labels, data.y, Split(folds))


def measure(config: DictConfig, data: Data, external: Sequence[Row]) -> dict[str, Any]:
    """Return the scores of a model trained on the data, as blocks by name."""
    from hydra.utils import instantiate

    from pipeline.bundle import Bundle
    from pipeline.evaluate import evaluate
    from pipeline.models.portable import portable
    from pipeline.train import evaluate_both, fit

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


def curve(models: Sequence[str], shares: Sequence[int], folds: int, external: Sequence[Row]) -> Iterator[Row]:
    """Yield a point of each model's curve after the other."""
    from pipeline.train import label_set_of, labelled_sentences, split

    for model in models:
        config = configured(model, folds)
        data = split(labelled_sentences(config), label_set_of(config), config)
        for share in shares:
            part, begun = subset(data, share, config.seed), time.perf_counter()
            blocks = measure(config, part, external)
            rows = part.split.train
            sizes = {"articles": len(set(part.column("article", rows))), "sentences": len(rows)}
            yield {"model": model, "share": share, "seconds": time.perf_counter() - begun} | sizes | blocks


def blocks_of(points: Sequence[Row]) -> list[str]:
    """Return the names of the blocks of scores, cross-validation aside."""
    return [name for name in ("test", "external", "external, uniform") if name in points[0]]


def table(points: Sequence[Row]) -> str:
    """Return macro-F1 with intervals as Markdown."""
    names = blocks_of(points)
    titles = [f"{name} ({points[0][name]['sentences']})" for name in names]
    head = ["articles", "sentences", "model", "cross-validation", *titles]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for point in sorted(points, key=lambda point: point["articles"]):
        scores = [point[name]["macro_f1"] for name in ("cross_validation", *names)]
        cells = [f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for s in scores]
        first = [f"{point['articles']:,}", f"{point['sentences']:,}", point["model"]]
        lines.append(f"| {' | '.join(first + cells)} |")
    return "\n".join(lines)


def draw(points: Sequence[Row], path: Path) -> None:
    """Write the curves as PNG, a panel for each set of test sentences."""
    from matplotlib.figure import Figure

    from pipeline.evaluation.plots import COLOURS

    names = blocks_of(points)
    models = list(dict.fromkeys(point["model"] for point in points))
    figure = Figure(figsize=(0.6 + 3.4 * len(names), 3.8), layout="constrained", dpi=110)
    panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
    for name, axes in zip(names, panels, strict=True):
        for k, model in enumerate(models):
            mine = [point for point in points if point["model"] == model]
            scores = [point[name]["macro_f1"] for point in mine]
            value = np.array([score["value"] for score in scores])
            bounds = [[score["low"] for score in scores], [score["high"] for score in scores]]
            # Side by side, so that the intervals can be told apart.
            x = np.array([p["articles"] for p in mine]) + (k - (len(models) - 1) / 2) * 14
            errors = np.abs(np.array(bounds) - value)
            axes.errorbar(
                x, value, errors, marker="o", markersize=4, capsize=2, color=COLOURS[k], label=model
            )
        axes.set_title(f"{name}, {points[0][name]['sentences']} sentences", fontsize=9)
        axes.set_xlabel("training articles")
        axes.set_xticks(sorted({point["articles"] for point in points}))
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("macro-F1, 95 % interval")
    panels[0].legend(fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def write(page: Path, text: str) -> None:
    """Replace the page's marked table."""
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- table -->\n")
    after = rest.partition("<!-- end -->")[2]
    page.write_text(f"{before}<!-- table -->\n{text}\n<!-- end -->{after}", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help="names under conf/model")
    parser.add_argument("--external", type=Path, help="labelled file of other news, scored beside the test")
    parser.add_argument("--shares", type=int, nargs="+", default=SHARES, help="hundredths of the articles")
    parser.add_argument("--folds", type=int, default=3, help="of the cross-validation within each set")
    parser.add_argument("--results", type=Path, default=ROOT / "reports" / "learning_curve.json")
    parser.add_argument("--write", type=Path, help="page whose table is to be replaced")
    parser.add_argument("--plot", type=Path, help="PNG file")
    parser.add_argument("--redraw", action="store_true", help="from --results, without training")
    return parser.parse_args()


def main() -> None:
    """Train, and print the table or write it into the page's marked place."""
    from pipeline.files import write_json
    from pipeline.schema import PipelineError
    from pipeline.text.readers import read_rows

    given = arguments()
    points = json.loads(given.results.read_text(encoding="utf-8")) if given.redraw else []
    try:
        external = list(read_rows(given.external)) if given.external else []
        for point in () if given.redraw else curve(given.models, given.shares, given.folds, external):
            points.append(point)
            write_json(given.results, points)
            print(f"{point['model']}, {point['articles']} articles: {point['seconds']:.0f} s", flush=True)
    except PipelineError as error:
        sys.exit(f"error: {error}")
    if given.plot:
        draw(points, given.plot)
    if given.write:
        write(given.write, table(points))
    else:
        print(table(points))


if __name__ == "__main__":
    main()
