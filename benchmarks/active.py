"""Does choosing sentences beat labelling them at random? Simulated on the corpus.

    python benchmarks/active.py [--model tfidf_logreg] [--seeds 3] [--plot docs/figures/active.png] [--redraw]

The labels of a pool of training sentences are hidden. A classifier starts from a random few, asks for the
labels of a batch that a strategy chooses, is trained anew, and so on; the test articles are always the
same. Calibration and thresholds come from cross-validation within what is labelled so far. Results are
kept in --results after each run of a strategy, and are not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
STRATEGIES = {
    "random": "random",
    "uncertainty": "uncertainty",
    "uncertainty, spread": "uncertainty, the best of each cluster",
    "disagreement": "disagreement with the cue rules",
    "rare": "rare labels",
    "diversity": "diversity",
}
POOL, START, BATCH, STEPS = 8000, 200, 200, 9


class Corpus:
    """The pool, the test sentences, and what does not change from run to run."""

    def __init__(self, model: str) -> None:
        from hydra import compose, initialize_config_dir
        from hydra.utils import instantiate

        from pipeline.app import CONF
        from pipeline.evaluation.splits import near_duplicates
        from pipeline.models.static import Static
        from pipeline.train import label_set_of, labelled_sentences, split

        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            config = compose("train", [f"model={model}"])
            cues = compose("train", ["model=cues"])
        self.labels = label_set_of(config)
        data = split(labelled_sentences(config), self.labels, config)
        rows = np.sort(np.random.default_rng(config.seed).permutation(data.split.train)[:POOL])
        self.texts, self.y = data.column("text", rows), data.y[rows]
        self.test, self.truth = data.column("text", data.split.test), data.y[data.split.test]
        self.articles = data.column("article", data.split.test)
        self.pairs = near_duplicates(self.texts)
        self.vectors = Static(anchors=0).fit_transform(self.texts).toarray()
        self.estimator = instantiate(config.model.estimator, _convert_="all")
        self.decision = instantiate(config.decision, task="multilabel")
        rules = instantiate(cues.model.estimator, _convert_="all").fit(self.texts, self.y)
        self.rules = rules.decision_function(self.texts)

    def trained(self, chosen: np.ndarray, seed: int) -> Any:
        """Return a classifier trained on some rows of the pool, its decision layer included."""
        from sklearn.base import clone

        from pipeline.bundle import Bundle
        from pipeline.models.training import cross_validate

        folds = np.random.default_rng(seed).permutation(len(chosen)) % 3
        texts = [self.texts[row] for row in chosen]
        crossed = cross_validate(self.estimator, self.decision, texts, self.y[chosen], folds)
        return Bundle(clone(self.estimator).fit(texts, self.y[chosen]), crossed.decision, self.labels)

    def next_batch(self, strategy: str, bundle: Any, chosen: np.ndarray, seed: int) -> np.ndarray:
        """Return the rows that a strategy asks for."""
        from sklearn.base import clone

        from pipeline.labels import querying

        blocked = np.zeros(len(self.texts), bool)
        blocked[chosen] = True
        if strategy == "random":
            return np.random.default_rng(seed).permutation(np.flatnonzero(~blocked))[:BATCH]
        near = blocked[self.pairs].any(axis=1)
        blocked[self.pairs[near].ravel()] = True
        if strategy == "diversity":
            best = querying.pick(np.zeros(len(blocked)), self.pairs, len(blocked), blocked)
            return querying.representative(best, self.vectors[best], BATCH, seed=seed)
        p = bundle.probabilities(self.texts)
        if strategy == "disagreement":
            rules = clone(self.decision).fit(self.rules[chosen], self.y[chosen]).probabilities(self.rules)
            scores = querying.disagreement([p, rules])
        elif strategy == "rare":
            scores = querying.rarity(p, self.y[chosen].sum(axis=0).tolist())
        else:
            scores = querying.uncertainty(p)
        if strategy != "uncertainty, spread":
            return querying.pick(scores, self.pairs, BATCH, blocked)
        best = querying.pick(scores, self.pairs, 5 * BATCH, blocked)
        return querying.spread(best, scores[best], self.vectors[best], BATCH, seed=seed)

    def run(self, strategy: str, seed: int) -> dict[str, list[Any]]:
        """Return the scores after each batch."""
        from pipeline.evaluation.metrics import article_counts, summarise

        chosen = np.random.default_rng(seed).permutation(len(self.texts))[:START]
        found: dict[str, list[Any]] = {"n": [], "macro_f1": [], "f1": [], "support": []}
        for step in range(STEPS + 1):
            bundle = self.trained(chosen, seed)
            predicted = bundle.decision.labels(bundle.probabilities(self.test))
            scores = summarise(
                article_counts(self.truth, predicted, self.articles).sum(axis=0, keepdims=True)
            )
            found["n"].append(len(chosen))
            found["macro_f1"].append(float(scores["macro_f1"][0]))
            found["f1"].append(scores["f1"][0].round(4).tolist())
            found["support"].append(self.y[chosen].sum(axis=0).tolist())
            if step < STEPS:
                more = self.next_batch(strategy, bundle, chosen, 1000 * seed + step)
                chosen = np.concatenate([chosen, more])
        return found


def needed(n: np.ndarray, scores: np.ndarray, target: float) -> float:
    """Return how many labels reach a score, between two points in proportion; nan where none does."""
    reached = np.flatnonzero(np.maximum.accumulate(scores) >= target)
    if not len(reached):
        return float("nan")
    i = int(reached[0])
    if i == 0:
        return float(n[0])
    return float(n[i - 1] + (target - scores[i - 1]) / (scores[i] - scores[i - 1]) * (n[i] - n[i - 1]))


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the scores, the gain over random seed by seed, and the labels needed, as Markdown."""
    last = {name: np.array([run["macro_f1"] for run in runs.values()]) for name, runs in results.items()}
    seeds = set.intersection(*(set(runs) for runs in results.values()))
    middle = STEPS // 2
    n = np.array(next(iter(results["random"].values()))["n"])
    target = float(last["random"][:, -1].mean())
    lines = [
        f"| strategy | macro-F1 at {n[middle]} | at {n[-1]} | gain over random, all points | "
        f"labels to reach {target:.3f} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, title in STRATEGIES.items():
        scores = last[name]
        gain = np.array(
            [
                np.mean(results[name][s]["macro_f1"][1:]) - np.mean(results["random"][s]["macro_f1"][1:])
                for s in sorted(seeds)
            ]
        )
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        many = needed(n, scores.mean(axis=0), target - 1e-12)
        cells = [title, f"{scores[:, middle].mean():.3f}", f"{scores[:, -1].mean():.3f}"]
        cells += ["" if name == "random" else f"{gain.mean():+.3f} ± {error:.3f}"]
        cells += [f"{round(many, -1):,.0f}" if many == many else f"over {n[-1]:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: dict[str, dict[str, Any]], path: Path, model: str) -> None:
    """Write mean scores and their standard errors over the seeds as PNG."""
    from matplotlib.figure import Figure

    from pipeline.evaluation.plots import COLOURS

    figure = Figure(figsize=(6.4, 4.4), layout="constrained", dpi=110)
    axes = figure.subplots()
    colours = ("#777777", *COLOURS)
    for (name, title), colour in zip(STRATEGIES.items(), colours, strict=False):
        runs = list(results[name].values())
        scores = np.array([run["macro_f1"] for run in runs])
        mean, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(len(runs))
        style = "--" if name == "random" else "-"
        axes.plot(runs[0]["n"], mean, style, color=colour, marker="o", markersize=3, label=title)
        axes.fill_between(runs[0]["n"], mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel="labelled sentences", ylabel="macro-F1 on the test articles")
    axes.set_title(f"{model}, {len(runs)} random starts, band: one standard error", fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tfidf_logreg", help="name under conf/model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="default: reports/active-MODEL.json")
    parser.add_argument("--plot", type=Path, help="PNG file")
    parser.add_argument("--redraw", action="store_true", help="from --results, without training")
    return parser.parse_args()


def main() -> None:
    """Simulate, and print the table."""
    from rich.progress import track

    from pipeline.files import write_json

    given = arguments()
    kept = given.results or ROOT / "reports" / f"active-{given.model}.json"
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    runs = [(name, str(seed)) for seed in range(given.seeds) for name in STRATEGIES]
    todo = [] if given.redraw else [(n, s) for n, s in runs if s not in results.get(n, {})]
    corpus = Corpus(given.model) if todo else None
    for name, seed in track(todo, description="runs", disable=not sys.stderr.isatty()):
        assert corpus is not None
        results.setdefault(name, {})[seed] = corpus.run(name, int(seed))
        write_json(kept, results)
    print(table(results))
    if given.plot:
        draw(results, given.plot, given.model)


if __name__ == "__main__":
    main()
