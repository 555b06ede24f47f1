"""Stage: what more labelled articles would bring."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pipeline.app import stage
from pipeline.schema import ConfigError, InputError
from pipeline.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.evaluation.data import Data


@dataclass(slots=True)
class Target:
    """What every point of the curve is scored on.

    Attributes
    ----------
    name : str
        For people.
    texts : list of str
    y : ndarray of shape (n_sentences, n_labels)
    groups : list of str
        Article of each sentence.
    """

    name: str
    texts: list[str]
    y: NDArray[np.int8]
    groups: list[str]


@dataclass(slots=True)
class Points:
    """The measured points of a learning curve.

    Attributes
    ----------
    sentences : ndarray of shape (n_points,)
        Training sentences, the mean over the draws.
    support : ndarray of shape (n_points, n_labels)
        Those that carry each label.
    counts : ndarray of shape (n_points, n_draws, n_articles, n_counts)
        As `evaluation.metrics.article_counts` gives them.
    """

    sentences: NDArray[np.float64]
    support: NDArray[np.float64]
    counts: NDArray[np.int64]


def measure(
    model: Any, decision: Any, data: Data, target: Target, *, shares: Sequence[int], draws: int, seed: int
) -> Points:
    """Train on parts of the training articles, and count what each model gets right.

    Parameters
    ----------
    model, decision
        Unfitted.
    data : Data
        Folds are those of the whole; a part keeps them.
    target : Target
    shares : sequence of int
        Hundredths of the articles, ascending, the last 100.
    draws : int
        Times that the articles are drawn; all articles are trained on once.
    seed : int
    """
    import numpy as np
    from rich.progress import track

    from pipeline.evaluation.metrics import article_counts
    from pipeline.models.training import cross_validate, scores

    rows = data.split.train
    articles = np.array(data.column("article", rows))
    names = np.unique(articles)
    jobs = [(share, draw) for share in shares for draw in range(draws if share < 100 else 1)]
    sizes: dict[tuple[int, int], NDArray[np.int64]] = {}
    counts: dict[tuple[int, int], NDArray[np.int64]] = {}
    for share, draw in track(jobs, description="trainings", transient=True, disable=not sys.stderr.isatty()):
        chosen = np.random.default_rng((seed, draw)).permutation(names)[: -(-len(names) * share // 100)]
        inside = rows[np.isin(articles, chosen)]
        texts, y = data.column("text", inside), data.y[inside]
        crossed = cross_validate(model, decision, texts, y, data.split.folds[inside], fit_all=True)
        given = crossed.decision.labels(crossed.decision.probabilities(scores(crossed.fitted, target.texts)))
        sizes[share, draw] = np.array([len(inside), *y.sum(axis=0)])
        counts[share, draw] = article_counts(target.y, given, target.groups)
    for share, draw in [(100, draw) for draw in range(1, draws)]:
        sizes[share, draw], counts[share, draw] = sizes[100, 0], counts[100, 0]
    grid = [[(share, draw) for draw in range(draws)] for share in shares]
    size = np.array([[sizes[one] for one in same] for same in grid], dtype=np.float64).mean(axis=1)
    return Points(size[:, 0], size[:, 1:], np.array([[counts[one] for one in same] for same in grid]))


def extrapolate(points: Points, labels: Sequence[str], *, gain: float, seed: int) -> dict[str, Any]:
    """Return for macro-F1 and each label the curve, what a gain would take, and a check in hindsight.

    Parameters
    ----------
    points : Points
    labels : sequence of str
    gain : float
        In F1.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        By name, `counted` (what `n` counts), `n`, `f1`, `low` and `high` of each point; `more`, see
        `evaluation.learning.more_for`; `hindsight`, see `evaluation.learning.hindcast`; `fitted`, curve and
        95 % band over and beyond the points.
    """
    import numpy as np

    from pipeline.evaluation.learning import fit_power_law, hindcast, more_for, resampled_scores

    resampled = resampled_scores(points.counts, seed)
    curves = {"macro_f1": ("sentences", points.sentences, resampled["macro_f1"])}
    curves |= {
        label: (label, points.support[:, k], resampled["f1"][:, :, k]) for k, label in enumerate(labels)
    }
    found = {}
    for name, (counted, n, scores) in curves.items():
        low, high = np.quantile(scores[1:], [0.025, 0.975], axis=0)
        grid = np.geomspace(max(n[0], 1), 3 * n[-1], 60)
        law = fit_power_law(n, scores)
        band = np.array([law.at(float(size)) for size in grid])
        bounds = np.quantile(band[:, 1:], [0.025, 0.975], axis=1)
        found[name] = {
            "counted": counted,
            "n": n.tolist(),
            "f1": scores[0].tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
            "more": more_for(n, scores, gain),
            "hindsight": hindcast(n, scores),
            "fitted": {"n": grid.tolist(), "f1": band[:, 0].tolist(), "low": bounds[0].tolist()}
            | {"high": bounds[1].tolist()},
        }
    return found


def table(curves: Mapping[str, Mapping[str, Any]], gain: float) -> str:
    """Return what a gain would take as text."""
    points = f"{100 * gain:g} point{'' if gain == 0.01 else 's'}"
    rows = [("", "F1 now", f"for {points} more", "foretold by the smaller sets")]
    for name, one in curves.items():
        check = one["hindsight"]
        rows.append(
            (
                name,
                f"{one['f1'][-1]:.3f}",
                sentence(one["more"], "sentences" if one["counted"] == "sentences" else f"with {name}"),
                f"{check['predicted']:.3f} [{check['low']:.3f}, {check['high']:.3f}]",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def sentence(more: Mapping[str, float | None], what: str) -> str:
    """Return such as "about 400 more with denial (95 %: 150 to 2,000)"."""
    low, high = (None if more[key] is None else rounded(more[key] or 0.0) for key in ("low", "high"))
    if low is None:
        return "out of reach of this curve"
    reach = f"95 %: {low} to {high}" if high else f"95 %: {low} to out of reach"
    if more["more"] is None:
        return f"perhaps out of reach ({reach})"
    return f"about {rounded(more['more'])} more {what} ({reach})"


def rounded(value: float) -> str:
    """Return a number with two significant digits."""
    return f"{float(f'{value:.2g}'):,.0f}"


@stage("curve")
def main(config: DictConfig) -> None:
    """Run the stage."""
    from hydra.utils import instantiate

    from pipeline.evaluation.curve_charts import learning_curves
    from pipeline.files import atomic, write_json
    from pipeline.train import corpus_of

    shares = list(config.shares)
    _check(config, shares)
    data = corpus_of(config)
    labels = data.labels
    target = _target(config, data)
    model = instantiate(config.model.estimator, _convert_="all")
    decision = instantiate(config.decision, task=labels.task)
    points = measure(model, decision, data, target, shares=shares, draws=config.draws, seed=config.seed)
    curves = extrapolate(points, labels.names, gain=config.gain, seed=config.seed)
    header = {"model": config.model.name, "test": target.name, "gain": config.gain, "draws": config.draws}
    write_json(Path(config.output), header | {"curves": curves})
    with atomic(config.plot) as temporary:
        learning_curves(temporary, curves, f"{config.model.name}, scored on {target.name}")
    say(f"{table(curves, config.gain)}\nwritten to {config.output}, drawn in {config.plot}")


def _check(config: DictConfig, shares: Sequence[int]) -> None:
    if len(shares) < 4 or shares != sorted(set(shares)) or shares[-1] != 100 or shares[0] < 1:
        raise ConfigError(f"shares={shares}: must be four or more, ascending, from 1 or more to 100")
    if not isinstance(config.draws, int) or config.draws < 1:
        raise ConfigError(f"draws={config.draws}: must be at least 1")
    if not 0 < config.gain < 1:
        raise ConfigError(f"gain={config.gain}: must be between 0 and 1, such as 0.02")


def _target(config: DictConfig, data: Data) -> Target:
    from pipeline.evaluate import names
    from pipeline.labels.labelset import indicator
    from pipeline.text.readers import read_rows

    if config.test is None:
        rows = data.split.test
        texts, articles = data.column("text", rows), data.column("article", rows)
        return Target(f"{len(rows)} sentences of the test articles", texts, data.y[rows], articles)
    found = list(read_rows(config.test))
    if not found:
        raise InputError(f"test={config.test}: no rows")
    given = [names(row, f"{config.test}: row {n}") for n, row in enumerate(found, 1)]
    try:
        y = indicator(given, data.labels)
    except InputError as error:
        raise InputError(f"{config.test}: {error}") from None
    groups = [str(row.get("article") or f"row {n}") for n, row in enumerate(found)]
    name = f"{len(found)} sentences of {Path(config.test).name}"
    return Target(name, [row["text"] for row in found], y, groups)


if __name__ == "__main__":
    main()
