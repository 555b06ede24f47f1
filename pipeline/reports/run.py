"""The page of one run: what was trained on what, how good it is, where it fails and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.abstention import at_rate
from pipeline.evaluation.behaviour_report import flips_line
from pipeline.evaluation.curves import precision_recall_rows
from pipeline.evaluation.panels import reliability, thresholds
from pipeline.evaluation.predictions import Predictions
from pipeline.models.explain import by_words, explain, strongest
from pipeline.reports.blocks import behaviour_rows, fold_rows, protocol_words, slice_rows
from pipeline.reports.charts import Chart, Line
from pipeline.reports.page import spaced, write_page

WORST, REASONS = 5, 8  # errors of each label and kind, and reasons of each, that are shown
TOPS = (0.02, 0.04, 0.08, 0.2, 0.4)  # where an axis of errors may end
HEADLINE = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "subset_accuracy": "all labels right",
    "macro_average_precision": "average precision",
    "macro_brier": "Brier score",
    "macro_calibration_error": "calibration error",
}
COLUMNS = {
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
}


def run_page(
    output: str | Path,
    *,
    title: str,
    bundle: Any,
    blocks: Mapping[str, Mapping[str, Any]],
    made: Predictions,
    metrics: Mapping[str, Any],
    settings: str = "",
    origin: Mapping[str, str] | None = None,
) -> None:
    """Write the page.

    Parameters
    ----------
    output : path
    title : str
    bundle : pipeline.bundle.Bundle
        Its card says what was trained on what.
    blocks : mapping of str to mapping
        Heading to scores, as `evaluation.metrics.evaluate` gives them; curves and errors are of the last.
    made : Predictions
        Of the last block's sentences.
    metrics : mapping
        `slices`, `behaviour` and `abstention` are shown where it has them.
    settings : str
        What the run was configured with, as YAML.
    origin : mapping, optional
        `run` (its name), `run_id`, `commit` and `date` of the training.
    """
    last = list(blocks)[-1]
    write_page(
        output,
        "report.html.j2",
        title=title,
        about=f"{blocks[last]['sentences']:,} sentences of {blocks[last]['articles']:,} articles",
        last=last,
        blocks=blocks,
        headline=HEADLINE,
        columns=COLUMNS,
        labels=made.labels,
        definitions=bundle.labels.definitions,
        task=bundle.labels.task,
        card=bundle.card,
        origin=origin,
        protocol=protocol_words(bundle.card.get("data", {}).get("split"), metrics.get("cross_validation")),
        leakage=metrics.get("leakage", {}),
        counts=_counts(made),
        charts={label: _charts(label, k, made, blocks[last]) for k, label in enumerate(made.labels)},
        folds=fold_rows((metrics.get("cross_validation") or {}).get("per_fold", ())),
        slices=slice_rows(metrics.get("slices") or {}),
        behaviour=behaviour_rows(metrics.get("behaviour") or {}),
        abstention=_abstention(metrics.get("abstention")),
        flips=flips_line(metrics["behaviour"]["name_swap_flip_rate"]) if metrics.get("behaviour") else "",
        errors=_errors(bundle, made),
        most=WORST,
        settings=settings,
    )


def _abstention(block: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the points of the curve, that of the error rate in use, and a chart of all labels and each."""
    if not block:
        return None
    points = block["curve"]
    series = {"all labels": points}
    series |= {label: [p["per_label"][label] for p in points] for label in points[0]["per_label"]}
    rates = [point["error_rate"] for point in points]
    drawn = series.items() if len(points) > 1 else ()
    charts = [_coverage(name, rates, some, block["error_rate"]) for name, some in drawn]
    return {"points": points, "at": at_rate(block), "charts": charts}


def _coverage(name: str, rates: list[float], points: list[Mapping[str, Any]], chosen: float | None) -> Chart:
    known = [(rate, one) for rate, one in zip(rates, points, strict=True) if one["error"]]
    at = [(one["decided"], one["error"]["value"], f"promised {100 * rate:g} %") for rate, one in known]
    highest = max((one["error"]["high"] for _, one in known), default=1.0)
    return Chart(
        f"{spaced(name)}: left to a person",
        " ".join(
            f"Error rate {rate:g}: {one['decided']:.2f} decided, {one['error']['value']:.3f} of it wrong."
            for rate, one in known
        ),
        "share decided",
        "wrong, of the decided",
        lines=[Line([(x, y) for x, y, _ in at], "s0", dots=True)],
        marks=[mark for mark, (rate, _) in zip(at, known, strict=True) if rate == chosen],
        bars=[(one["decided"], one["error"]["low"], one["error"]["high"]) for _, one in known],
        top=next((top for top in TOPS if top >= highest), 1.0),
    )


def _counts(made: Predictions) -> dict[str, dict[str, int]]:
    """Return right and wrong decisions of each label."""
    y, given = made.y.astype(bool), made.predicted.astype(bool)
    return {
        label: {
            "rightly given": int((y & given)[:, k].sum()),
            "wrongly given": int((~y & given)[:, k].sum()),
            "missed": int((y & ~given)[:, k].sum()),
            "rightly not given": int((~y & ~given)[:, k].sum()),
        }
        for k, label in enumerate(made.labels)
    }


def _charts(label: str, k: int, made: Predictions, block: Mapping[str, Any]) -> list[Chart]:
    y, p, scores = made.y[:, k], made.scores[:, k], block["per_label"][label]
    name, threshold = spaced(label), scores["threshold"]
    where = "at the most probable label" if threshold is None else f"at threshold {threshold:.2f}"
    curve = precision_recall_rows(y[:, None], p[:, None], [label]).to_pydict()
    bins, moved = reliability(y, p), thresholds(y, p)
    steps = moved.threshold.tolist()
    return [
        Chart(
            f"{name}: precision and recall",
            f"Average precision {scores['average_precision']:.3f}; {where} precision "
            f"{scores['precision']:.2f}, recall {scores['recall']:.2f}.",
            "recall",
            "precision",
            lines=[Line(list(zip(curve["recall"], curve["precision"], strict=True)), "s0")],
            marks=[(scores["recall"], scores["precision"], where)],
        ),
        Chart(
            f"{name}: reliability",
            f"Calibration error {scores['calibration_error']:.3f}; the diagonal would be perfect. "
            + " ".join(f"Probability {b.probability:.2f}: share {b.share:.2f}." for b in bins),
            "mean probability",
            "share that carry the label",
            lines=[
                Line([(0, 0), (1, 1)], "even"),
                Line([(b.probability, b.share) for b in bins], "s0", dots=True),
            ],
            bars=[(b.probability, b.low, b.high) for b in bins],
        ),
        Chart(
            f"{name}: thresholds",
            f"F1 {scores['f1']:.3f} {where}; the best on these sentences would be {np.max(moved.f1):.3f} "
            f"at {steps[int(np.argmax(moved.f1))]:.2f}.",
            "threshold",
            "score",
            lines=[
                Line(list(zip(steps, moved.f1.tolist(), strict=True)), "s0", "F1"),
                Line(list(zip(steps, moved.precision.tolist(), strict=True)), "s1", "precision"),
                Line(list(zip(steps, moved.recall.tolist(), strict=True)), "s2", "recall"),
            ],
            at=threshold,
        ),
    ]


def _errors(bundle: Any, made: Predictions) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the most confident errors of each label and kind, with the reasons for them."""
    chosen: list[tuple[str, str, int]] = []
    for k, label in enumerate(made.labels):
        surprise = np.abs(made.scores[:, k] - made.y[:, k])
        for kind, truth in (("wrongly given", 0), ("missed", 1)):
            wrong = np.flatnonzero((made.y[:, k] == truth) & (made.predicted[:, k] != truth))
            worst = wrong[np.argsort(-surprise[wrong], kind="stable")][:WORST]
            chosen += [(label, kind, row) for row in worst.tolist()]
    rows = sorted({row for *_, row in chosen})
    texts = made.table["text"].take(rows).to_pylist() if rows else []
    explained = explain(bundle.scorer, texts) if rows else None
    records = {row: _record(made, row) for row in rows}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for label, kind, row in chosen:
        k = made.labels.index(label)
        error = records[row] | {"probability": float(made.scores[row, k])}
        if explained:
            error |= _reasons(explained[0][rows.index(row)], explained[1], bundle.decision, k)
        found.setdefault(label, {}).setdefault(kind, []).append(error)
    return found


def _record(made: Predictions, row: int) -> dict[str, Any]:
    known = [n for n in ("article", "sentence", "kind", "text") if n in made.table.column_names]
    values = {name: made.table[name][row].as_py() for name in known}
    one = slice(row, row + 1)
    return values | {"labels": made.names(made.y[one])[0], "given": made.names(made.predicted[one])[0]}


def _reasons(reasons: Any, intercepts: Any, decision: Any, k: int) -> dict[str, Any]:
    """Return reasons in log-odds: the calibration's slope times what they add to the score."""
    slope, reasons = float(decision.slope_[k]), by_words(reasons)
    shown, rest = strongest(reasons, k, REASONS, slope)
    start = float(decision.intercept_[k] + slope * intercepts[k])
    total = start + rest + sum(weight for _, weight in shown)
    others = len(reasons) - len(shown)
    return {"reasons": shown, "rest": rest, "others": others, "start": start, "total": total}
